"""How generation and latents grew along training, from the weights that were kept of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from mmvae.evaluation.latent_accuracy import SAMPLES
from mmvae.training.checkpoints import doublings


def kept(folder: str | Path, curve: list[dict]) -> Iterator[tuple[dict, Path]]:
    """The rows of a training curve after which weights were kept, and where these lie."""
    for epoch in doublings(len(curve)):
        yield curve[epoch - 1], Path(folder) / f"epoch_{epoch:05}.safetensors"


def earlier_draws(draws: int) -> int:
    """Draws from the prior for a point of the learning curve that is not its last, which has `draws`: a fifth."""
    return math.ceil(draws / 5)


def learned(row: dict, latent_accuracy: dict, coherence: dict) -> dict:
    """A row of the learning curve: shares between 0 and 1 under the strong classifiers, entropies in nats."""
    seen = coherence["strong"]
    return {
        "epoch": int(row["epoch"]),
        "pairs": int(row["pairs"]),
        **({"joint": seen["joint"]} | seen["cross"] if "joint" in seen else {}),
        **{f"reconstruction_{name}": share for name, share in seen["reconstruction"].items()},
        **{f"latent_accuracy_{name}": kinds[SAMPLES] for name, kinds in latent_accuracy["single"].items()},
        **{f"entropy_{name}": nats for name, nats in seen["entropy"].items()},
    }
