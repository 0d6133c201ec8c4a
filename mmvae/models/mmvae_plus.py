"""MMVAE+: MMVAE with private latents and auxiliary priors (Palumbo, Daunhawer and Vogt 2023).

A modality that is made from another's latents takes its private ones from an auxiliary prior, so that what is common
to both has to be in the shared ones.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mmvae.distributions import Family, Laplace, Mixture, laplace_from_logits
from mmvae.elbos import SampledElbo
from mmvae.losses import Noise, Phase, Setting
from mmvae.model import Inputs, ModelConfig, MultimodalVAE
from mmvae.models.mmvae import POSTERIOR_SCALE_MINIMUM
from mmvae.objectives import Estimate, repeated
from mmvae.params import ParamsError, Section, whole
from mmvae.private import PrivateVAE


class Options(Section):
    """private: latents of each modality's own; None: half of all, together."""

    private: whole(0, 256) | None = None


class MMVAEPlus(PrivateVAE):
    """Laplace experts and the prior Laplace(0, 1). Experts differ in u alone: each has every w that is given."""

    def __init__(self, config: ModelConfig):
        super().__init__(config)
        learned = list(config.kinds) if self.own > 1 and len(config.kinds) > 1 else []  # one scale is always 1
        self.auxiliary_logits = nn.ParameterDict({name: nn.Parameter(torch.zeros(self.own)) for name in learned})

    def prior(self) -> Family:
        like = next(self.parameters())
        return Laplace(like.new_zeros(self.config.latents), like.new_ones(self.config.latents))

    def auxiliary(self) -> Family:
        """What w of a modality comes from in training where another is encoded, at its place among D latents."""
        prior = self.prior()
        scales = [laplace_from_logits(logits, logits).scale for logits in self.auxiliary_logits.values()]
        return Laplace(prior.loc, torch.cat([prior.scale[: self.shared], *scales])) if scales else prior

    def expert(self, name: str, x: Tensor) -> Family:
        """q(u | x), and w of its own or of the prior."""
        shared, own = self.split(name, x)
        return self.joined(shared, {name: own}, self.prior())

    def split(self, name: str, x: Tensor) -> tuple[Laplace, Laplace]:
        """q(u | x_m) and q(w_m | x_m), whose scales sum to their numbers of latents."""
        loc, logits = self.modalities[name].encoder(x)
        parts = [slice(None, self.shared), slice(self.shared, None)]
        shared, own = (laplace_from_logits(loc[:, p], logits[:, p], POSTERIOR_SCALE_MINIMUM) for p in parts)
        return shared, own

    def posterior(self, x: Inputs) -> Mixture:
        given = {name: self.split(name, value) for name, value in x.items()}
        own = {name: w for name, (_, w) in given.items()}
        names = {name: name if len(x) == 1 else f"{name}_u" for name in x}
        return Mixture.of({names[name]: self.joined(u, own, self.prior()) for name, (u, _) in given.items()})


MODEL = MMVAEPlus


@dataclass(frozen=True)
class AuxiliaryBound(SampledElbo):
    """The IWAE bound of each expert's K = `particles`, averaged over the experts (eq. 3 with private latents)."""

    particles: int

    def noise(self, model: MultimodalVAE, batch: int, generator: torch.Generator) -> Noise:
        names = tuple(model.modalities)
        return [(names, model.noise(names, self.particles, batch, generator))]

    def __call__(self, model: MultimodalVAE, x: Inputs, noise: Noise, annealing: Tensor) -> Estimate:
        given = {name: model.split(name, value) for name, value in x.items()}
        drawn_from = Mixture.of({m: model.joined(u, {m: w}, model.auxiliary()) for m, (u, w) in given.items()})
        z = drawn_from.place(noise[0][1])
        experts, particles, batch, _ = z.shape
        rows = {name: repeated(value, experts * particles) for name, value in x.items()}
        likelihood = model.log_likelihood(rows, z.flatten(0, 2)).view(experts, particles, batch)
        u, prior, parts = z[..., : model.shared], model.prior(), model.parts()
        log_q = Mixture.of({m: shared for m, (shared, _) in given.items()}).log_prob(u)
        log_p = Laplace(prior.loc[: model.shared], prior.scale[: model.shared]).log_prob(u)
        ratio = []
        for i, (name, (_, w)) in enumerate(given.items()):
            own = z[i, ..., parts[name]]
            ratio.append(Laplace(prior.loc[parts[name]], prior.scale[parts[name]]).log_prob(own) - w.log_prob(own))
        log_weights = likelihood + log_p - log_q + torch.stack(ratio)
        bound = (log_weights.logsumexp(1) - math.log(particles)).mean(0)
        return Estimate.of_all(bound, bound.sum())


def phases(_: Options, setting: Setting) -> list[Phase]:
    """One phase.

    Raises:
        ParamsError: the run has no number of particles.
    """
    if setting.particles is None:
        raise ParamsError("the run needs `particles`")
    return [Phase(AuxiliaryBound(setting.particles))]
