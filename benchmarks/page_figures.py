"""Draw the figures of docs/results.md from the files beside its template: `python -m benchmarks.page_figures`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.page import (
    ANOTHER,
    COHERENT,
    ELBO,
    ESTIMATORS,
    FOLDER,
    JACKKNIFE_95,
    MAIN,
    NAMES,
    RESTARTED,
    SEEDED,
    VAES,
    document,
    rows,
)
from mmvae import figures
from mmvae.evaluation.gradients import COMPARED
from mmvae.figures import COLOURS
from mmvae.files import read_csv

OTHERS = {"tight bound": "mmvae_tight", "MVAE": "mvae_poe", "MVAE, mixture": "mvae_moe"}


def learning() -> Figure:
    """Coherence and latent accuracy against pairs seen, with the paper's numbers and what a constant answer gives."""
    shown = {label: f"{row}-0" for label, row in ESTIMATORS.items()}
    shown |= {f"{MAIN}, {ANOTHER}": f"{SEEDED[MAIN]}-1"}
    shown |= {label: f"{MAIN}-{run}-0" for label, run in OTHERS.items()}
    curves = {label: read_csv(FOLDER / f"learning/{row}.csv") for label, row in shown.items()}
    alone = (read_csv(FOLDER / f"learning/{MAIN}-{run}-0.csv") for run in VAES.values())
    curves["single VAEs"] = [grey | colour for grey, colour in zip(*alone, strict=True)]
    paper = document("paper")
    published = {key: paper["table2"]["mmvae"][key] for key in COHERENT}
    published |= {f"latent_accuracy_{name}": paper["table1"]["mmvae"][name] for name in NAMES}
    constant = document(f"runs/{ESTIMATORS[MAIN]}")["latent_accuracy"]["majority"]["mean"]
    levels = {
        "the paper, at its end": published,
        "always the commonest digit": {key: constant for key in published if key != "joint"},
    }
    return figures.learning_curves(curves, "Real MNIST and part of SVHN: learning", levels)


def _panels(titles: dict[str, str], axes: np.ndarray) -> Iterator[tuple[Axes, str]]:
    """A panel for each column of a curve, with its title and an axis of pairs."""
    kept = read_csv(FOLDER / f"learning/{ESTIMATORS[MAIN]}-0.csv")
    for panel, (key, title) in zip(axes.flat, titles.items(), strict=False):
        panel.set_title(title, fontsize=11)
        figures.pairs_axis(panel, [row["pairs"] for row in kept])
        yield panel, key


def experts() -> Figure:
    """Bound, effective sample size, shares of weight and entropies of the experts against pairs seen."""
    titles = {
        "bound_validation": "each run's own bound on validation pairs, nats",
        "ess": "effective sample size of an expert's particles",
        "share_mnist": "share of the mixture's weight on MNIST's expert",
        **{f"entropy_{name}": f"entropy of the posterior of {name.upper()}, nats" for name in NAMES},
    }
    figure, axes = plt.subplots(2, 3, figsize=(14, 8), layout="constrained")
    shown = ESTIMATORS | {"elbo": ELBO, "iwae, tight bound": f"{MAIN}-mmvae_tight"}
    for panel, key in _panels(titles, axes):
        for colour, (label, row) in zip(COLOURS, shown.items(), strict=False):
            if label == "elbo" and not key.startswith("entropy"):
                continue  # another bound, and shares and sizes of another number of particles
            curve = read_csv(FOLDER / f"curves/{row}-0.csv")
            panel.plot([point["pairs"] for point in curve], [point[key] for point in curve], color=colour, label=label)
    particles = document(f"runs/{ESTIMATORS[MAIN]}")["budget"]["particles"]
    axes[0, 1].set_ylim(0, particles)
    axes[1, 2].set_axis_off()
    axes[1, 2].legend(*axes[1, 0].get_legend_handles_labels(), loc="center", fontsize=10)
    figure.suptitle("Real MNIST and part of SVHN: how the experts stand", fontsize=13)
    return figure


def gradients() -> Figure:
    """Signal, bias and tails of each estimator's encoder gradients along the trainings they were measured on."""
    panels = {
        "signal": "share of the mean in the squared gradient, %",
        "squared_bias": "squared bias, % of the mean's square",
        "heaviest": "squared gradients on the heaviest 1 % of pairs, %",
    }
    measured = {path.stem: document(f"gradients/{path.stem}") for path in sorted((FOLDER / "gradients").glob("*.json"))}
    lines = [(row, name) for row in measured for name in NAMES]
    figure, axes = plt.subplots(len(lines), 3, figsize=(14, 3.3 * len(lines)), layout="constrained", squeeze=False)
    for line, (row, name) in zip(axes, lines, strict=True):
        epochs = {int(pairs): of[name] for pairs, of in measured[row]["pairs_seen"].items()}
        for panel, (key, title) in zip(line, panels.items(), strict=True):
            panel.set_title(f"{title}\ntrained with {measured[row]['trained_with']}, {name} encoder", fontsize=9)
            figures.pairs_axis(panel, list(epochs))
            for colour, estimator in zip(COLOURS, COMPARED, strict=False):
                values = [of["estimators"][estimator][key] for of in epochs.values()]
                values = [
                    value if isinstance(value, dict) else {"mean": value, "standard_error": 0} for value in values
                ]
                means, errors = (
                    np.array([100 * value[part] for value in values]) for part in ("mean", "standard_error")
                )
                marks = "s--" if estimator == "dreg_mixture" else "o-"  # over dreg_iwae's, which it hardly differs from
                style = {"fmt": marks, "ms": 3, "capsize": 2, "color": colour, "label": estimator}
                panel.errorbar(list(epochs), means, JACKKNIFE_95 * errors, **style)
    title = "Gradients of the encoders, every estimator on the same pairs and particles (bars: 95 % intervals)"
    return _entitled(figure, axes[0, 0], title)


def first_updates() -> Figure:
    """Gradients of the locations, AMSGrad's moments of them and the smallest posterior scale, update by update."""
    panels = {
        "loc": "RMS gradient of the location layer",
        "loc_moment": "root of AMSGrad's largest second moment",
        "smallest_scale": "smallest posterior scale in the batch",
    }
    folder = FOLDER / "first_updates" / MAIN
    figure, axes = plt.subplots(len(NAMES), len(panels), figsize=(14, 7.5), layout="constrained", sharex=True)
    for line, modality in zip(axes, NAMES, strict=True):
        for panel, (key, title) in zip(line, panels.items(), strict=True):
            panel.set_title(f"{title}, {modality} encoder", fontsize=11)
            panel.set_yscale("log")
            for colour, estimator in zip(COLOURS, COMPARED, strict=False):
                for path in sorted(folder.glob(f"{estimator}_[0-9]*.csv")):
                    points = read_csv(path)
                    label = estimator if path.stem.endswith("_0") else None
                    width, opacity = (1.6, 1) if label else (0.8, 0.5)
                    values = [point[f"{key}_{modality}"] for point in points]
                    updates = [point["update"] for point in points]
                    panel.plot(updates, values, lw=width, alpha=opacity, color=colour, label=label)
            if line is axes[-1]:
                panel.set_xlabel("update")
    particles = document(f"first_updates/{MAIN}")["particles"]
    title = f"The first updates of a training, K = {particles} (thick: seed 0, thin: other seeds)"
    return _entitled(figure, axes[0, 0], title)


def restart() -> Figure:
    """Cross coherence and latent accuracy of trainings whose moments were begun anew, beside those that kept them."""
    titles = {"mnist_to_svhn": "MNIST to SVHN, %", "svhn_to_mnist": "SVHN to MNIST, %"}
    titles |= {f"latent_accuracy_{name}": f"latent accuracy of {name.upper()}, %" for name in NAMES}
    figure, axes = plt.subplots(2, 2, figsize=(11, 8), layout="constrained")
    for panel, key in _panels(titles, axes):
        panel.set_ylim(0, 100)
        for colour, objective in zip(COLOURS, ESTIMATORS, strict=False):
            for row, style, label in ((ESTIMATORS[objective], "o-", objective), (RESTARTED[objective], "s--", None)):
                if row in rows():
                    curve = read_csv(FOLDER / f"learning/{row}-0.csv")
                    values = [100 * point[key] for point in curve]
                    panel.plot([point["pairs"] for point in curve], values, style, ms=4, color=colour, label=label)
    return _entitled(figure, axes[0, 0], "Adam's moments kept (solid) and begun anew after the first point (dashed)")


def _entitled(figure: Figure, panel: Axes, title: str) -> Figure:
    """With a title, and the lines of one panel as the legend of all."""
    handles, labels = panel.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=9)
    figure.suptitle(title, fontsize=13)
    return figure


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    for draw in (learning, experts, gradients, first_updates, restart):
        figures.save(FOLDER / f"{draw.__name__}.png", draw())
