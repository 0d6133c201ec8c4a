"""Changes to the bytes of a file that hypothesis makes up, and what may come of reading it."""

import signal
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from mmvae.files import FileError

SECONDS = 20  # that one reading may take: a thousand times what it does
KINDS = {  # what becomes of the bytes from one place on, and of those behind them
    "flip": lambda part, value, rest: bytes(byte ^ value for byte in part) + rest,
    "zero": lambda part, value, rest: bytes(len(part)) + rest,
    "delete": lambda part, value, rest: rest,
    "duplicate": lambda part, value, rest: part + part + rest,
    "insert": lambda part, value, rest: bytes([value]) * len(part) + part + rest,
    "truncate": lambda part, value, rest: b"",
}
_edit = st.tuples(
    st.sampled_from(list(KINDS)),
    st.integers(0, 2**20) | st.integers(-64, 64),  # where, counted from the beginning or the end
    st.just(1) | st.integers(1, 64),  # how many
    st.sampled_from([1, 1, 512]),  # bytes, or blocks of tar
    st.integers(1, 255),
)
EDITS = st.lists(_edit, min_size=1, max_size=3)


class Hang(BaseException):
    """Reading took too long. Nothing that catches exceptions catches it."""


def examples(count: int) -> settings:
    """That many examples, the same ones each time."""
    return settings(
        max_examples=count,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )


def mutated(content: bytes, edits: list[tuple]) -> bytes:
    """The content after all edits, one after the other."""
    for kind, place, count, unit, value in edits:
        start = place % (len(content) // unit + 1) * unit
        end = start + count * unit
        content = content[:start] + KINDS[kind](content[start:end], value, content[end:])
    return content


@contextmanager
def time_limit(seconds: float = SECONDS):
    """Raise Hang in the block when it takes longer."""

    def stop(*_):
        raise Hang(f"more than {seconds} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def content_or_refusal(read: Callable[[], dict], path: Path) -> dict | None:
    """What `read` returns, or None where it refuses in one line that names the file. Anything else is a failure."""
    try:
        with time_limit():
            return read()
    except FileError as error:
        assert str(path) in str(error)
        assert "\n" not in str(error)
        return None
