"""The distributions of priors and posteriors, over D independent latents.

Shape letters: M experts, K particles, B batch, D latents. Densities are natural logarithms (nats), summed over D.
"""

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

LARGEST_LOG_VARIANCE = 80.0  # whose exponential is finite; such an expert says nothing in a product


@dataclass(frozen=True)
class Laplace:
    """Independent Laplace latents: `loc` and `scale` of shape (..., D)."""

    loc: Tensor
    scale: Tensor

    @staticmethod
    def noise(shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
        """Standard Laplace noise: the difference of two exponentials, so never infinite."""
        first, second = (torch.empty(shape, dtype=like.dtype, device=like.device) for _ in range(2))
        return first.exponential_(generator=generator) - second.exponential_(generator=generator)

    @property
    def std(self) -> Tensor:
        return self.scale * math.sqrt(2)

    def log_prob(self, z: Tensor) -> Tensor:
        """(..., D) -> (...)."""
        return -((z - self.loc).abs() / self.scale + (2 * self.scale).log()).sum(-1)

    def entropy(self) -> Tensor:
        """Of each latent, nats: (..., D)."""
        return 1 + (2 * self.scale).log()

    def kl(self, other: Self) -> Tensor:
        """KL(self || other) of each latent: (..., D)."""
        distance = (self.loc - other.loc).abs()
        ratio = self.scale / other.scale
        return -ratio.log() + distance / other.scale + ratio * (-distance / self.scale).exp() - 1


@dataclass(frozen=True)
class Normal:
    """Independent Gaussian latents: `loc` and `scale` (standard deviation) of shape (..., D)."""

    loc: Tensor
    scale: Tensor

    @staticmethod
    def noise(shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
        """Standard Gaussian noise."""
        return torch.empty(shape, dtype=like.dtype, device=like.device).normal_(generator=generator)

    @property
    def std(self) -> Tensor:
        return self.scale

    def log_prob(self, z: Tensor) -> Tensor:
        """(..., D) -> (...)."""
        standard = (z - self.loc) / self.scale
        return -(0.5 * standard**2 + self.scale.log() + 0.5 * math.log(2 * math.pi)).sum(-1)

    def entropy(self) -> Tensor:
        """Of each latent, nats: (..., D)."""
        return 0.5 + 0.5 * math.log(2 * math.pi) + self.scale.log()

    def kl(self, other: Self) -> Tensor:
        """KL(self || other) of each latent: (..., D)."""
        variance = (self.scale / other.scale) ** 2
        return 0.5 * (variance + ((self.loc - other.loc) / other.scale) ** 2 - 1 - variance.log())


Family = Laplace | Normal


def draws(distribution: Family, count: int, generator: torch.Generator) -> Tensor:
    """So many draws from a distribution of D latents, such as the prior: (count, D)."""
    noise = distribution.noise((count, len(distribution.loc)), distribution.loc, generator)
    return distribution.loc + distribution.scale * noise


def laplace_from_logits(loc: Tensor, scale_logits: Tensor, minimum: float = 0.0) -> Laplace:
    """A Laplace whose D scales sum to D: softmax(logits) * D (section 4.1); the posterior adds `minimum` = 1e-6."""
    return Laplace(loc, scale_logits.softmax(-1) * scale_logits.shape[-1] + minimum)


def normal_from_log_variance(loc: Tensor, log_variance: Tensor, minimum: float) -> Normal:
    """The Gaussian expert of MVAE (Wu and Goodman 2018): `minimum` is added to its variance, as in their code.

    In a product, nothing keeps a variance from growing or shrinking for as long as the KL has little weight. Beyond
    LARGEST_LOG_VARIANCE it has no gradient; a product would have next to none there.
    """
    return Normal(loc, (log_variance.clamp(max=LARGEST_LOG_VARIANCE).exp() + minimum).sqrt())


def product_of_experts(members: list[Normal]) -> Normal:
    """The normalised product of Gaussian experts, of which the prior may be one (Wu and Goodman 2018, section 2.1).

    Precisions add; the mean is the precision-weighted mean.
    """
    precisions = [member.scale**-2 for member in members]
    precision = sum(precisions)
    loc = sum(member.loc * p for member, p in zip(members, precisions, strict=True)) / precision
    return Normal(loc, precision**-0.5)


@dataclass(frozen=True)
class Mixture:
    """An equally weighted mixture of M experts (section 3): `experts` holds `loc` and `scale` of shape (M, B, D).

    A posterior that is one distribution, such as MVAE's product of experts, is a mixture with M = 1.
    """

    names: tuple[str, ...]
    experts: Family

    @classmethod
    def of(cls, experts: dict[str, Family]) -> Self:
        """Stack named experts of shape (B, D) each."""
        family = type(next(iter(experts.values())))
        return cls(
            tuple(experts),
            family(
                torch.stack([expert.loc for expert in experts.values()]),
                torch.stack([expert.scale for expert in experts.values()]),
            ),
        )

    def __len__(self) -> int:
        return len(self.names)

    def noise(self, particles: int, generator: torch.Generator) -> Tensor:
        """Standard noise of K particles from each expert: (M, K, B, D)."""
        experts, batch, latents = self.experts.loc.shape
        return self.experts.noise((experts, particles, batch, latents), self.experts.loc, generator)

    def place(self, noise: Tensor) -> Tensor:
        """Reparameterised particles from standard noise, stratified over the experts: (M, K, B, D)."""
        return self.experts.loc[:, None] + self.experts.scale[:, None] * noise

    def place_own(self, noise: Tensor, drawn_by: Tensor) -> Tensor:
        """One reparameterised particle of each row: noise (N, D), drawn_by (M, N) one where the expert drew it."""
        own = drawn_by[..., None]
        return (own * self.experts.loc).sum(0) + (own * self.experts.scale).sum(0) * noise

    def sample(self, particles: int, generator: torch.Generator) -> Tensor:
        """K particles of each expert: (M, K, B, D)."""
        return self.place(self.noise(particles, generator))

    def sample_one(self, generator: torch.Generator) -> Tensor:
        """One particle of the mixture, its expert drawn at random: (B, D)."""
        z = self.sample(1, generator)[:, 0]
        expert = torch.randint(len(self), z.shape[1:2], generator=generator, device=z.device)
        return z[expert, torch.arange(z.shape[1], device=z.device)]

    def log_experts(self, z: Tensor) -> Tensor:
        """The density of each expert: (..., B, D) -> (M, ..., B)."""
        lead = (len(self), *[1] * (z.dim() - 2), *self.experts.loc.shape[1:])
        return type(self.experts)(self.experts.loc.view(lead), self.experts.scale.view(lead)).log_prob(z)

    def log_prob(self, z: Tensor) -> Tensor:
        """The density of the mixture: (..., B, D) -> (..., B)."""
        return self.log_experts(z).logsumexp(0) - math.log(len(self))

    def detach(self) -> Self:
        return Mixture(self.names, type(self.experts)(self.experts.loc.detach(), self.experts.scale.detach()))

    def at(self, pairs: Tensor) -> Self:
        """The posterior of the given batch positions: M experts over len(pairs) rows.

        By a product with a matrix of zeros and ones, whose gradient, unlike an index's, is summed in a fixed order.
        """
        chosen = pairs[:, None] == torch.arange(self.experts.loc.shape[1], device=pairs.device)
        chosen = chosen.to(self.experts.loc.dtype)
        return Mixture(self.names, type(self.experts)(chosen @ self.experts.loc, chosen @ self.experts.scale))

    def tiled(self, times: int) -> Self:
        """The posterior of the whole batch, `times` over: M experts over times * B rows."""
        loc, scale = (value.repeat(1, times, 1) for value in (self.experts.loc, self.experts.scale))
        return Mixture(self.names, type(self.experts)(loc, scale))
