"""Changes inside DVC, and of what a signal does, for a time."""

import logging
import signal
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


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Signals that would end the process are ignored, so that what must be written is."""
    before = {
        number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def message(error: BaseException | None) -> str:
    """What an error says, and what those say that caused it."""
    told = []
    while error is not None:
        told.append(" ".join(str(error).split()) or type(error).__name__)
        error = error.__cause__
    return ": ".join(told)
