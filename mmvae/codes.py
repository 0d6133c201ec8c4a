"""Systems whose code is a point: encoders that say where it is, and no posterior.

Shape letters: M modalities, B batch, D latents.
"""

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmvae.data.pairs import DIGITS
from mmvae.distributions import Normal
from mmvae.files import DataError
from mmvae.losses import Noise, PlainLoss
from mmvae.model import Inputs, ModelConfig, MultimodalModel
from mmvae.objectives import Estimate

CLASSES = 10


class PointModel(MultimodalModel):
    """The code of several modalities is the mean of theirs. Only a `WithPrior` draws codes."""

    common: slice | None = slice(None)

    def __init__(self, config: ModelConfig):
        super().__init__(config)
        for modality in self.modalities.values():
            modality.encoder.drop_scale()

    def code(self, name: str, x: Tensor) -> Tensor:
        """The code of one modality: (B, ...) -> (B, D)."""
        return self.modalities[name].encoder.location(x)

    def mean(self, x: Inputs) -> Tensor:
        return sum(self.code(name, value) for name, value in x.items()) / len(x)

    def sample(self, x: Inputs, generator: torch.Generator) -> Tensor:
        return self.mean(x)

    def generates(self, given: Sequence[str]) -> list[str]:
        return list(self.modalities) if given else []


class WithPrior(PointModel):
    """The prior of codes is N(0, I)."""

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """From the prior: (count, D)."""
        return Normal.noise((count, self.config.latents), next(self.parameters()), generator)

    def generates(self, given: Sequence[str]) -> list[str]:
        return list(self.modalities)


class Classifying(PointModel):
    """A system that is trained to say the digit by its `classifier`, from what the modalities' codes share."""

    classifier: nn.Module | None

    def classify(self, z: Tensor) -> Tensor:
        """Digits: (N, D) -> (N,)."""
        return self.classifier(z[..., self.common]).argmax(-1)


class PointLoss(PlainLoss):
    """A loss without noise."""

    def noise(self, model: MultimodalModel, batch: int, generator: torch.Generator) -> Noise:
        return []

    @abstractmethod
    def __call__(self, model: PointModel, x: Inputs, noise: Noise, annealing: Tensor) -> Estimate:
        """The objective on a batch; its bound is what the digits or the inputs have as log-likelihood, in nats."""


def head(latents: int, classes: int) -> nn.Module:
    """A classifier of codes with one hidden layer of 100, as DANN's of digits: (N, latents) -> (N, classes)."""
    return nn.Sequential(nn.Linear(latents, 100), nn.ReLU(), nn.Linear(100, classes))


def log_share(logits: Tensor, labels: Tensor) -> Tensor:
    """The log-probability of each label: (B, C), (B,) -> (B,), nats."""
    return -nn.functional.cross_entropy(logits, labels, reduction="none")


def unpaired(x: Inputs, fixed: str) -> Inputs:
    """A batch without its pairs: the rows of all modalities but `fixed` moved on, each by another number."""
    others = [name for name in x if name != fixed]
    return {name: value if name == fixed else value.roll(1 + others.index(name), 0) for name, value in x.items()}


def unlabelled(x: Inputs) -> tuple[Inputs, Tensor]:
    """A labelled batch's modalities, and its digits (B,).

    Raises:
        DataError: it has no digits.
    """
    if DIGITS not in x:
        raise DataError(f"the model learns digits, and the pairs have none: give their array as {DIGITS!r}")
    return {name: value for name, value in x.items() if name != DIGITS}, x[DIGITS]
