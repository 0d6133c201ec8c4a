"""Are the attributes of the embedded birds right? Read from captions by their grammar, from images by linear probes.

Attributes are arrays (n, A) of positions in `birds.ATTRIBUTES[name]`, with -1 where a caption does not state one.
"""

from __future__ import annotations

import numpy as np

from mmvae.data import birds
from mmvae.evaluation.probes import fit_probe

NAMES = tuple(birds.ATTRIBUTES)


def stated(captions: list[str]) -> np.ndarray:
    """The attributes that captions state: (n, A)."""
    found = [birds.mentioned(caption) for caption in captions]
    return np.array(
        [[birds.ATTRIBUTES[n].index(caption[n]) if n in caption else -1 for n in NAMES] for caption in found]
    )


class Probes:
    """A linear classifier of image features for each attribute."""

    def __init__(self, features: np.ndarray, attributes: np.ndarray):
        """Fitted to training images: (n, F) and (n, A)."""
        self.probes = [fit_probe(features, column) for column in attributes.T]

    def seen(self, features: np.ndarray) -> np.ndarray:
        """The attributes of images: (n, F) -> (n, A)."""
        return np.stack([probe.predict(features) for probe in self.probes], 1)


def agreement(one: np.ndarray, other: np.ndarray, strangers: np.ndarray) -> dict:
    """Share of equal attributes among those that both have, and the share by chance.

    `strangers` (n,) says which row of `other` stands in for each when chance is measured. `stated`: the share of
    attributes that both have.
    """
    compared = (one >= 0) & (other >= 0)
    equal, by_chance = one == other, one == other[strangers]
    also = (one >= 0) & (other[strangers] >= 0)
    return {
        "accuracy": _share(equal, compared),
        "chance": _share(by_chance, also),
        "stated": float(compared.mean()),
        "each": {
            name: {"accuracy": _share(equal[:, a], compared[:, a]), "chance": _share(by_chance[:, a], also[:, a])}
            for a, name in enumerate(NAMES)
        },
    }


def _share(equal: np.ndarray, among: np.ndarray) -> float:
    return float(equal[among].mean()) if among.any() else 0.0
