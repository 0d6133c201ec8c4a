"""What each model is trained on: the noise a batch needs, and the objective that it gives.

A loss draws its noise before it is evaluated, so that a step is a function of tensors alone: it can be captured as a
CUDA graph and repeated.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from mmvae import registry
from mmvae.model import Inputs, MultimodalModel
from mmvae.objectives import Estimate
from mmvae.params import check

Noise = list[tuple[tuple[str, ...], Tensor]]  # subsets of the modalities, each with standard noise (M, K, B, D)


class Loss(Protocol):
    """How one kind of model is trained. takes_incomplete: on any modalities alone, too, if pairs lack the others."""

    takes_incomplete: ClassVar[bool]

    def noise(self, model: MultimodalModel, batch: int, generator: torch.Generator) -> Noise:
        """Standard noise for the posterior given each subset of modalities that the loss looks at."""

    def annealing(self, progress: float) -> float:
        """The weight of the KL after a share `progress` of training."""

    def __call__(self, model: MultimodalModel, x: Inputs, noise: Noise, annealing: Tensor) -> Estimate:
        """The objective on a batch."""

    def held_out(
        self, model: MultimodalModel, x: Inputs, log_weights: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        """The reported bound on held-out pairs, given their log-weights (M, K, B), if the model has any: (B,), nats."""


class PlainLoss(ABC):
    """A loss without annealing, whose bound on held-out pairs is as in training."""

    takes_incomplete: ClassVar[bool] = False

    @abstractmethod
    def noise(self, model: MultimodalModel, batch: int, generator: torch.Generator) -> Noise:
        """Standard noise."""

    def annealing(self, progress: float) -> float:
        return 1.0

    @abstractmethod
    def __call__(self, model: MultimodalModel, x: Inputs, noise: Noise, annealing: Tensor) -> Estimate:
        """The objective on a batch."""

    def held_out(
        self, model: MultimodalModel, x: Inputs, log_weights: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        noise = self.noise(model, len(next(iter(x.values()))), generator)
        return self(model, x, noise, torch.ones((), device=generator.device)).bound


@dataclass(frozen=True)
class Phase:
    """A part of a training.

    share: of all updates. trained: fnmatch patterns of the names of the parameters that it changes; None: all. The
    running statistics of batch normalisation follow the data in every phase. labelled: the loss finds the digits of
    the pairs beside their modalities.
    """

    loss: Loss
    share: float = 1.0
    trained: tuple[str, ...] | None = None
    labelled: bool = False


@dataclass(frozen=True)
class Setting:
    """What a model's phases may depend on besides its own options: objective, K and the hardware.

    objective and particles are None for a run that neither shares nor names them.
    """

    objective: str | None = None
    particles: int | None = None
    device: torch.device = torch.device("cpu")


def phases(model: str, setting: Setting, options: dict | None = None) -> list[Phase]:
    """How a model is trained, by its name and its own options.

    Raises:
        UnknownName: there is no such model.
        ParamsError: an option or the objective is not allowed.
    """
    found = registry.find("models", model)
    return found.phases(check(found.Options, options or {}), setting)
