"""A denoising autoencoder of all modalities that may also say the digit (SBA, Silberer and Lapata 2014).

Its authors train it in stages, the autoencoders of single modalities first, on vectors of attributes. Here it is
trained at once. How they weigh the two terms is not known here.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mmvae.codes import CLASSES, Classifying, log_share, unlabelled
from mmvae.losses import Noise, Phase, PlainLoss, Setting
from mmvae.model import Inputs, ModelConfig, MultimodalModel
from mmvae.models import bimodal_autoencoder
from mmvae.models.bimodal_autoencoder import BimodalAutoencoder, masked_codes
from mmvae.objectives import Estimate
from mmvae.params import check, real


class Options(bimodal_autoencoder.Options):
    """corrupted: share of an input's values that are set to zero. labels: weight of the digit's log-probability; with 0
    the digits are not looked at.
    """

    corrupted: real(0, 1) = 0.25
    labels: real(0, 1e6) = 0.0


class SBA(BimodalAutoencoder, Classifying):
    """With a softmax on the code, if it sees digits."""

    def __init__(self, config: ModelConfig):
        super().__init__(config)
        self.classifier = nn.Linear(config.latents, CLASSES) if check(Options, config.options).labels else None


MODEL = SBA


@dataclass(frozen=True)
class DenoisingLoss(PlainLoss):
    """log p(all modalities | the code of some, with values set to zero) + labels log p(digit | the code)."""

    options: Options

    def noise(self, model: MultimodalModel, batch: int, generator: torch.Generator) -> Noise:
        """Uniform, of every value."""
        device = generator.device
        return [
            ((name,), torch.rand((batch, *modality.shape), generator=generator, device=device))
            for name, modality in model.modalities.items()
        ]

    def __call__(self, model: SBA, x: Inputs, noise: Noise, annealing: Tensor) -> Estimate:
        digits = None
        if self.options.labels:
            x, digits = unlabelled(x)
        kept = {name: (uniform >= self.options.corrupted).to(x[name].dtype) for (name,), uniform in noise}
        z = masked_codes(model, {name: value * kept[name] for name, value in x.items()}, self.options.masked)
        likelihood = model.log_likelihood(x, z)
        said = 0 if digits is None else self.options.labels * log_share(model.classifier(z), digits)
        return Estimate.of_all(likelihood, (likelihood + said).sum())


def phases(options: Options, _: Setting) -> list[Phase]:
    """One phase."""
    return [Phase(DenoisingLoss(options), labelled=options.labels > 0)]
