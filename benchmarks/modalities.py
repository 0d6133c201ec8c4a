"""What a training step costs with 1 to 5 modalities, under every objective (appendix B of the paper).

    python -m benchmarks.modalities --picture docs/modalities.png

Every modality is a vector of 256 numbers with the networks of image features, so M of them cost M times as much to
encode, and each decoding costs the same. Operations are counted, seconds are the median of STEPS. An exponent is the
slope of a line through the logarithms.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.setup import Trainer, importance_weighted
from mmvae.data.pairs import Pairs
from mmvae.figures.curves import look
from mmvae.figures.grids import default_style, save
from mmvae.model import ModelConfig, build
from mmvae.objectives import OBJECTIVES

MODALITIES = (1, 2, 3, 4, 5)
LENGTH, HIDDEN, PAIRS, BATCH, PARTICLES = 256, 256, 640, 64, 10
WARM_UP, STEPS = 10, 20


def trainer(modalities: int, objective: str) -> Trainer:
    """MMVAE of M modalities."""
    torch.manual_seed(0)
    kinds = {f"m{i}": "features" for i in range(modalities)}
    model = build(ModelConfig("mmvae", kinds, networks={"features": {"length": LENGTH, "hidden": HIDDEN}}))
    rng = np.random.default_rng(0)
    pairs = Pairs({name: rng.standard_normal((PAIRS, LENGTH)).astype(np.float32) for name in kinds})
    return Trainer(model, importance_weighted(objective, "loose", PARTICLES, torch.device("cpu")), pairs, BATCH)


def cost(modalities: int, objective: str, steps: int = STEPS) -> dict:
    """seconds: of a step. gflop: 1e9 operations of one, forwards and backwards."""
    one = trainer(modalities, objective)
    for _ in range(WARM_UP):
        one.step()
    with FlopCounterMode(display=False) as counter:
        one.step()
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        one.step()
        seconds.append(time.perf_counter() - start)
    return {
        "objective": objective,
        "M": modalities,
        "seconds": statistics.median(seconds),
        "gflop": counter.get_total_flops() / 1e9,
    }


def exponent(modalities: pd.Series, costs: pd.Series) -> float:
    """The slope of log(cost) over log(M)."""
    return float(np.polyfit(np.log(modalities), np.log(costs), 1)[0])


@default_style
def picture(costs: pd.DataFrame) -> Figure:
    figure = Figure(figsize=(9, 4), layout="constrained")
    for panel, key in zip(figure.subplots(1, 2), ("gflop", "seconds"), strict=True):
        for i, (objective, rows) in enumerate(costs.groupby("objective", sort=False)):
            label = f"{objective}: M^{exponent(rows['M'], rows[key]):.2f}"
            panel.loglog(rows["M"], rows[key], marker="o", ms=4, color=look(i)["color"], label=label)
        panel.set_xticks(MODALITIES, MODALITIES)
        panel.minorticks_off()
        panel.set_xlabel("modalities, M")
        panel.set_title({"gflop": "1e9 operations of a step", "seconds": "seconds of a step"}[key], fontsize=11)
        panel.legend(fontsize=8)
        panel.grid(alpha=0.3)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    costs = pd.DataFrame([cost(m, objective) for objective in OBJECTIVES for m in MODALITIES])
    for key in ("gflop", "seconds"):
        table = costs.pivot_table(index="objective", columns="M", values=key, sort=False)
        table["exponent"] = [exponent(rows["M"], rows[key]) for _, rows in costs.groupby("objective", sort=False)]
        print(f"{key}:\n{table.to_string(float_format='{:.3g}'.format)}\n")
    if given.picture:
        save(given.picture, picture(costs))


if __name__ == "__main__":
    main()
