"""Do both modalities say more than one? Differences between pairs of numbers of the same test pairs."""

import numpy as np

from mmvae.evaluation.classifiers import STRONG
from mmvae.evaluation.labelled import DigitTest, latents, shows_digit
from mmvae.evaluation.measured import Measured, mean
from mmvae.evaluation.probes import fit_probe
from mmvae.model import MultimodalModel

ALL = "all"


def measure(model: MultimodalModel, test: DigitTest) -> dict:
    """probe.<a>: accuracy of a probe of samples given all, minus that of a probe of samples given a.

    image.<a>: share of a's images, made from a sample given all, that show the digit, minus the same given a.
    """
    names = list(model.modalities)
    if len(names) < 2 or not model.sees_all:
        return {}
    views = {name: [name] for name in names} | {ALL: names}
    training, held_out = (latents(model, values, test.seed, views) for values in (test.training, test.values))
    probed = {v: fit_probe(training[v], test.training_digits).predict(held_out[v]) == test.digits for v in views}
    shown = {
        name: {view: shows_digit(model, name, test.on_device(held_out[view]), test) for view in (name, ALL)}
        for name in test.judges[STRONG]
        if name in names
    }

    def gain(one: str, hits: dict[str, np.ndarray]) -> Measured:
        return mean(hits[ALL].astype(float) - hits[one])

    return {
        "probe": {name: gain(name, probed) for name in names},
        "image": {name: gain(name, hits) for name, hits in shown.items()},
    }
