"""MVTCAE: a product of experts, by a bound of total correlation (Hwang et al. 2021), as its authors run it."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from mmvae.distributions import Family, Mixture, product_of_experts
from mmvae.elbos import SampledElbo
from mmvae.joint import JointElbo
from mmvae.losses import Noise, Phase, Setting
from mmvae.model import GaussianVAE, Inputs, MultimodalVAE
from mmvae.objectives import Estimate
from mmvae.params import Section, real


class Options(Section):
    """alpha: between the KL to the prior, at 0, and the KLs to the experts, at 1. beta: of all KLs."""

    alpha: real(0, 1) = 5 / 6
    beta: real(0, 1000) = 2.5


class MVTCAE(GaussianVAE):
    """The prior is no expert of the product: given one modality, its own expert."""

    def experts_given(self, names: Sequence[str]) -> int:
        return 1

    def combine(self, experts: dict[str, Family]) -> Mixture:
        return Mixture.of({"_".join(experts): product_of_experts(list(experts.values()))})


MODEL = MVTCAE


@dataclass(frozen=True)
class TotalCorrelation(SampledElbo):
    """JointElbo with weights by which it bounds the total correlation of M modalities, and the product."""

    alpha: float
    beta: float

    def __call__(self, model: MultimodalVAE, x: Inputs, noise: Noise, annealing: Tensor) -> Estimate:
        share, number = self.alpha, len(model.modalities)
        terms = JointElbo((number - share) / number, self.beta * (1 - share), self.beta * share / number)
        experts = model.experts(x)
        return terms.weighed(model, x, noise, model.combine(experts), experts)


def phases(options: Options, _: Setting) -> list[Phase]:
    """One phase."""
    return [Phase(TotalCorrelation(options.alpha, options.beta))]
