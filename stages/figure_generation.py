"""Figures 4, 8 and 9: two runs side by side, generating from the prior and across modalities."""

import numpy as np
import torch

from mmvae import model
from mmvae.data.prepared import LabelledPairs
from mmvae.evaluation import generation
from mmvae.evaluation.classifiers import judged
from mmvae.figures import grids
from stages import arguments, run

SIDE = 8  # of the square of prior draws


def main() -> None:
    given = arguments("set", "figure", "left", "right", "seed")
    device = torch.device("cpu")
    pairs = LabelledPairs(given.set, device)
    images = tuple(judged(pairs.kinds))
    test, digits = pairs.first_pass("test")
    chosen = [int(np.flatnonzero(digits == digit)[0]) for digit in range(10)]
    x = {name: values[chosen] for name, values in test.items()}
    means, crossed = [], [[("input", x[source].numpy()[None]) for source in images]]
    for name in (given.left, given.right):
        trained = model.load(f"models/{given.set}/{name}/{given.seed}.safetensors", device)
        generator = torch.Generator().manual_seed(given.seed)
        drawn = generation.from_prior(trained, SIDE**2, 0, generator)
        means.append([(f"{name}: {t}", drawn[t][0].reshape(SIDE, SIDE, *drawn[t][0].shape[1:])) for t in images])
        generated = {source: generation.across(trained, x, source, generator) for source in images}
        crossed += [
            [(f"{name}: {source} to {target}", generated[source][target][None]) for source in images]
            for target in images
        ]
    prefix = f"plots/{given.set}/{given.figure}"
    title = f"{given.set}: {given.left} and {given.right}"
    prior = f"{title}, {SIDE**2} draws from the prior\n(a cell of both panels of a row: one draw)"
    grids.save(f"{prefix}_prior_means.png", grids.grids(means, prior))
    cross = f"{title}, generated from a test image of each digit"
    grids.save(f"{prefix}_cross.png", grids.grids(crossed, cross, scale=1.4))


if __name__ == "__main__":
    run(main)
