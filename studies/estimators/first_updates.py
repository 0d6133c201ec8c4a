"""The encoders' gradients and posteriors in the first updates of a training, under each estimator.

    python -m studies.estimators.first_updates --set mnist_svhn --updates 100 --seeds 0 1 2 --out FOLDER

Run it where params.yaml and the pairs are: each training starts as that of MMVAE under the loose bound does with this
estimator for an objective and this seed. FOLDER/summary.json has what stands out, FOLDER/<estimator>_<seed>.csv every
update.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median

import torch
from tqdm import tqdm

from mmvae import config, models
from mmvae.data.pairs import Pairs
from mmvae.files import write_csv, write_json
from mmvae.losses import Loss, importance_weighted
from mmvae.models import MultimodalVAE
from mmvae.training.batches import shuffled_batches
from mmvae.training.device import find_device
from mmvae.training.loop import Budget
from mmvae.training.updates import Update, adam
from stages import inputs, run, runs
from studies.estimators import ESTIMATORS

LAYERS = ("loc", "scale_logits")  # the last of each encoder


def follow(model: MultimodalVAE, loss: Loss, data: Pairs, budget: Budget, updates: int, seed: int) -> list[dict]:
    """Train for so many updates as `train` does; a row for each, of what it found before its step.

    Of each modality: the root mean square gradient of the last layers' weights, summed over the batch; AMSGrad's root
    mean largest second moment of them, after the step; the smallest scale of a posterior in the batch.
    """
    device = next(model.parameters()).device
    optimiser = adam(model, budget.learning_rate, budget.amsgrad)
    update = Update(model, loss, optimiser, data)
    generator = torch.Generator(device).manual_seed(seed)
    batches = shuffled_batches(len(data), budget.batch_size, updates, torch.Generator().manual_seed(seed))
    rows = []
    for number, batch in enumerate(batches, 1):
        pairs, noise = batch.to(device), loss.noise(model, budget.batch_size, generator)
        with torch.no_grad():
            scales = {m: float(model.expert(m, x).scale.min()) for m, x in data.batch(pairs).items()}
        sums = update(pairs, noise, torch.ones((), device=device))
        row = {"update": number, "bound": float(sums[0]) / budget.batch_size}
        for modality, scale in scales.items():
            row[f"smallest_scale_{modality}"] = scale
            for layer in LAYERS:
                weight = getattr(model.modalities[modality].encoder, layer).weight
                moments = optimiser.state[weight]["max_exp_avg_sq" if budget.amsgrad else "exp_avg_sq"]
                row[f"{layer}_{modality}"] = float(weight.grad.square().mean().sqrt())
                row[f"{layer}_moment_{modality}"] = float(moments.mean().sqrt())
        rows.append(row)
    return rows


def summary(rows: list[dict], modality: str) -> dict:
    """What stands out in one training: extremes and, of its later half, the usual."""
    later = rows[len(rows) // 2 :]
    return {
        "smallest_scale": min(row[f"smallest_scale_{modality}"] for row in rows),
        **{f"{layer}_largest": max(row[f"{layer}_{modality}"] for row in rows) for layer in LAYERS},
        **{f"{layer}_usual": median(row[f"{layer}_{modality}"] for row in later) for layer in LAYERS},
        **{f"{layer}_moment": rows[-1][f"{layer}_moment_{modality}"] for layer in LAYERS},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", default="mnist_svhn")
    parser.add_argument("--updates", type=int, default=100)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--out", required=True, type=Path)
    given = parser.parse_args()
    params, device = config.load(), find_device()
    train = params.train[given.set]
    pairs = inputs.paired(given.set, device)
    modalities, budget = runs.modalities(given.set, None), runs.budget(train, params.optimiser)
    training = pairs.split("train", tuple(modalities))
    found: dict[str, dict] = {}
    for seed, name in tqdm([(seed, name) for seed in given.seeds for name in ESTIMATORS], unit="training"):
        torch.manual_seed(seed)
        model = models.build(runs.model_config(pairs, modalities, params.networks[given.set], "mmvae")).to(device)
        loss = importance_weighted(name, "loose", train.particles, device)
        rows = follow(model, loss, training, budget, given.updates, seed)
        write_csv(given.out / f"{name}_{seed}.csv", rows)
        found.setdefault(name, {})[str(seed)] = {modality: summary(rows, modality) for modality in modalities}
    about = {"updates": given.updates, "particles": train.particles, "batch_size": train.batch_size}
    write_json(given.out / "summary.json", about | {"estimators": found})


if __name__ == "__main__":
    run(main)
