"""Are the attributes of the embedded birds right? Read from captions by their grammar, from images by linear probes.

Attributes are arrays (n, A) of positions in `birds.ATTRIBUTES[name]`, with -1 where a caption does not state one.
"""

import numpy as np

from mmvae.data.prepared import CAPTIONS
from mmvae.datasets import birds
from mmvae.evaluation.captioned import BOTH, JOINT, CaptionTest, Collection
from mmvae.evaluation.measured import share
from mmvae.evaluation.probes import fit_probe
from mmvae.model import MultimodalVAE

NAMES = tuple(birds.ATTRIBUTES)


def stated(captions: list[str]) -> np.ndarray:
    """The attributes that captions state: (n, A)."""
    found = [birds.mentioned(caption) for caption in captions]
    return np.array(
        [[birds.ATTRIBUTES[n].index(caption[n]) if n in caption else -1 for n in NAMES] for caption in found]
    )


class Probes:
    """A linear classifier of image features for each attribute."""

    def __init__(self, features: np.ndarray, attributes: np.ndarray):
        """Fitted to training images: (n, F) and (n, A)."""
        self.probes = [fit_probe(features, column) for column in attributes.T]

    def seen(self, features: np.ndarray) -> np.ndarray:
        """The attributes of images: (n, F) -> (n, A)."""
        return np.stack([probe.predict(features) for probe in self.probes], 1)


def agreement(one: np.ndarray, other: np.ndarray, strangers: np.ndarray) -> dict:
    """Share of equal attributes among those that both have, and the share by chance.

    `strangers` (n,) says which row of `other` stands in for each when chance is measured. `stated`: the share of
    attributes that both have.
    """
    compared = (one >= 0) & (other >= 0)
    equal, by_chance = one == other, one == other[strangers]
    also = (one >= 0) & (other[strangers] >= 0)
    return {
        "accuracy": share(equal[compared]),
        "chance": share(by_chance[also]),
        "stated": share(compared.ravel()),
        "each": {
            name: {"accuracy": share(equal[compared[:, a], a]), "chance": share(by_chance[also[:, a], a])}
            for a, name in enumerate(NAMES)
        },
    }


def _stated(collection: Collection) -> np.ndarray:
    return stated([" ".join(words) for words in collection.words])


def measure(_: MultimodalVAE, test: CaptionTest) -> dict:
    """Shares of attributes that agree, by what was given and made, where a data set's attributes are known.

    Captions state attributes, probes read them from images; `probes` is how often these are right on real images.
    """
    if test.attributes is None:
        return {}
    real, made, image = test.real, test.made, test.image
    probes = Probes(test.training_features, test.training_attributes)
    result = {"probes": agreement(probes.seen(real.features), test.attributes, test.strangers)}
    if image in made:
        reconstructed = probes.seen(made[image].features)
        result["image_reconstruction"] = agreement(reconstructed, test.attributes, test.strangers)
    if CAPTIONS in made:
        result["caption_reconstruction"] = agreement(_stated(made[CAPTIONS]), _stated(real), test.strangers)
    if BOTH in made:
        result["image_to_sentence"] = agreement(_stated(made[image]), test.attributes, test.strangers)
        result["sentence_to_image"] = agreement(probes.seen(made[CAPTIONS].features), _stated(real), test.strangers)
    if BOTH in made and JOINT in made:
        joint = made[JOINT]
        others = np.roll(np.arange(len(joint.tokens)), 1)
        result["joint"] = agreement(probes.seen(joint.features), _stated(joint), others)
    return result
