"""mmJSD: BiVCCA's particles, a Jensen-Shannon divergence with a dynamic prior (Sutter, Daunhawer and Vogt 2020).

As in the repository of that paper: the prior is one of the distributions that are compared, and is never decoded from.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from mmvae.distributions import Mixture, Normal
from mmvae.elbos import MixtureElbo
from mmvae.losses import Phase, Setting
from mmvae.model import MultimodalVAE
from mmvae.models import bivcca

MODEL, Options = bivcca.BiVCCA, bivcca.Options


def jensen_shannon(experts: Normal, prior: Normal) -> Tensor:
    """The mean of KL(q || f) over the experts (M, B, D) and the prior (D,), f their normalised geometric mean: (B,)."""
    loc = torch.cat([experts.loc, prior.loc.expand_as(experts.loc[:1])])
    scale = torch.cat([experts.scale, prior.scale.expand_as(experts.scale[:1])])
    precision = scale.pow(-2).mean(0)
    dynamic = Normal((loc / scale**2).mean(0) / precision, precision.rsqrt())
    return Normal(loc, scale).kl(dynamic).sum(-1).mean(0)


@dataclass(frozen=True)
class JensenShannonElbo(MixtureElbo):
    """The mixture's ELBO with the divergence between all posteriors and the prior."""

    def divergence(self, model: MultimodalVAE, posterior: Mixture) -> Tensor:
        return jensen_shannon(posterior.experts, model.prior())


def phases(options: Options, _: Setting) -> list[Phase]:
    """One phase."""
    return [Phase(JensenShannonElbo(options.beta))]
