"""Which digits a system takes for which, and how it learned: are digits swapped, or is it chance?"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mmvae.figures.grids import default_style
from mmvae.metrics.systems.relabelled import best_match

Confusions = dict[str, dict[str, np.ndarray]]  # system -> what is asked of it -> counts


@default_style
def confusions(found: Confusions, curves: dict[str, pd.DataFrame], title: str) -> Figure:
    """A column for each system: its counts as shares of each true digit, and its objective along training.

    A ring is at the digit that a found one stands for at best; `exchanged` is the share that is right then.
    """
    if not found:
        figure = Figure(figsize=(9, 1))
        figure.suptitle(f"{title}: none")
        return figure
    rows = 1 + max(map(len, found.values()))
    figure = Figure(figsize=(2.6 * len(found), 2.9 * rows), layout="constrained")
    axes = figure.subplots(rows, len(found), squeeze=False)
    for column, (system, asked) in zip(axes.T, found.items(), strict=True):
        for panel, (what, counts) in zip(column, asked.items(), strict=False):
            digits, matched = best_match(counts)
            panel.imshow(counts / counts.sum(0).clip(1), cmap="Blues", vmin=0, vmax=1)
            panel.scatter(digits, np.arange(len(digits)), s=40, facecolors="none", edgecolors="tab:red")
            right = np.trace(counts) / counts.sum()
            panel.set_title(f"{system}\n{what}\nright {right:.0%}, exchanged {matched:.0%}", fontsize=9)
            panel.set_xticks(range(10))
            panel.set_yticks(range(10))
            panel.tick_params(labelsize=7)
            panel.set_xlabel("true digit", fontsize=8)
        for key, line in (("bound_validation", "-"), ("bound_train", ":")):
            column[-1].plot(curves[system]["pairs"], curves[system][key], line, label=key.removeprefix("bound_"))
        column[-1].set_xlabel("pairs seen", fontsize=8)
        column[-1].tick_params(labelsize=7)
        column[-1].set_title(f"{system}\nobjective, nats", fontsize=9)
        column[-1].legend(fontsize=7)
        column[-1].grid(alpha=0.3)
    for panel in axes[:, 0]:
        panel.set_ylabel("digit found", fontsize=8)
    axes[-1, 0].set_ylabel("")
    figure.suptitle(title, fontsize=12)
    return figure
