"""Is it one space? Probes of digits trained on latents of one modality and tested on another's (Ngiam et al. 2011)."""

from itertools import permutations

from mmvae.evaluation.labelled import DigitTest, latents
from mmvae.evaluation.measured import share
from mmvae.evaluation.probes import fit_probe
from mmvae.model import MultimodalModel


def measure(model: MultimodalModel, test: DigitTest) -> dict:
    """<a>_to_<b>: test accuracy of a probe of samples given a, on samples given b; <a>: on samples given a.

    Of the latents that all modalities share.
    """
    if model.common is None:
        return {}
    training, held_out = (latents(model, values, test.seed) for values in (test.training, test.values))
    probes = {name: fit_probe(z[:, model.common], test.training_digits) for name, z in training.items()}
    result = {name: share(probes[name].predict(held_out[name][:, model.common]) == test.digits) for name in probes}
    for a, b in permutations(probes, 2):
        result[f"{a}_to_{b}"] = share(probes[a].predict(held_out[b][:, model.common]) == test.digits)
    return result
