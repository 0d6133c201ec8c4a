"""MMVAE, MVAE and the single-modality VAE behind one interface.

A model encodes any subset of its modalities into a posterior, which is always a `Mixture` of experts: MMVAE's has one
expert per modality, MVAE's product and a VAE's posterior are mixtures of one. Inputs are dictionaries from modality
names to pixels in [0, 1] (B, C, H, W), features (B, F) or words (B, T).

Shape letters: M experts, K particles, B batch, D latents, S any number of particles.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from mmvae.config import CAPTIONS, COLOUR, FEATURES, GREY, IMAGE_SHAPES, PIXELS, SCORED
from mmvae.distributions import (
    Family,
    Mixture,
    Normal,
    laplace_from_logits,
    normal_from_log_variance,
    product_of_experts,
)
from mmvae.files import AGAIN, FileError, check_fit, read_weights, write_weights
from mmvae.modality import BernoulliLikelihood, CategoricalLikelihood, LaplaceLikelihood, Modality
from mmvae.nets import captions, features, mnist, pixels, svhn

Inputs = dict[str, Tensor]
POSTERIOR_SCALE_MINIMUM = 1e-6  # MMVAE's, as released
POSTERIOR_VARIANCE_MINIMUM = 1e-8  # MVAE's, as its authors released it
CACHED_ROWS = {"cpu": 256, "cuda": 65536}


@dataclass(frozen=True)
class ModelConfig:
    """Everything needed to build a model again; stored beside its weights.

    `modalities` maps each modality's name to its kind; `posterior` is how experts combine. `options` maps the kinds of
    captioned images to what their networks and likelihood need (`_captions`, `_features`, `_pixels` below).
    """

    model: str
    modalities: dict[str, str]
    posterior: str = "moe"
    latents: int = 20
    hidden: int = 400
    channels: int = 32
    likelihood: str = "laplace"
    likelihood_scale: float = 0.75
    options: dict[str, dict] = field(default_factory=dict)

    def as_dict(self) -> dict:
        return asdict(self)


def _image(config: ModelConfig, kind: str) -> Modality:
    """Digits: the log-likelihood is scaled up to the pixels of the largest modality."""
    nets, width = {GREY: (mnist, config.hidden), COLOUR: (svhn, config.channels)}[kind]
    likelihood = {
        "laplace": LaplaceLikelihood(config.likelihood_scale),
        "bernoulli": BernoulliLikelihood(),
    }[config.likelihood]
    sizes = {k: math.prod(IMAGE_SHAPES[k]) for k in config.modalities.values()}
    return Modality(
        nets.Encoder(config.latents, width),
        nets.Decoder(config.latents, width),
        likelihood,
        max(sizes.values()) / sizes[kind],
    )


def _captions(latents: int, vocabulary: int, channels: int, embedding: int, scaling: float, scored: str) -> Modality:
    """`vocabulary` words, of which `scored` says which are not scored."""
    encoder = captions.Encoder(latents, vocabulary, channels, embedding)
    likelihood = CategoricalLikelihood(encoder.words, SCORED[scored])
    return Modality(encoder, captions.Decoder(latents, channels, embedding), likelihood, scaling)


def _features(latents: int, length: int, hidden: int, likelihood_scale: float, scaling: float) -> Modality:
    """`length` numbers an image."""
    encoder, decoder = features.Encoder(latents, length, hidden), features.Decoder(latents, length, hidden)
    return Modality(encoder, decoder, LaplaceLikelihood(likelihood_scale, dimensions=1), scaling)


def _pixels(latents: int, channels: int, likelihood_scale: float, scaling: float) -> Modality:
    encoder, decoder = pixels.Encoder(latents, channels), pixels.Decoder(latents, channels)
    return Modality(encoder, decoder, LaplaceLikelihood(likelihood_scale), scaling)


def _modality(config: ModelConfig, kind: str) -> Modality:
    if kind in (GREY, COLOUR):
        return _image(config, kind)
    builder = {CAPTIONS: _captions, FEATURES: _features, PIXELS: _pixels}[kind]
    return builder(config.latents, **config.options[kind])


class MultimodalVAE(nn.Module, ABC):
    """What the three models share; subclasses say what prior and posterior are."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.modalities = nn.ModuleDict({name: _modality(config, kind) for name, kind in config.modalities.items()})
        self.to(memory_format=torch.channels_last)

    @abstractmethod
    def prior(self) -> Family:
        """p(z), over D latents."""

    @abstractmethod
    def expert(self, name: str, x: Tensor) -> Family:
        """The posterior of one modality's encoder: (B, ...) -> (B, D)."""

    def experts_given(self, names: Sequence[str]) -> int:
        """M, the number of experts in the posterior given these modalities."""
        return len(names)

    def noise(self, names: Sequence[str], particles: int, batch: int, generator: torch.Generator) -> Tensor:
        """Standard noise for `particles` from each expert of the posterior given these modalities: (M, K, B, D)."""
        prior = self.prior()
        shape = (self.experts_given(names), particles, batch, self.config.latents)
        return prior.noise(shape, prior.scale.detach(), generator)

    def combine(self, experts: dict[str, Family]) -> Mixture:
        """The posterior given the modalities of these experts, (B, D) each."""
        return Mixture.of(experts)

    def posterior(self, x: Inputs) -> Mixture:
        """q(z | x) given any subset of the modalities."""
        return self.combine({name: self.expert(name, value) for name, value in x.items()})

    def decode(self, name: str, z: Tensor) -> Tensor:
        """Predicted mean pixels or features, or the most probable words: (N, D) -> (N, ...)."""
        return self.modalities[name].decode(z)

    def log_joint(self, x: Inputs, z: Tensor) -> Tensor:
        """log p(z) + sum of scaled log p(x_m | z), row by row: x (N, ...), z (N, D) -> (N,)."""
        likelihoods = [self.modalities[name].scaling * self.modalities[name].log_likelihood(z, x[name]) for name in x]
        return self.prior().log_prob(z) + sum(likelihoods)

    def scores(self, x: Inputs, z: Tensor) -> Inputs:
        """Unscaled log p(x_m | z) of each modality, without gradient: z (S, B, D) -> (S, B) each."""
        rows = CACHED_ROWS[z.device.type]
        return {name: self.modalities[name].score(z, value, rows) for name, value in x.items()}

    @torch.no_grad()
    def log_weights(self, x: Inputs, z: Tensor, posterior: Mixture, dtype: torch.dtype | None = None) -> Tensor:
        """log w = log p(x, z) - log q(z | x) (eq. 3), without gradient: z (M, K, B, D) -> (M, K, B).

        `dtype` is the decoders' arithmetic, by default the model's own; sums are in the model's own.
        """
        with torch.autocast(z.device.type, dtype, enabled=dtype is not None):
            scores = self.scores(x, z.flatten(0, 1))
        scaled = sum(self.modalities[name].scaling * score for name, score in scores.items())
        return scaled.unflatten(0, z.shape[:2]) + self.prior().log_prob(z) - posterior.log_prob(z)


class MMVAE(MultimodalVAE):
    """Laplace experts averaged into a mixture, and a Laplace prior whose scale is learned (sections 3 and 4.1)."""

    def __init__(self, config: ModelConfig):
        super().__init__(config)
        self.prior_scale_logits = nn.Parameter(torch.zeros(config.latents))

    def prior(self) -> Family:
        return laplace_from_logits(torch.zeros_like(self.prior_scale_logits), self.prior_scale_logits)

    def expert(self, name: str, x: Tensor) -> Family:
        return laplace_from_logits(*self.modalities[name].encoder(x), minimum=POSTERIOR_SCALE_MINIMUM)


class VAE(MMVAE):
    """One modality: an MMVAE with a single expert."""


class MVAE(MultimodalVAE):
    """Gaussian experts and an N(0, I) prior expert, multiplied (Wu and Goodman 2018), or averaged (appendix E)."""

    def prior(self) -> Family:
        like = next(self.parameters())
        return Normal(like.new_zeros(self.config.latents), like.new_ones(self.config.latents))

    def expert(self, name: str, x: Tensor) -> Family:
        return normal_from_log_variance(*self.modalities[name].encoder(x), minimum=POSTERIOR_VARIANCE_MINIMUM)

    def experts_given(self, names: Sequence[str]) -> int:
        return len(names) if self.config.posterior == "moe" else 1

    def combine(self, experts: dict[str, Family]) -> Mixture:
        if self.config.posterior == "moe":
            return super().combine(experts)
        return Mixture.of({"product": product_of_experts(list(experts.values()), self.prior())})


MODELS = {"mmvae": MMVAE, "mvae": MVAE, "vae": VAE}


def build(config: ModelConfig) -> MultimodalVAE:
    """The model that `config` describes, with fresh weights from torch's global generator."""
    return MODELS[config.model](config)


def load(path: str | Path, device: torch.device | str = "cpu") -> MultimodalVAE:
    """A trained model, ready to evaluate, from its weights file, which says how to build it.

    Raises:
        FileError: the file is damaged, or its weights do not fit the model that its configuration describes.
    """
    weights, config = read_weights(path)
    try:
        with torch.device("meta"):  # where no size that a file states costs any memory
            expected = build(ModelConfig(**config)).state_dict()
    except Exception as error:  # a wrong configuration fails in many ways
        problem = " ".join(f"{type(error).__name__}: {error}".split())
        raise FileError(f"{path} describes no model that can be built: {problem}; {AGAIN}") from error
    check_fit(path, weights, expected)
    model = build(ModelConfig(**config))
    model.load_state_dict(weights)
    return model.to(device).eval().requires_grad_(False)


def save(path: str | Path, model: MultimodalVAE) -> None:
    """The weights of `model` and the configuration that builds it."""
    write_weights(path, model.state_dict(), model.config.as_dict())
