"""Figure 2, measured: every system against every criterion."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmvae import systems
from mmvae.figures.curves import COLOURS
from mmvae.figures.grids import default_style
from mmvae.systems import Cells, Number

TITLES = {
    systems.FACTORISATION: "(a) latent factorisation: transfer, %\nat the right: brightness from latents, R²",
    systems.JOINT: "(b) joint generation: agreement, %\nat the right: entropy of the digits drawn, nats",
    systems.CROSS: "(c) cross generation: right digit, %",
    systems.SYNERGY: "(d) synergy: both given, not one, points\nat the right: gain in log-likelihood",
}
WHY_NOT = {  # a cell is empty
    systems.FACTORISATION: "no shared latents",
    systems.JOINT: "draws no pairs",
    systems.CROSS: "generates nothing",
    systems.SYNERGY: "never sees both",
}
SPREAD = 0.5  # of a row's height, over which its numbers lie


@default_style
def figure2(report: dict[str, Cells], costs: dict[str, float], marked: dict[str, str], title: str) -> Figure:
    """A row for each system and a panel for each criterion.

    Shares are dots, one for each seed, with a seed's 95 % interval around their mean and a short bar at the line that
    they are compared with. Other numbers stand at the right, in grey below their line, after the tick.

    costs: run -> 1e9 operations a pair in training. marked: run -> what stands after its name.
    """
    rows = list(report)
    figure = Figure(figsize=(20, 1.8 + 0.4 * len(rows)), layout="constrained")
    for panel, criterion in zip(figure.subplots(1, len(TITLES), sharey=True), TITLES, strict=True):
        names = list(dict.fromkeys(n.name for cells in report.values() for n in cells[criterion] if n.share))
        for row, run in enumerate(rows):
            numbers = report[run][criterion]
            for number in numbers:
                if number.share:
                    i = names.index(number.name)
                    _draw(panel, number, row + SPREAD * ((i + 0.5) / len(names) - 0.5), COLOURS[i % 10])
            _say(panel, row, numbers, WHY_NOT[criterion])
        for i, name in enumerate(names):
            panel.plot([], [], "o", color=COLOURS[i % 10], label=name)
        panel.set_title(TITLES[criterion], fontsize=11)
        panel.set_ylim(len(rows) - 0.5, -0.5)
        panel.set_yticks(range(len(rows)), [f"{run}{marked[run]}, {costs[run]:.2f} GFLOP" for run in rows], fontsize=9)
        panel.grid(axis="x", alpha=0.3)
        panel.legend(loc="upper center", bbox_to_anchor=(0.5, 0), borderaxespad=3, ncols=2, fontsize=8, frameon=False)
    figure.suptitle(title, fontsize=13)
    return figure


def _draw(panel: Axes, number: Number, at: float, colour: tuple) -> None:
    panel.plot([100 * seed for seed in number.seeds], [at] * len(number.seeds), "o", ms=3, color=colour, alpha=0.5)
    panel.errorbar(100 * number.value, at, xerr=100 * number.half, fmt="none", color=colour, capsize=2)
    panel.plot([100 * number.line] * 2, [at - 0.1, at + 0.1], color=colour, lw=1.5)


def _say(panel: Axes, row: int, numbers: list[Number], why_not: str) -> None:
    """The tick and what is no share, beside a row; or why there is nothing."""
    place = {"transform": panel.get_yaxis_transform(), "va": "center", "fontsize": 9}
    panel.text(1.01, row, {True: "✓", False: "-", None: why_not}[systems.tick(numbers)], **place)
    for i, number in enumerate(n for n in numbers if not n.share):
        text, width = (f"{number.value:+.1f} nats", 0.28) if number.in_nats else (f"{number.value:.2f}", 0.14)
        panel.text(1.07 + width * i, row, text, color="black" if number.above else "0.6", **place)
