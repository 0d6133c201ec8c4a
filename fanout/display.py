"""What a user sees: in a terminal the stages that run with their own progress bars, elsewhere one line a stage."""

import logging
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

TAIL = 4096  # bytes of a log in which its last words are looked for
LAST_LINES = 10  # of the log of a stage that failed
NAMED = 6  # of the stages that are not run
REFRESH = 4  # times a second


def span(seconds: float) -> str:
    """A length of time for people."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def last_lines(log: Path, count: int) -> list[str]:
    """The last lines of a log. A progress bar writes its line again and again; only the last writing counts."""
    if not log.exists():
        return []
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL))
        text = file.read().decode(errors="replace")
    written = (line.rstrip("\r").rpartition("\r")[2].strip() for line in text.split("\n"))
    return [line for line in written if line][-count:]


@dataclass
class Lines:
    """One line for each stage that ends."""

    total: int = 0
    estimate: Callable[[], str] = str  # how long it will take from now on, in words
    console: Console = field(default_factory=lambda: Console(highlight=False, soft_wrap=True))
    running: dict[str, tuple[float, Path]] = field(default_factory=dict)  # stage -> since when, its log
    counts: Counter = field(default_factory=Counter)
    failures: dict[str, tuple[str, Path | None]] = field(default_factory=dict)  # stage -> what went wrong, its log

    def __enter__(self) -> "Lines":
        self.since = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def say(self, text: str, style: str = "") -> None:
        """A line that stays."""
        self.console.print(Text(text, style))

    def begin(self, total: int, slots: int, estimate: Callable[[], str]) -> None:
        """The stages are known."""
        self.total, self.estimate = total, estimate
        self.say(f"{total} stages, {slots} at once")

    def started(self, name: str, log: Path) -> None:
        """A stage's command runs."""
        self.running[name] = (time.monotonic(), log)

    def ended(self, name: str, how: str, seconds: float | None = None, note: str = "") -> None:
        """A stage is done, and how: it ran, was restored, or is unchanged."""
        self.running.pop(name, None)
        self.counts[how] += 1
        self.line(name, (how if seconds is None else f"{how}, {span(seconds)}") + note)

    def failed(self, name: str, error: str, log: Path) -> None:
        """A stage has failed; the others go on."""
        started = self.running.pop(name, None)
        self.counts["failed"] += 1
        shown = log.relative_to(Path.cwd()) if log.is_relative_to(Path.cwd()) else log
        self.failures[name] = (error, shown if started else None)  # or the log is an earlier run's
        self.line(name, f"failed: {error}", "bold red")

    def line(self, name: str, text: str, style: str = "") -> None:
        """One stage's line."""
        width = len(str(self.total))
        self.say(f"[{self.counts.total():{width}}/{self.total}] {name}: {text}", style)

    def end(self, skipped: list[str]) -> None:
        """All that could run has run."""
        for name, (error, log) in self.failures.items():
            self.say(f"\n{name} failed: {error}", "bold red")
            if log and log.exists():
                for line in last_lines(log, LAST_LINES):
                    self.say(f"    {line}")
                self.say(f"  all that it printed: {log}")
        if skipped:
            more = f" and {len(skipped) - NAMED} more" if len(skipped) > NAMED else ""
            self.say(f"\nnot run, since they need what failed: {', '.join(skipped[:NAMED])}{more}", "yellow")
        counted = ", ".join(f"{count} {how}" for how, count in self.counts.items())
        self.say(f"{self.total} stages: {counted or 'nothing to do'}; {span(time.monotonic() - self.since)}")
        if self.failures:
            self.say("The same command goes on with what is left, once the cause is removed.")


@dataclass
class Screen(Lines):
    """Besides, what runs now, at the end of the terminal. Stages that are unchanged have no line."""

    def __enter__(self) -> "Screen":
        super().__enter__()
        self.live = Live(get_renderable=self.picture, console=self.console, refresh_per_second=REFRESH, transient=True)
        self.live.__enter__()
        self._handlers = [
            handler for handler in logging.getLogger("dvc").handlers if getattr(handler, "stream", 0) is sys.__stderr__
        ]
        for handler in self._handlers:
            handler.setStream(sys.stderr)  # which is the picture's now
        return self

    def __exit__(self, *error: object) -> None:
        for handler in self._handlers:
            handler.setStream(sys.__stderr__)
        self.live.__exit__(*error)

    def line(self, name: str, text: str, style: str = "") -> None:
        """One stage's line, if anything was done for it."""
        if text != "unchanged":
            super().line(name, text, style)

    def picture(self) -> Group:
        """The stages that run, and how far all is."""
        table = Table.grid(padding=(0, 2))
        for name, (since, log) in list(self.running.items()):
            words = last_lines(log, 1)
            table.add_row(Text(name, "bold", no_wrap=True), span(time.monotonic() - since), Text(*words, no_wrap=True))
        done, now = self.counts.total(), len(self.running)
        if not self.total:
            return Group()
        state = f"{done} of {self.total} stages done, {now} running, {self.total - done - now} to do"
        return Group(table, Text(f"{state}{self.estimate()}", "cyan"))


def display() -> Lines:
    """What suits the place that is written to."""
    return Screen() if sys.stdout.isatty() else Lines()
