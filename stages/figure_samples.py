"""Figure 4 as the paper draws it: nine likelihood samples of each prior draw, two runs side by side."""

import torch

from mmvae import model
from mmvae.evaluation import generation
from mmvae.figures import grids
from mmvae.figures.pictures import shown
from stages import arguments, run

SIDE, SAMPLES_SIDE = 8, 3


def main() -> None:
    given = arguments("set", "figure", "left", "right", "seed")
    panels = []
    for name in (given.left, given.right):
        trained = model.load(f"models/{given.set}/{name}/{given.seed}.safetensors")
        generator = torch.Generator().manual_seed(given.seed)
        drawn = generation.from_prior(trained, SIDE**2, SAMPLES_SIDE**2, generator)
        images = shown(trained.config.kinds, {target: samples for target, (_, samples) in drawn.items()})
        joined = {target: grids.blocks(samples, SAMPLES_SIDE) for target, samples in images.items()}
        panels.append([(f"{name}: {t}", one.reshape(SIDE, SIDE, *one.shape[1:])) for t, one in joined.items()])
    title = (
        f"{given.set}: the {SIDE**2} draws of {given.figure}_prior_means.png, nine likelihood samples of each\n"
        "(the noise is the likelihood's own: its scale is of the order of the pixels' range)"
    )
    path = f"plots/{given.set}/{given.figure}_prior_samples.png"
    grids.save(path, grids.grids(panels, title, scale=1.9), colours=16)


if __name__ == "__main__":
    run(main)
