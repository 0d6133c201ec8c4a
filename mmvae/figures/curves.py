"""Curves along training, and what each latent encodes (Figure 5).

A curve is a table with a row for each measurement: a pandas DataFrame, or a list of dictionaries. A run has one look in
all panels. The looks never run out: each further ten runs have a marker of their own.
"""

import math

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mmvae.figures.grids import default_style

COLOURS = matplotlib.colormaps["tab10"].colors

Curves = dict[str, pd.DataFrame | list[dict]]  # by run


def look(i: int) -> dict:
    """Colour and marker of line i: ten colours, then the same with triangles, with squares, with pentagons, ..."""
    return {"color": COLOURS[i % 10], "ms": 3.5} | ({"marker": (2 + i // 10, 0, 0), "ms": 6} if i >= 10 else {})


def line_style(i: int) -> str | tuple:
    """Line style i: the four named ones, then a dash and two dots, a dash and three dots, ..."""
    named = ("-", "--", "-.", ":")
    return named[i] if i < len(named) else (0, (6, 2) + (1, 2) * (i - 2))


@default_style
def latent_divergences(
    to_prior: dict[str, np.ndarray], between: dict[tuple[str, str], np.ndarray], prior_std: np.ndarray, title: str
) -> Figure:
    """KL of each posterior to the prior and between every pair of posteriors (Figure 5), nats a latent: (D,) each."""
    series = {f"KL({name} posterior, prior)": values for name, values in to_prior.items()}
    series |= {f"symmetric KL({a} posterior, {b} posterior)": values for (a, b), values in between.items()}
    figure = Figure(figsize=(max(10, 2 * len(series)), 6), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    latents = np.arange(len(prior_std))
    width = 0.8 / len(series)
    for i, (label, values) in enumerate(series.items()):
        places = latents + (i - (len(series) - 1) / 2) * width
        top.bar(places, values, width, label=label, color=COLOURS[i % 10], hatch="/" * (i // 10))
    top.set_yscale("symlog", linthresh=1)
    top.set_ylabel("nats, mean over test pairs")
    bottom.bar(latents, prior_std, 0.6, color="grey")
    bottom.set_ylabel("prior std")
    bottom.set_xlabel("latent dimension")
    bottom.set_xticks(latents)
    legend_below(figure, dict(zip(series, top.containers, strict=True)))
    figure.suptitle(title, fontsize=13)
    return figure


@default_style
def training_curves(curves: Curves, title: str) -> Figure:
    """Bounds, effective sample size, KL and share of weight per expert against pairs seen.

    Runs of the same modalities share a panel of bounds.
    """
    tables = {run: pd.DataFrame(rows) for run, rows in curves.items()}
    seen = {run: _names(table, "kl_") or (run,) for run, table in tables.items()}  # without KLs: a panel of its own
    groups = list(dict.fromkeys(seen.values()))
    experts = dict.fromkeys(name for table in tables.values() for name in (*_names(table, "kl_"), *_shares(table)))
    styles = {name: line_style(i) for i, name in enumerate(experts)}
    columns = max(3, len(groups))
    figure = Figure(figsize=(17 / 3 * columns, 12), layout="constrained")
    bounds, (sizes, kls, shares, *_) = axes = figure.subplots(2, columns)
    for i, (run, table) in enumerate(tables.items()):
        bound = {"bound_validation": "-", "bound_train": ":"}
        _lines(bounds[groups.index(seen[run])], table, bound, i)
        _lines(sizes, table, {"ess": "-"}, i)
        _lines(kls, table, {f"kl_{name}": styles[name] for name in _names(table, "kl_")}, i)
        _lines(shares, table, {f"share_{name}": styles[name] for name in _shares(table)}, i)
    for panel, group in zip(bounds, groups, strict=False):  # other panels stay empty and are hidden
        what = "objective of" if group[0] in tables else "bound on"
        panel.set_title(f"{what} {' and '.join(group)}, nats", fontsize=11)
        _key(panel, {"validation, one K for all runs": "-", "training, each run's K": ":"})
    sizes.set_title("effective sample size of an expert's particles", fontsize=11)
    kls.set_title("KL of each encoder's posterior to the prior, nats", fontsize=11)
    shares.set_title("share of the mixture's weight per expert", fontsize=11)
    for panel in (kls, shares):
        _key(panel, styles)
    for panel in axes.flat:
        panel.set_xlabel("pairs seen in training")
        panel.grid(alpha=0.3)
        panel.set_visible(bool(panel.lines))
    legend_below(figure, {run: Line2D([], [], **look(i)) for i, run in enumerate(tables)})
    figure.suptitle(title, fontsize=13)
    return figure


def pairs_axis(panel: Axes, pairs: list[float]) -> None:
    """A logarithmic axis of pairs seen in training, labelled at `pairs` in thousands or millions."""
    panel.set_xscale("log")
    panel.minorticks_off()
    panel.set_xticks(pairs, [f"{n / 1e6:.3g}M" if n >= 1e6 else f"{n / 1e3:.3g}k" for n in pairs])
    panel.set_xlabel("pairs seen in training")
    panel.grid(alpha=0.3)


@default_style
def learning_curves(curves: Curves, title: str) -> Figure:
    """Joint and cross coherence, latent accuracy and the entropy of prior draws against pairs seen, on a log axis."""
    tables = {run: pd.DataFrame(rows) for run, rows in curves.items()}
    columns = dict.fromkeys(key for table in tables.values() for key in table)
    shown = [key for key in columns if key not in ("epoch", "pairs") and not key.startswith("reconstruction_")]
    across = math.ceil(len(shown) / 2)
    figure = Figure(figsize=(4.6 * across, 8), layout="constrained")
    axes = figure.subplots(2, across, squeeze=False)
    looks = {run: {"marker": "o"} | look(i) for i, run in enumerate(tables)}
    for panel, key in zip(axes.flat, shown, strict=False):
        name, scale, top = _measure(key)
        panel.set_title(name, fontsize=11)
        pairs_axis(panel, max(tables.values(), key=len)["pairs"].tolist())
        panel.set_ylim(0, top * 1.02)
        for run, table in tables.items():
            if key in table:
                panel.plot(table["pairs"], scale * table[key], **looks[run])
    for panel in axes.flat[len(shown) :]:
        panel.set_axis_off()
    legend_below(figure, {run: Line2D([], [], **style) for run, style in looks.items()})
    figure.suptitle(title, fontsize=13)
    return figure


def legend_below(figure: Figure, entries: dict[str, Artist]) -> None:
    """A legend of labelled entries below the panels, in as many columns as fit."""
    widest = 0.6 + 0.075 * max(map(len, entries))  # inches: a handle, and letters at 9 points
    columns = min(len(entries), max(1, int(figure.get_figwidth() / widest)))
    figure.legend(entries.values(), entries, loc="outside lower center", ncols=columns, fontsize=9)


def _measure(key: str) -> tuple[str, float, float]:
    """Title, factor and largest value of a column of a learning curve."""
    if key.startswith("entropy_"):
        return f"entropy of prior draws, {key.removeprefix('entropy_')}, nats", 1, math.log(10)
    key = key.replace("latent_accuracy_", "latent accuracy, ")
    name = "joint coherence" if key == "joint" else f"coherence, {key}" if "_to_" in key else key
    return f"{name.replace('_', ' ')}, %", 100, 100


def _names(table: pd.DataFrame, prefix: str) -> tuple[str, ...]:
    return tuple(key.removeprefix(prefix) for key in table if key.startswith(prefix))


def _shares(table: pd.DataFrame) -> tuple[str, ...]:
    """The experts whose shares of the weight say something: a single one has all of it."""
    names = _names(table, "share_")
    return names if len(names) > 1 else ()


def _lines(panel: Axes, table: pd.DataFrame, styles: dict[str, str | tuple], run: int) -> None:
    for key, line in styles.items():
        if key in table:
            panel.plot(table["pairs"], table[key], ls=line, **look(run))


def _key(panel: Axes, styles: dict[str, str | tuple]) -> None:
    """What the line styles of a panel mean, below it."""
    handles = [Line2D([], [], color="black", ls=line) for line in styles.values()]
    panel.legend(handles, styles, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2)
