"""One thin module for each stage of dvc.yaml: read parameters, load inputs, call mmvae, write outputs."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Callable

from mmvae.config import BOUNDS, CAPTION_SETS, CAPTIONS, DIGIT_SETS, IMAGE_KINDS, POSTERIORS

PARENT = os.getppid()  # read before the long imports: it may be gone when they are done
WATCH_EVERY = 0.5  # seconds
CHOICES = {"set": (*DIGIT_SETS, *CAPTION_SETS), "bound": BOUNDS, "posterior": POSTERIORS}


def arguments(*names: str, **optional: str | None) -> argparse.Namespace:
    """The stage's matrix values, each a required option, and optional ones with their defaults."""
    parser = argparse.ArgumentParser()
    for name in names:
        parser.add_argument(f"--{name}", required=True, type=int if name == "seed" else str, choices=CHOICES.get(name))
    for name, default in optional.items():
        parser.add_argument(f"--{name}", default=default, choices=CHOICES.get(name))
    given = parser.parse_args()
    if "image" in given and given.image not in (allowed := _images(given.set, "image" in names)):
        choices = ", ".join(kind or "leaving it out" for kind in allowed)
        parser.error(f"--image is {given.image}; allowed for {given.set}: {choices}")
    return given


def _images(data_set: str, alone: bool) -> tuple[str | None, ...]:
    """What a stage may be asked for: a kind that is modelled `alone`, or the one beside captions; of digits both."""
    if data_set in DIGIT_SETS:
        return tuple(DIGIT_SETS[data_set].values()) if alone else (None,)
    return (*IMAGE_KINDS, CAPTIONS) if alone else IMAGE_KINDS


def run(main: Callable[[], None]) -> None:
    """Run a stage. The project's own errors, and whoever stops it, end it in one line.

    A stage whose parent is killed ends too, so that none goes on unseen and writes beside the one that is started next.
    """
    signal.signal(signal.SIGTERM, _terminated)
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
    os._exit(1)
