"""MMVAE: Laplace experts averaged into a mixture, trained by an importance-weighted bound (sections 3 and 4.1)."""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from mmvae import objectives
from mmvae.distributions import Family, Laplace, laplace_from_logits
from mmvae.losses import Noise, Phase, Setting
from mmvae.model import Inputs, ModelConfig, MultimodalVAE
from mmvae.objectives import Estimate, Screen
from mmvae.params import ParamsError, Section
from mmvae.training.device import fast_dtype

POSTERIOR_SCALE_MINIMUM = 1e-6  # as released
LARGEST_LOG_SCALE = 8.0  # of a free scale
ROWS_PER_EXPERT = 4  # particles of a pair kept on a GPU, for each expert, on average over a batch


class Bound(Section):
    """bound: eq. 3 is loose, eq. 5 tight; average: the mean of both, at twice the cost."""

    bound: Literal["loose", "tight", "average"] = "loose"


class Options(Bound):
    """free_scales: of the experts, instead of those that sum to D. fixed_prior: of scale 1, instead of learned."""

    free_scales: bool = False
    fixed_prior: bool = False


class MMVAE(MultimodalVAE):
    """A mixture of Laplace experts, and a Laplace prior whose scale is learned."""

    def __init__(self, config: ModelConfig):
        super().__init__(config)
        self.free_scales = config.options.get("free_scales", False)
        learned = not config.options.get("fixed_prior", False)
        self.prior_scale_logits = nn.Parameter(torch.zeros(config.latents), requires_grad=learned)

    def prior(self) -> Family:
        return laplace_from_logits(torch.zeros_like(self.prior_scale_logits), self.prior_scale_logits)

    def expert(self, name: str, x: Tensor) -> Family:
        loc, scale_logits = self.modalities[name].encoder(x)
        if self.free_scales:
            return Laplace(loc, scale_logits.clamp(max=LARGEST_LOG_SCALE).exp() + POSTERIOR_SCALE_MINIMUM)
        return laplace_from_logits(loc, scale_logits, minimum=POSTERIOR_SCALE_MINIMUM)


MODEL = MMVAE


@dataclass(frozen=True)
class ImportanceWeighted:
    """An importance-weighted objective of MMVAE or a single VAE, K = `particles` from each expert."""

    objective: str
    bound: str
    particles: int
    screen: Screen | None = None
    takes_incomplete = True

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
class Average(ImportanceWeighted):
    """The mean of the loose and the tight bound, of the same particles."""

    def __call__(self, model: MultimodalVAE, x: Inputs, noise: Noise, annealing: Tensor) -> Estimate:
        both = [replace(self, bound=bound) for bound in ("loose", "tight")]
        loose, tight = (ImportanceWeighted.__call__(one, model, x, noise, annealing) for one in both)
        means = [(getattr(loose, key) + getattr(tight, key)) / 2 for key in ("bound", "surrogate", "kept", "dropped")]
        return Estimate(*means)

    def held_out(self, model: MultimodalVAE, x: Inputs, log_weights: Tensor, generator: torch.Generator) -> Tensor:
        loose, tight = (objectives.bound_value(log_weights, self.objective, bound) for bound in ("loose", "tight"))
        return (loose + tight) / 2


def phases(options: Bound, setting: Setting) -> list[Phase]:
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
    loss = Average if options.bound == "average" else ImportanceWeighted
    return [Phase(loss(setting.objective, options.bound, setting.particles, screen))]
