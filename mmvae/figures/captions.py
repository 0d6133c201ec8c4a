"""Pictures with their captions (Figures 6, 7 and 10 to 14): what was given and what the model made of it.

Pictures are (C, H, W) in [0, 1]; a caption is one string of words. Lengths are in inches. The letters of captions are
equally wide, so that their number says where a line ends and where a word stands.
"""

import re
import textwrap
from dataclasses import dataclass
from difflib import SequenceMatcher
from math import ceil

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mmvae.figures.grids import DPI, default_style, mosaic

COLUMN = 3.68  # holds two pictures, or one and its captions
PICTURE, FRAME, GAP = 1.28, 0.03, 0.12  # two dots for each of 64 pixels
STEP = PICTURE + GAP
LETTER, LINE = 0.07, 0.16  # of captions: at 8.5 points letters are seven dots wide
HEADING, TITLE = 0.28, 0.26  # a line of each
WORDS = {"family": "monospace", "fontsize": 8.5}
GIVEN, MADE, DIFFERENT = "black", "tab:blue", "tab:red"


@dataclass(frozen=True)
class Picture:
    """pixels: square, (C, H, W) in [0, 1]; C is 1 or 3. `given`: data or input of the model, not its output."""

    pixels: np.ndarray
    given: bool


@dataclass(frozen=True)
class Caption:
    """Words separated by spaces; what follows `<eos>` is not shown. `given` as for a picture."""

    words: str
    given: bool

    def shown(self) -> str:
        return self.words.split("<eos>")[0].strip() or "(no words)"


@dataclass(frozen=True)
class Cell:
    """Pictures, two beside each other, with captions below them; those of a single picture stand at its right.

    Two captions alone are compared: the words that only one of them has are marked.
    """

    pictures: tuple[Picture, ...] = ()
    captions: tuple[Caption, ...] = ()


@default_style
def captioned(panels: list[tuple[str, list[Cell]]], title: str, columns: int, made: str = "generated") -> Figure:
    """Titled panels of cells, one panel below another, `columns` cells side by side.

    `made` says in the legend what blue stands for, where "generated" would claim too much (photos looked up, say).
    """
    width = columns * COLUMN
    figure = Figure(dpi=DPI)
    axes = figure.add_axes((0, 0, 1, 1))  # its units are inches from the top left corner
    axes.set_axis_off()
    y = _write(axes, 0, 0, textwrap.wrap(title, int(width / 0.11)), TITLE, fontsize=12.5)
    if not all(thing.given for _, cells in panels for cell in cells for thing in cell.pictures + cell.captions):
        _write(axes, 0, y, ["black, no frame: given"], LINE, color=GIVEN, fontsize=9)
        y = _write(axes, 2, y, [f"blue, framed: {made}"], LINE, color=MADE, fontsize=9)
    for name, cells in panels:
        y = _write(axes, 0, y + GAP, textwrap.wrap(name, int(width / 0.095)), HEADING, fontsize=10, weight="bold")
        for first in range(0, len(cells), columns):
            row = cells[first : first + columns]
            y = max(_draw(axes, cell, column * COLUMN, y) for column, cell in enumerate(row))
    figure.set_size_inches(width, round(y, 2))
    axes.set(xlim=(-FRAME, width - FRAME), ylim=(y - FRAME, -FRAME))
    return figure


def _write(axes: Axes, x: float, y: float, lines: list[str], step: float, **style) -> float:
    """Write lines, one below another, and return where the next one would begin."""
    for i, line in enumerate(lines):
        axes.text(x, y + (i + 0.75) * step, line, parse_math=False, **style)
    return y + len(lines) * step


def _draw(axes: Axes, cell: Cell, x: float, y: float) -> float:
    """Draw a cell at its top left corner and return where the next one below would begin."""
    for i, picture in enumerate(cell.pictures):
        left, top = x + i % 2 * STEP, y + i // 2 * STEP
        if not picture.given:
            side = PICTURE + 2 * FRAME
            axes.add_patch(Rectangle((left - FRAME, top - FRAME), side, side, color=MADE, lw=0, antialiased=False))
        extent = (left, left + PICTURE, top + PICTURE, top)
        axes.imshow(mosaic(picture.pixels[None, None]), extent=extent, aspect="auto", interpolation="nearest", zorder=2)
    below = y + ceil(len(cell.pictures) / 2) * STEP
    left, top = (x + STEP, y) if len(cell.pictures) == 1 else (x, below)
    letters = int((x + COLUMN - GAP - left) / LETTER)
    for caption, different in zip(cell.captions, _differences(cell), strict=True):
        lines = textwrap.wrap(caption.shown(), letters, break_long_words=False, break_on_hyphens=False)
        _write(axes, left, top, _only(lines, different, True), LINE, color=DIFFERENT, weight="bold", **WORDS)
        colour = GIVEN if caption.given else MADE
        top = _write(axes, left, top, _only(lines, different, False), LINE, color=colour, **WORDS) + GAP / 2
    return max(below, top + GAP / 2)


def _differences(cell: Cell) -> list[list[bool]]:
    """For each word of each caption, whether it is marked."""
    texts = [caption.shown().split() for caption in cell.captions]
    marks = [[False] * len(words) for words in texts]
    if len(texts) == 2 and not cell.pictures:
        for kind, *ends in SequenceMatcher(None, *texts, autojunk=False).get_opcodes():
            for mark, start, end in zip(marks, ends[::2], ends[1::2], strict=True):
                mark[start:end] = [kind != "equal"] * (end - start)
    return marks


def _only(lines: list[str], marks: list[bool], mark: bool) -> list[str]:
    """The lines with spaces in the place of all words but those that have this mark."""
    each = iter(marks)
    return [re.sub(r"\S+", lambda word: word[0] if next(each) == mark else " " * len(word[0]), line) for line in lines]
