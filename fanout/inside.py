"""Changes inside DVC for the time of a run."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from dvc.logger import set_loggers_level


@contextmanager
def replaced(place: object, name: str, value: object) -> Iterator[None]:
    """Another value for an attribute of a class or module."""
    before = getattr(place, name)
    setattr(place, name, value)
    try:
        yield
    finally:
        setattr(place, name, before)


@contextmanager
def quiet() -> Iterator[None]:
    """DVC's warnings alone, without its own progress bars."""
    bars = logging.getLogger("dvc.progress")
    with set_loggers_level(logging.WARNING):
        bars.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            bars.setLevel(logging.NOTSET)


def message(error: BaseException | None) -> str:
    """What an error says, and what those say that caused it."""
    told = []
    while error is not None:
        told.append(" ".join(str(error).split()) or type(error).__name__)
        error = error.__cause__
    return ": ".join(told)
