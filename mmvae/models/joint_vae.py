"""One VAE of all modalities together; a missing one's features are zeros, much as in JMVAE-zero (Suzuki 2017)."""

from collections.abc import Sequence

from mmvae.distributions import Mixture
from mmvae.joint import Fusion, JointElbo
from mmvae.losses import Phase, Setting
from mmvae.model import GaussianVAE, Inputs, ModelConfig
from mmvae.params import Section, real


class Options(Section):
    """beta: of the KL."""

    beta: real(0, 1000) = 1.0


class JointVAE(GaussianVAE):
    """No modality has an encoder of its own, and none is missing in training."""

    def __init__(self, config: ModelConfig):
        super().__init__(config)
        sizes = [modality.encoder.behead() for modality in self.modalities.values()]
        self.fusion = Fusion(sizes, config.latents)

    def experts_given(self, names: Sequence[str]) -> int:
        return 1

    def posterior(self, x: Inputs) -> Mixture:
        features = [made.encoder.features(x[name]) if name in x else None for name, made in self.modalities.items()]
        return Mixture.of({"joint": self.fusion(features)})


MODEL = JointVAE


def phases(options: Options, _: Setting) -> list[Phase]:
    """One phase."""
    return [Phase(JointElbo(1.0, options.beta, 0.0))]
