"""Write results.md from page.md and the numbers beside it: `python -m studies.estimators.page`.

page.md is a Jinja template. It looks up every number, `{{ runs.iwae(joint) | share }}`, and types none. It states a
difference inside a claim:

    {% call claim(apart(loose(joint), tight(joint))) %}
    Jointly the loose bound is ahead.
    {% endcall %}

When the condition stops being true, the page is not written, and the error quotes the sentence.
"""

import json
import math
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Self

import jinja2
import pandas as pd
from scipy import stats

from studies.estimators import ESTIMATORS, GROUPS, MODALITIES

FOLDER = Path(__file__).parent
NORMAL_95 = float(stats.norm.ppf(0.975))
JACKKNIFE_95 = float(stats.t.ppf(0.975, GROUPS - 1))


class PageError(ValueError):
    """The page states something that the numbers do not say."""


class Value(float):
    """A measured number with its standard error, None where it has none."""

    def __new__(cls, value: float, error: float | None = None) -> Self:
        number = super().__new__(cls, value)
        number.error = error
        return number


class Run:
    """The numbers of one run. pairs: training pairs at its end."""

    def __init__(self, name: str, rows: pd.DataFrame):
        self.name, self.seeds, self.pairs = name, sorted(set(rows["seed"])), int(rows["pairs"].max())
        errors = rows["standard_error"].astype(object).where(rows["standard_error"].notna(), None)
        keys = zip(rows["metric"], rows["pairs"], rows["seed"], strict=True)
        self.values = dict(zip(keys, map(Value, rows["value"], errors), strict=True))

    def __call__(self, metric: str, pairs: int | None = None, seed: int | None = None) -> Value:
        """A metric after so many training pairs, by default at the end, of one seed, by default the first.

        Raises:
            PageError: it was not measured there.
        """
        key = metric, self.pairs if pairs is None else pairs, self.seeds[0] if seed is None else seed
        if key not in self.values:
            raise PageError(f"measured.csv has no {metric!r} of run {self.name!r}, seed {key[2]}, after {key[1]} pairs")
        return self.values[key]

    def over_seeds(self, metric: str) -> list[Value]:
        return [self(metric, seed=seed) for seed in self.seeds]

    def points(self, metric: str, start: int = 0) -> list[int]:
        """The numbers of pairs, from `start` on, after which a metric was measured."""
        return sorted({pairs for key, pairs, _ in self.values if key == metric and pairs >= start})

    def series(self, metric: str) -> list[Value]:
        """A metric along the training."""
        return [self(metric, pairs) for pairs in self.points(metric)]

    def match(self, pattern: str) -> list[Value]:
        """The values of every metric of a pattern, after any number of pairs, of any seed."""
        return [value for (metric, _, _), value in self.values.items() if fnmatchcase(metric, pattern)]


def each(runs: Iterable[Run], metric: str, pairs: int | None = None) -> list[Value]:
    """One metric of several runs."""
    return [run(metric, pairs) for run in runs]


def _half_width(a: float, b: float) -> float:
    """Of the 95 % interval of a difference of independent numbers; one without a standard error counts as exact."""
    return NORMAL_95 * math.hypot(*(getattr(value, "error", None) or 0.0 for value in (a, b)))


def apart(a: float, b: float) -> bool:
    """Whether a exceeds b by more than the 95 % interval of their difference."""
    return a - b > _half_width(a, b)


def level(a: float, b: float) -> bool:
    """Whether the 95 % interval of the difference of a and b contains zero."""
    return abs(a - b) <= _half_width(a, b)


def leads(run: Run, others: list[Run], metric: str, start: int) -> bool:
    """Whether a run is ahead of the others at every point from `start` pairs on."""
    return all(apart(run(metric, pairs), max(each(others, metric, pairs))) for pairs in run.points(metric, start))


def ratios(values: list[Value], others: list[Value]) -> list[float]:
    return [value / other for value, other in zip(values, others, strict=True)]


def claim(*conditions: bool, caller: Callable[[], str]) -> str:
    """The sentence of a call block.

    Raises:
        PageError: a condition is false; quotes the sentence and says which condition.
    """
    text = caller()
    if false := [str(number) for number, holds in enumerate(conditions, 1) if not holds]:
        raise PageError(f"page.md claims what is not true any more (condition {', '.join(false)}): {text.strip()}")
    return text


def share(value: float) -> str:
    return f"{100 * value:z.1f}"


def interval(value: Value, factor: float = NORMAL_95) -> str:
    """Percent, +- half of a 95 % interval."""
    return f"{share(value)} ± {100 * factor * value.error:.1f}"


def nats(value: Value) -> str:
    return f"{value:z.1f} ± {NORMAL_95 * value.error:.1f}"


def short(value: float) -> str:
    """Two significant digits."""
    return f"{float(f'{value:.2g}'):,.0f}" if value >= 10 else f"{value:.2g}"


def span(values: list[float]) -> str:
    """The smallest and the largest."""
    return " to ".join(dict.fromkeys(map(short, (min(values), max(values)))))


FUNCTIONS = (each, apart, level, leads, ratios, claim, zip)
FILTERS = {
    "share": share,
    "interval": interval,
    "jackknife": lambda value: interval(value, JACKKNIFE_95),
    "nats": nats,
    "short": short,
    "span": span,
    "count": lambda value: f"{value:,.0f}",
    "digits": lambda value, number: f"{value:.{number}f}",
}

TESTS = {  # of gradient statistics
    "uncertain": lambda value: value.error > 0,  # those of the reference itself are zero
    "resolved": lambda value: abs(value) > JACKKNIFE_95 * value.error,
}


def read_numbers(folder: Path = FOLDER) -> tuple[dict[str, Run], dict, dict]:
    """The runs by name, where they come from, and the paper's numbers."""
    rows = pd.read_csv(folder / "measured.csv").groupby("run", sort=False)
    origins, paper = (
        json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in ("origins", "paper")
    )
    return {name: Run(name, of_run) for name, of_run in rows}, origins, paper


def render(template: str, folder: Path = FOLDER) -> str:
    """The page of a template, with the numbers that lie in `folder`.

    Raises:
        PageError: a claim is false, or a number is not there.
        jinja2.UndefinedError: a name is not there.
    """
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters |= FILTERS
    environment.tests |= TESTS
    environment.globals |= {function.__name__: function for function in FUNCTIONS}
    environment.globals |= dict(zip(("runs", "origins", "paper"), read_numbers(folder), strict=True))
    return environment.from_string(template).render(ESTIMATORS=ESTIMATORS, MODALITIES=MODALITIES)


def main() -> None:
    page = render((FOLDER / "page.md").read_text(encoding="utf-8"))
    (FOLDER / "results.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
