"""Are the attributes of the embedded birds right? Read from captions by their grammar, from images by linear probes.

Attributes are arrays (n, A) of positions in `birds.ATTRIBUTES[name]`, with -1 where a caption does not state one.
"""

import numpy as np

from mmvae.data.prepared import CAPTIONS
from mmvae.datasets import birds
from mmvae.evaluation.captioned import BOTH, JOINT, CaptionTest, Collection
from mmvae.evaluation.measured import Measured, ratio
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


def agreement(one: np.ndarray, other: np.ndarray, strangers: np.ndarray, each: int = 1) -> dict:
    """Share of equal attributes among those that both have, and the share by chance.

    `strangers` (n,) says which row of `other` stands in for each when chance is measured. `stated`: the share of
    attributes that both have. `each`: successive rows of one image, which standard errors count as one item.
    """

    def of_images(rows: np.ndarray) -> np.ndarray:  # (n, some of A) -> (n / each,)
        return rows.reshape(len(rows) // each, -1).sum(1)

    def equal(other: np.ndarray, columns: slice = slice(None)) -> Measured:
        compared = ((one >= 0) & (other >= 0))[:, columns]
        return ratio(of_images((one == other)[:, columns] & compared), of_images(compared))

    compared = (one >= 0) & (other >= 0)
    strange = other[strangers]
    return {
        "accuracy": equal(other),
        "chance": equal(strange),
        "stated": ratio(of_images(compared), of_images(np.ones_like(compared))),
        "each": {
            name: {"accuracy": equal(other, slice(a, a + 1)), "chance": equal(strange, slice(a, a + 1))}
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
    real, made, image, each = test.real, test.made, test.image, test.each
    probes, truth, strangers = Probes(test.training_features, test.training_attributes), test.attributes, test.strangers
    result = {"probes": agreement(probes.seen(real.features), truth, strangers, each)}
    if image in made:
        result["image_reconstruction"] = agreement(probes.seen(made[image].features), truth, strangers, each)
    if CAPTIONS in made:
        result["caption_reconstruction"] = agreement(_stated(made[CAPTIONS]), _stated(real), strangers, each)
    if BOTH in made:
        result["image_to_sentence"] = agreement(_stated(made[image]), truth, strangers, each)
        result["sentence_to_image"] = agreement(probes.seen(made[CAPTIONS].features), _stated(real), strangers, each)
    if BOTH in made and JOINT in made:
        joint = made[JOINT]
        others = np.roll(np.arange(len(joint.tokens)), 1)
        result["joint"] = agreement(probes.seen(joint.features), _stated(joint), others)
    return result
