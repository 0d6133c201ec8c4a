"""What the runs of a study say to its questions."""

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mmvae.figures.curves import look
from mmvae.figures.grids import default_style
from mmvae.questions import Question
from mmvae.tables import RATES

MEASURES = {  # name -> pattern of metrics, whose mean is shown; line style
    "across, mean over directions": (RATES + r"cross\.\w+", "-"),
    "joint": (RATES + "joint", "--"),
}
COLUMNS = 4


@default_style
def answers(questions: list[Question], every: pd.DataFrame, title: str) -> Figure:
    """A panel of coherence for each question: a dot for each seed, a line through their means.

    every: the long table.
    """
    rows = math.ceil(len(questions) / COLUMNS)
    figure = Figure(figsize=(17, 0.6 + 4.2 * rows), layout="constrained")
    panels = figure.subplots(rows, COLUMNS, squeeze=False, sharey=True)
    for panel, question in zip(panels.flat, questions, strict=False):
        for pattern, style in MEASURES.values():
            found = every[every["metric"].str.fullmatch(pattern)]
            _draw(panel, question, found.groupby(["run", "seed"])["value"].mean(), style)
        panel.set_title(question.title, fontsize=11)
        panel.set_xlabel(question.axis, fontsize=9)
        panel.grid(alpha=0.3)
        if len(question.lines) > 1:
            panel.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, fontsize=8, frameon=False)
    for panel in panels.flat[len(questions) :]:
        panel.set_visible(False)
    for row in panels:
        row[0].set_ylabel("coherence, %")
    handles = [Line2D([], [], color="0.3", ls=style) for _, style in MEASURES.values()]
    figure.legend(handles, list(MEASURES), loc="outside upper right", ncols=len(handles), fontsize=9, frameon=False)
    figure.suptitle(title, fontsize=13)
    return figure


def _draw(panel: Axes, question: Question, values: pd.Series, style: str) -> None:
    """values: by run and seed."""
    ticks = list(dict.fromkeys(value for runs in question.lines.values() for value in runs))
    for i, (line, runs) in enumerate(question.lines.items()):
        at = [ticks.index(value) for value in runs]
        seeds = [100 * values[run] for run in runs.values()]
        colour = look(i)["color"]
        label = line if style == "-" else None
        panel.plot(at, [of_run.mean() for of_run in seeds], color=colour, ls=style, label=label)
        for place, of_run in zip(at, seeds, strict=True):
            panel.plot([place] * len(of_run), of_run, "o", ms=3, color=colour)
    panel.set_xticks(range(len(ticks)), ticks, fontsize=8)
