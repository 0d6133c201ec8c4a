"""Captioned photographs of any set: their split, and their pixels at one small size."""

from collections.abc import Iterable

import numpy as np
from PIL import Image

from mmvae.data.missing import Missing
from mmvae.files import DataError
from mmvae.params import real

SPLITS = ("train", "validation", "test")
SIZE = 64  # pixels, of the raw-image variant


class PhotographSettings(Missing):
    """validation_share: of the training photographs."""

    validation_share: real(0.01, 0.5)


def hold_out(names: list[str], share: float) -> tuple[list[str], list[str]]:
    """Training and validation names: every n-th one is held out, so that all classes are in both.

    At least one is held out.

    Raises:
        DataError: none would be left.
    """
    held = set(np.linspace(0, len(names) - 1, max(1, round(len(names) * share)), dtype=int).tolist())
    if len(held) >= len(names):
        raise DataError(f"{len(names)} photographs cannot be split with a validation share of {share}")
    return (
        [name for i, name in enumerate(names) if i not in held],
        [name for i, name in enumerate(names) if i in held],
    )


def small(image: Image.Image) -> np.ndarray:
    """The central square of a photograph at SIZE x SIZE pixels: (3, SIZE, SIZE) uint8."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side))
    resized = square if side == SIZE else square.resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    return np.asarray(resized).transpose(2, 0, 1)


def in_order(found: Iterable[tuple[str, np.ndarray]], names: list[str]) -> np.ndarray:
    """Arrays that come in any order, in the order of their names."""
    by_name = dict(found)
    return np.stack([by_name[name] for name in names])
