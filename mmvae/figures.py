"""The paper's figures: grids of images, traversals, divergences of each latent, training curves.

Images are (n, C, H, W) in [0, 1], grey or colour. Each function returns a matplotlib figure; `save` writes it.
"""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from mmvae.files import atomic

DPI = 100
GAP = 2  # pixels between the images of a grid
COLOURS = plt.get_cmap("tab10").colors

Grid = tuple[str, np.ndarray]  # title, images (rows, columns, C, H, W)


def save(path: str | Path, figure: Figure, colours: int | None = None) -> None:
    """A PNG; the same figure always gives the same bytes. `colours` limits its palette: noise does not compress."""
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=DPI, bbox_inches="tight", metadata={"Software": None})
        if colours:
            with Image.open(temporary) as picture:
                reduced = picture.convert("RGB").quantize(colours, dither=Image.Dither.NONE)
            reduced.save(temporary, optimize=True)
    plt.close(figure)


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


def grids(
    rows: list[list[Grid]],
    title: str,
    row_labels: list[str] | None = None,
    column_labels: list[str] | None = None,
    scale: float = 1.0,
) -> Figure:
    """Panels of image grids; `row_labels` and `column_labels` name the rows and columns inside the panels.

    Row labels stand beside the first panel of each row of panels only.
    """
    largest = [max(mosaic(images).shape[0] / mosaic(images).shape[1] for _, images in row) for row in rows]
    width = 4.2 * len(rows[0]) * scale + (1.1 if row_labels else 0)
    height = sum(4.2 * scale * ratio + 0.35 for ratio in largest) + 0.7
    figure, axes = plt.subplots(
        len(rows), len(rows[0]), figsize=(width, height), squeeze=False, height_ratios=largest, layout="constrained"
    )
    for r, row in enumerate(rows):
        for c, (name, images) in enumerate(row):
            _show(axes[r, c], images, name, row_labels if c == 0 else None, column_labels)
    figure.suptitle(title, fontsize=13)
    return figure


def pairs(first: Grid, second: Grid, title: str) -> Figure:
    """Example pairs (Figure 3): one column per digit, grids of (pairs, 10, C, H, W)."""
    return grids([[first, second]], title, column_labels=[str(digit) for digit in range(10)])


def latent_divergences(
    to_prior: dict[str, np.ndarray], between: np.ndarray | None, prior_std: np.ndarray, title: str
) -> Figure:
    """KL of each posterior to the prior and between the posteriors (Figure 5), nats for each latent: (D,) each."""
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(10, 6), sharex=True, height_ratios=[3, 1], layout="constrained")
    series = {f"KL({name} posterior, prior)": values for name, values in to_prior.items()}
    if between is not None:
        series["symmetric KL between the posteriors"] = between
    latents = np.arange(len(prior_std))
    width = 0.8 / len(series)
    for i, (label, values) in enumerate(series.items()):
        top.bar(latents + (i - (len(series) - 1) / 2) * width, values, width, label=label, color=COLOURS[i])
    top.set_yscale("symlog", linthresh=1)
    top.set_ylabel("nats, mean over test pairs")
    top.legend(fontsize=9)
    bottom.bar(latents, prior_std, 0.6, color="grey")
    bottom.set_ylabel("prior std")
    bottom.set_xlabel("latent dimension")
    bottom.set_xticks(latents)
    figure.suptitle(title, fontsize=13)
    return figure


def training_curves(curves: dict[str, list[dict]], title: str) -> Figure:
    """Bounds, effective sample size, KL and share of weight per expert against pairs seen, one colour for each run.

    Runs of the same modalities share a panel of bounds.
    """
    groups = list(dict.fromkeys(_columns(rows, "kl_") for rows in curves.values()))
    columns = max(3, len(groups))
    figure, axes = plt.subplots(2, columns, figsize=(17 / 3 * columns, 12), layout="constrained")
    for panel, group in zip(axes[0], groups, strict=False):
        kinds = "solid: validation, one K for all runs; dotted: training, each run's K"
        panel.set_title(f"bound on {' and '.join(group)}, nats\n({kinds})", fontsize=11)
    for panel, text in zip(
        axes[1],
        (
            "effective sample size of an expert's particles",
            "KL of each encoder's posterior to the prior, nats",
            "share of the mixture's weight per expert",
        ),
        strict=False,
    ):
        panel.set_title(text, fontsize=11)
    for colour, (run, rows) in zip(COLOURS, curves.items(), strict=False):
        bounds = axes[0, groups.index(_columns(rows, "kl_"))]
        _line(bounds, rows, "bound_validation", "-", colour, run)
        _line(bounds, rows, "bound_train", ":", colour, None)
        _line(axes[1, 0], rows, "ess", "-", colour, run)
        shares = _columns(rows, "share_")
        for panel, prefix, names in ((axes[1, 1], "kl_", _columns(rows, "kl_")), (axes[1, 2], "share_", shares)):
            for name, style in zip(names, ("-", "--", "-.", ":"), strict=False):
                if prefix == "kl_" or len(shares) > 1:
                    _line(panel, rows, prefix + name, style, colour, f"{run}, {name}")
    for panel in axes.flat:
        panel.set_xlabel("pairs seen in training")
        panel.grid(alpha=0.3)
        if panel.lines:
            panel.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2)
        else:
            panel.set_visible(False)
    figure.suptitle(title, fontsize=13)
    return figure


def pairs_axis(panel: Axes, pairs: list[float]) -> None:
    """A logarithmic axis of pairs seen in training, labelled at `pairs` in thousands or millions."""
    panel.set_xscale("log")
    panel.minorticks_off()
    panel.set_xticks(pairs, [f"{n / 1e6:.3g}M" if n >= 1e6 else f"{n / 1e3:.3g}k" for n in pairs])
    panel.set_xlabel("pairs seen in training")
    panel.grid(alpha=0.3)


def learning_curves(
    curves: dict[str, list[dict]], title: str, levels: dict[str, dict[str, float]] | None = None
) -> Figure:
    """Joint and cross coherence, latent accuracy and the entropy of prior draws against pairs seen, on a log axis.

    One colour for each run. `levels`: what is drawn as a horizontal line, by its label and the name of its column.
    """
    columns = list(dict.fromkeys(key for rows in curves.values() for key in rows[0]))
    shown = [key for key in columns if key not in ("epoch", "pairs") and not key.startswith("reconstruction_")]
    across = math.ceil(len(shown) / 2)
    figure, axes = plt.subplots(2, across, figsize=(4.6 * across, 8), layout="constrained", squeeze=False)
    for panel, key in zip(axes.flat, shown, strict=False):
        nats = key.startswith("entropy_")
        name = key.replace("entropy_", "entropy of prior draws, ").replace("_", " ")
        panel.set_title(f"{name}, nats" if nats else f"{name}, %", fontsize=11)
        pairs_axis(panel, [row["pairs"] for row in max(curves.values(), key=len)])
        panel.set_ylim(0, math.log(10) * 1.02 if nats else 100)
        for colour, (run, rows) in zip(COLOURS, curves.items(), strict=False):
            if key in rows[0]:
                seen = [row[key] if nats else 100 * row[key] for row in rows]
                panel.plot([row["pairs"] for row in rows], seen, "o-", ms=3.5, color=colour, label=run)
        for style, (label, values) in zip(("--", ":"), (levels or {}).items(), strict=False):
            if key in values:
                panel.axhline(100 * values[key], color="black", ls=style, lw=1, label=label)
    for panel in axes.flat[len(shown) :]:
        panel.set_axis_off()
    handles = {
        label: line for panel in axes.flat for line, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    if len(shown) < axes.size:
        axes.flat[-1].legend(handles.values(), handles, loc="center", fontsize=10)
    else:
        figure.legend(handles.values(), handles, loc="outside lower center", ncols=len(handles), fontsize=9)
    figure.suptitle(title, fontsize=13)
    return figure


def _columns(rows: list[dict], prefix: str) -> tuple[str, ...]:
    return tuple(key.removeprefix(prefix) for key in rows[0] if key.startswith(prefix))


def _line(axes: Axes, rows: list[dict], key: str, style: str, colour: tuple, label: str | None) -> None:
    axes.plot([row["pairs"] for row in rows], [row[key] for row in rows], style, color=colour, label=label)
