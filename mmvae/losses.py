"""What each model is trained on: the noise a batch needs, and the objective that it gives.

A loss draws its noise before it is evaluated, so that a step is a function of tensors alone: it can be captured as a
CUDA graph and repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from mmvae import objectives
from mmvae.models import Inputs, MultimodalVAE
from mmvae.objectives import Estimate, Screen
from mmvae.training.device import fast_dtype

ROWS_PER_EXPERT = 4  # particles of a pair kept on a GPU, for each expert, on average over a batch

Noise = list[tuple[tuple[str, ...], Tensor]]  # subsets of the modalities, each with standard noise (M, K, B, D)


class Loss(Protocol):
    """How one kind of model is trained."""

    def noise(self, model: MultimodalVAE, batch: int, generator: torch.Generator) -> Noise:
        """Standard noise for the posterior given each subset of modalities that the loss looks at."""

    def annealing(self, progress: float) -> float:
        """The weight of the KL after a share `progress` of training."""

    def __call__(self, model: MultimodalVAE, x: Inputs, noise: Noise, annealing: Tensor) -> Estimate:
        """The objective on a batch."""

    def held_out(self, model: MultimodalVAE, x: Inputs, log_weights: Tensor, generator: torch.Generator) -> Tensor:
        """The reported bound on unseen pairs, whose log-weights (M, K, B) are at hand: (B,), nats."""


@dataclass(frozen=True)
class Phase:
    """A part of a training.

    share: of all updates. trained: fnmatch patterns of the names of the parameters that it changes; None: all. The
    running statistics of batch normalisation follow the data in every phase.
    """

    loss: Loss
    share: float = 1.0
    trained: tuple[str, ...] | None = None


@dataclass(frozen=True)
class ImportanceWeighted:
    """An importance-weighted objective of MMVAE or a single VAE, K = `particles` from each expert."""

    objective: str
    bound: str
    particles: int
    screen: Screen | None = None

    def noise(self, model: MultimodalVAE, batch: int, generator: torch.Generator) -> Noise:
        names = tuple(model.modalities)
        return [(names, model.noise(names, self.particles, batch, generator))]

    def annealing(self, progress: float) -> float:
        return 1.0

    def __call__(self, model: MultimodalVAE, x: Inputs, noise: Noise, annealing: Tensor) -> Estimate:
        standard = noise[0][1]
        return objectives.importance_weighted(
            model, x, standard, model.posterior(x), self.objective, self.bound, self.screen
        )

    def held_out(self, model: MultimodalVAE, x: Inputs, log_weights: Tensor, generator: torch.Generator) -> Tensor:
        return objectives.bound_value(log_weights, self.objective, self.bound)


@dataclass(frozen=True)
class ImportanceElbo(ImportanceWeighted):
    """The multi-modal importance-sampled ELBO (appendix B) as released, which is no bound: the ELBO is reported."""

    def __call__(self, model: MultimodalVAE, x: Inputs, noise: Noise, annealing: Tensor) -> Estimate:
        return objectives.importance_elbo(model, x, noise[0][1], model.posterior(x))

    def held_out(self, model: MultimodalVAE, x: Inputs, log_weights: Tensor, generator: torch.Generator) -> Tensor:
        return objectives.bound_value(log_weights, "elbo", self.bound)


@dataclass(frozen=True)
class SubsampledElbo:
    """MVAE's objective: its KL is annealed from 0 to 1 over the first `annealing_share` of training."""

    annealing_share: float

    def noise(self, model: MultimodalVAE, batch: int, generator: torch.Generator) -> Noise:
        subsets = objectives.subsets(list(model.modalities), 1, generator)
        return [(tuple(names), model.noise(names, 1, batch, generator)) for names in subsets]

    def annealing(self, progress: float) -> float:
        return min(1.0, progress / self.annealing_share) if self.annealing_share > 0 else 1.0

    def __call__(self, model: MultimodalVAE, x: Inputs, noise: Noise, annealing: Tensor) -> Estimate:
        return objectives.subsampled_elbo(model, x, noise, annealing)

    def held_out(self, model: MultimodalVAE, x: Inputs, log_weights: Tensor, generator: torch.Generator) -> Tensor:
        names = tuple(model.modalities)
        noise = [(names, model.noise(names, 1, log_weights.shape[-1], generator))]
        return self(model, x, noise, torch.ones_like(log_weights[0, 0, 0])).bound


def importance_weighted(objective: str, bound: str, particles: int, device: torch.device) -> ImportanceWeighted:
    """The loss of MMVAE and the single VAEs, with the screen that suits the hardware.

    On a GPU the number of particles kept is fixed, as its graph needs; on a CPU it follows the weights.
    """
    if objective == "importance_elbo":
        return ImportanceElbo(objective, bound, particles)
    rows = ROWS_PER_EXPERT if device.type == "cuda" else None
    return ImportanceWeighted(objective, bound, particles, Screen(rows_per_expert=rows, dtype=fast_dtype(device)))
