"""Do trainings with and without the screen agree? The same seeds, both ways, and the tables that they give.

Trains MMVAE on the embedded digits as params.yaml says (`make repro` must have been run: its pairs and classifiers are
used), scoring every particle with gradient, and screened. For each number of Tables 1, 2 and 5 it prints both means and
standard deviations over the seeds, and the difference in standard errors of a difference; then what the screen kept.
"""

from __future__ import annotations

import argparse
import json
import statistics
from dataclasses import replace

import torch

from mmvae import classifiers, config, models
from mmvae.evaluation.coherence import coherence
from mmvae.evaluation.latent_accuracy import latent_accuracy
from mmvae.losses import Phase, importance_weighted
from mmvae.training.device import find_device
from mmvae.training.loop import train
from stages import runs
from stages.inputs import DigitPairs

SET = "digits"
SCREEN = ("kept", "dropped_weight")  # of the training curve's last row


def measure(pairs: DigitPairs, params: config.Params, bound: str, screened: bool, seed: int) -> dict[str, float]:
    """Numbers of the tables for one training."""
    device = pairs.device
    settings = params.train[SET]
    loss = importance_weighted(params.objective, bound, settings.particles, device)
    torch.manual_seed(seed)
    model = models.build(runs.model_config(pairs, config.DIGIT_SETS[SET], params.networks[SET], "mmvae")).to(device)
    curve = train(
        model,
        [Phase(loss if screened else replace(loss, screen=None))],
        pairs.split("train"),
        pairs.split("validation"),
        runs.budget(settings, params.optimiser),
        seed,
        title=f"{'screened' if screened else 'dense'}, {bound}, seed {seed}",
    )
    model.eval().requires_grad_(False)
    (training, training_digits), (test, test_digits) = (pairs.first_pass(split) for split in ("train", "test"))
    judges = classifiers.load(f"models/{SET}/classifiers.safetensors", config.DIGIT_SETS[SET], device)
    seen = coherence(model, test, test_digits, judges, params.evaluate[SET].joint_samples, seed)["strong"]
    read = latent_accuracy(model, training, training_digits, test, test_digits, seed)
    return {
        "bound_validation": curve[-1]["bound_validation"],
        "joint": seen["joint"],
        **{f"cross.{key}": value for key, value in seen["cross"].items()},
        **{f"latent_accuracy.{key}": value["samples"] for key, value in read["single"].items()},
        **{key: curve[-1][key] for key in SCREEN},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--bound", choices=config.BOUNDS, default="loose")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    params, device = config.load(), find_device()
    pairs = DigitPairs(SET, device)
    found: dict[str, list[dict[str, float]]] = {"dense": [], "screened": []}
    for seed in range(given.seeds):
        for way, results in found.items():
            results.append(measure(pairs, params, given.bound, way == "screened", seed))
    if given.json:
        print(json.dumps(found, indent=2))
        return
    print(f"{'':32} {'dense':>20} {'screened':>20} {'difference':>12}")
    for key in found["dense"][0]:
        samples = [[row[key] for row in rows] for rows in found.values()]
        means, deviations = [statistics.mean(s) for s in samples], [statistics.stdev(s) for s in samples]
        error = (sum(d**2 for d in deviations) / given.seeds) ** 0.5
        shown = [f"{m:10.4g} (sd {d:.2g})" for m, d in zip(means, deviations, strict=True)]
        difference = "" if key in SCREEN else f"{(means[1] - means[0]) / error:10.2f} se"
        print(f"{key:32} {shown[0]:>20} {shown[1]:>20} {difference}")


if __name__ == "__main__":
    main()
