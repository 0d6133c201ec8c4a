"""What the estimators' gradients are like along a training: bias, noise and tails, against effective sample size.

    python -m benchmarks.gradients --set mnist_svhn --run mmvae_loose --seed 0 --out FILE.json

Run it where the run was trained: it reads params.yaml, the pairs, and the weights that were kept after epochs 1, 2, 4,
... Every estimator is given the same training pairs and particles, at the weights of the same training.
"""

from __future__ import annotations

import argparse

import torch
from tqdm import tqdm

from mmvae import config, models
from mmvae.batches import shuffled_batches
from mmvae.data.pairs import Pairs
from mmvae.device import find_device
from mmvae.evaluation.gradients import Moments, gradients
from mmvae.evaluation.learning import kept
from mmvae.files import read_csv, write_json
from stages import inputs, run


def measure(model: models.MultimodalVAE, data: Pairs, particles: int, bound: str, batch: int, batches: int) -> dict:
    """The summary of `batches` batches of training pairs."""
    generator = torch.Generator().manual_seed(0)
    moments = Moments()
    for modality in model.modalities.values():
        modality.encoder.requires_grad_()
    for pairs in shuffled_batches(len(data), batch, batches, torch.Generator().manual_seed(0)):
        noise = model.noise(list(model.modalities), particles, batch, generator)
        moments.add(gradients(model, data.batch(pairs), noise, bound))
    return moments.summary()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", default="mnist_svhn")
    parser.add_argument("--run", default="mmvae_loose", choices=("mmvae_loose", "mmvae_tight"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--out", required=True)
    given = parser.parse_args()
    params = config.load()
    train, bound = params.train[given.set], given.run.removeprefix("mmvae_")
    find_device()
    data = inputs.DigitPairs(given.set, torch.device("cpu")).split("train")
    folder = f"models/{given.set}/{given.run}/{given.seed}_epochs"
    curve = read_csv(f"plots/{given.set}/curves/{given.run}_{given.seed}.csv")
    rows = []
    for row, path in tqdm(list(kept(folder, curve)), unit="epoch"):
        measured = measure(models.load(path), data, train.particles, bound, train.batch_size, given.batches)
        rows.append({"pairs": row["pairs"], "encoders": measured})
        write_json(
            given.out,
            {
                "trained_with": params.objective,
                "bound": bound,
                "particles": train.particles,
                "batch_size": train.batch_size,
                "batches": given.batches,
                "epochs": {f"{row['pairs']:.0f}": row["encoders"] for row in rows},
            },
        )


if __name__ == "__main__":
    run(main)
