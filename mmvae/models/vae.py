"""A VAE of one modality: an MMVAE with a single expert."""

from mmvae.losses import Phase, Setting
from mmvae.models import mmvae
from mmvae.params import Section


class Options(Section):
    """None of its own."""


class VAE(mmvae.MMVAE):
    """Of several modalities, MMVAE under the loose bound."""


MODEL = VAE


def phases(_: Options, setting: Setting) -> list[Phase]:
    """As MMVAE's under the loose bound, which for one expert is the tight one."""
    return mmvae.phases(mmvae.Options(), setting)
