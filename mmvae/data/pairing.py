"""Image-disjoint splits, and the many-to-many pairing of images that show the same digit (section 4.2)."""

from __future__ import annotations

import numpy as np

SPLITS = ("train", "validation", "test")
GAP = 10  # images left out between two blocks: neighbours may come from one photograph or one writer


class PairingError(ValueError):
    """The images cannot be split or paired as asked."""


def split(part: dict[str, tuple[np.ndarray, np.ndarray]], validation_share: float) -> dict[str, np.ndarray]:
    """'train/images', 'train/labels', 'validation/...', 'test/...' from the official training and test parts.

    The validation images are the last contiguous block of the training part.
    """
    images, labels = part["train"]
    start = len(labels) - round(len(labels) * validation_share)
    if start - GAP < 1 or start >= len(labels):
        raise PairingError(
            f"{len(labels)} training images cannot be split with a validation share of {validation_share}"
        )
    blocks = {"train": slice(0, start - GAP), "validation": slice(start, None)}
    arrays = {}
    for name, block in blocks.items():
        arrays[f"{name}/images"], arrays[f"{name}/labels"] = images[block], labels[block]
    arrays["test/images"], arrays["test/labels"] = part["test"]
    return arrays


def pair(
    first: np.ndarray, second: np.ndarray, pairings: int, images_per_digit: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Positions of paired images, from their labels; every pass over the images is one contiguous block.

    Of each digit the first n = min(images of `first`, images of `second`, images_per_digit) of both are used, and
    each of them meets exactly `pairings` different partners, always of the same digit: random orders of both, the
    second turned by a different random step in every pass.

    Returns:
        Two int32 arrays of length pairings x (sum of n over the digits); the digits are shuffled within a pass.

    Raises:
        PairingError: a digit has fewer than `pairings` images to meet.
    """
    passes: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in range(pairings)]
    for digit in range(10):
        a, b = np.flatnonzero(first == digit), np.flatnonzero(second == digit)
        n = min(len(a), len(b), images_per_digit)
        if n < pairings:
            raise PairingError(
                f"digit {digit} has {n} images to pair, fewer than the {pairings} partners each must meet; lower "
                "data.<set>.pairings, or change data.<set>.validation_share"
            )
        a, b = rng.permutation(a[:n]), rng.permutation(b[:n])
        for block, step in zip(passes, rng.permutation(n)[:pairings], strict=True):
            block.append((a, np.roll(b, step)))
    left, right = [], []
    for block in passes:
        a, b = (np.concatenate(side) for side in zip(*block, strict=True))
        order = rng.permutation(len(a))
        left.append(a[order])
        right.append(b[order])
    return np.concatenate(left).astype(np.int32), np.concatenate(right).astype(np.int32)


def pair_splits(
    prepared: dict[str, np.ndarray], names: tuple[str, str], pairings: int, images_per_digit: int, seed: int
) -> dict[str, np.ndarray]:
    """The pairing of every split: '<split>/<modality>' -> positions, and '<split>/first_pass' -> its length.

    `prepared` holds '<modality>/<split>/labels'. Within the first pass every used image appears once.
    """
    rng = np.random.default_rng(seed)
    arrays = {}
    for name in SPLITS:
        labels = [prepared[f"{modality}/{name}/labels"] for modality in names]
        try:
            sides = pair(*labels, pairings, images_per_digit, rng)
        except PairingError as error:
            raise PairingError(f"{name} split: {error}") from None
        arrays |= {f"{name}/{modality}": side for modality, side in zip(names, sides, strict=True)}
        arrays[f"{name}/first_pass"] = np.int64(len(sides[0]) // pairings)
    return arrays
