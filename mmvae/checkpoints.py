"""The whole state of a training run on disk, so that it can be killed at any moment and go on to the same bytes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from mmvae.files import AGAIN, FileError, check_fit, read_weights, write_weights


@dataclass
class Progress:
    """How far a run has come, besides its weights: updates done, the curve so far, sums over the epoch under way."""

    step: int
    curve: list[dict]
    sums: Tensor


@dataclass
class Checkpoint:
    """A file that holds a run's state, written every `seconds`. One path belongs to one configuration of a run."""

    path: Path
    seconds: float = 10.0
    _written: float = field(default_factory=time.monotonic, init=False)

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
        """Put weights, optimiser and random numbers back in place; None if there is no checkpoint.

        Raises:
            FileError: the file is damaged or of another model; says what to do.
        """
        if not self.path.exists():
            return None
        try:
            tensors, content = read_weights(self.path)
            check_fit(self.path, tensors, _expected(tensors, model, generator))
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
            raise FileError(f"the checkpoint {self.path} cannot be used; remove it to start over: {problem}") from error

    def remove(self) -> None:
        """The run is finished and its results are written."""
        self.path.unlink(missing_ok=True)


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
