"""A posterior given all modalities that is one Gaussian, made by a network; the loss that JMVAE and MVTCAE share.

Shape letters: B batch, D latents, F features.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mmvae.distributions import Family, Mixture, Normal
from mmvae.elbos import SampledElbo, explained, to_prior
from mmvae.losses import Noise
from mmvae.model import GaussianVAE, Inputs, ModelConfig, MultimodalVAE, gaussian, modalities
from mmvae.objectives import Estimate

FUSED = 128  # units of the layer that joins the modalities


def side_by_side(features: Sequence[Tensor | None], sizes: Sequence[int]) -> Tensor:
    """Features (B, ...) of each modality, or None for zeros -> (B, F), of `sizes`."""
    given = next(part for part in features if part is not None)
    parts = [
        given.new_zeros(len(given), size) if part is None else part.flatten(1)
        for part, size in zip(features, sizes, strict=True)
    ]
    return torch.cat(parts, 1)


class Fusion(nn.Module):
    """The last hidden layers of all encoders, side by side -> one hidden layer -> two heads of D latents."""

    def __init__(self, sizes: Sequence[int], latents: int):
        super().__init__()
        self.sizes = list(sizes)
        self.hidden = nn.Linear(sum(sizes), FUSED)
        self.loc, self.log_variance = nn.Linear(FUSED, latents), nn.Linear(FUSED, latents)

    def joined(self, features: Sequence[Tensor | None]) -> Tensor:
        """(B, ...) of each modality, or None for zeros -> the hidden layer, (B, FUSED)."""
        return self.hidden(side_by_side(features, self.sizes)).relu()

    def forward(self, features: Sequence[Tensor | None]) -> Normal:
        """(B, ...) of each modality, or None for zeros -> (B, D)."""
        h = self.joined(features)
        return gaussian(self.loc(h), self.log_variance(h))


class JointEncoder(nn.Module):
    """q(z | all modalities), of networks of its own."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.encoders = nn.ModuleDict({name: made.encoder for name, made in modalities(config, config.latents).items()})
        for encoder in self.encoders.values():
            encoder.drop_decoder_parts()
        self.fusion = Fusion([encoder.behead() for encoder in self.encoders.values()], config.latents)

    def forward(self, x: Inputs) -> Normal:
        """(B, ...) of every modality -> (B, D)."""
        return self.fusion([encoder.features(x[name]) for name, encoder in self.encoders.items()])


class JointEncoderVAE(GaussianVAE):
    """An encoder of all modalities together beside those of each, with copies of their networks (Suzuki et al. 2017).

    Given some of three or more modalities, their own experts are averaged.
    """

    def __init__(self, config: ModelConfig):
        super().__init__(config)
        self.joint_encoder = JointEncoder(config)
        self.to(memory_format=torch.channels_last)

    def experts_given(self, names: Sequence[str]) -> int:
        return 1 if len(names) == len(self.modalities) else len(names)

    def posterior(self, x: Inputs) -> Mixture:
        if len(x) < len(self.modalities):
            return super().posterior(x)
        return Mixture.of({"joint": self.joint_encoder(x)})


@dataclass(frozen=True)
class JointElbo(SampledElbo):
    """likelihood E_q[log p(x | z)] - prior KL(q || p) - experts sum_m KL(q || q_m), q the posterior given all."""

    likelihood: float
    prior: float
    experts: float

    def __call__(self, model: MultimodalVAE, x: Inputs, noise: Noise, annealing: Tensor) -> Estimate:
        experts = model.experts(x) if self.experts else {}
        return self.weighed(model, x, noise, model.posterior(x), experts)

    def weighed(
        self, model: MultimodalVAE, x: Inputs, noise: Noise, posterior: Mixture, experts: dict[str, Family]
    ) -> Estimate:
        """The objective of a posterior (1, B, D) and the experts (B, D) that it is to be near."""
        likelihood, kl = explained(model, x, posterior, noise[0][1])[0], to_prior(model, posterior)[0]
        apart = sum(posterior.experts.kl(expert).sum(-1)[0] for expert in experts.values())
        surrogate = self.likelihood * likelihood - self.prior * kl - self.experts * apart
        return Estimate.of_all(likelihood - kl, surrogate.sum())
