"""A stage's command in a fork of a process that has imported what stages import: it starts at once."""

import ast
import ctypes
import importlib
import os
import re
import runpy
import shutil
import signal
import sys
from contextlib import suppress
from multiprocessing import forkserver
from pathlib import Path

PACKAGES = [Path(__file__).parents[1] / name for name in ("mmvae", "stages")]
PLAIN = re.compile(r"[\w\s./@:,=+-]+")  # a command that needs no shell
LIBC, PR_SET_PDEATHSIG = ctypes.CDLL(None), 1  # prctl.h; loaded here, not between a fork and its program


def of_this_project() -> bool:
    """Are there stages here that are modules of `stages`?"""
    pipeline = Path("dvc.yaml")
    return pipeline.exists() and "python -m stages." in pipeline.read_text(encoding="utf-8")


def names() -> dict[str, set[str]]:
    """The modules of other packages that mmvae and stages import -> what they import from them by name."""
    found, own = {}, {folder.name for folder in PACKAGES}
    for path in (path for folder in PACKAGES for path in folder.rglob("*.py")):
        with suppress(SyntaxError):  # of which a stage will tell
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    found |= {alias.name: found.get(alias.name, set()) for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    found.setdefault(node.module, set()).update(alias.name for alias in node.names)
    return {module: found[module] for module in sorted(found) if module.partition(".")[0] not in own}


def load() -> None:
    """Import all of them, by name, too: some packages load what a name stands for when it is asked for."""
    for module, asked in names().items():
        with suppress(ImportError):  # of which a stage will tell, too
            loaded = importlib.import_module(module)
            for name in sorted(asked):
                getattr(loaded, name, None)


def run(command: str, shell: list[str], folder: str, log: str, environment: dict[str, str]) -> None:
    """Be the command, in a process group of its own, until it exits. What it prints goes to `log`.

    shell: what runs the command where it is not `python -m ...`.
    """
    os.setpgid(0, 0)
    end_with_parent()
    os.close(forkserver._forkserver._forkserver_alive_fd)  # or the server would outlive the leader as long as this does
    forkserver._forkserver._forkserver_alive_fd = None
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.stdout.reconfigure(line_buffering=True)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    sys.path.insert(0, folder)  # as with `python -m`
    os.environ.update(environment)
    words = command.split()
    if PLAIN.fullmatch(command) and words[1:2] == ["-m"] and len(words) > 2 and is_this_python(words[0]):
        sys.argv = words[2:]
        runpy.run_module(words[2], run_name="__main__", alter_sys=True)
    else:
        os.execvp(shell[0], shell)


def end_with_parent() -> None:
    """Have the system kill this process when the one that it was forked from ends, where the system can."""
    if sys.platform == "linux":
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def is_this_python(word: str) -> bool:
    """Python of the same environment: the links in it may all lead to one file."""
    found = shutil.which(word)
    return found is not None and Path(found).parent == Path(sys.executable).parent
