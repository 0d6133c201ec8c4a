"""One thin module for each stage of dvc.yaml: read parameters, load inputs, call mmvae, write outputs.

What a user's shell, notebook or settings say reaches no stage: the same bytes come out everywhere.
"""

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from mmvae import params, registry

if os.environ.pop("PYTHONSAFEPATH", None):  # under it the installed project would run, not the copy in this folder
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
os.environ |= {"MPLBACKEND": "agg", "MATPLOTLIBRC": os.devnull}
SHELLS = ("bash", "csh", "dash", "fish", "ksh", "sh", "tcsh", "zsh")  # some stay between DVC and a stage
WATCH_EVERY = 0.5  # seconds


def use_threads(number: int) -> None:
    """Fix the number of threads of every library before it is loaded: the number changes how sums are rounded."""
    for library in ("OMP", "MKL", "OPENBLAS"):
        os.environ[f"{library}_NUM_THREADS"] = str(number)
    os.environ["OMP_WAIT_POLICY"] = "passive"  # a thread that waits leaves its core to others


def _dvc():
    """The process that started this one, or the shell around this one."""
    import psutil  # here: outside DVC a stage does without it

    return next(parent for parent in psutil.Process().parents() if parent.name() not in SHELLS)


with suppress(params.ParamsError, LookupError, TypeError):  # of which the stage tells
    use_threads(params.load()["threads"])
DVC = _dvc() if "DVC_ROOT" in os.environ else None  # found before the long imports: it may be gone when they are done


def arguments(*names: str) -> argparse.Namespace:
    """The stage's matrix values, each a required option."""
    parser = argparse.ArgumentParser()
    for name in names:
        choices = registry.names("datasets") if name == "set" else None
        parser.add_argument(f"--{name}", required=True, type=int if name == "seed" else str, choices=choices)
    return parser.parse_args()


def run(main: Callable[[], None]) -> None:
    """Run a stage. The project's own errors, and signals that stop it, end it in one line.

    A stage that DVC started ends when DVC ends. Otherwise it would go on and write beside the next one.
    """
    stopped: list[int] = []

    def stop(number: int, _: object) -> None:
        stopped.append(number)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:  # as in a shell's background jobs
            signal.signal(number, stop)
    if DVC:
        threading.Thread(target=_end_with_dvc, daemon=True).start()
    try:
        main()
    except BaseException as error:
        if stopped or isinstance(error, KeyboardInterrupt):  # also where a library in C has made another error of it
            sys.exit("Interrupted. The same command goes on, or starts the stage again.")
        if isinstance(error, ValueError | RuntimeError | OSError) and type(error).__module__.startswith("mmvae"):
            sys.exit(f"{type(error).__name__}: {error}")
        raise
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)  # all is written; Python's own end is not to be interrupted in Python


def _end_with_dvc() -> None:
    import psutil

    with suppress(psutil.NoSuchProcess):  # when it ends between the two questions
        while DVC.is_running() and DVC.status() != "zombie":
            time.sleep(WATCH_EVERY)
    print("DVC is gone; the stage ends with it.", file=sys.stderr, flush=True)
    os._exit(1)
