"""Killing `dvc repro` in every way, and what may be left of it."""

from __future__ import annotations

import hashlib
import os
import shlex
import signal
import subprocess
import time
from pathlib import Path

import psutil

GRACE = 15.0  # seconds in which what is left of a killed run has to end
WAYS = {  # who gets which signal
    "kill -9, everything": ("all", signal.SIGKILL),
    "kill -9, dvc": ("dvc", signal.SIGKILL),
    "kill -9, the stage": ("stage", signal.SIGKILL),
    "SIGTERM, dvc": ("dvc", signal.SIGTERM),
    "SIGTERM, the stage": ("stage", signal.SIGTERM),
    "Ctrl-C": ("all", signal.SIGINT),
}


def start(folder: Path, log: Path, *targets: str) -> subprocess.Popen:
    """What `make repro` does once its environment is there, in a process group of its own."""
    with log.open("ab") as file:
        command = f"python -m stages.recover && exec python -m dvc repro {shlex.join(targets)}"
        return subprocess.Popen(
            ["bash", "-c", command],
            cwd=folder,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_interruptible,
            env=os.environ | {"TQDM_DISABLE": "1"},
        )


def _interruptible() -> None:
    """A shell's background job ignores Ctrl-C, and so would all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def strike(process: subprocess.Popen, whom: str, number: signal.Signals) -> None:
    """Send the signal to the whole group, to DVC, or to the stage that it runs."""
    if whom == "all":
        os.killpg(process.pid, number)
        return
    children = psutil.Process(process.pid).children()
    target = children[0].pid if whom == "stage" and children else process.pid
    os.kill(target, number)


def left_over(folder: Path) -> list[psutil.Process]:
    """Processes that work in `folder`."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def wait_for_end(folder: Path) -> list[str]:
    """Wait for what is left of a killed run; command lines of what does not end (and is ended here)."""
    deadline = time.monotonic() + GRACE
    while (left := left_over(folder)) and time.monotonic() < deadline:
        time.sleep(0.2)
    for process in left:
        process.kill()
    return [" ".join(process.cmdline()) for process in left]


def damaged_objects(folder: Path) -> list[str]:
    """Objects of DVC's cache whose content is not what their name says."""
    cache = folder / ".dvc" / "cache" / "files" / "md5"
    objects = [path for path in cache.rglob("*") if path.is_file() and len(path.name.removesuffix(".dir")) == 30]
    wrong = [path for path in objects if hashlib.md5(path.read_bytes()).hexdigest() != path.parent.name + path.stem]
    return [str(path.relative_to(folder)) for path in wrong]
