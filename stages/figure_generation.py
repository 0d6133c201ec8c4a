"""Figures 4, 8 and 9: two runs side by side, generating from the prior and across modalities."""

import numpy as np
import torch

from mmvae import config, figures, models
from mmvae.evaluation import generation
from stages import arguments, inputs, run

DRAWS, SAMPLES, EXAMPLES = 64, 9, 10
SIDE = 8


def main() -> None:
    given = arguments("set", "figure", "left", "right", "seed")
    device = torch.device("cpu")
    test, digits = inputs.DigitPairs(given.set, device).first_pass("test")
    chosen = [int(np.flatnonzero(digits == digit)[0]) for digit in range(EXAMPLES)]
    x = {name: images[chosen] for name, images in test.items()}
    means, samples, crossed = [], [], []
    for name in (given.left, given.right):
        model = models.load(f"models/{given.set}/{name}/{given.seed}.safetensors", device)
        generator = torch.Generator().manual_seed(given.seed)
        for modality, (mean, drawn) in generation.from_prior(model, DRAWS, SAMPLES, generator).items():
            means.append((f"{name}: {modality}", mean.reshape(SIDE, SIDE, *mean.shape[1:])))
            drawn = figures.blocks(drawn, 3)
            samples.append((f"{name}: {modality}", drawn.reshape(SIDE, SIDE, *drawn.shape[1:])))
        crossed.append([])
        for source in x:
            for target, images in generation.across(model, x, source, generator).items():
                crossed[-1].append((f"{name}: {source} to {target}", np.stack([images])))
    write(given, config.DIGIT_SETS[given.set], x, means, samples, crossed)


def write(given, modalities, x, means, samples, crossed) -> None:
    """The three pictures of one comparison."""
    prefix = f"plots/{given.set}/{given.figure}"
    title = f"{given.set}, {given.left} and {given.right}"
    same = "the same cell of a run's two panels is the same draw of z"
    figures.save(
        f"{prefix}_prior_means.png", figures.grids([means], f"{title}: 64 draws from the prior, means; {same}")
    )
    figures.save(
        f"{prefix}_prior_samples.png",
        figures.grids([samples[:2], samples[2:]], f"{title}: the same draws, nine likelihood samples of each", scale=2),
    )
    rows = [
        [("input", x[source].numpy()[None]) for source in modalities for _ in modalities],
        *crossed,
    ]
    labels = [str(digit) for digit in range(EXAMPLES)]
    figures.save(f"{prefix}_cross.png", figures.grids(rows, f"{title}: test images, one of each digit", None, labels))


if __name__ == "__main__":
    run(main)
