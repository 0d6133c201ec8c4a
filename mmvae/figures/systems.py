"""Figure 2, measured: every system against every criterion."""

from matplotlib.figure import Figure

from mmvae import systems
from mmvae.figures.curves import COLOURS
from mmvae.figures.grids import default_style
from mmvae.systems import Cells

TITLES = {
    systems.FACTORISATION: "(a) latent factorisation",
    systems.JOINT: "(b) joint generation",
    systems.CROSS: "(c) cross generation",
    systems.SYNERGY: "(d) synergy",
}


@default_style
def figure2(report: dict[str, Cells], costs: dict[str, float], title: str) -> Figure:
    """A row for each system and a panel for each criterion: numbers with 95 % intervals, their lines, and ticks.

    costs: run -> 1e9 operations a pair in training.
    """
    runs = list(report)
    figure = Figure(figsize=(17, 1.8 + 0.42 * len(runs)), layout="constrained")
    panels = figure.subplots(1, len(TITLES), sharey=True)
    for panel, (criterion, heading) in zip(panels, TITLES.items(), strict=True):
        names = list(
            dict.fromkeys(n.name for cells in report.values() for n in cells[criterion] if n.name != systems.NATS)
        )
        for row, run in enumerate(runs):
            numbers = report[run][criterion]
            if not numbers:
                panel.text(
                    0.5,
                    row,
                    "no such map",
                    transform=panel.get_yaxis_transform(),
                    ha="center",
                    va="center",
                    color="0.6",
                    fontsize=8,
                )
            for number in numbers:
                if number.name != systems.NATS:
                    i = names.index(number.name)
                    at = row + 0.5 * ((i + 0.5) / len(names) - 0.5)
                    colour = COLOURS[i % 10]
                    panel.errorbar(
                        number.value,
                        at,
                        xerr=number.half,
                        fmt="o",
                        ms=4,
                        color=colour,
                        capsize=2,
                        label=number.name if number.name not in _labels(panel) else None,
                    )
                    panel.plot([number.line] * 2, [at - 0.12, at + 0.12], color=colour, lw=1)
            ticked = systems.tick(criterion, numbers)
            mark = {True: "✓", False: "-", None: ""}[ticked]
            nats = next((f"  {n.value:+.1f} ± {n.half:.1f} nats" for n in numbers if n.name == systems.NATS), "")
            panel.text(1.01, row, mark + nats, transform=panel.get_yaxis_transform(), va="center", fontsize=10)
        panel.set_title(heading, fontsize=11)
        panel.set_ylim(len(runs) - 0.5, -0.5)
        panel.set_yticks(range(len(runs)), [f"{run}\n{costs[run]:.3f} GFLOP" for run in runs], fontsize=8)
        panel.grid(axis="x", alpha=0.3)
        panel.legend(loc="upper center", bbox_to_anchor=(0.5, -0.03), ncols=2, fontsize=8, frameon=False)
    figure.suptitle(title, fontsize=13)
    return figure


def _labels(panel) -> list[str]:
    return panel.get_legend_handles_labels()[1]
