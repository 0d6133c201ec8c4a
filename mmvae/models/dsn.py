"""DSN: shared codes that cannot be told apart, private ones beside them, and decoders of both (Bousmalis et al. 2016).

As re-implemented by others, with their weights; but shared and private codes stand side by side instead of being added
up, a decoder belongs to one modality, images have the likelihood of the other systems, and the two codes are kept apart
by their correlations, which do not depend on the size of a batch. Private codes are standardised, so that one that is
missing can be drawn from N(0, I).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mmvae.adaptation import Adapted, Source, told_apart
from mmvae.codes import PointLoss, head, log_share, unlabelled, unpaired
from mmvae.losses import Noise, Phase, Setting
from mmvae.model import Inputs, ModelConfig, modalities
from mmvae.objectives import Estimate
from mmvae.params import real, whole
from mmvae.private import PrivateLatents

RECONSTRUCTION, DIFFERENCE = 0.01, 0.075  # weights
START = 0.05  # of training, in which the source's digits alone are learned


class Options(Source):
    """private: latents of each modality's own; None: half of all, together. similarity: weight of the domain loss."""

    private: whole(1, 256) | None = None
    similarity: real(0, 100) = 0.25


class DSN(PrivateLatents, Adapted):
    """Private codes have encoders of their own."""

    fewest_private = 1

    def __init__(self, config: ModelConfig):
        super().__init__(config)
        made = {name: modality.encoder for name, modality in modalities(config, self.own).items()}
        for encoder in made.values():
            encoder.drop_decoder_parts()
            encoder.drop_scale()
            encoder.loc.bias = None  # which standardising takes away
        self.private_encoders = nn.ModuleDict(made)
        self.standard = nn.ModuleDict({name: nn.BatchNorm1d(self.own, affine=False) for name in made})
        self.domain = head(self.shared, len(config.kinds))
        self.to(memory_format=torch.channels_last)

    def code(self, name: str, x: Tensor) -> Tensor:
        """u and w: (B, shared + own)."""
        shared = self.modalities[name].encoder.location(x)[:, : self.shared]
        return torch.cat([shared, self.standard[name](self.private_encoders[name].location(x))], -1)

    def mean(self, x: Inputs) -> Tensor:
        return self._joined(x, lambda z: z.zero_())

    def sample(self, x: Inputs, generator: torch.Generator) -> Tensor:
        return self._joined(x, lambda z: z.normal_(generator=generator))

    def _joined(self, x: Inputs, fill: Callable[[Tensor], Tensor]) -> Tensor:
        """The codes of the given modalities at their places, and what `fill` writes elsewhere: (B, D)."""
        z = fill(next(self.parameters()).new_empty(len(next(iter(x.values()))), self.config.latents))
        codes = {name: self.code(name, value) for name, value in x.items()}
        z[:, : self.shared] = sum(code[:, : self.shared] for code in codes.values()) / len(codes)
        for name, code in codes.items():
            z[:, self.parts()[name]] = code[:, self.shared :]
        return z


MODEL = DSN


def correlation(a: Tensor, b: Tensor) -> Tensor:
    """The mean squared correlation of columns: (B, F), (B, G) -> ()."""
    first, second = ((part - part.mean(0)) / part.std(0).clamp(min=1e-6) for part in (a, b))
    return (first.T @ second / (len(a) - 1)).square().mean()


@dataclass(frozen=True)
class SeparationLoss(PointLoss):
    """log p(digit | u of the source), and, after the start, what reconstructs, keeps apart and aligns codes."""

    similarity: float

    def annealing(self, progress: float) -> float:
        return float(progress >= START)

    def __call__(self, model: DSN, x: Inputs, noise: Noise, annealing: Tensor) -> Estimate:
        x, digits = unlabelled(x)
        x = unpaired(x, model.source)
        codes = {name: model.code(name, value) for name, value in x.items()}
        shared = {name: code[:, : model.shared] for name, code in codes.items()}
        said = log_share(model.classifier(shared[model.source]), digits)
        made = [model.modalities[name] for name in x]
        likelihood = sum(m.scaling * m.log_likelihood(codes[name], x[name]) for m, name in zip(made, x, strict=True))
        mixed = sum(correlation(shared[name], codes[name][:, model.shared :]) for name in x)
        apart = told_apart(model.domain, list(shared.values()), 1.0)
        rest = RECONSTRUCTION * likelihood - DIFFERENCE * mixed + self.similarity * apart
        return Estimate.of_all(said, (said + annealing * rest).sum())


def phases(options: Options, _: Setting) -> list[Phase]:
    """One phase."""
    return [Phase(SeparationLoss(options.similarity), labelled=True)]
