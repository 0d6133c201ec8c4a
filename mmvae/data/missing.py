"""Which modalities training pairs lack, of data in which none does."""

from typing import Literal

import numpy as np

from mmvae.params import Section, real

SEED = 0


class Missing(Section):
    """missing: the probability with which a training pair lacks a modality that a run sees, each by itself; a pair that
    would lack all has one. incomplete: whether pairs that lack one are kept.
    """

    missing: real(0, 0.99)
    incomplete: Literal["kept", "dropped"]


def present(pairs: int, modalities: int, missing: float) -> np.ndarray:
    """Which modalities each pair has: (pairs, M) bool.

    Each is missing with the same probability, by itself. A pair that would lack all has one of them, all equally
    likely. What is missing at one probability is missing at every larger one. What one pair lacks, another may have.
    """
    drawn = np.random.default_rng(SEED).random((pairs, modalities))
    there = drawn >= missing
    there[np.arange(pairs), drawn.argmax(1)] = True
    return there
