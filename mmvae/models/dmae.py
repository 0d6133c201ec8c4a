"""DMAE: an autoencoder of each modality, and codes that depend on each other (Mukherjee, Yamada and Hospedales 2017).

Dependence is the unnormalised alignment of the kernel matrices of a batch's codes. The kernels are centred here:
without that, codes that are all one point are the most dependent. Kernels see distances, so codes are alike up to a
rotation; `aligned` of the metrics measures generation after one. How its authors generate across is not known here.
"""

from dataclasses import dataclass
from itertools import combinations

from torch import Tensor

from mmvae.codes import PointLoss, PointModel
from mmvae.losses import Noise, Phase, Setting
from mmvae.model import Inputs
from mmvae.objectives import Estimate
from mmvae.params import Section, real


class Options(Section):
    """matching: weight of the dependence of every two modalities, nats a pair."""

    matching: real(0, 1e6) = 1000.0


class DMAE(PointModel):
    """An autoencoder is a modality's encoder and decoder."""

    fewest_modalities, rotated = 2, True  # codes are alike up to a rotation


MODEL = DMAE


def kernel(z: Tensor) -> Tensor:
    """Gaussian, as wide as the median distance: (B, D) -> (B, B)."""
    squares = (z[:, None] - z).square().sum(-1)
    return (-squares / (2 * squares.detach().median().clamp(min=1e-12))).exp()


def dependence(a: Tensor, b: Tensor) -> Tensor:
    """The Hilbert-Schmidt independence criterion of codes (B, D), biased: tr(K H L H) / (B - 1)^2."""
    first = kernel(a)
    centred = first - first.mean(0) - first.mean(1, keepdim=True) + first.mean()
    return (centred * kernel(b)).sum() / (len(a) - 1) ** 2


@dataclass(frozen=True)
class MatchingLoss(PointLoss):
    """The sum over modalities of log p(x_m | its own code), and the dependence of codes."""

    matching: float

    def __call__(self, model: DMAE, x: Inputs, noise: Noise, annealing: Tensor) -> Estimate:
        codes = {name: model.code(name, value) for name, value in x.items()}
        likelihood = sum(model.log_likelihood({name: x[name]}, z) for name, z in codes.items())
        matched = sum(dependence(a, b) for a, b in combinations(codes.values(), 2))
        return Estimate.of_all(likelihood, likelihood.sum() + len(likelihood) * self.matching * matched)


def phases(options: Options, _: Setting) -> list[Phase]:
    """One phase."""
    return [Phase(MatchingLoss(options.matching))]
