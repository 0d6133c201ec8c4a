"""The encoders' gradients and posteriors in the first updates of a training, under each estimator.

    python -m studies.estimators.first_updates --particles 10 --updates 100 --seeds 0 1 2

Run it where params.yaml and the pairs are: each training starts as the run `iwae` does, with this estimator for an
objective, this K and this seed. data/measured/first_updates_k_<K>.csv has what stands out,
data/first_updates/k_<K>.csv every update.
"""

import argparse
from dataclasses import replace
from statistics import median

import pandas as pd
import torch
from tqdm import tqdm

from mmvae import model as models
from mmvae import params, runs
from mmvae.data.pairs import Pairs
from mmvae.data.prepared import LabelledPairs
from mmvae.files import write_csv, write_table
from mmvae.losses import Loss
from mmvae.model import MultimodalVAE
from mmvae.training.batches import shuffled_batches
from mmvae.training.device import find_device
from mmvae.training.loop import Budget
from mmvae.training.run import model_config, phases_of
from mmvae.training.updates import Update, adam
from stages import run
from studies.estimators import ESTIMATORS
from studies.estimators.rows import MEASURED, SET, rows

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
    parser.add_argument("--particles", type=int, required=True, help="K of each expert")
    parser.add_argument("--updates", type=int, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    given = parser.parse_args()
    content, device = params.load(), find_device()
    pairs, like = LabelledPairs(SET, device), runs.find(content, SET, "iwae")
    config, budget = model_config(like, content, pairs), params.check(Budget, like.train(content))
    loss = replace(phases_of(like, content, device)[0].loss, particles=given.particles)
    training = pairs.split("train")
    every, found = [], []
    for seed, name in tqdm([(seed, name) for seed in given.seeds for name in ESTIMATORS], unit="training"):
        torch.manual_seed(seed)
        model = models.build(config).to(device)
        followed = follow(model, replace(loss, objective=name), training, budget, given.updates, seed)
        every += [{"particles": given.particles, "estimator": name, "seed": seed} | row for row in followed]
        said = {modality: {name: summary(followed, modality)} for modality in like.kinds}
        found.append(rows(said, f"first_updates_k_{given.particles}", seed, given.updates * budget.batch_size))
    write_csv(f"data/first_updates/k_{given.particles}.csv", every)
    write_table(f"{MEASURED}/first_updates_k_{given.particles}.csv", pd.concat(found))


if __name__ == "__main__":
    run(main)
