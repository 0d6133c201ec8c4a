"""Figures 4, 8 and 9: two runs side by side, generating from the prior and across modalities."""

import numpy as np
import torch

from mmvae import models
from mmvae.evaluation import generation
from mmvae.figures import grids
from stages import arguments, inputs, run

SIDE = 8  # of the square of prior draws


def main() -> None:
    given = arguments("set", "figure", "left", "right", "seed")
    device = torch.device("cpu")
    test, digits = inputs.DigitPairs(given.set, device).first_pass("test")
    chosen = [int(np.flatnonzero(digits == digit)[0]) for digit in range(10)]
    x = {name: values[chosen] for name, values in test.items() if values.dim() == 4}  # images only
    means, crossed = [], [[("input", x[source].numpy()[None]) for source in x]]
    for name in (given.left, given.right):
        model = models.load(f"models/{given.set}/{name}/{given.seed}.safetensors", device)
        generator = torch.Generator().manual_seed(given.seed)
        drawn = generation.from_prior(model, SIDE**2, 0, generator)
        squares = {target: drawn[target][0].reshape(SIDE, SIDE, *x[target].shape[1:]) for target in x}
        means.append([(f"{name}: {target}", images) for target, images in squares.items()])
        generated = {source: generation.across(model, x, source, generator) for source in x}
        crossed += [
            [(f"{name}: {source} to {target}", generated[source][target][None]) for source in x] for target in x
        ]
    prefix = f"plots/{given.set}/{given.figure}"
    title = f"{given.set}: {given.left} and {given.right}"
    grids.save(
        f"{prefix}_prior_means.png",
        grids.grids(means, f"{title}, {SIDE**2} draws from the prior\n(a cell of both panels of a row: one draw)"),
    )
    grids.save(
        f"{prefix}_cross.png",
        grids.grids(crossed, f"{title}, generated from a test image of each digit", scale=1.4),
    )


if __name__ == "__main__":
    run(main)
