"""Milliseconds a pair of a training step against particles, batch and modalities, and seconds against pairs.

A table, and with --out a picture and a CSV. `screened` is the product's path; `dense` is the same objective with every
particle scored with gradient. Every model is trained for some updates first, so that its weights are concentrated as
they are through nearly all of a training.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.setup import Trainer, importance_weighted, paper_model, training_pairs
from mmvae.data.pairs import Pairs
from mmvae.files import write_csv
from mmvae.model import MultimodalVAE
from mmvae.training.device import find_device

PARTICLES = (1, 2, 5, 10, 20, 30, 50)
BATCHES = (8, 32, 64, 128, 256)
MODALITIES = (1, 2, 3, 4)
PAIRS = (1, 2, 4, 8)  # times the pairs of a turn


def trained(pairs: Pairs, modalities: int, updates: int) -> tuple[MultimodalVAE, Pairs]:
    """A model of M modalities, colour and grey images in turn, after some updates with K = 10."""
    device = next(iter(pairs.index.values())).device
    grey, colour = pairs.arrays
    several, kinds = Pairs({}, {}, device), {}
    for i, (source, kind) in enumerate(([(colour, "colour"), (grey, "grey")] * 2)[:modalities]):
        several.arrays[f"m{i}"], several.index[f"m{i}"] = pairs.arrays[source], pairs.index[source]
        kinds[f"m{i}"] = kind
    model = paper_model(kinds, device)
    trainer = Trainer(model, importance_weighted("dreg_iwae", "loose", 10, device), several, 64)
    for _ in range(updates):
        trainer.step()
    return model, several


def measure(made: Trainer, steps: int, repeats: int) -> dict[str, float]:
    """Median milliseconds a pair over `repeats` turns, and what the last step kept."""
    made.step()
    taken = []
    for _ in range(repeats):
        begin = time.perf_counter()
        for _ in range(steps):
            said = made.step()
        taken.append((time.perf_counter() - begin) / (steps * made.batch) * 1e3)
    return {"milliseconds_per_pair": statistics.median(taken), "kept": said["kept"]}


def table(pairs: Pairs, updates: int, repeats: int) -> list[dict]:
    """One row for each measurement."""
    rows, ready = [], {m: trained(pairs, m, updates) for m in MODALITIES}

    def add(
        varied: str, value: int, path: str, particles: int = 30, batch: int = 64, m: int = 2, steps: int = 1
    ) -> None:
        model, several = ready[m]
        loss = importance_weighted("dreg_iwae", "loose", particles, next(model.parameters()).device)
        loss = loss if path == "screened" else replace(loss, screen=None)
        found = measure(Trainer(copy.deepcopy(model), loss, several, batch), steps, repeats)
        seconds = found["milliseconds_per_pair"] * steps * batch / 1e3
        rows.append({"varied": varied, "value": value, "path": path, **found, "seconds": seconds})
        print(
            "{varied:10} {value:5} {path:9} {milliseconds_per_pair:8.3f} ms a pair  kept {kept:.3f}".format(**rows[-1])
        )

    for path in ("screened", "dense"):
        for particles in PARTICLES:
            add("particles", particles, path, particles=particles)
        for modalities in MODALITIES:
            add("modalities", modalities, path, m=modalities, particles=10)
    for batch in BATCHES:
        add("batch", batch, "screened", batch=batch)
    for times in PAIRS:
        add("pairs", times * 128, "screened", steps=times * 2)
    return rows


def picture(rows: list[dict], title: str):
    """Four panels, one for each thing varied."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 4, figsize=(17, 4.4), layout="constrained")
    panels = {
        "particles": ("K, particles of each expert", "milliseconds_per_pair", "ms a pair"),
        "modalities": ("M, modalities (K = 10)", "milliseconds_per_pair", "ms a pair"),
        "batch": ("B, pairs of a batch", "milliseconds_per_pair", "ms a pair"),
        "pairs": ("pairs trained on", "seconds", "seconds"),
    }
    for panel, (varied, (label, key, unit)) in zip(axes, panels.items(), strict=True):
        for path, colour in (("screened", "#1f6f8b"), ("dense", "#c8553d")):
            points = [(row["value"], row[key]) for row in rows if row["varied"] == varied and row["path"] == path]
            if not points:
                continue
            x, y = zip(*points, strict=True)
            panel.plot(x, y, "o-", color=colour, label=path)
        if varied in ("particles", "pairs"):
            panel.plot(x, [y[0] * value / x[0] for value in x], ":", color="grey", label="proportional")
        if varied == "particles":
            panel.loglog()
            panel.set_xticks(x, x)
            panel.set_yticks([1, 2, 5, 10, 20], [1, 2, 5, 10, 20])
            panel.minorticks_off()
        else:
            panel.set_ylim(0)
        if varied == "modalities":
            panel.set_xticks(x)
        panel.set_xlabel(label)
        panel.set_ylabel(unit)
        panel.grid(alpha=0.3)
        panel.legend(fontsize=8)
    figure.suptitle(title, fontsize=12)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=100, help="of training before a measurement")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, help="a folder for scaling.csv and scaling.png")
    given = parser.parse_args()
    device = find_device()
    rows = table(training_pairs("digits", device), given.updates, given.repeats)
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        write_csv(given.out / "scaling.csv", rows)
        where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} CPU cores"
        title = (
            f"A training step of the paper's networks on embedded digits, {where}; K = 30, B = 64, M = 2 unless varied"
        )
        picture(rows, title).savefig(given.out / "scaling.png", dpi=110)


if __name__ == "__main__":
    main()
