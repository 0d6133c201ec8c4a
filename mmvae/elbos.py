"""One-particle ELBOs: every expert of the posterior given all modalities explains all of them.

What most rivals of MMVAE have in common. A bound is reported with the KL at weight 1, whatever weight it is trained
with. Shape letters: M experts, B batch, D latents.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from mmvae.distributions import Mixture
from mmvae.losses import Noise, PlainLoss
from mmvae.model import Inputs, MultimodalVAE
from mmvae.objectives import Estimate, repeated


class SampledElbo(PlainLoss):
    """A loss that needs one particle from each expert of the posterior given all modalities."""

    def noise(self, model: MultimodalVAE, batch: int, generator: torch.Generator) -> Noise:
        names = tuple(model.modalities)
        return [(names, model.noise(names, 1, batch, generator))]


def explained(model: MultimodalVAE, x: Inputs, posterior: Mixture, noise: Tensor) -> Tensor:
    """Scaled log p(x | z) of all modalities, one z from each expert: noise (M, 1, B, D) -> (M, B)."""
    z = posterior.place(noise)[:, 0]
    every = {name: repeated(value, len(z)) for name, value in x.items()}
    return model.log_likelihood(every, z.flatten(0, 1)).view(z.shape[:2])


def to_prior(model: MultimodalVAE, posterior: Mixture) -> Tensor:
    """KL of each expert to the prior: (M, B)."""
    return posterior.experts.kl(model.prior()).sum(-1)


@dataclass(frozen=True)
class MixtureElbo(SampledElbo):
    """The mean over the experts of E[log p(x | z)] - beta KL(expert || prior), which bounds the mixture's ELBO."""

    beta: float
    takes_incomplete = True

    def divergence(self, model: MultimodalVAE, posterior: Mixture) -> Tensor:
        """What beta weighs: (B,), nats."""
        return to_prior(model, posterior).mean(0)

    def __call__(self, model: MultimodalVAE, x: Inputs, noise: Noise, annealing: Tensor) -> Estimate:
        posterior = model.posterior(x)
        likelihood = explained(model, x, posterior, noise[0][1]).mean(0)
        surrogate = likelihood - annealing * self.beta * self.divergence(model, posterior)
        return Estimate.of_all(likelihood - to_prior(model, posterior).mean(0), surrogate.sum())
