"""Do both modalities say more than one? Differences between pairs of numbers of the same test pairs."""

import torch

from mmvae.evaluation.classifiers import STRONG, predict
from mmvae.evaluation.labelled import DigitTest, latents
from mmvae.evaluation.measured import mean
from mmvae.evaluation.probes import fit_probe
from mmvae.model import MultimodalVAE


@torch.no_grad()
def measure(model: MultimodalVAE, test: DigitTest) -> dict:
    """probe: accuracy of a probe of samples given all, minus that of the best given one. image.<a>: share of a's
    images, made from a sample given all, that show the digit, minus the same given a alone, by the strong classifiers.
    """
    names = list(model.modalities)
    if len(names) < 2:
        return {}
    views = {name: [name] for name in names} | {"all": names}
    training, held_out = latents(model, test, views)
    hits = {v: fit_probe(training[v], test.training_digits).predict(z) == test.digits for v, z in held_out.items()}
    best = max(names, key=lambda name: hits[name].mean())
    result: dict = {"probe": mean(hits["all"].astype(float) - hits[best])}
    for name, judge in test.judges[STRONG].items():
        if name in names:
            seen = {v: predict(judge, model.decode(name, test.on_device(held_out[v]))) for v in (name, "all")}
            right = {v: digits.cpu().numpy() == test.digits for v, digits in seen.items()}
            result.setdefault("image", {})[name] = mean(right["all"].astype(float) - right[name])
    return result
