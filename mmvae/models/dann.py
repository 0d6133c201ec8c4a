"""DANN: codes from which a classifier cannot tell modalities, by reversed gradients (GRL, Ganin and Lempitsky 2015).

As its authors', but with an encoder for each modality, whose images differ in shape, and Adam. If `tied`, one encoder
sees the images of all, as the authors' does.
"""

import math
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import pad

from mmvae import registry
from mmvae.adaptation import Encoders, Source, one_of_kinds, told_apart
from mmvae.codes import PointLoss, head, log_share, unlabelled, unpaired
from mmvae.losses import Noise, Phase, Setting
from mmvae.model import Inputs, ModelConfig
from mmvae.objectives import Estimate
from mmvae.params import ParamsError, real


class Options(Source):
    """reversal: the factor of reversed gradients at the end of the training. tied: kind of the modality whose
    encoder sees the images of all, with a black margin and repeated channels; None: each has its own.
    """

    reversal: real(0, 100) = 1.0
    tied: str | None = None


class DANN(Encoders):
    """With a classifier of modalities."""

    def __init__(self, config: ModelConfig):
        super().__init__(config)
        self.domain = head(config.latents, len(config.kinds))
        tied = config.options.get("tied")
        self.tied = next((name for name, kind in config.kinds.items() if kind == tied), None)
        if self.tied:
            for name in self.modalities.keys() - {self.tied}:
                self.modalities[name].encoder = None

    @classmethod
    def check(cls, config: ModelConfig) -> None:
        super().check(config)
        one_of_kinds(config, "tied")
        if tied := config.options.get("tied"):
            frame = stored_shape(tied)
            if unfit := [kind for kind in config.kinds.values() if not fits(stored_shape(kind), frame)]:
                raise ParamsError(f"tied is {tied!r}: no {' or '.join(unfit)} has a place in its images")

    def code(self, name: str, x: Tensor) -> Tensor:
        if self.tied:
            name, x = self.tied, framed(x, self.modalities[self.tied].shape)
        return super().code(name, x)


def stored_shape(kind: str) -> tuple:
    """Of one value of a kind, without the batch."""
    return registry.find("kinds", kind).STORED[1]


def fits(shape: tuple, frame: tuple) -> bool:
    """Is it an image that `framed` can put into images of the other shape?"""
    images = len(shape) == len(frame) == 3
    return images and shape[0] in (1, frame[0]) and all(part <= whole for part, whole in zip(shape, frame, strict=True))


def framed(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Images (B, C, H, W) amid zeros, as images of the given shape; a single channel is repeated."""
    rows, columns = (whole - part for whole, part in zip(shape[1:], x.shape[2:], strict=True))
    margins = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
    return pad(x, margins).expand(-1, shape[0], -1, -1)


MODEL = DANN


@dataclass(frozen=True)
class AdversarialLoss(PointLoss):
    """log p(digit | the source's code) + log p(modality | code), the latter reversed for encoders."""

    reversal: float

    def annealing(self, progress: float) -> float:
        """Of the reversal, as in the paper: from 0 to nearly 1."""
        return 2 / (1 + math.exp(-10 * progress)) - 1

    def __call__(self, model: DANN, x: Inputs, noise: Noise, annealing: Tensor) -> Estimate:
        x, digits = unlabelled(x)
        codes = {name: model.code(name, value) for name, value in unpaired(x, model.source).items()}
        said = log_share(model.classifier(codes[model.source]), digits)
        apart = told_apart(model.domain, list(codes.values()), annealing * self.reversal)
        return Estimate.of_all(said, (said + apart).sum())


def phases(options: Options, _: Setting) -> list[Phase]:
    """One phase."""
    return [Phase(AdversarialLoss(options.reversal), labelled=True)]
