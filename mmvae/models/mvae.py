"""MVAE: a product of Gaussian experts (Wu and Goodman 2018), or their mixture under the same recipe (appendix E)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import torch
from pydantic import model_validator
from torch import Tensor

from mmvae import objectives
from mmvae.distributions import Family, Mixture, normal_from_log_variance, product_of_experts
from mmvae.losses import Noise, Phase, Setting
from mmvae.model import GaussianVAE, Inputs, ModelConfig, MultimodalVAE, subsets
from mmvae.objectives import Estimate
from mmvae.params import Section, check, real, whole

POSTERIOR_VARIANCE_MINIMUM = 1e-8  # as its authors released it


class Options(Section):
    """posterior: a product of experts, or their mixture. annealing_share: of training, while the KL's weight rises.
    joint, single, random: the ELBOs that are added up, given all modalities, each alone, and so many subsets drawn at
    each step from the others.
    """

    posterior: Literal["poe", "moe"] = "poe"
    annealing_share: real(0, 1) = 0.4
    joint: bool = True
    single: bool = True
    random: whole(0, 100) = 1

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not (self.joint or self.single or self.random):
            raise ValueError("random must be 1 or more, because neither joint nor single is true")
        return self


class MVAE(GaussianVAE):
    """Gaussian experts and an N(0, I) prior expert, multiplied; or the experts averaged."""

    def __init__(self, config: ModelConfig):
        super().__init__(config)
        self.averages = check(Options, config.options).posterior == "moe"

    def expert(self, name: str, x: Tensor) -> Family:
        return normal_from_log_variance(*self.modalities[name].encoder(x), minimum=POSTERIOR_VARIANCE_MINIMUM)

    def experts_given(self, names: Sequence[str]) -> int:
        return len(names) if self.averages else 1

    def combine(self, experts: dict[str, Family]) -> Mixture:
        if self.averages:
            return super().combine(experts)
        return Mixture.of({"product": product_of_experts([self.prior(), *experts.values()])})


MODEL = MVAE


@dataclass(frozen=True)
class SubsampledElbo:
    """MVAE's objective: its KL is annealed from 0 to 1 over the first `annealing_share` of training."""

    annealing_share: float
    joint: bool = True
    single: bool = True
    random: int = 1
    takes_incomplete = True

    def terms(self, names: Sequence[str], generator: torch.Generator) -> list[tuple[str, ...]]:
        """The subsets of modalities whose ELBOs are added up in one step, all of them first."""
        certain = [tuple(names)] * self.joint + [(name,) for name in names] * self.single
        chosen = list(dict.fromkeys(certain))
        others = [some for some in subsets(names) if some not in chosen]
        for _ in range(self.random if others else 0):
            chosen.append(others[int(torch.randint(len(others), (), generator=generator, device=generator.device))])
        return chosen

    def noise(self, model: MultimodalVAE, batch: int, generator: torch.Generator) -> Noise:
        chosen = self.terms(list(model.modalities), generator)
        return [(names, model.noise(names, 1, batch, generator)) for names in chosen]

    def annealing(self, progress: float) -> float:
        return min(1.0, progress / self.annealing_share) if self.annealing_share > 0 else 1.0

    def __call__(self, model: MultimodalVAE, x: Inputs, noise: Noise, annealing: Tensor) -> Estimate:
        return subsampled_elbo(model, x, noise, annealing)

    def held_out(self, model: MultimodalVAE, x: Inputs, log_weights: Tensor, generator: torch.Generator) -> Tensor:
        names = tuple(model.modalities)
        noise = [(names, model.noise(names, 1, log_weights.shape[-1], generator))]
        return self(model, x, noise, torch.ones_like(log_weights[0, 0, 0])).bound


def subsampled_elbo(
    model: MultimodalVAE, x: Inputs, noise: list[tuple[list[str], Tensor]], annealing: Tensor
) -> Estimate:
    """MVAE's training objective (Wu and Goodman 2018, section 2.2): the sum of the ELBOs of sub-sampled modalities.

    `noise`: the subsets, with standard noise (M, 1, B, D) for the posterior given each; `annealing` multiplies the KL
    in the surrogate. The reported bound is the un-annealed ELBO of the first subset, which is all modalities if they
    are among the terms.

    KLs are in closed form and averaged over experts, which bounds a mixture's from above. A modality's decoder sees
    the particles of all subsets in one call, so that batch normalisation sees all of them together.
    """
    experts = model.experts(x)
    posteriors = [model.combine({name: experts[name] for name in names}) for names, _ in noise]
    drawn = [posterior.place(standard)[:, 0] for posterior, (_, standard) in zip(posteriors, noise, strict=True)]
    likelihoods: list[Tensor | float] = [0.0] * len(noise)
    for name, value in x.items():
        terms = [i for i, (names, _) in enumerate(noise) if name in names]
        if not terms:
            continue
        rows = torch.cat([drawn[i].flatten(0, 1) for i in terms])
        scores = model.modalities[name].log_likelihood(rows, objectives.repeated(value, len(rows) // len(value)))
        counts = [drawn[i].shape[:2].numel() for i in terms]
        for i, score in zip(terms, scores.split(counts), strict=True):
            likelihoods[i] = likelihoods[i] + model.modalities[name].scaling * score.view(drawn[i].shape[:2]).mean(0)
    kls = [posterior.experts.kl(model.prior()).sum(-1).mean(0) for posterior in posteriors]
    surrogate = sum((likelihood - annealing * kl).sum() for likelihood, kl in zip(likelihoods, kls, strict=True))
    return Estimate.of_all(likelihoods[0] - kls[0], surrogate)


def phases(options: Options, _: Setting) -> list[Phase]:
    """One phase, whatever the shared objective."""
    return [Phase(SubsampledElbo(options.annealing_share, options.joint, options.single, options.random))]
