"""BiVCCA: either modality's posterior explains both (Wang, Yan, Lee and Livescu 2016), with equal weights.

What several later papers call MMVAE is this with one expert drawn for each pair (Sutter's and Bounoua's code).
"""

from mmvae.elbos import MixtureElbo
from mmvae.losses import Phase, Setting
from mmvae.model import GaussianVAE
from mmvae.params import Section, real


class Options(Section):
    """beta: of the KL."""

    beta: real(0, 1000) = 1.0


class BiVCCA(GaussianVAE):
    """Gaussian experts. Given several modalities: one of their experts, at random."""


MODEL = BiVCCA


def phases(options: Options, _: Setting) -> list[Phase]:
    """One phase."""
    return [Phase(MixtureElbo(options.beta))]
