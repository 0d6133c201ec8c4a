"""A modality: an encoder, a decoder, a likelihood and the factor its log-likelihood is scaled by.

Its values have any shape: pixels (C, H, W), features (F,), words (T,). A likelihood scores them given what the decoder
predicts, which for captions is one embedding for each word.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from mmvae.distributions import Laplace
from mmvae.nets.captions import WordEmbedding

LOGITS_AT_ONCE = {"cpu": 2**21, "cuda": 2**28}


class Likelihood(Protocol):
    """p(x | what the decoder predicts)."""

    def log_prob(self, predicted: Tensor, x: Tensor) -> Tensor:
        """Nats, summed over one input's values. `predicted` may have more leading dimensions than x: (...)."""

    def mode(self, predicted: Tensor) -> Tensor:
        """The most probable x."""


@dataclass(frozen=True)
class LaplaceLikelihood:
    """Independent Laplace values of a fixed scale; `dimensions` of them make up one input's shape."""

    scale: float
    dimensions: int = 3

    def log_prob(self, predicted: Tensor, x: Tensor) -> Tensor:
        own = tuple(range(-self.dimensions, 0))
        values = predicted.shape[own[0] :].numel()
        return -(predicted - x).abs().sum(own) / self.scale - values * math.log(2 * self.scale)

    def mode(self, predicted: Tensor) -> Tensor:
        return predicted

    def sample(self, predicted: Tensor, generator: torch.Generator) -> Tensor:
        """One draw of every value; pixels may leave [0, 1]."""
        return predicted + self.scale * Laplace.noise(predicted.shape, predicted, generator)


@dataclass(frozen=True)
class BernoulliLikelihood:
    """Independent Bernoulli pixels, as in MVAE's own code: the cross-entropy of pixels in [0, 1]."""

    clamp: float = 1e-6

    def log_prob(self, predicted: Tensor, x: Tensor) -> Tensor:
        mean = predicted.clamp(self.clamp, 1 - self.clamp)
        return (x * mean.log() + (1 - x) * (-mean).log1p()).sum((-3, -2, -1))

    def mode(self, predicted: Tensor) -> Tensor:
        """The mean: what figures and classifiers see."""
        return predicted

    def sample(self, predicted: Tensor, generator: torch.Generator) -> Tensor:
        """One draw of every pixel, 0 or 1."""
        return torch.bernoulli(predicted, generator=generator)


@dataclass(frozen=True)
class CategoricalLikelihood:
    """One of V words at each position, from its embedding (..., T, E); `ignored` is a word that is not scored."""

    words: WordEmbedding
    ignored: int

    def log_prob(self, predicted: Tensor, x: Tensor) -> Tensor:
        """Words are scored part by part, so that the logits of all rows never exist together, nor for a gradient."""
        rows = predicted.shape[:-2]
        predicted, x = predicted.flatten(0, -3), x.expand(*rows, x.shape[-1]).flatten(0, -2)
        step = max(1, LOGITS_AT_ONCE[x.device.type] // (x.shape[-1] * len(self.words.weight)))
        parts = list(zip(predicted.split(step), x.split(step), strict=True))
        if len(parts) > 1 and torch.is_grad_enabled():
            scores = [
                checkpoint(self._log_prob, *part, use_reentrant=False, preserve_rng_state=False) for part in parts
            ]
        else:
            scores = [self._log_prob(*part) for part in parts]
        return torch.cat(scores).view(rows)

    def _log_prob(self, predicted: Tensor, x: Tensor) -> Tensor:
        """(N, T, E), (N, T) -> (N,)."""
        logits = self.words.logits(predicted).flatten(0, 1).to(self.words.weight.dtype)
        lost = functional.cross_entropy(logits, x.flatten(), ignore_index=self.ignored, reduction="none")
        return -lost.view(x.shape).sum(-1)

    def mode(self, predicted: Tensor) -> Tensor:
        """The most probable word at each position: (..., T, E) -> (..., T)."""
        return self.words.logits(predicted).argmax(-1)


class Modality(nn.Module):
    """Encoder and decoder of one modality; `scaling` multiplies its log-likelihood in training only."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module, likelihood: Likelihood, scaling: float):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.likelihood, self.scaling = likelihood, scaling

    def decode(self, z: Tensor) -> Tensor:
        """Predicted pixels, features or words: (N, D) -> (N, ...)."""
        return self.likelihood.mode(self.decoder(z))

    def log_likelihood(self, z: Tensor, x: Tensor) -> Tensor:
        """log p(x | z) in nats, unscaled. z (N, D), x (N, ...) -> (N,)."""
        return self.likelihood.log_prob(self.decoder(z), x)

    def score(self, z: Tensor, x: Tensor, rows: int) -> Tensor:
        """log p(x | z) of S particles for each of B inputs, without gradient: z (S, B, D), x (B, ...) -> (S, B).

        Decodes about `rows` inputs at a time, a number that stays in the processor's cache, and sums each as it is
        made: S x B of them never exist together. Batch normalisation uses its running statistics, since those of a
        part would depend on how the particles are divided.
        """
        step = max(1, rows // len(x))
        training = self.decoder.training
        self.decoder.eval()
        with torch.no_grad():
            scores = torch.cat([self._score(part, x) for part in z.split(step)])
        self.decoder.train(training)
        return scores

    def _score(self, z: Tensor, x: Tensor) -> Tensor:
        predicted = self.decoder(z.flatten(0, 1))
        predicted = predicted.to(x.dtype) if x.is_floating_point() else predicted
        return self.likelihood.log_prob(predicted.unflatten(0, z.shape[:2]), x)
