"""Do trainings with and without the screen agree? The same seeds, both ways, and the tables that they give.

Trains the run `mmvae` on the embedded digits as params.yaml says (`make repro` must have been run: its pairs and
classifiers are used), scoring every particle with gradient, and screened. For each number of Tables 1 and 2 it prints
both means and standard deviations over the seeds, and the difference in standard errors of a difference; then what the
screen kept.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import replace

import torch

from mmvae import model, params, runs
from mmvae.data.prepared import LabelledPairs
from mmvae.evaluation import classifiers
from mmvae.evaluation.labelled import DigitSettings, DigitTest
from mmvae.metrics.digits import coherence, latent_accuracy
from mmvae.training.device import find_device
from mmvae.training.loop import Budget, train
from mmvae.training.run import model_config, phases_of
from stages import run

SET = "digits"
SCREEN = ("kept", "dropped_weight")  # of the training curve's last row


def measure(pairs: LabelledPairs, content: dict, screened: bool, seed: int) -> dict[str, float]:
    """Numbers of the tables for one training."""
    like, device = runs.find(content, SET, "mmvae"), pairs.device
    (phase,) = phases_of(like, content, device)
    phase = phase if screened else replace(phase, loss=replace(phase.loss, screen=None))
    torch.manual_seed(seed)
    trained = model.build(model_config(like, content, pairs)).to(device)
    budget, title = params.check(Budget, like.train(content)), f"{'screened' if screened else 'dense'}, seed {seed}"
    curve = train(trained, [phase], pairs.split("train"), pairs.split("validation"), budget, seed, title)
    judges = classifiers.load(f"models/{SET}/classifiers.safetensors", pairs.kinds, device)
    settings = params.section(DigitSettings, content, f"evaluate.{SET}")
    test = DigitTest(*pairs.first_pass("train"), *pairs.first_pass("test"), judges, settings, seed)
    trained.eval().requires_grad_(False)
    seen, read = coherence.measure(trained, test)["strong"], latent_accuracy.measure(trained, test)
    return {
        "bound_validation": curve[-1]["bound_validation"],
        "joint": seen["joint"].value,
        **{f"cross.{key}": found.value for key, found in seen["cross"].items()},
        **{f"latent_accuracy.{key}": found["samples"].value for key, found in read["single"].items()},
        **{key: curve[-1][key] for key in SCREEN},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    count = parser.parse_args().seeds
    content, pairs = params.load(), LabelledPairs(SET, find_device())
    found = [[measure(pairs, content, screened, seed) for seed in range(count)] for screened in (False, True)]
    print(f"{'':32} {'dense':>20} {'screened':>20} {'difference':>12}")
    for key in found[0][0]:
        samples = [[row[key] for row in rows] for rows in found]
        means, deviations = [statistics.mean(s) for s in samples], [statistics.stdev(s) for s in samples]
        error = (sum(d**2 for d in deviations) / count) ** 0.5
        shown = [f"{m:10.4g} (sd {d:.2g})" for m, d in zip(means, deviations, strict=True)]
        difference = "" if key in SCREEN or not error else f"{(means[1] - means[0]) / error:10.2f} se"
        print(f"{key:32} {shown[0]:>20} {shown[1]:>20} {difference}")


if __name__ == "__main__":
    run(main)
