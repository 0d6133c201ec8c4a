"""Figure 4 as the paper draws it: nine likelihood samples of each prior draw, two runs side by side."""

import torch

from mmvae import models
from mmvae.evaluation import generation
from mmvae.figures import grids
from stages import arguments, run

SIDE, SAMPLES_SIDE = 8, 3


def main() -> None:
    given = arguments("set", "figure", "left", "right", "seed")
    panels = []
    for name in (given.left, given.right):
        model = models.load(f"models/{given.set}/{name}/{given.seed}.safetensors")
        generator = torch.Generator().manual_seed(given.seed)
        drawn = generation.from_prior(model, SIDE**2, SAMPLES_SIDE**2, generator)
        joined = {t: grids.blocks(samples, SAMPLES_SIDE) for t, (mean, samples) in drawn.items() if mean.ndim == 4}
        panels.append([(f"{name}: {t}", images.reshape(SIDE, SIDE, *images.shape[1:])) for t, images in joined.items()])
    title = (
        f"{given.set}: the {SIDE**2} draws of {given.figure}_prior_means.png, nine likelihood samples of each\n"
        "(the noise is the likelihood's own: its scale is of the order of the pixels' range)"
    )
    grids.save(f"plots/{given.set}/{given.figure}_prior_samples.png", grids.grids(panels, title, scale=1.9), colours=16)


if __name__ == "__main__":
    run(main)
