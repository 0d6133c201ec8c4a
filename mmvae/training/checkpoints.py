"""The whole state of a training run on disk, so that it can be killed at any moment and go on to the same bytes.

What a finished run leaves behind lets the same run with more epochs go on from its end, to the bytes that it would have
had if it had been one. It may be deleted at any time.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from mmvae.files import AGAIN, FileError, check_fit, read_weights, write_weights
from mmvae.models import MultimodalVAE, save


@dataclass
class Progress:
    """How far a run has come, besides its weights: updates done, the curve so far, sums over the epoch under way."""

    step: int
    curve: list[dict]
    sums: Tensor


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

    def keep(self, model: MultimodalVAE, epoch: int) -> None:
        """The weights after an epoch, if it is one of those."""
        if self.memory and epoch in self.epochs:
            save(self.weights(epoch), model)

    def due(self) -> bool:
        """Is it time to write again?"""
        return time.monotonic() - self._written >= self.seconds

    def write(
        self, model: torch.nn.Module, optimiser: torch.optim.Optimizer, generator: torch.Generator, progress: Progress
    ) -> None:
        """Weights, optimiser, random numbers and progress, replacing what was there."""
        tensors = {f"model/{name}": value for name, value in model.state_dict().items()}
        for name, parameter in model.named_parameters():
            for key, value in optimiser.state[parameter].items():
                tensors[f"optimiser/{key}/{name}"] = value
        tensors |= {"generator": generator.get_state(), "sums": progress.sums}
        write_weights(self.path, tensors, {"step": progress.step, "curve": progress.curve})
        self._written = time.monotonic()

    def read(
        self, model: torch.nn.Module, optimiser: torch.optim.Optimizer, generator: torch.Generator
    ) -> Progress | None:
        """Put weights, optimiser and random numbers back in place; None if there is nothing to go on from.

        That is this run's own checkpoint, or else the end of the longest run that is the beginning of this one.

        Raises:
            FileError: the file is damaged or of another model; says what to do.
        """
        path = self.path if self.path.exists() else self._beginning()
        if path is None:
            return None
        try:
            tensors, content = read_weights(path)
            done = len(content["curve"])
            if self.memory and not all(self.weights(epoch).exists() for epoch in self.epochs if epoch <= done):
                return None
            check_fit(path, tensors, _expected(tensors, model, generator))
            model.load_state_dict({k.removeprefix("model/"): v for k, v in tensors.items() if k.startswith("model/")})
            parameters = dict(model.named_parameters())
            for key, value in tensors.items():
                if key.startswith("optimiser/"):
                    _, entry, name = key.split("/")
                    parameter = parameters[name]
                    # Like the parameter in memory too: the fused optimiser walks both in the same order.
                    like = parameter.detach() if value.shape == parameter.shape else parameter.new_empty(value.shape)
                    optimiser.state[parameter][entry] = torch.empty_like(like, dtype=value.dtype).copy_(value)
            generator.set_state(tensors["generator"])
            sums = tensors["sums"].to(next(model.parameters()).device)
            return Progress(content["step"], content["curve"], sums)
        except (FileError, KeyError, RuntimeError) as error:
            problem = " ".join(str(error).split()).removesuffix(f"; {AGAIN}")
            raise FileError(f"the checkpoint {path} cannot be used; remove it to start over: {problem}") from error

    def _beginning(self) -> Path | None:
        """The end of the longest run that is shorter than this one."""
        if self.memory is None:
            return None
        return max((path for path in self.memory.glob("end_*.safetensors") if path < self._end()), default=None)

    def _end(self) -> Path:
        return self.memory / f"end_{self.epochs[-1]:05}.safetensors"

    def finish(self) -> None:
        """The run is at its end and its results are written."""
        if self.memory is None:
            self.path.unlink(missing_ok=True)
            return
        before = self._beginning()
        self.path.replace(self._end())
        if before:
            before.unlink(missing_ok=True)


def _expected(tensors: dict[str, Tensor], model: torch.nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
    """Tensors of the names, shapes and types that a checkpoint of `model` has; the optimiser may not have any yet."""
    parameters = dict(model.named_parameters())
    expected = {f"model/{name}": value for name, value in model.state_dict().items()}
    for key in tensors:
        first, _, rest = key.partition("/")
        entry, _, name = rest.partition("/")
        if first == "optimiser" and name in parameters:
            expected[key] = torch.zeros(()) if entry == "step" else parameters[name]
    return expected | {"generator": generator.get_state(), "sums": torch.zeros(3, dtype=torch.float64)}
