"""The whole state of a training run on disk, so that it can be killed at any moment and go on to the same bytes.

A finished run of digits leaves its last state. The same run with more epochs resumes from it and gives the bytes of one
uninterrupted run. The state may be deleted at any time.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from mmvae.files import AGAIN, FileError, check_fit, read_weights, write_weights
from mmvae.model import MultimodalModel, save
from mmvae.training.updates import State


@dataclass
class Progress:
    """How far a run has come, besides its weights: the epoch's sums (3,), updates done, the curve."""

    sums: Tensor
    step: int = 0
    curve: list[dict] = field(default_factory=list)


def doublings(epochs: int) -> tuple[int, ...]:
    """1, 2, 4, ... below `epochs`, and `epochs`."""
    return (*(2**n for n in range((epochs - 1).bit_length())), epochs)


@dataclass
class Checkpoint:
    """A file that holds a run's state, written every `seconds`. One path belongs to one configuration of a run.

    epochs: after which the weights are kept, the last of them the run's end. memory: a folder for these weights and
    the state at the end, which belongs to all runs that differ in nothing but their length; None: nothing is kept.
    """

    path: Path
    seconds: float = 10.0
    epochs: tuple[int, ...] = ()
    memory: Path | None = None
    _written: float = field(default_factory=time.monotonic, init=False)

    def weights(self, epoch: int) -> Path:
        """Where the weights after an epoch are kept."""
        return self.memory / f"epoch_{epoch:05}.safetensors"

    def keep(self, model: MultimodalModel, epoch: int) -> None:
        """The weights after an epoch, if it is one of those."""
        if self.memory and epoch in self.epochs:
            save(self.weights(epoch), model)

    def due(self) -> bool:
        """Is it time to write again?"""
        return time.monotonic() - self._written >= self.seconds

    def write(self, state: State, generator: torch.Generator, progress: Progress) -> None:
        """Weights and optimiser (`state`), random numbers and progress, replacing what was there."""
        tensors = state | {"generator": generator.get_state(), "sums": progress.sums}
        write_weights(self.path, tensors, {"step": progress.step, "curve": progress.curve})
        self._written = time.monotonic()

    def read(self, state: State, generator: torch.Generator, progress: Progress) -> None:
        """Put everything back in place, if there is anything to go on from.

        That is this run's own checkpoint, or else the end of the longest run that is the beginning of this one.

        Raises:
            FileError: the file is damaged or of another model; says what to do.
        """
        path = self.path if self.path.exists() else self._beginning()
        if path is None:
            return
        try:
            tensors, content = read_weights(path)
            step, curve = int(content["step"]), list(content["curve"])
            if self.memory and not all(self.weights(epoch).exists() for epoch in self.epochs if epoch <= len(curve)):
                return
            places = state | {"generator": generator.get_state(), "sums": progress.sums}
            check_fit(path, tensors, places)
            for name, place in places.items():
                place.copy_(tensors[name])
            generator.set_state(tensors["generator"])
            progress.step, progress.curve = step, curve
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            problem = " ".join(str(error).split()).removesuffix(f"; {AGAIN}")
            raise FileError(f"the checkpoint {path} cannot be used; remove it to start over: {problem}") from error

    def finish(self) -> None:
        """The run is at its end and its results are written."""
        if self.memory is None:
            self.path.unlink(missing_ok=True)
            return
        before = self._beginning()
        self.path.replace(self._end())
        if before:
            before.unlink(missing_ok=True)

    def _beginning(self) -> Path | None:
        """The end of the longest run that is shorter than this one."""
        ends = self.memory.glob("end_*.safetensors") if self.memory else ()
        return max((path for path in ends if path < self._end()), default=None)

    def _end(self) -> Path:
        return self.memory / f"end_{self.epochs[-1]:05}.safetensors"
