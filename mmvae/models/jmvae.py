"""JMVAE-kl: a joint encoder, to which those of single modalities are fitted (Suzuki, Nakayama and Matsuo 2017)."""

from mmvae.joint import JointElbo, JointEncoderVAE
from mmvae.losses import Phase, Setting
from mmvae.params import Section, real


class Options(Section):
    """alpha: of the KL from the joint posterior to each single one; at 0 these learn nothing."""

    alpha: real(0, 1000) = 1.0


MODEL = JointEncoderVAE


def phases(options: Options, _: Setting) -> list[Phase]:
    """One phase; nothing is annealed."""
    return [Phase(JointElbo(1.0, 1.0, options.alpha))]
