"""At the end of every stage, write down which modules of the project it has loaded, after its command."""

import atexit
import os
import sys
from multiprocessing import util
from pathlib import Path


def record(command: str) -> None:
    own = sorted(name for name in sys.modules if name.partition(".")[0] in ("mmvae", "stages"))
    if command.startswith("-m stages."):
        folder = Path(os.environ["LOADED"])
        folder.mkdir(exist_ok=True)
        (folder / f"{os.getpid()}.txt").write_text("\n".join([command, *own]))


def in_a_fork(_: object) -> None:
    """A stage under fanout, which has its command from there, and no atexit."""
    util.Finalize(None, lambda: record(" ".join(["-m", *sys.argv])), exitpriority=0)


atexit.register(lambda: record(" ".join(sys.orig_argv[1:])))
util.register_after_fork(record, in_a_fork)
