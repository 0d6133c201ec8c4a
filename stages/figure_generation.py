"""Figures 4, 8 and 9: two runs side by side, generating from the prior and across modalities."""

import numpy as np
import torch

from mmvae import model
from mmvae.data.prepared import LabelledPairs
from mmvae.evaluation import generation
from mmvae.figures import grids
from mmvae.figures.pictures import shown
from stages import arguments, run

SIDE = 8  # of the square of prior draws


def main() -> None:
    given = arguments("set", "figure", "left", "right", "seed")
    device = torch.device("cpu")
    pairs = LabelledPairs(given.set, device)
    test, digits = pairs.first_pass("test")
    chosen = [int(np.flatnonzero(digits == digit)[0]) for digit in range(10)]
    x = {name: values[chosen] for name, values in test.items()}
    inputs = shown(pairs.kinds, {name: values.numpy() for name, values in x.items()})
    means, crossed = [], [[("input", images[None]) for images in inputs.values()]]
    for name in (given.left, given.right):
        trained = model.load(f"models/{given.set}/{name}/{given.seed}.safetensors", device)
        generator = torch.Generator().manual_seed(given.seed)
        prior = {target: mean for target, (mean, _) in generation.from_prior(trained, SIDE**2, 0, generator).items()}
        drawn = shown(pairs.kinds, prior).items()
        means.append([(f"{name}: {target}", one.reshape(SIDE, SIDE, *one.shape[1:])) for target, one in drawn])
        made = {source: shown(pairs.kinds, generation.across(trained, x, source, generator)) for source in inputs}
        crossed += [
            [(f"{name}: {source} to {target}", made[source][target][None]) for source in inputs] for target in inputs
        ]
    prefix = f"plots/{given.set}/{given.figure}"
    title = f"{given.set}: {given.left} and {given.right}"
    drawn_title = f"{title}, {SIDE**2} draws from the prior\n(a cell of both panels of a row: one draw)"
    grids.save(f"{prefix}_prior_means.png", grids.grids(means, drawn_title))
    cross = f"{title}, generated from a test image of each digit"
    grids.save(f"{prefix}_cross.png", grids.grids(crossed, cross, scale=1.4))


if __name__ == "__main__":
    run(main)
