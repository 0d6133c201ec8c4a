"""What the estimators' gradients are like along a training: bias, noise and tails, against effective sample size.

    python -m benchmarks.gradients --set mnist_svhn --run mmvae_loose --seed 0 --out FILE.json

Run it where the run was trained: it reads params.yaml, the pairs, and the weights that were kept after epochs 1, 2, 4,
... Every estimator is given the same training pairs and particles, at the weights of the same training.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from tqdm import tqdm

from mmvae import config, models
from mmvae.data.pairs import Pairs
from mmvae.evaluation.gradients import Moments, gradients
from mmvae.evaluation.learning import kept
from mmvae.files import read_csv, write_json
from mmvae.training.batches import shuffled_batches
from mmvae.training.device import find_device
from stages import inputs, run


def measure(path: Path, data: Pairs, bound: str, train: config.Train, batches: int, device: torch.device) -> dict:
    """The summary of `batches` batches of training pairs, at the weights of a file."""
    model = models.load(path, device)
    for modality in model.modalities.values():
        modality.encoder.requires_grad_()
    generator = torch.Generator(device).manual_seed(0)
    moments = Moments()
    for pairs in shuffled_batches(len(data), train.batch_size, batches, torch.Generator().manual_seed(0)):
        noise = model.noise(list(model.modalities), train.particles, train.batch_size, generator)
        moments.add(gradients(model, data.batch(pairs.to(device)), noise, bound))
    return moments.summary()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", default="mnist_svhn")
    parser.add_argument("--run", default="mmvae_loose", choices=("mmvae_loose", "mmvae_tight"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--last", action="store_true", help="at the end of the training only")
    parser.add_argument("--out", required=True)
    given = parser.parse_args()
    params = config.load()
    train, bound = params.train[given.set], given.run.removeprefix("mmvae_")
    device = find_device()
    data = inputs.DigitPairs(given.set, device).split("train")
    folder = f"models/{given.set}/{given.run}/{given.seed}_epochs"
    curve = read_csv(f"plots/{given.set}/curves/{given.run}_{given.seed}.csv")
    about = {
        "trained_with": params.objective,
        "bound": bound,
        "particles": train.particles,
        "batch_size": train.batch_size,
        "batches": given.batches,
    }
    epochs = {
        f"{row['pairs']:.0f}": measure(path, data, bound, train, given.batches, device)
        for row, path in tqdm(list(kept(folder, curve))[-1 if given.last else 0 :], unit="epoch")
    }
    write_json(given.out, about | {"pairs_seen": epochs})


if __name__ == "__main__":
    run(main)
