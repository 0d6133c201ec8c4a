"""Draw the study's own pictures into pictures/: `python -m studies.estimators.figures`."""

import math
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from studies.estimators import ESTIMATORS, MODALITIES
from studies.estimators.page import FOLDER, JACKKNIFE_95, Run, read_numbers

matplotlib.rcdefaults()  # a matplotlibrc beside the project changes no picture
PICTURES = FOLDER / "pictures"
COLOURS = plt.get_cmap("tab10").colors
ACROSS = {
    "coherence.strong.cross.mnist_to_svhn": "mnist to svhn, %",
    "coherence.strong.cross.svhn_to_mnist": "svhn to mnist, %",
}
LATENTS = {f"latent_accuracy.single.{name}.samples": f"latent accuracy {name}, %" for name in MODALITIES}


def save(path: Path, figure: Figure) -> None:
    """A PNG; the same figure always gives the same bytes."""
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=100, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)


def pairs_axis(panel: Axes, pairs: list[int]) -> None:
    """A logarithmic axis of training pairs, labelled at `pairs` in thousands or millions."""
    panel.set_xscale("log")
    panel.minorticks_off()
    panel.set_xticks(pairs, [f"{n / 1e6:.3g}M" if n >= 1e6 else f"{n / 1e3:.3g}k" for n in pairs])
    panel.set_xlabel("pairs seen in training")
    panel.grid(alpha=0.3)


def plot(panel: Axes, run: Run, metric: str, factor: float = 1, style: str = "-", **options) -> None:
    """A metric along a training; nothing if the run does not have it."""
    panel.plot(run.points(metric), [factor * value for value in run.series(metric)], style, **options)


def entitled(figure: Figure, panel: Axes, title: str) -> Figure:
    """With a title, and the lines of one panel as the legend of all."""
    handles, labels = panel.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=9)
    figure.suptitle(title, fontsize=13)
    return figure


def learning(runs: dict[str, Run], paper: dict) -> Figure:
    """Coherence, latent accuracy and the entropy of draws, with the paper's numbers and the commonest digit."""
    shown = {name: [runs[name]] for name in ESTIMATORS}
    shown |= {"iwae, another seed": [runs["iwae_seed_1"]], "tight bound": [runs["iwae_tight"]]}
    shown |= {"MVAE": [runs["mvae_poe"]], "MVAE, mixture": [runs["mvae_moe"]]}
    shown |= {"single VAEs": [runs["vae_mnist"], runs["vae_svhn"]]}
    published = {
        **paper["table2"]["mmvae"],
        **{f"latent_{name}": paper["table1"]["mmvae"][name] for name in MODALITIES},
    }
    levels = [published[key] for key in ("joint", "mnist_to_svhn", "svhn_to_mnist", "latent_mnist", "latent_svhn")]
    titles = {"coherence.strong.joint": "joint, %", **ACROSS, **LATENTS}
    titles |= {f"coherence.strong.entropy.{name}": f"entropy of prior draws, {name}, nats" for name in MODALITIES}
    figure, axes = plt.subplots(2, 4, figsize=(18.4, 8), layout="constrained")
    for index, (panel, (metric, title)) in enumerate(zip(axes.flat, titles.items(), strict=False)):
        nats = "entropy" in metric
        panel.set_title(title, fontsize=11)
        pairs_axis(panel, runs["iwae_seed_1"].points("coherence.strong.joint"))
        panel.set_ylim(0, math.log(10) * 1.02 if nats else 100)
        for colour, (label, several) in zip(COLOURS, shown.items(), strict=False):
            for run in (run for run in several if run.points(metric)):
                plot(panel, run, metric, 1 if nats else 100, "o-", ms=3.5, color=colour, label=label)
        if not nats:
            panel.axhline(100 * levels[index], color="black", ls="--", lw=1, label="the paper, at its end")
        if not nats and index:
            constant = runs["iwae"]("latent_accuracy.majority")
            panel.axhline(100 * constant, color="black", ls=":", lw=1, label="always the commonest digit")
    axes[1, 3].set_axis_off()
    entries = (zip(*panel.get_legend_handles_labels(), strict=True) for panel in axes.flat)
    lines = {label: line for panel in entries for line, label in panel}
    axes[1, 3].legend(lines.values(), lines, loc="center", fontsize=10)
    figure.suptitle("Real MNIST and part of SVHN: learning", fontsize=13)
    return figure


def experts(runs: dict[str, Run], particles: int) -> Figure:
    """Bound, effective sample size, shares of weight and entropies of the experts along the trainings."""
    titles = {
        "curve.bound_validation": "each run's own bound on validation pairs, nats",
        "curve.ess": "effective sample size of an expert's particles",
        "curve.share_mnist": "share of the mixture's weight on MNIST's expert",
        **{f"curve.entropy_{name}": f"entropy of the posterior of {name.upper()}, nats" for name in MODALITIES},
    }
    shown = {name: runs[name] for name in (*ESTIMATORS, "elbo")} | {"iwae, tight bound": runs["iwae_tight"]}
    figure, axes = plt.subplots(2, 3, figsize=(14, 8), layout="constrained")
    for panel, (metric, title) in zip(axes.flat, titles.items(), strict=False):
        panel.set_title(title, fontsize=11)
        pairs_axis(panel, runs["iwae"].points("coherence.strong.joint"))
        for colour, (label, run) in zip(COLOURS, shown.items(), strict=False):
            if label != "elbo" or "entropy" in metric:  # the ELBO is another bound, with another number of particles
                plot(panel, run, metric, color=colour, label=label)
    axes[0, 1].set_ylim(0, particles)
    axes[1, 2].set_axis_off()
    axes[1, 2].legend(*axes[1, 0].get_legend_handles_labels(), loc="center", fontsize=10)
    figure.suptitle("Real MNIST and part of SVHN: how the experts stand", fontsize=13)
    return figure


def gradients(runs: dict[str, Run]) -> Figure:
    """Signal, bias and tails of each estimator's encoder gradients along the trainings they were measured on."""
    panels = {
        "signal": "share of the mean in the squared gradient, %",
        "squared_bias": "squared bias, % of the mean's square",
        "heaviest": "squared gradients on the heaviest 1 % of pairs, %",
    }
    lines = [(runs[trained], name) for trained in ("dreg_iwae", "iwae") for name in MODALITIES]
    figure, axes = plt.subplots(len(lines), 3, figsize=(14, 3.3 * len(lines)), layout="constrained")
    for line, (run, name) in zip(axes, lines, strict=True):
        for panel, (key, title) in zip(line, panels.items(), strict=True):
            points = run.points(f"gradients.{name}.iwae.{key}")
            panel.set_title(f"{title}\ntrained with {run.name}, {name} encoder", fontsize=9)
            pairs_axis(panel, points)
            for colour, estimator in zip(COLOURS, ESTIMATORS, strict=False):
                values = run.series(f"gradients.{name}.{estimator}.{key}")
                means, errors = 100 * np.array(values), np.array([100 * (value.error or 0) for value in values])
                marks = "s--" if estimator == "dreg_mixture" else "o-"  # over dreg_iwae's, which it hardly differs from
                style = {"fmt": marks, "ms": 3, "capsize": 2, "color": colour, "label": estimator}
                panel.errorbar(points, means, JACKKNIFE_95 * errors, **style)
    title = "Gradients of the encoders, every estimator on the same pairs and particles (bars: 95 % intervals)"
    return entitled(figure, axes[0, 0], title)


def first_updates(updates: pd.DataFrame, particles: int) -> Figure:
    """Gradients of the locations, AMSGrad's moments of them and the smallest posterior scale, update by update."""
    panels = {
        "loc": "RMS gradient of the location layer",
        "loc_moment": "root of AMSGrad's largest second moment",
        "smallest_scale": "smallest posterior scale in the batch",
    }
    trainings = dict(list(updates[updates["particles"] == particles].groupby(["estimator", "seed"])))
    figure, axes = plt.subplots(len(MODALITIES), len(panels), figsize=(14, 7.5), layout="constrained", sharex=True)
    for line, modality in zip(axes, MODALITIES, strict=True):
        for panel, (key, title) in zip(line, panels.items(), strict=True):
            panel.set_title(f"{title}, {modality} encoder", fontsize=11)
            panel.set_yscale("log")
            for colour, estimator in zip(COLOURS, ESTIMATORS, strict=False):
                for seed in sorted(seed for name, seed in trainings if name == estimator):
                    rows, first = trainings[estimator, seed], seed == 0
                    style = {"lw": 1.6 if first else 0.8, "alpha": 1 if first else 0.5, "color": colour}
                    label = estimator if first else None
                    panel.plot(rows["update"], rows[f"{key}_{modality}"], label=label, **style)
            if line is axes[-1]:
                panel.set_xlabel("update")
    title = f"The first updates of a training, K = {particles} (thick: seed 0, thin: other seeds)"
    return entitled(figure, axes[0, 0], title)


def restart(runs: dict[str, Run]) -> Figure:
    """Cross coherence and latent accuracy of trainings whose moments began anew, beside those that kept them."""
    figure, axes = plt.subplots(2, 2, figsize=(11, 8), layout="constrained")
    for panel, (metric, title) in zip(axes.flat, (ACROSS | LATENTS).items(), strict=True):
        panel.set_title(title, fontsize=11)
        pairs_axis(panel, runs["iwae"].points(metric))
        panel.set_ylim(0, 100)
        for colour, name in zip(COLOURS, ESTIMATORS, strict=False):
            plot(panel, runs[name], metric, 100, "o-", ms=4, color=colour, label=name)
            plot(panel, runs[f"{name}_restart"], metric, 100, "s--", ms=4, color=colour)
    return entitled(figure, axes[0, 0], "Adam's moments kept (solid) and begun anew after the first point (dashed)")


def main() -> None:
    runs, origins, paper = read_numbers()
    particles = origins["runs"]["iwae"]["particles"]
    save(PICTURES / "learning.png", learning(runs, paper))
    save(PICTURES / "experts.png", experts(runs, particles))
    save(PICTURES / "gradients.png", gradients(runs))
    save(PICTURES / "first_updates.png", first_updates(pd.read_csv(FOLDER / "first_updates.csv"), particles))
    save(PICTURES / "restart.png", restart(runs))


if __name__ == "__main__":
    main()
