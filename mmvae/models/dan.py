"""DAN: codes and logits of digits that are distributed alike in all modalities (Long, Cao, Wang and Jordan 2015).

As its authors' released code, which adds the kernels up, where the paper learns their weights; with an encoder for each
modality, whose images differ in shape.
"""

from dataclasses import dataclass

from torch import Tensor

from mmvae.adaptation import Encoders, Source, discrepancy
from mmvae.codes import PointLoss, log_share, unlabelled, unpaired
from mmvae.losses import Noise, Phase, Setting
from mmvae.model import Inputs
from mmvae.objectives import Estimate
from mmvae.params import real


class Options(Source):
    """matching: weight of the discrepancies between the source and each target."""

    matching: real(0, 1000) = 1.0


MODEL = Encoders


@dataclass(frozen=True)
class DiscrepancyLoss(PointLoss):
    """log p(digit | the source's code) - matching times the discrepancies of codes, and of logits."""

    matching: float

    def __call__(self, model: Encoders, x: Inputs, noise: Noise, annealing: Tensor) -> Estimate:
        x, digits = unlabelled(x)
        codes = {name: model.code(name, value) for name, value in unpaired(x, model.source).items()}
        logits = {name: model.classifier(z) for name, z in codes.items()}
        said = log_share(logits[model.source], digits)
        layers = [(of.pop(model.source), list(of.values())) for of in (codes, logits)]
        apart = sum(discrepancy(source, target) for source, targets in layers for target in targets)
        return Estimate.of_all(said, said.sum() - len(said) * self.matching * apart)


def phases(options: Options, _: Setting) -> list[Phase]:
    """One phase."""
    return [Phase(DiscrepancyLoss(options.matching), labelled=True)]
