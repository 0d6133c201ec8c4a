"""Grids of images (Figures 3, 4, 5, 8 and 9) and writing any figure.

Images are (n, C, H, W) in [0, 1], grey or colour. Each function returns a matplotlib figure; `save` writes it.
"""

from pathlib import Path

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends import backend_agg  # noqa: F401 (loaded now: a signal during its first use is a traceback)
from matplotlib.figure import Figure
from PIL import Image

from mmvae.files import atomic

DPI = 100
GAP = 2  # pixels between the images of a grid

Grid = tuple[str, np.ndarray]  # title, images (rows, columns, C, H, W)

default_style = style.context("default")  # a decorator: no matplotlibrc of the user changes a figure


@default_style
def save(path: str | Path, figure: Figure, colours: int = 256) -> None:
    """A PNG with a palette of `colours`; the same figure always gives the same bytes."""
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=DPI, bbox_inches="tight", metadata={"Software": None})
        with Image.open(temporary) as picture:
            reduced = picture.convert("RGB").quantize(colours, dither=Image.Dither.NONE)
        reduced.save(temporary, optimize=True)


def mosaic(images: np.ndarray) -> np.ndarray:
    """One picture of a grid of images on white: (rows, columns, C, H, W) -> (height, width, 3)."""
    rows, columns, channels, height, width = images.shape
    canvas = np.ones((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3))
    for r in range(rows):
        for c in range(columns):
            image = np.broadcast_to(images[r, c], (3, height, width)) if channels == 1 else images[r, c]
            top, left = r * (height + GAP), c * (width + GAP)
            canvas[top : top + height, left : left + width] = image.transpose(1, 2, 0).clip(0, 1)
    return canvas


def blocks(images: np.ndarray, side: int) -> np.ndarray:
    """side x side images joined into one without gaps: (n, side * side, C, H, W) -> (n, C, side * H, side * W)."""
    n, _, channels, height, width = images.shape
    split = images.reshape(n, side, side, channels, height, width)
    return split.transpose(0, 3, 1, 4, 2, 5).reshape(n, channels, side * height, side * width)


def _show(axes: Axes, images: np.ndarray, title: str, row_labels: list[str] | None, column_labels: list[str] | None):
    rows, columns, _, height, width = images.shape
    axes.imshow(mosaic(images), interpolation="nearest")
    axes.set_title(title, fontsize=11)
    axes.set_yticks([(height + GAP) * r + height / 2 for r in range(rows)] if row_labels else [], row_labels or [])
    axes.set_xticks(
        [(width + GAP) * c + width / 2 for c in range(columns)] if column_labels else [], column_labels or []
    )
    axes.tick_params(length=0, labelsize=9)
    for spine in axes.spines.values():
        spine.set_visible(False)


@default_style
def grids(
    rows: list[list[Grid]],
    title: str,
    row_labels: list[str] | None = None,
    column_labels: list[str] | None = None,
    scale: float = 1.0,
) -> Figure:
    """Panels of image grids; `row_labels` and `column_labels` name the rows and columns inside the panels.

    Row labels stand beside the first panel of each row of panels only, if it has as many rows.
    """
    largest = [max(mosaic(images).shape[0] / mosaic(images).shape[1] for _, images in row) for row in rows]
    width = 4.2 * len(rows[0]) * scale + (1.1 if row_labels else 0)
    height = sum(4.2 * scale * ratio + 0.35 for ratio in largest) + 0.7
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(len(rows), len(rows[0]), squeeze=False, height_ratios=largest)
    for r, row in enumerate(rows):
        for c, (name, images) in enumerate(row):
            labelled = c == 0 and row_labels is not None and len(row_labels) == len(images)
            _show(axes[r, c], images, name, row_labels if labelled else None, column_labels)
    figure.suptitle(title, fontsize=13)
    return figure
