"""Numbers with their standard errors, and nested dictionaries of them as the rows of a table."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd


class Measured(NamedTuple):
    """A value and its standard error over test items; None where there is none."""

    value: float
    standard_error: float | None = None


def mean(values: np.ndarray) -> Measured:
    """Of two or more values."""
    return Measured(float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))))


def share(hits: np.ndarray) -> Measured:
    """How many of the hits (n,) bool are true, with the binomial standard error; of none, 0."""
    p = float(hits.mean()) if len(hits) else 0.0
    return Measured(p, float(np.sqrt(p * (1 - p) / max(len(hits), 1))))


def ratio(hits: np.ndarray, counted: np.ndarray) -> Measured:
    """The sum of hits over the sum of counted, (n,) each, of n independent items; of nothing counted, 0.

    The standard error by linearisation (Cochran 1977, Sampling Techniques, chapter 6).
    """
    total, n = float(counted.sum()), len(counted)
    if not total:
        return Measured(0.0, 0.0)
    value = float(hits.sum()) / total
    return Measured(value, float(np.sqrt(((hits - value * counted) ** 2).sum() * n / max(n - 1, 1))) / total)


def table(nested: dict) -> pd.DataFrame:
    """`metric` (keys joined by dots), `value` and `standard_error` of every number in nested dictionaries."""
    return pd.DataFrame(_rows(nested, ()), columns=["metric", "value", "standard_error"])


def _rows(nested: dict, at: tuple[str, ...]) -> Iterator[tuple]:
    for key, value in nested.items():
        if isinstance(value, dict):
            yield from _rows(value, (*at, key))
        else:
            yield ".".join((*at, key)), *(value if isinstance(value, Measured) else Measured(float(value)))
