"""MMVAE: Laplace experts averaged into a mixture, trained by an importance-weighted bound (sections 3 and 4.1)."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from mmvae import objectives
from mmvae.distributions import Family, laplace_from_logits
from mmvae.losses import Noise, Phase, Setting
from mmvae.model import Inputs, ModelConfig, MultimodalVAE
from mmvae.objectives import Estimate, Screen
from mmvae.params import ParamsError, Section
from mmvae.training.device import fast_dtype

POSTERIOR_SCALE_MINIMUM = 1e-6  # as released
ROWS_PER_EXPERT = 4  # particles of a pair kept on a GPU, for each expert, on average over a batch


class Options(Section):
    """bound: eq. 3 is loose, eq. 5 tight."""

    bound: Literal["loose", "tight"] = "loose"


class MMVAE(MultimodalVAE):
    """A mixture of Laplace experts, and a Laplace prior whose scale is learned."""

    def __init__(self, config: ModelConfig):
        super().__init__(config)
        self.prior_scale_logits = nn.Parameter(torch.zeros(config.latents))

    def prior(self) -> Family:
        return laplace_from_logits(torch.zeros_like(self.prior_scale_logits), self.prior_scale_logits)

    def expert(self, name: str, x: Tensor) -> Family:
        return laplace_from_logits(*self.modalities[name].encoder(x), minimum=POSTERIOR_SCALE_MINIMUM)


MODEL = MMVAE


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


def phases(options: Options, setting: Setting) -> list[Phase]:
    """One phase, under the run's objective, with the screen that suits the hardware.

    On a GPU the number of particles kept is fixed, as its graph needs; on a CPU it follows the weights.

    Raises:
        ParamsError: the run has no objective or no number of particles.
    """
    if setting.objective not in objectives.OBJECTIVES or setting.particles is None:
        known = ", ".join(objectives.OBJECTIVES)
        raise ParamsError(f"the run needs `particles`, and an `objective` of {known}; it has {setting.objective}")
    if setting.objective == "importance_elbo":
        return [Phase(ImportanceElbo(setting.objective, options.bound, setting.particles))]
    rows = ROWS_PER_EXPERT if setting.device.type == "cuda" else None
    screen = Screen(rows_per_expert=rows, dtype=fast_dtype(setting.device))
    return [Phase(ImportanceWeighted(setting.objective, options.bound, setting.particles, screen))]
