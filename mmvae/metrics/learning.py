"""How generation and latents grew along training, from the weights that were kept of it."""

import math
from dataclasses import replace
from pathlib import Path

from mmvae import model
from mmvae.evaluation.classifiers import STRONG
from mmvae.evaluation.labelled import DigitTest
from mmvae.metrics.digits import coherence, latent_accuracy
from mmvae.metrics.digits.latent_accuracy import SAMPLES
from mmvae.training.checkpoints import doublings


def growth(folder: Path, curve: list[dict], test: DigitTest, last: dict) -> list[dict]:
    """A row for each epoch of which `folder` keeps weights: with a fifth of the prior draws, and strong judges only.

    `curve` has a row for each epoch of the training; `last`: what was measured at its end, by metric.
    """
    *earlier, final = doublings(len(curve))
    draws = math.ceil(test.settings.joint_samples / 5)
    fewer = replace(
        test,
        judges={STRONG: test.judges[STRONG]},
        settings=test.settings.model_copy(update={"joint_samples": draws}),
    )
    device = next(iter(test.values.values())).device
    rows = []
    for epoch in earlier:
        then = model.load(folder / f"epoch_{epoch:05}.safetensors", device)
        row = _row(curve[epoch - 1], latent_accuracy.measure(then, fewer), coherence.measure(then, fewer))
        rows.append(row)
    return [*rows, _row(curve[final - 1], last["latent_accuracy"], last["coherence"])]


def _row(row: dict, latent_accuracy: dict, coherence: dict) -> dict:
    """Shares between 0 and 1 under the strong classifiers, entropies in nats."""
    seen = coherence[STRONG]
    shares = ({"joint": seen["joint"]} if "joint" in seen else {}) | seen.get("cross", {})
    shares |= {f"reconstruction_{name}": value for name, value in seen["reconstruction"].items()}
    shares |= {f"latent_accuracy_{name}": kinds[SAMPLES] for name, kinds in latent_accuracy["single"].items()}
    return {
        "epoch": int(row["epoch"]),
        "pairs": int(row["pairs"]),
        **{name: measured.value for name, measured in shares.items()},
        **{f"entropy_{name}": nats for name, nats in seen["entropy"].items()},
    }
