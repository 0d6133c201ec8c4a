"""MFM: a Wasserstein autoencoder with a factor that says the digit, and one of each modality's own (Tsai et al. 2019).

A modality that is missing has surrogates, which predict its factors from those that are there. As its authors' code,
which lets the surrogates' error move what they predict; but images have the likelihood of the other systems, the
discrepancy has the kernels of DAN, since its own is nearly flat, and a modality's encoder makes its own factor as well
as the surrogates.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from mmvae.adaptation import discrepancy
from mmvae.codes import CLASSES, Classifying, WithPrior, head, log_share, unlabelled
from mmvae.distributions import Normal
from mmvae.joint import JointEncoder
from mmvae.losses import Noise, Phase, PlainLoss, Setting
from mmvae.model import Inputs, ModelConfig
from mmvae.objectives import Estimate
from mmvae.params import Section, real, whole
from mmvae.private import PrivateLatents


class Options(Section):
    """private: latents of each modality's own factor; None: half of all, together. matching, labels: weights of the
    factors' discrepancies to N(0, I), and of the digit's log-probability.
    """

    private: whole(1, 256) | None = None
    matching: real(0, 1e6) = 10.0
    labels: real(0, 1e6) = 10.0


class MFM(PrivateLatents, WithPrior, Classifying):
    """The prior of all factors is N(0, I)."""

    fewest_private = 1

    def __init__(self, config: ModelConfig):
        super().__init__(config)
        self.joint_encoder = JointEncoder(replace(config, latents=self.shared))
        self.joint_encoder.fusion.log_variance = None
        self.classifier = head(self.shared, CLASSES)
        sizes = {name: modality.encoder.loc.weight[0].numel() for name, modality in self.modalities.items()}
        self.surrogates = nn.ModuleDict(
            {a: nn.ModuleDict({b: nn.Linear(sizes[a], self.own) for b in sizes if b != a}) for a in sizes}
        )
        self.to(memory_format=torch.channels_last)

    def shared_factor(self, x: Inputs) -> Tensor:
        """From all modalities: (B, shared)."""
        fusion, encoders = self.joint_encoder.fusion, self.joint_encoder.encoders
        return fusion.loc(fusion.joined([encoder.features(x[name]) for name, encoder in encoders.items()]))

    def factors(self, name: str, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """From one modality: a surrogate of the shared factor, (B, shared), its own, and surrogates of the others'."""
        encoder = self.modalities[name].encoder
        features = encoder.features(x)
        code = encoder.loc(features).flatten(1)
        others = {other: made(features.flatten(1)) for other, made in self.surrogates[name].items()}
        return code[:, : self.shared], {name: code[:, self.shared :]} | others

    def mean(self, x: Inputs) -> Tensor:
        found = {name: self.factors(name, value) for name, value in x.items()}
        every = len(x) == len(self.modalities)
        shared = self.shared_factor(x) if every else sum(u for u, _ in found.values()) / len(found)
        own = []
        for name in self.modalities:
            of = [found[name]] if name in found else list(found.values())
            own.append(sum(private[name] for _, private in of) / len(of))
        return torch.cat([shared, *own], -1)


MODEL = MFM


@dataclass(frozen=True)
class FactorLoss(PlainLoss):
    """log p(x | factors) + labels log p(digit | the shared factor), less discrepancies to the prior, and the squared
    errors of all surrogates.
    """

    options: Options

    def noise(self, model: MFM, batch: int, generator: torch.Generator) -> Noise:
        """Draws from the prior."""
        shape = (1, 1, batch, model.config.latents)
        return [(tuple(model.modalities), Normal.noise(shape, next(model.parameters()), generator))]

    def __call__(self, model: MFM, x: Inputs, noise: Noise, annealing: Tensor) -> Estimate:
        x, digits = unlabelled(x)
        shared, found = model.shared_factor(x), {name: model.factors(name, value) for name, value in x.items()}
        own = {name: found[name][1][name] for name in model.modalities}
        likelihood = model.log_likelihood(x, torch.cat([shared, *own.values()], -1))
        said = log_share(model.classifier(shared), digits)
        missed = sum((u - shared).square().sum(-1) for u, _ in found.values())
        for a, (_, private) in found.items():
            missed = missed + sum((private[b] - own[b]).square().sum(-1) for b in own if b != a)
        prior = noise[0][1][0, 0]
        apart = discrepancy(shared, prior[:, : model.shared])
        apart = apart + sum(discrepancy(own[name], prior[:, part]) for name, part in model.parts().items())
        surrogate = (likelihood + self.options.labels * said - missed).sum()
        return Estimate.of_all(likelihood, surrogate - len(said) * self.options.matching * apart)


def phases(options: Options, _: Setting) -> list[Phase]:
    """One phase."""
    return [Phase(FactorLoss(options), labelled=True)]
