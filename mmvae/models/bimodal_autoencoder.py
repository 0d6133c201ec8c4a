"""A deep autoencoder of all modalities, of which some are missing in training (Ngiam et al. 2011, section 3).

Its authors train it layer by layer as RBMs first, and give it each of both, the first alone and the second alone for a
third of the examples; here it is trained at once. A missing modality's features are zeros, since an image of zeros is
an image.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mmvae.codes import PointLoss, PointModel
from mmvae.joint import side_by_side
from mmvae.losses import Noise, Phase, Setting
from mmvae.model import Inputs, ModelConfig
from mmvae.objectives import Estimate
from mmvae.params import Section, real


class Options(Section):
    """masked: share of a batch of which one modality alone is given, equally often each."""

    masked: real(0, 1) = 2 / 3


class BimodalAutoencoder(PointModel):
    """One linear layer makes the code of the last hidden layers of all encoders."""

    def __init__(self, config: ModelConfig):
        super().__init__(config)
        self.sizes = [modality.encoder.behead() for modality in self.modalities.values()]
        self.fusion = nn.Linear(sum(self.sizes), config.latents)

    def mean(self, x: Inputs) -> Tensor:
        features = [made.encoder.features(x[name]) if name in x else None for name, made in self.modalities.items()]
        return self.fusion(side_by_side(features, self.sizes))


MODEL = BimodalAutoencoder


def masked_codes(model: BimodalAutoencoder, x: Inputs, masked: float) -> Tensor:
    """Codes of a batch whose first rows are given as the first modality alone, the next as the second: (B, D)."""
    batch = len(next(iter(x.values())))
    alone = int(masked * batch / len(x))
    views = [([name], slice(i * alone, (i + 1) * alone)) for i, name in enumerate(x)]
    views.append((list(x), slice(len(x) * alone, batch)))
    views = [(names, rows) for names, rows in views if rows.start < min(rows.stop, batch)]
    return torch.cat([model.mean({name: x[name][rows] for name in names}) for names, rows in views])


@dataclass(frozen=True)
class MaskedReconstruction(PointLoss):
    """log p(all modalities | the code of some)."""

    masked: float

    def __call__(self, model: BimodalAutoencoder, x: Inputs, noise: Noise, annealing: Tensor) -> Estimate:
        likelihood = model.log_likelihood(x, masked_codes(model, x, self.masked))
        return Estimate.of_all(likelihood, likelihood.sum())


def phases(options: Options, _: Setting) -> list[Phase]:
    """One phase."""
    return [Phase(MaskedReconstruction(options.masked))]
