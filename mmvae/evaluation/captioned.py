"""What a model of captions and images makes, and how it is measured (Table 4, and what the paper does not report)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mmvae.config import CAPTIONS
from mmvae.data import text
from mmvae.data.pairs import Pairs
from mmvae.distributions import draws
from mmvae.evaluation import attributes, correlation
from mmvae.evaluation.caption_quality import bleu, describe
from mmvae.evaluation.correlation import Judges
from mmvae.extractor import Extractor, of_pixels
from mmvae.models import MultimodalVAE

PAIRS_AT_ONCE = 500
BOTH, JOINT = "both", "joint"

Made = dict[str, dict[str, Tensor]]  # what was given -> modality -> pixels, features or words of each pair


@torch.no_grad()
def generate(model: MultimodalVAE, pairs: Pairs, joint_samples: int, generator: torch.Generator) -> Made:
    """Every modality, decoded from one posterior sample of each pair given one modality, or both; and from the prior.

    Pixels are rounded to uint8, words are the most probable ones. Keys: the modality given, `both`, and `joint` for
    `joint_samples` draws from the prior.
    """
    names = list(model.modalities)
    views = {name: [name] for name in names} | ({BOTH: names} if len(names) > 1 else {})
    made: dict[str, dict[str, list[Tensor]]] = {view: {name: [] for name in names} for view in [*views, JOINT]}
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        x = pairs.batch(slice(start, start + PAIRS_AT_ONCE))
        for view, given in views.items():
            _decode(model, model.posterior({name: x[name] for name in given}).sample_one(generator), made[view])
    for part in draws(model.prior(), joint_samples, generator).split(PAIRS_AT_ONCE):
        _decode(model, part, made[JOINT])
    return {view: {name: torch.cat(parts) for name, parts in of.items()} for view, of in made.items()}


def _decode(model: MultimodalVAE, z: Tensor, into: dict[str, list[Tensor]]) -> None:
    for name, parts in into.items():
        values = model.decode(name, z)
        parts.append((_rounded(values) if values.dim() == 4 else values).cpu())


def _rounded(pixels: Tensor) -> Tensor:
    return (pixels.clamp(0, 1) * 255).round().byte()


def features_of(made: Made, image: str, network: Extractor) -> dict[str, np.ndarray]:
    """What was given -> features of the images made (n, F): features as they are, pixels seen by the extractor."""
    return {
        view: (of_pixels(network, values[image].numpy()) if values[image].dim() == 4 else values[image]).numpy()
        for view, values in made.items()
        if image in values
    }


def nearest(features: np.ndarray, training: np.ndarray) -> np.ndarray:
    """Positions of the nearest training images, by Euclidean distance: (n, F), (m, F) -> (n,)."""
    candidates = torch.from_numpy(training)
    parts = torch.from_numpy(features).split(PAIRS_AT_ONCE)
    return torch.cat([torch.cdist(part, candidates).argmin(1) for part in parts]).numpy()


@dataclass(frozen=True)
class Collection:
    """Images and captions that belong together, the real ones or some that were made; each may be missing.

    features (n, F), tokens (n, T), and the captions as words.
    """

    features: np.ndarray | None
    tokens: np.ndarray | None
    words: list[list[str]] | None

    @classmethod
    def of(cls, features: np.ndarray | None, tokens: np.ndarray | None, vocabulary: list[str]) -> Collection:
        return cls(features, tokens, None if tokens is None else text.words(tokens, vocabulary))

    def stated(self) -> np.ndarray:
        return attributes.stated([" ".join(words) for words in self.words])


def collections(made: Made, features: dict[str, np.ndarray], vocabulary: list[str]) -> dict[str, Collection]:
    """What was made given each view."""
    tokens = {view: values[CAPTIONS].numpy() for view, values in made.items() if CAPTIONS in values}
    return {view: Collection.of(features.get(view), tokens.get(view), vocabulary) for view in made}


def correlations(
    real: Collection, made: dict[str, Collection], image: str, strangers: np.ndarray, each: int, judges: Judges
) -> dict:
    """Table 4 for a model of captions, `image`, or both. `strangers` (n,): another image's pair for each real pair.

    Cross generation and reconstruction pair what was made with the real other half; `both` is Figure 14's; `floor`
    pairs captions with strangers' images. `each` captions belong to one image.
    """
    pairs = {
        "ground_truth": (real.features, real.tokens, each),
        "floor": (real.features[strangers], real.tokens, each),
    }
    if image in made:
        pairs["image_reconstruction"] = (made[image].features, real.tokens, each)
    if CAPTIONS in made:
        pairs["caption_reconstruction"] = (real.features, made[CAPTIONS].tokens, each)
    if BOTH in made:
        pairs["joint"] = (made[JOINT].features, made[JOINT].tokens, 1)
        pairs["image_to_sentence"] = (real.features, made[image].tokens, each)
        pairs["sentence_to_image"] = (made[CAPTIONS].features, real.tokens, each)
        pairs["both"] = (made[BOTH].features, made[BOTH].tokens, each)
    return correlation.table(judges, pairs)


def caption_quality(real: Collection, made: dict[str, Collection], each: int) -> dict:
    """Of the captions made from each view, and of the real ones. `each` captions belong to one image.

    BLEU is of one caption for each image: of a reconstruction against the caption itself, of others against all
    captions of the image.
    """
    of_image = [real.words[i : i + each] for i in range(0, len(real.words), each)]
    itself = [captions[:1] for captions in of_image]
    quality = {"data": describe(real.words)}
    for view, collection in made.items():
        quality[view] = describe(collection.words)
        if view != JOINT:
            quality[view]["bleu"] = bleu(collection.words[::each], itself if view == CAPTIONS else of_image)
    return quality


def attribute_agreement(
    real: Collection,
    made: dict[str, Collection],
    image: str,
    truth: np.ndarray,
    strangers: np.ndarray,
    probes: attributes.Probes,
) -> dict:
    """Shares of attributes that agree, by what was given and made; `truth` (n, A) of the real pairs.

    Captions state attributes, probes read them from images; `probes` is how often these are right on real images.
    """
    agreement = attributes.agreement
    result = {"probes": agreement(probes.seen(real.features), truth, strangers)}
    if image in made:
        result["image_reconstruction"] = agreement(probes.seen(made[image].features), truth, strangers)
    if CAPTIONS in made:
        result["caption_reconstruction"] = agreement(made[CAPTIONS].stated(), real.stated(), strangers)
    if BOTH in made:
        result["image_to_sentence"] = agreement(made[image].stated(), truth, strangers)
        result["sentence_to_image"] = agreement(probes.seen(made[CAPTIONS].features), real.stated(), strangers)
        joint = made[JOINT]
        others = np.roll(np.arange(len(joint.tokens)), 1)
        result["joint"] = agreement(probes.seen(joint.features), joint.stated(), others)
    return result
