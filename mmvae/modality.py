"""A modality: a name, an encoder, a decoder, a likelihood and the factor its log-likelihood is scaled by."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class LaplaceLikelihood:
    """Independent Laplace pixels of a fixed scale (reproduction.md, section 2: 0.75)."""

    scale: float

    def log_prob(self, mean: Tensor, x: Tensor) -> Tensor:
        """Nats of `x` (..., C, H, W) under `mean` (..., C, H, W), summed over the pixels: (...)."""
        pixels = math.prod(mean.shape[-3:])
        return -(mean - x).abs().sum((-3, -2, -1)) / self.scale - pixels * math.log(2 * self.scale)

    def sample(self, mean: Tensor, generator: torch.Generator) -> Tensor:
        """One draw of every pixel; values may leave [0, 1]."""
        first, second = (
            torch.empty(mean.shape, dtype=mean.dtype, device=mean.device).exponential_(generator=generator)
            for _ in range(2)
        )
        return mean + self.scale * (first - second)


@dataclass(frozen=True)
class BernoulliLikelihood:
    """Independent Bernoulli pixels, as in MVAE's own code: the cross-entropy of pixels in [0, 1]."""

    clamp: float = 1e-6

    def log_prob(self, mean: Tensor, x: Tensor) -> Tensor:
        """Nats of `x` (..., C, H, W) under `mean` (..., C, H, W), summed over the pixels: (...)."""
        mean = mean.clamp(self.clamp, 1 - self.clamp)
        return (x * mean.log() + (1 - x) * (-mean).log1p()).sum((-3, -2, -1))

    def sample(self, mean: Tensor, generator: torch.Generator) -> Tensor:
        """One draw of every pixel, 0 or 1."""
        return torch.bernoulli(mean, generator=generator)


Likelihood = LaplaceLikelihood | BernoulliLikelihood


class Modality(nn.Module):
    """Encoder and decoder of one modality; `scaling` multiplies its log-likelihood in training only."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module, likelihood: Likelihood, scaling: float):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.likelihood, self.scaling = likelihood, scaling

    def log_likelihood(self, z: Tensor, x: Tensor) -> Tensor:
        """log p(x | z) in nats, unscaled. z (N, D), x (N, C, H, W) -> (N,)."""
        return self.likelihood.log_prob(self.decoder(z), x)

    def score(self, z: Tensor, x: Tensor, rows: int) -> Tensor:
        """log p(x | z) of S particles for each of B inputs, without gradient: z (S, B, D), x (B, C, H, W) -> (S, B).

        Decodes about `rows` images at a time, a number that stays in the processor's cache, and sums each as it
        is made: S x B images never exist together.
        """
        step = max(1, rows // len(x))
        with torch.no_grad():
            return torch.cat([self._score(part, x) for part in z.split(step)])

    def _score(self, z: Tensor, x: Tensor) -> Tensor:
        mean = self.decoder(z.flatten(0, 1)).to(x.dtype)
        return self.likelihood.log_prob(mean.unflatten(0, z.shape[:2]), x)
