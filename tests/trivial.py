"""Pipelines of trivial stages: a source, `many` that need it, one more for each of these, and a last that needs all."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import yaml
from conftest import ROOT
from tiny import call

# Each run of a command leaves a line in `ran`, which is no output.
NOTE = "echo {} >> ran && "
LAST = """printf '{"sum": %d, "value": %d}' $(cat second_*.txt | wc -l) $(cat second_0.txt) > last.json"""
CONFIG = "[core]\n    analytics = false\n    autostage = true\n    check_update = false\n"
FANOUT = (sys.executable, "-m", "fanout")


def stages(many: int, seconds: float = 0.0) -> dict:
    """The stages of dvc.yaml. `value` of params.yaml goes through all. A file `failing` names a `first` that fails."""
    matrix = {"i": list(range(many))}
    work = f"sleep {seconds} && " if seconds else ""
    return {
        "last": {
            "cmd": NOTE.format("last") + LAST,
            "deps": [f"second_{i}.txt" for i in range(many)],
            "metrics": [{"last.json": {"cache": False}}],
        },
        "second": {
            "matrix": matrix,
            "cmd": NOTE.format("second@${item.i}") + work + "cat first_${item.i}.txt > second_${item.i}.txt",
            "deps": ["first_${item.i}.txt"],
            "outs": ["second_${item.i}.txt"],
        },
        "first": {
            "matrix": matrix,
            "cmd": NOTE.format("first@${item.i}") + work + 'test ${item.i} != "$(cat failing 2>&1)" && '
            "cat source.txt > first_${item.i}.txt",
            "deps": ["source.txt"],
            "outs": ["first_${item.i}.txt"],
        },
        "source": {
            "cmd": NOTE.format("source") + "echo ${value} > source.txt",
            "params": ["value"],
            "outs": [{"source.txt": {"persist": True}}],
        },
    }


def write_trivial(folder: Path, many: int, seconds: float = 0.0) -> Path:
    """Such a pipeline in a repository of its own, committed."""
    folder.mkdir(parents=True)
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages(many, seconds)}, sort_keys=False))
    (folder / "params.yaml").write_text("value: 1\n")
    (folder / ".dvc").mkdir()
    (folder / ".dvc/config").write_text(CONFIG)
    (folder / ".gitignore").write_text("/ran\n/failing\n")
    call(folder, "git", "init", "-q", "-b", "main")
    call(folder, "git", "add", "-A")
    call(folder, "git", "commit", "-qm", "start")
    return folder


def fanout(folder: Path, *arguments: str, fails: bool = False) -> str:
    """What `python -m fanout` printed."""
    return call(folder, *FANOUT, *arguments, fails=fails, PYTHONPATH=str(ROOT))


def ran(folder: Path) -> list[str]:
    """The stages that ran, in the order in which they began, since this was last asked."""
    path = folder / "ran"
    names = path.read_text().split() if path.exists() else []
    path.unlink(missing_ok=True)
    return names


def state(folder: Path) -> dict[str, bytes]:
    """Every file of the workspace but git's and DVC's own."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "ran")
    kept = (path.relative_to(folder) for path in files if not {".git", ".dvc"} & set(path.relative_to(folder).parts))
    return {str(path): (folder / path).read_bytes() for path in kept}


PATIENCE = 120.0  # seconds


def wait_for(condition: Callable[[], object], what: str) -> object:
    """The first true value of a condition."""
    end = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < end, f"{what}: not within {PATIENCE:.0f} seconds"
        time.sleep(0.1)
    return value
