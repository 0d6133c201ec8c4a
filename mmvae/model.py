"""What every model shares: modalities and codes of any subset of them; and, of most, a prior and a posterior.

A `MultimodalVAE` encodes any subset of its modalities into a posterior, which is always a `Mixture` of experts: MMVAE's
has one expert per modality, MVAE's product and a VAE's posterior are mixtures of one. Inputs are dictionaries from
modality names to pixels in [0, 1] (B, C, H, W), features (B, F) or words (B, T). Each model is a file of
`mmvae/models`.

Shape letters: M experts, K particles, B batch, D latents, S any number of particles.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from pathlib import Path

import torch
from torch import Tensor, nn

from mmvae import registry
from mmvae.distributions import Family, Mixture, Normal, draws, normal_from_log_variance
from mmvae.files import AGAIN, FileError, check_fit, read_weights, write_weights
from mmvae.params import ParamsError, Section, check, whole

Inputs = dict[str, Tensor]
LOG_VARIANCE_BOUND = 8.0  # of a Gaussian expert, both ways
CACHED_ROWS = {"cpu": 256, "cuda": 65536}


def subsets(names: Sequence[str]) -> list[tuple[str, ...]]:
    """All non-empty subsets, the smaller ones first."""
    return [some for size in range(1, len(names) + 1) for some in combinations(names, size)]


class Latents(Section):
    """latents: D."""

    latents: whole(1, 512)


@dataclass(frozen=True)
class ModelConfig:
    """Everything needed to build a model again; stored beside its weights.

    kinds: modality -> its kind. networks: kind -> the kind's options. options: the model's own.
    """

    model: str
    kinds: dict[str, str]
    latents: int = 20
    networks: dict[str, dict] = field(default_factory=dict)
    options: dict = field(default_factory=dict)

    def as_dict(self) -> dict:
        return asdict(self)


def modalities(config: ModelConfig, latents: int) -> nn.ModuleDict:
    """Every modality, from its kind; a scaling that is not set makes up for the difference in numbers of values."""
    modules = {}
    for name, kind in config.kinds.items():
        found = registry.find("kinds", kind)
        options = check(found.Options, config.networks.get(kind, {}), f"networks.{kind}")
        modules[name] = found.modality(latents, options)
    sizes = {name: math.prod(module.shape) for name, module in modules.items() if module.scaling is None}
    for name, size in sizes.items():
        modules[name].scaling = max(sizes.values()) / size
    return nn.ModuleDict(modules)


class MultimodalModel(nn.Module, ABC):
    """What evaluation asks of every system: codes z of some modalities, and what they decode to.

    Metrics leave out what a system does not have.
    """

    has_density = False  # log p(x, z) and log q(z | x)
    sees_all = True  # has a code of all modalities together
    paired = True  # is trained on which inputs are a pair
    common: slice | None = None  # the latents that all modalities share, if there are any
    fewest_modalities = 1  # that it takes
    refused: tuple[str, ...] = ()  # kinds that it does not take

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.check(config)
        self.config = config
        self.modalities = modalities(config, self.width())
        self.to(memory_format=torch.channels_last)

    @classmethod
    def check(cls, config: ModelConfig) -> None:
        """May a model have these modalities and latents, with its options? Networks are not looked at.

        Raises:
            ParamsError: they are too few, of a kind that it refuses, or lack one that an option names; or no latents
                are left to share.
        """
        if unfit := [kind for kind in config.kinds.values() if kind in cls.refused]:
            raise ParamsError(f"{config.model} takes no {' or '.join(unfit)}")
        if (found := len(config.kinds)) < cls.fewest_modalities:
            raise ParamsError(f"{config.model} takes {cls.fewest_modalities} or more modalities, not {found}")

    def width(self) -> int:
        """Latents of one modality's encoder and decoder: D, if they all share all."""
        return self.config.latents

    def view(self, name: str, z: Tensor) -> Tensor:
        """The latents that a modality's decoder sees: (..., D) -> (..., width)."""
        return z

    @abstractmethod
    def sample(self, x: Inputs, generator: torch.Generator) -> Tensor:
        """A code drawn given any subset of the modalities: (B, ...) each -> (B, D)."""

    @abstractmethod
    def mean(self, x: Inputs) -> Tensor:
        """The mean code given any subset of the modalities: (B, D)."""

    def generates(self, given: Sequence[str]) -> list[str]:
        """The modalities that can be decoded from a code of these; given none, from what `draw` returns.

        A system without `draw` answers [] to none.
        """
        return list(self.modalities)

    def decode(self, name: str, z: Tensor) -> Tensor:
        """Predicted mean pixels or features, or the most probable words: (N, D) -> (N, ...)."""
        return self.modalities[name].decode(self.view(name, z))

    def log_likelihood(self, x: Inputs, z: Tensor) -> Tensor:
        """The sum of scaled log p(x_m | z), row by row: x (N, ...), z (N, D) -> (N,)."""
        modalities = self.modalities
        return sum(modalities[n].scaling * modalities[n].log_likelihood(self.view(n, z), x[n]) for n in x)


class MultimodalVAE(MultimodalModel):
    """Subclasses say what prior and posterior are."""

    has_density = True
    common: slice | None = slice(None)

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

    def experts(self, x: Inputs) -> dict[str, Family]:
        """The expert of every modality of x."""
        return {name: self.expert(name, value) for name, value in x.items()}

    def posterior(self, x: Inputs) -> Mixture:
        """q(z | x) given any subset of the modalities."""
        return self.combine(self.experts(x))

    def sample(self, x: Inputs, generator: torch.Generator) -> Tensor:
        """One draw from q(z | x): (B, D)."""
        return self.posterior(x).sample_one(generator)

    def mean(self, x: Inputs) -> Tensor:
        """The mean of q(z | x): (B, D)."""
        return self.posterior(x).experts.loc.mean(0)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Draws from p(z): (count, D)."""
        return draws(self.prior(), count, generator)

    def log_joint(self, x: Inputs, z: Tensor) -> Tensor:
        """log p(z) + sum of scaled log p(x_m | z), row by row: x (N, ...), z (N, D) -> (N,)."""
        likelihood = self.log_likelihood(x, z)  # first: the order decides how gradients are rounded
        return self.prior().log_prob(z) + likelihood

    def scores(self, x: Inputs, z: Tensor) -> Inputs:
        """Unscaled log p(x_m | z) of each modality, without gradient: z (S, B, D) -> (S, B) each."""
        rows = CACHED_ROWS[z.device.type]
        return {name: self.modalities[name].score(self.view(name, z), value, rows) for name, value in x.items()}

    @torch.no_grad()
    def log_weights(self, x: Inputs, z: Tensor, posterior: Mixture, dtype: torch.dtype | None = None) -> Tensor:
        """log w = log p(x, z) - log q(z | x) (eq. 3), without gradient: z (M, K, B, D) -> (M, K, B).

        `dtype` is the decoders' arithmetic, by default the model's own; sums are in the model's own.
        """
        with torch.autocast(z.device.type, dtype, enabled=dtype is not None):
            scores = self.scores(x, z.flatten(0, 1))
        scaled = sum(self.modalities[name].scaling * score for name, score in scores.items())
        return scaled.unflatten(0, z.shape[:2]) + self.prior().log_prob(z) - posterior.log_prob(z)


class GaussianVAE(MultimodalVAE):
    """Gaussian experts, and N(0, I) as the prior."""

    def prior(self) -> Family:
        like = next(self.parameters())
        return Normal(like.new_zeros(self.config.latents), like.new_ones(self.config.latents))

    def expert(self, name: str, x: Tensor) -> Family:
        return gaussian(*self.modalities[name].encoder(x))


def gaussian(loc: Tensor, log_variance: Tensor) -> Normal:
    """An expert whose variance is bounded both ways: its KL to another would explode without."""
    return normal_from_log_variance(loc, log_variance.clamp(-LOG_VARIANCE_BOUND, LOG_VARIANCE_BOUND), minimum=0.0)


def build(config: ModelConfig) -> MultimodalModel:
    """The model that `config` describes, with fresh weights from torch's global generator."""
    return registry.find("models", config.model).MODEL(config)


def load(path: str | Path, device: torch.device | str = "cpu") -> MultimodalModel:
    """A trained model, ready to evaluate, from its weights file, which says how to build it.

    Raises:
        FileError: the file is damaged, or its weights do not fit the model that its configuration describes.
    """
    weights, config = read_weights(path)
    try:
        model = build(ModelConfig(**config))
    except Exception as error:  # a wrong configuration fails in many ways
        problem = " ".join(f"{type(error).__name__}: {error}".split())
        raise FileError(f"{path} describes no model that can be built: {problem}; {AGAIN}") from error
    check_fit(path, weights, model.state_dict())
    model.load_state_dict(weights)
    return model.to(device).eval().requires_grad_(False)


def save(path: str | Path, model: MultimodalModel) -> None:
    """The weights of `model` and the configuration that builds it."""
    write_weights(path, model.state_dict(), model.config.as_dict())
