"""TELBO: a joint VAE, and for each modality an ELBO under the same decoders (Vedantam, Fischer, Huang and Murphy 2018).

Its authors' code trains all three ELBOs at once and stops the gradients of the single ones before the decoders. The
MMVAE paper (section 2) and MultiVae train the encoders of single modalities in a second stage.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.func import functional_call

from mmvae.elbos import SampledElbo
from mmvae.joint import JointElbo, JointEncoderVAE
from mmvae.losses import Noise, Phase, Setting
from mmvae.model import Inputs, MultimodalVAE
from mmvae.objectives import Estimate
from mmvae.params import Section, real


class Options(Section):
    """beta: of all KLs. stages: the encoders of single modalities learn with the joint VAE, or in the second half."""

    beta: real(0, 1000) = 1.0
    stages: Literal["together", "apart"] = "together"


MODEL = JointEncoderVAE


@dataclass(frozen=True)
class TripleElbo(SampledElbo):
    """The ELBO of the joint VAE and, for each modality, its own, which teaches its encoder alone.

    joint: whether the first takes part in the surrogate.
    """

    beta: float
    joint: bool = True

    def noise(self, model: MultimodalVAE, batch: int, generator: torch.Generator) -> Noise:
        subsets = [tuple(model.modalities), *((name,) for name in model.modalities)]
        prior = model.prior()
        shape = (1, 1, batch, model.config.latents)
        return [(names, prior.noise(shape, prior.scale, generator)) for names in subsets]

    def __call__(self, model: MultimodalVAE, x: Inputs, noise: Noise, annealing: Tensor) -> Estimate:
        whole = JointElbo(1.0, self.beta, 0.0)(model, x, noise[:1], annealing)
        surrogate = whole.surrogate if self.joint else 0
        for (name,), standard in noise[1:]:
            expert, modality = model.expert(name, x[name]), model.modalities[name]
            fixed = {key: value.detach() for key, value in modality.named_parameters()}
            z = expert.loc + expert.scale * standard[0, 0]
            likelihood = modality.scaling * functional_call(modality, fixed, (z, x[name]))
            surrogate = surrogate + (likelihood - self.beta * expert.kl(model.prior()).sum(-1)).sum()
        return Estimate.of_all(whole.bound, surrogate)


def phases(options: Options, _: Setting) -> list[Phase]:
    """One phase, or two of the same length, neither of which changes a caption's table of words."""
    if options.stages == "together":
        return [Phase(TripleElbo(options.beta))]
    first = Phase(JointElbo(1.0, options.beta, 0.0), 0.5, ("joint_encoder.*", "modalities.*.decoder.*"))
    return [first, Phase(TripleElbo(options.beta, joint=False), 0.5, ("modalities.*.encoder.[!w]*",))]
