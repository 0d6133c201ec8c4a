"""UNIT: VAEs with a common latent space, whose translations look real and lead back (Liu, Breuel and Kautz 2017).

No pair is looked at. Posteriors have variance 1. All modalities share a map behind the encoders and another before the
decoders. Each has a discriminator, with the network of its encoder. Every translation is translated back. All learn in
one step: a discriminator's parameters are held fixed where images learn from it, and images where it learns from them.
The authors' optimiser has another first moment (0.5), and takes turns. Weights are in nats, and not the authors'.
"""

from dataclasses import dataclass
from itertools import permutations

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import logsigmoid

from mmvae.codes import WithPrior, unpaired
from mmvae.distributions import Normal
from mmvae.losses import Noise, Phase, PlainLoss, Setting
from mmvae.model import Inputs, ModelConfig, modalities
from mmvae.objectives import Estimate
from mmvae.params import Section, real

SHARED = 64  # units of the hidden layer of a map that all modalities share


class Options(Section):
    """kl: weight of all KLs. adversarial: weight of a translation's log-odds of being real, nats."""

    kl: real(0, 1000) = 0.1
    adversarial: real(0, 1e6) = 40.0


class Discriminator(nn.Module):
    """The network of an encoder, with one output: the log-odds of being real."""

    def __init__(self, encoder: nn.Module):
        super().__init__()
        encoder.drop_scale()
        self.encoder = encoder

    def forward(self, x: Tensor) -> Tensor:
        """(B, ...) -> (B,)."""
        return self.encoder.location(x)[:, 0]


class UNIT(WithPrior):
    """A posterior has variance 1."""

    paired, fewest_modalities, refused = False, 2, ("captions", "text")

    def __init__(self, config: ModelConfig):
        super().__init__(config)
        self.encoded, self.decoded = self._shared(), self._shared()
        self.discriminators = nn.ModuleDict(
            {name: Discriminator(made.encoder) for name, made in modalities(config, 1).items()}
        )
        self.to(memory_format=torch.channels_last)

    def _shared(self) -> nn.Module:
        latents = self.config.latents
        return nn.Sequential(nn.Linear(latents, SHARED), nn.ReLU(), nn.Linear(SHARED, latents))

    def code(self, name: str, x: Tensor) -> Tensor:
        return self.encoded(super().code(name, x))

    def view(self, name: str, z: Tensor) -> Tensor:
        return self.decoded(z)

    def sample(self, x: Inputs, generator: torch.Generator) -> Tensor:
        mean = self.mean(x)
        return mean + Normal.noise(mean.shape, mean, generator)


MODEL = UNIT


@dataclass(frozen=True)
class TranslationLoss(PlainLoss):
    """Of every modality its own ELBO; of every two, that of its translation there and back, and what is real.

    Noise is of the first codes, then of those of translations: (1, 1, B, D) each.
    """

    options: Options

    def noise(self, model: UNIT, batch: int, generator: torch.Generator) -> Noise:
        shape, like = (1, 1, batch, model.config.latents), next(model.parameters())
        steps = [*((name,) for name in model.modalities), *permutations(model.modalities, 2)]
        return [(step, Normal.noise(shape, like, generator)) for step in steps]

    def __call__(self, model: UNIT, x: Inputs, noise: Noise, annealing: Tensor) -> Estimate:
        x = unpaired(x, next(iter(x)))
        standard = {step: of[0, 0] for step, of in noise}
        codes = {name: model.code(name, value) for name, value in x.items()}
        z = {name: code + standard[name,] for name, code in codes.items()}
        likelihood = sum(model.log_likelihood({n: x[n]}, z[n]) for n in x)
        kl = sum(map(divergence, codes.values()))
        total = likelihood - self.options.kl * kl
        for a, b in permutations(x, 2):
            translated = model.decode(b, z[a])
            code = model.code(b, translated)
            back = model.log_likelihood({a: x[a]}, code + standard[a, b])
            made, told = adversaries(model.discriminators[b], x[b], translated)
            total = total + back - self.options.kl * divergence(code) + self.options.adversarial * made + told
        return Estimate.of_all(likelihood - kl, total.sum())


def divergence(code: Tensor) -> Tensor:
    """KL of N(code, I) to N(0, I): (B, D) -> (B,), nats."""
    return code.square().sum(-1) / 2


def adversaries(discriminator: Discriminator, real: Tensor, made: Tensor) -> tuple[Tensor, Tensor]:
    """The log-probability that what is made is real, which images alone learn from; and that both are told right,
    which the discriminator alone learns from: (B,) each.
    """
    fixed = {key: value.detach() for key, value in discriminator.named_parameters()}
    fooled = logsigmoid(functional_call(discriminator, fixed, (made,)))
    return fooled, logsigmoid(discriminator(real)) + logsigmoid(-discriminator(made.detach()))


def phases(options: Options, _: Setting) -> list[Phase]:
    """One phase."""
    return [Phase(TranslationLoss(options))]
