"""What a model of captions and images makes, and how it is measured (Table 4, and what the paper does not report)."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from mmvae.data import text
from mmvae.data.pairs import Pairs
from mmvae.data.prepared import CAPTIONS, CaptionedPairs
from mmvae.evaluation.bigrams import Bigrams
from mmvae.evaluation.correlation import Judges
from mmvae.evaluation.extractor import Extractor, of_pixels
from mmvae.model import MultimodalModel
from mmvae.params import Section, real, whole

PAIRS_AT_ONCE = 500
BOTH, JOINT = "both", "joint"


class CaptionSettings(Section):
    """joint_samples: prior draws. bigrams: weight of training captions' bigrams in the choice of words; 0: the most
    probable word of each position, as in the paper.
    """

    joint_samples: whole(2, 100_000)
    bigrams: real(0, 10)

    def language(self, pairs: CaptionedPairs) -> Bigrams | None:
        """What chooses words, if not each position by itself."""
        if not self.bigrams:
            return None
        return Bigrams.fit(pairs.values("train", CAPTIONS), len(pairs.vocabulary), self.bigrams)


Made = dict[str, dict[str, Tensor]]  # what was given -> modality -> pixels, features or words of each pair


@torch.no_grad()
def generate(
    model: MultimodalModel,
    pairs: Pairs,
    joint_samples: int,
    generator: torch.Generator,
    language: Bigrams | None = None,
) -> Made:
    """Every modality, decoded from one posterior sample of each pair given one modality, or both; and from the prior.

    Pixels are rounded to uint8; words are the most probable ones, or those that the `language` chooses. Keys: the
    modality given, `both`, and `joint` for `joint_samples` draws from the prior, if it has one.
    """
    names = list(model.modalities)
    views = {name: [name] for name in names} | ({BOTH: names} if len(names) > 1 else {})
    drawn = [JOINT] if model.generates([]) else []
    made: dict[str, dict[str, list[Tensor]]] = {view: {name: [] for name in names} for view in [*views, *drawn]}
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        x = pairs.batch(slice(start, start + PAIRS_AT_ONCE))
        for view, given in views.items():
            _decode(model, model.sample({name: x[name] for name in given}, generator), made[view], language)
    for part in model.draw(joint_samples, generator).split(PAIRS_AT_ONCE) if JOINT in made else ():
        _decode(model, part, made[JOINT], language)
    return {view: {name: torch.cat(parts) for name, parts in of.items()} for view, of in made.items()}


def _decode(model: MultimodalModel, z: Tensor, into: dict[str, list[Tensor]], language: Bigrams | None) -> None:
    for name, parts in into.items():
        if name == CAPTIONS and language:
            modality = model.modalities[name]
            values = language.best(modality.likelihood.log_shares(modality.decoder(model.view(name, z))))
        else:
            values = model.decode(name, z)
        parts.append(((values.clamp(0, 1) * 255).round().byte() if values.dim() == 4 else values).cpu())


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
    def of(cls, features: np.ndarray | None, tokens: np.ndarray | None, vocabulary: list[str]) -> Self:
        return cls(features, tokens, None if tokens is None else text.words(tokens, vocabulary))


def collections(made: Made, features: dict[str, np.ndarray], vocabulary: list[str]) -> dict[str, Collection]:
    """What was made given each view."""
    tokens = {view: values[CAPTIONS].numpy() for view, values in made.items() if CAPTIONS in values}
    return {view: Collection.of(features.get(view), tokens.get(view), vocabulary) for view in made}


@dataclass(frozen=True)
class CaptionTest:
    """What the metrics of caption sets are given besides the model.

    image: the kind of image, a modality. real: n test pairs, `each` captions to one image. made: by what was given.
    strangers (n,): another image's pair for each real pair; foreigners (n,): that of another species, and species of
    each image, where there are several. judges: CCA of training pairs. training_features (m, F),
    training_attributes (m, A) and attributes (n, A) of the test pairs: where attributes are known.
    """

    image: str
    real: Collection
    made: dict[str, Collection]
    each: int
    strangers: np.ndarray
    judges: Judges
    training_features: np.ndarray | None = None
    training_attributes: np.ndarray | None = None
    attributes: np.ndarray | None = None
    foreigners: np.ndarray | None = None
    species: np.ndarray | None = None
