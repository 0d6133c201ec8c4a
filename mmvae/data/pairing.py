"""Image-disjoint splits, and the many-to-many pairing of images that show the same digit (section 4.2)."""

from collections.abc import Sequence
from typing import Self

import numpy as np
from pydantic import model_validator

from mmvae.data.missing import Missing
from mmvae.files import DataError
from mmvae.params import Seed, real, whole

SPLITS = ("train", "validation", "test")
GAP = 10  # images left out between two blocks: neighbours may come from one photograph or one writer


class PairingSettings(Missing):
    """images_per_digit: at most, of each modality. pairings: different partners that each image meets."""

    images_per_digit: whole(1, 100_000)
    pairings: whole(1, 1000)
    validation_share: real(0.01, 0.5)
    seed: Seed

    @model_validator(mode="after")
    def _enough(self) -> Self:
        if self.pairings > self.images_per_digit:
            raise ValueError(f"pairings must be at most {self.images_per_digit}, because images_per_digit is that")
        return self


def split(part: dict[str, tuple[np.ndarray, np.ndarray]], validation_share: float) -> dict[str, np.ndarray]:
    """'train/values', 'train/labels', 'validation/...', 'test/...' from the official training and test parts.

    The validation images are the last contiguous block of the training part.
    """
    images, labels = part["train"]
    start = len(labels) - round(len(labels) * validation_share)
    if start - GAP < 1 or start >= len(labels):
        raise DataError(f"{len(labels)} training images cannot be split with a validation share of {validation_share}")
    blocks = {"train": slice(0, start - GAP), "validation": slice(start, None)}
    arrays = {}
    for name, block in blocks.items():
        arrays[f"{name}/values"], arrays[f"{name}/labels"] = images[block], labels[block]
    arrays["test/values"], arrays["test/labels"] = part["test"]
    return arrays


def pair(
    labels: Sequence[np.ndarray], pairings: int, images_per_digit: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Positions of paired images, from the labels of each of M sides; every pass is one contiguous block.

    Of each digit the first n = min(images of every side, images_per_digit) are used. Each of the first side meets
    exactly `pairings` different partners of every other side, and each of another side as many of the first, always of
    the same digit: random orders of all sides, every side but the first turned by a different random step in every
    pass.

    Returns:
        M int32 arrays of length pairings x (sum of n over the digits); the digits are shuffled within a pass.

    Raises:
        DataError: a digit has fewer than `pairings` images to meet.
    """
    passes: list[list[list[np.ndarray]]] = [[] for _ in range(pairings)]
    for digit in range(10):
        sides = [np.flatnonzero(side == digit) for side in labels]
        n = min(*map(len, sides), images_per_digit)
        if n < pairings:
            raise DataError(
                f"digit {digit} has {n} images to pair, fewer than the {pairings} partners each must meet; lower "
                "data.<set>.pairings, or change data.<set>.validation_share"
            )
        first, *others = [rng.permutation(side[:n]) for side in sides]
        steps = [rng.permutation(n)[:pairings] for _ in others]
        for block, *turns in zip(passes, *steps, strict=True):
            block.append([first, *(np.roll(side, turn) for side, turn in zip(others, turns, strict=True))])
    shuffled = []
    for block in passes:
        joined = [np.concatenate(side) for side in zip(*block, strict=True)]
        order = rng.permutation(len(joined[0]))
        shuffled.append([side[order] for side in joined])
    return [np.concatenate(side).astype(np.int32) for side in zip(*shuffled, strict=True)]


def pair_splits(
    prepared: dict[str, np.ndarray], names: Sequence[str], pairings: int, images_per_digit: int, seed: int
) -> dict[str, np.ndarray]:
    """The pairing of every split: '<split>/<modality>' -> positions, and '<split>/first_pass' -> its length.

    `prepared` holds '<modality>/<split>/labels'. Within the first pass every used image appears once.
    """
    rng = np.random.default_rng(seed)
    arrays = {}
    for name in SPLITS:
        labels = [prepared[f"{modality}/{name}/labels"] for modality in names]
        try:
            sides = pair(labels, pairings, images_per_digit, rng)
        except DataError as error:
            raise DataError(f"{name} split: {error}") from None
        arrays |= {f"{name}/{modality}": side for modality, side in zip(names, sides, strict=True)}
        arrays[f"{name}/first_pass"] = np.int64(len(sides[0]) // pairings)
    return arrays
