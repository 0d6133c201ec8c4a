"""A modality: an encoder, a decoder, a likelihood and the factor its log-likelihood is scaled by.

Its values have any shape: pixels (C, H, W), features (F,), words (T,). A likelihood scores them given what the decoder
predicts, which for captions is one embedding for each word.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from mmvae.distributions import Laplace
from mmvae.params import Section, real

Scale = real(1e-3, 1e3)  # the type of a likelihood's scale
Scaling = real(1e-6, 1e3) | None  # the type of a likelihood's factor in training


class Likelihood(Protocol):
    """p(x | what the decoder predicts)."""

    def log_prob(self, predicted: Tensor, x: Tensor) -> Tensor:
        """Nats, summed over one input's values. `predicted` may have more leading dimensions than x: (...)."""

    def mode(self, predicted: Tensor) -> Tensor:
        """The most probable x."""

    def sample(self, predicted: Tensor, generator: torch.Generator) -> Tensor:
        """One draw of x."""


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


class ImageOptions(Section):
    """What image kinds have in common.

    likelihood: of pixels. likelihood_scale: of the Laplace likelihood, in pixels of [0, 1]. scaling: the factor of the
    log-likelihood in training; None: scaled up to the number of values of the model's largest modality (section 4.2).
    """

    likelihood: Literal["laplace", "bernoulli"] = "laplace"
    likelihood_scale: Scale = 0.75
    scaling: Scaling = None

    def image_likelihood(self) -> Likelihood:
        return LaplaceLikelihood(self.likelihood_scale) if self.likelihood == "laplace" else BernoulliLikelihood()


class TwoHeads(nn.Module, ABC):
    """What every kind's encoder is: `features` of an input, and two heads of D latents, `loc` and `scale_logits`."""

    @abstractmethod
    def features(self, x: Tensor) -> Tensor:
        """The last hidden layer: (B, ...)."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, ...) -> location and scale logits, (B, D) each."""
        h = self.features(x)
        return self.loc(h).flatten(1), self.scale_logits(h).flatten(1)

    def location(self, x: Tensor) -> Tensor:
        """What the first head says: (B, D)."""
        return self.loc(self.features(x)).flatten(1)

    def drop_scale(self) -> None:
        """Take the second head away, from an encoder of points."""
        self.scale_logits = None

    def behead(self) -> int:
        """Take both heads away; how many features there are."""
        size = self.loc.weight[0].numel()
        self.loc = self.scale_logits = None
        return size

    def drop_decoder_parts(self) -> None:
        """Take away what a decoder alone uses of this encoder, which has none."""


class Modality(nn.Module):
    """Encoder, decoder and likelihood of one modality, whose values have `shape`.

    `scaling` multiplies its log-likelihood in training only; None is settled by the model, which knows all modalities.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        likelihood: Likelihood,
        scaling: float | None,
        shape: tuple[int, ...],
    ):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.likelihood, self.scaling, self.shape = likelihood, scaling, shape

    def decode(self, z: Tensor) -> Tensor:
        """Predicted pixels, features or words: (N, D) -> (N, ...)."""
        return self.likelihood.mode(self.decoder(z))

    def log_likelihood(self, z: Tensor, x: Tensor) -> Tensor:
        """log p(x | z) in nats, unscaled. z (N, D), x (N, ...) -> (N,)."""
        return self.likelihood.log_prob(self.decoder(z), x)

    forward = log_likelihood

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
