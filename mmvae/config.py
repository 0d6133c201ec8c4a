"""What params.yaml may say: every key with its type and its range, and the values that only go together.

`load` returns it as frozen dataclasses, or raises `ParamsError` with one line that names the key, its value and what
is allowed. No number is without both ends: what nobody can mean is refused before hours have been spent on it.
Nothing here imports torch, so that a wrong value is refused at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmvae import parameters
from mmvae.parameters import between, one_of, refusal, sections

OBJECTIVES = ("elbo", "importance_elbo", "iwae", "stl_iwae", "dreg_iwae", "dreg_mixture")
BOUNDS = ("loose", "tight")
POSTERIORS = ("poe", "moe")
LIKELIHOODS = ("laplace", "bernoulli")
GREY, COLOUR = "grey", "colour"
CAPTIONS, FEATURES, PIXELS = "captions", "features", "pixels"
SCORED = {"words": 1, "released": 0}  # how captions are scored -> the word that is not: <pad>, or <exc> as released
IMAGE_SHAPES = {GREY: (1, 28, 28), COLOUR: (3, 32, 32)}  # channels, height, width
DIGIT_SETS = {  # data set -> modality -> kind of image
    "digits": {"handwritten": GREY, "plates": COLOUR},
    "mnist_svhn": {"mnist": GREY, "svhn": COLOUR},
}
IMAGE_KINDS = (FEATURES, PIXELS)  # what an image of a caption set can be
CAPTION_SETS = ("birds", "cub")
EXTRACTOR_WEIGHTS = ("none", "IMAGENET1K_V1", "IMAGENET1K_V2")
EXTRACTOR_LAYERS = ("layer1", "layer2", "layer3", "layer4")
PREPROCESSING = ("imagenet", "released")
REDUCTION = 32  # how many times smaller than its input the map of the last layer is
EMBEDDINGS = (32, 64, 128, 256)
PARTICLES_AT_ONCE = 1_000_000  # of a batch, from each expert: more fit into no memory of today
RUNS = ("mmvae_loose", "mmvae_tight", "mvae_poe", "mvae_moe", "vae_grey", "vae_colour")  # of every digit set


def caption_runs(images: tuple[str, ...]) -> tuple[str, ...]:
    """The runs of a caption set whose images are of these kinds."""
    return (*(f"{model}_{image}" for image in images for model in ("mmvae", "mvae", "vae")), "vae_captions")


def _seed() -> Any:
    """A seed, or a list of them: NumPy's and gensim's generators take no more than 32 bits."""
    return between(0, 2**32 - 1)


@dataclass(frozen=True)
class Download:
    mirror: str | None = field()


@dataclass(frozen=True)
class Data:
    images_per_digit: int = between(1, 100_000)
    pairings: int = between(1, 1000)
    validation_share: float = between(0.01, 0.5)
    seed: int = _seed()


@dataclass(frozen=True)
class CaptionData:
    validation_share: float = between(0.01, 0.5)


@dataclass(frozen=True)
class Captions:
    min_count: int = between(0, 1000)


@dataclass(frozen=True)
class Features:
    weights: str = one_of(*EXTRACTOR_WEIGHTS)
    layer: str = one_of(*EXTRACTOR_LAYERS)
    preprocessing: str = one_of(*PREPROCESSING)
    size: int = between(32, 1024)
    standardise: bool = field()
    seed: int = _seed()


@dataclass(frozen=True)
class FastText:
    dimensions: int = between(2, 1000)
    window: int = between(1, 31)
    min_count: int = between(1, 1000)
    epochs: int = between(1, 1000)
    seeds: tuple[int, ...] = _seed()


@dataclass(frozen=True)
class Cca:
    components: int = between(1, 256)


@dataclass(frozen=True)
class Classifiers:
    updates: int = between(1, 1_000_000)


@dataclass(frozen=True)
class Networks:
    latents: int = between(1, 512)
    hidden: int = between(1, 10_000)
    channels: int = between(1, 256)
    likelihood_scale: float = between(1e-3, 1e3)


@dataclass(frozen=True)
class CaptionsNetwork:
    channels: int = between(1, 256)
    embedding: int = one_of(*EMBEDDINGS)
    scaling: float = between(1e-6, 1e3)
    scored: str = one_of(*SCORED)


@dataclass(frozen=True)
class FeaturesNetwork:
    hidden: int = between(4, 10_000)
    likelihood_scale: float = between(1e-3, 1e3)
    scaling: float = between(1e-6, 1e3)


@dataclass(frozen=True)
class PixelsNetwork:
    channels: int = between(1, 256)
    likelihood_scale: float = between(1e-3, 1e3)
    scaling: float = between(1e-6, 1e3)


@dataclass(frozen=True)
class CaptionNetworks:
    latents: int = between(1, 512)
    captions: CaptionsNetwork = field()
    features: FeaturesNetwork = field()
    pixels: PixelsNetwork = field()


@dataclass(frozen=True)
class Train:
    epochs: int = between(1, 10_000)
    pairs_per_epoch: int | None = between(1, 10_000_000)
    batch_size: int = between(1, 10_000)
    learning_rate: float = between(1e-8, 1.0)
    particles: int = between(1, 1000)


@dataclass(frozen=True)
class Optimiser:
    amsgrad: bool = field()
    restart_after: int = between(0, 10_000)


@dataclass(frozen=True)
class Mvae:
    likelihood: str = one_of(*LIKELIHOODS)
    annealing_share: float = between(0.0, 1.0)


@dataclass(frozen=True)
class CaptionMvae:
    annealing_share: float = between(0.0, 1.0)


@dataclass(frozen=True)
class Evaluate:
    joint_samples: int = between(1, 100_000)
    likelihood_samples: int = between(2, 10_000)
    likelihood_pairs: int = between(2, 100_000)


@dataclass(frozen=True)
class CaptionEvaluate:
    joint_samples: int = between(2, 100_000)


def _per_set(digits: type | None = None, captions: type | None = None) -> Any:
    """A section for each data set, of the given kind for digit sets and for caption sets."""
    kinds = dict.fromkeys(DIGIT_SETS, digits) | dict.fromkeys(CAPTION_SETS, captions)
    return sections({name: kind for name, kind in kinds.items() if kind})


@dataclass(frozen=True)
class Params:
    """The whole of params.yaml; sections that depend on the data set are dictionaries keyed by its name.

    Where digit sets and caption sets have different keys, their sections have different types.
    """

    digit_sets: tuple[str, ...] = one_of(*DIGIT_SETS)
    caption_sets: tuple[str, ...] = one_of(*CAPTION_SETS)
    caption_images: tuple[str, ...] = one_of(*IMAGE_KINDS)
    seeds: tuple[int, ...] = _seed()
    objective: str = one_of(*OBJECTIVES)
    download: Download = field()
    data: dict[str, Any] = _per_set(Data, CaptionData)
    captions: dict[str, Captions] = _per_set(captions=Captions)
    features: dict[str, Features] = _per_set(captions=Features)
    fasttext: dict[str, FastText] = _per_set(captions=FastText)
    cca: dict[str, Cca] = _per_set(captions=Cca)
    classifiers: dict[str, Classifiers] = _per_set(Classifiers)
    networks: dict[str, Any] = _per_set(Networks, CaptionNetworks)
    optimiser: Optimiser = field()
    train: dict[str, Train] = _per_set(Train, Train)
    mvae: dict[str, Any] = _per_set(Mvae, CaptionMvae)
    evaluate: dict[str, Any] = _per_set(Evaluate, CaptionEvaluate)

    def __post_init__(self) -> None:
        """Refuse what is allowed by itself, but cannot work together."""
        for name in DIGIT_SETS:
            data = self.data[name]
            _at_most(f"data.{name}.pairings", data.pairings, f"data.{name}.images_per_digit", data.images_per_digit)
        for name in CAPTION_SETS:
            # The vectors of sentences have one direction less than those of words: smooth inverse frequency removes it.
            dimensions, components = self.fasttext[name].dimensions, self.cca[name].components
            _at_most(f"cca.{name}.components", components, f"fasttext.{name}.dimensions", dimensions, dimensions - 1)
            _check_feature_map(f"features.{name}", self.features[name])
        for name, train in self.train.items():
            most = PARTICLES_AT_ONCE // train.batch_size
            _at_most(f"train.{name}.particles", train.particles, f"train.{name}.batch_size", train.batch_size, most)


def _at_most(key: str, value: int, because: str, of: int, maximum: int | None = None) -> None:
    """Refuse a value above what another one lets it be, by default that other one."""
    maximum = of if maximum is None else maximum
    if value > maximum:
        raise refusal(key, value, f"at most {maximum}, because {because} is {of}")


def _check_feature_map(at: str, features: Features) -> None:
    """Refuse maps of one pixel: over a batch of one photograph, batch normalisation has nothing to average."""
    if features.weights == "none" and features.layer == EXTRACTOR_LAYERS[-1] and features.size <= REDUCTION:
        raise refusal(f"{at}.size", features.size, f"more than {REDUCTION}, because {at}.layer is {features.layer}")


def load(path: str | Path = "params.yaml") -> Params:
    """Read and check the whole file.

    Raises:
        ParamsError: one line that names the key, its value and what is allowed.
    """
    return parameters.load(path, Params)
