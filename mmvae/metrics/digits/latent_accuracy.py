"""Digits read from the latents by a linear classifier (Table 1)."""

import numpy as np
import torch

from mmvae.evaluation.labelled import DigitTest, seeded
from mmvae.evaluation.measured import Measured, share
from mmvae.evaluation.probes import fit_probe
from mmvae.model import Inputs, MultimodalModel

SAMPLES, MEANS = "samples", "means"


@torch.no_grad()
def embed(model: MultimodalModel, x: Inputs, generator: torch.Generator) -> dict[str, np.ndarray]:
    """One posterior sample and the posterior mean of each input: (n, D) each."""
    return {SAMPLES: model.sample(x, generator).cpu().numpy(), MEANS: model.mean(x).cpu().numpy()}


def majority_share(training_labels: np.ndarray, test_labels: np.ndarray) -> Measured:
    """Accuracy of always answering the commonest training digit."""
    return share(test_labels == np.bincount(training_labels).argmax())


def measure(model: MultimodalModel, test: DigitTest) -> dict:
    """Table 1: test accuracy of probes on latents of every single modality and of all modalities together.

    `single.<modality>` and `both` are trained and tested on the same posterior; `both_to_single.<modality>` is
    trained on the joint posterior and tested on a single one; `others.<modality>`, of three or more modalities, is
    given all but that one. Each on posterior samples and on means. `majority` is what always answering the commonest
    training digit gives.
    """
    generator = seeded(test.values, test.seed)
    names = list(test.values)
    views = {name: [name] for name in names}
    if len(names) > 1 and model.sees_all:
        views["both"] = names
    others = {name: f"all but {name}" for name in names} if len(names) > 2 and model.sees_all else {}
    views |= {view: [n for n in names if n != name] for name, view in others.items()}
    latents = {
        view: [embed(model, {name: x[name] for name in members}, generator) for x in (test.training, test.values)]
        for view, members in views.items()
    }
    result: dict = {
        "majority": majority_share(test.training_digits, test.digits),
        "single": {name: {} for name in names},
    }
    for kind in (SAMPLES, MEANS):
        probes = {view: fit_probe(both[0][kind], test.training_digits) for view, both in latents.items()}
        scores = {view: share(probe.predict(latents[view][1][kind]) == test.digits) for view, probe in probes.items()}
        for name in names:
            result["single"][name][kind] = scores[name]
        if "both" in views:
            result.setdefault("both", {})[kind] = scores["both"]
            for name in names:
                transferred = share(probes["both"].predict(latents[name][1][kind]) == test.digits)
                result.setdefault("both_to_single", {}).setdefault(name, {})[kind] = transferred
        for name, view in others.items():
            result.setdefault("others", {}).setdefault(name, {})[kind] = scores[view]
    return result
