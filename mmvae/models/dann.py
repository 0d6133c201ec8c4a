"""DANN: codes from which a classifier cannot tell modalities, by reversed gradients (GRL, Ganin and Lempitsky 2015).

As its authors', but with an encoder for each modality, whose images differ in shape, and Adam.
"""

import math
from dataclasses import dataclass

from torch import Tensor

from mmvae.adaptation import Encoders, Source, told_apart
from mmvae.codes import PointLoss, head, log_share, unlabelled, unpaired
from mmvae.losses import Noise, Phase, Setting
from mmvae.model import Inputs, ModelConfig
from mmvae.objectives import Estimate
from mmvae.params import real


class Options(Source):
    """reversal: the factor of reversed gradients at the end of the training."""

    reversal: real(0, 100) = 1.0


class DANN(Encoders):
    """With a classifier of modalities."""

    def __init__(self, config: ModelConfig):
        super().__init__(config)
        self.domain = head(config.latents, len(config.kinds))


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
