"""DMVAE: shared latents by a product of experts, private ones beside them (Lee and Pavlovic 2021).

As its authors' code, but for three things: all modalities together are decoded too (their MNIST-SVHN script leaves
that out), KLs are in closed form, and the shared one counts once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mmvae.distributions import Family, Mixture, Normal, product_of_experts
from mmvae.elbos import SampledElbo, explained, to_prior
from mmvae.losses import Noise, Phase, Setting
from mmvae.model import GaussianVAE, Inputs, MultimodalVAE
from mmvae.objectives import Estimate
from mmvae.params import Section, whole
from mmvae.private import PrivateVAE


class Options(Section):
    """private: latents of each modality's own; None: half of all, together. kl_each: the shared KL counts once for
    each modality that is decoded, as in the authors' code.
    """

    private: whole(0, 256) | None = None
    kl_each: bool = False


class DMVAE(PrivateVAE, GaussianVAE):
    """The prior is an expert in the product of several modalities."""

    def experts_given(self, names: Sequence[str]) -> int:
        return 1

    def split(self, experts: dict[str, Family]) -> tuple[dict[str, Normal], dict[str, Normal]]:
        """u and w of each expert."""
        shared = {name: Normal(q.loc[:, : self.shared], q.scale[:, : self.shared]) for name, q in experts.items()}
        own = {name: Normal(q.loc[:, self.shared :], q.scale[:, self.shared :]) for name, q in experts.items()}
        return shared, own

    def product(self, shared: dict[str, Normal]) -> Normal:
        """q(u | these modalities)."""
        prior = self.prior()
        expert = Normal(prior.loc[: self.shared], prior.scale[: self.shared])
        return product_of_experts([*shared.values(), *([expert] if len(shared) > 1 else [])])

    def combine(self, experts: dict[str, Family]) -> Mixture:
        shared, own = self.split(experts)
        return Mixture.of({"_".join(experts): self.joined(self.product(shared), own, self.prior())})


MODEL = DMVAE


@dataclass(frozen=True)
class SharedPrivateElbo(SampledElbo):
    """The sum of the ELBOs in which u comes from all modalities, and from each; every w from its own modality."""

    kl_each: bool = False

    def noise(self, model: MultimodalVAE, batch: int, generator: torch.Generator) -> Noise:
        prior, sources = model.prior(), 1 + len(model.modalities)
        noise = prior.noise((sources, 1, batch, model.config.latents), prior.scale, generator)
        noise[1:, ..., model.shared :] = noise[:1, ..., model.shared :]  # one w of a pair for all
        return [(tuple(model.modalities), noise)]

    def __call__(self, model: MultimodalVAE, x: Inputs, noise: Noise, annealing: Tensor) -> Estimate:
        shared, own = model.split(model.experts(x))
        sources = {"all": model.product(shared)} | shared
        posterior = Mixture.of({name: model.joined(u, own, model.prior()) for name, u in sources.items()})
        values = explained(model, x, posterior, noise[0][1]) - to_prior(model, posterior)
        surrogate = values.sum()
        if self.kl_each:
            once = posterior.experts.kl(model.prior())[..., : model.shared].sum()
            surrogate = surrogate - (len(x) - 1) * once
        return Estimate.of_all(values[0], surrogate)


def phases(options: Options, _: Setting) -> list[Phase]:
    """One phase."""
    return [Phase(SharedPrivateElbo(options.kl_each))]
