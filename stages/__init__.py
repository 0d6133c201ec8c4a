"""One thin module for each stage of dvc.yaml: read parameters, load inputs, call mmvae, write outputs."""

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Callable

from mmvae import registry

PARENT = os.getppid()  # read before the long imports: it may be gone when they are done
WATCH_EVERY = 0.5  # seconds


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
    signal.signal(signal.SIGTERM, _terminated)
    if "DVC_ROOT" in os.environ:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("Interrupted. The same command goes on, or starts the stage again.")
    except (ValueError, RuntimeError, OSError) as error:
        if not type(error).__module__.startswith("mmvae"):
            raise
        sys.exit(f"{type(error).__name__}: {error}")
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)  # all is written; Python's own end is not to be interrupted in Python


def _terminated(*_: object) -> None:
    raise KeyboardInterrupt


def _end_with_parent() -> None:
    while os.getppid() == PARENT:
        time.sleep(WATCH_EVERY)
    print("DVC is gone; the stage ends with it.", file=sys.stderr, flush=True)
    os._exit(1)
