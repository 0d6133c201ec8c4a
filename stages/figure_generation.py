"""Figures 4, 8 and 9: two runs side by side, generating from the prior and across modalities."""

import numpy as np
import torch

from mmvae import figures, models
from mmvae.evaluation import generation
from stages import arguments, inputs, run

SIDE = 8  # of the square of prior draws


def main() -> None:
    given = arguments("set", "figure", "left", "right", "seed")
    device = torch.device("cpu")
    test, digits = inputs.DigitPairs(given.set, device).first_pass("test")
    chosen = [int(np.flatnonzero(digits == digit)[0]) for digit in range(10)]
    x = {name: images[chosen] for name, images in test.items()}
    means, crossed = [], [[("input", x[source].numpy()[None]) for source in x]]
    for name in (given.left, given.right):
        model = models.load(f"models/{given.set}/{name}/{given.seed}.safetensors", device)
        generator = torch.Generator().manual_seed(given.seed)
        drawn = generation.from_prior(model, SIDE**2, 0, generator)
        means.append(
            [(f"{name}: {target}", mean.reshape(SIDE, SIDE, *mean.shape[1:])) for target, (mean, _) in drawn.items()]
        )
        generated = {source: generation.across(model, x, source, generator) for source in x}
        crossed += [
            [(f"{name}: {source} to {target}", generated[source][target][None]) for source in x] for target in x
        ]
    prefix = f"plots/{given.set}/{given.figure}"
    title = f"{given.set}: {given.left} and {given.right}"
    figures.save(
        f"{prefix}_prior_means.png",
        figures.grids(means, f"{title}, {SIDE**2} draws from the prior\n(a cell of both panels of a row: one draw)"),
    )
    figures.save(
        f"{prefix}_cross.png",
        figures.grids(crossed, f"{title}, generated from a test image of each digit", scale=1.4),
    )


if __name__ == "__main__":
    run(main)
