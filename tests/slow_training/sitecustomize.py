"""On PYTHONPATH, makes a training write a checkpoint after every update, and then wait while the file $PAUSE exists.

The file $STEPS has a line for each start of a training: the training, and the updates that it had done.
"""

import os
import sys
import time
from pathlib import Path


def slow_down() -> None:
    sys.path.insert(0, str(Path.cwd()))  # as `python -m` will
    import stages  # noqa: F401 (sets the threads before torch is there)
    from mmvae.training.checkpoints import Checkpoint

    _, *others = Checkpoint.__init__.__defaults__
    Checkpoint.__init__.__defaults__ = (0.0, *others)
    read, write = Checkpoint.read, Checkpoint.write

    def read_and_record(self, state, generator, progress):
        read(self, state, generator, progress)
        with Path(os.environ["STEPS"]).open("a") as file:
            file.write(f"{self.path.name.rpartition('_0_')[0]} {progress.step}\n")

    def write_and_pause(self, *args):
        write(self, *args)
        while Path(os.environ["PAUSE"]).exists():
            time.sleep(0.1)

    Checkpoint.read, Checkpoint.write = read_and_record, write_and_pause


if "stages.train" in sys.orig_argv:
    slow_down()
