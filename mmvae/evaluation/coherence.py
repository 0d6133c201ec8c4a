"""Do generated digits match (Table 2)? Judged by classifiers of the real images, on the likelihood's mean."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mmvae.classifiers import Judges, predict
from mmvae.distributions import draws
from mmvae.models import Inputs, MultimodalVAE

DECODED_AT_ONCE = {"cpu": 256, "cuda": 8192}

Seen = dict[str, dict[str, np.ndarray]]  # kind of classifier -> modality -> digits (n,)


def entropy(digits: np.ndarray) -> float:
    """Entropy of a collection of digits, in nats; ln 10 = 2.303 when all are equally common."""
    shares = np.bincount(digits, minlength=10) / len(digits)
    shares = shares[shares > 0]
    return max(0.0, float(-(shares * np.log(shares)).sum()))


def chance_agreement(modalities: list[np.ndarray]) -> float:
    """How often collections of digits would agree in all modalities if they were drawn from independently."""
    shares = [np.bincount(digits, minlength=10) / len(digits) for digits in modalities]
    return float(np.prod(shares, axis=0).sum())


@torch.no_grad()
def see(model: MultimodalVAE, z: Tensor, judges: Judges) -> Seen:
    """The digit that each classifier sees in each modality's predicted mean: z (n, D)."""
    parts: dict[str, dict[str, list[np.ndarray]]] = {kind: {name: [] for name in model.modalities} for kind in judges}
    for some in z.split(DECODED_AT_ONCE[z.device.type]):
        for name in model.modalities:
            mean = model.decode(name, some)
            for kind, classifiers in judges.items():
                parts[kind][name].append(predict(classifiers[name], mean).cpu().numpy())
    return {kind: {name: np.concatenate(digits) for name, digits in seen.items()} for kind, seen in parts.items()}


def coherence(
    model: MultimodalVAE, test: Inputs, labels: np.ndarray, judges: Judges, joint_samples: int, seed: int
) -> dict:
    """Agreement rates under each kind of classifier, over all test pairs, from one posterior sample each.

    joint: the modalities generated from one prior draw show the same digit. joint_by_chance: how often they would if
    each drew its digits, as common as they are, by itself. cross.<a>_to_<b>: the image generated
    from the other modality shows its digit. reconstruction.<a> and from_both.<a>: from itself, and from all
    modalities. entropy.<a>: of the digits generated from the prior, nats.
    """
    generator = torch.Generator(next(iter(test.values())).device).manual_seed(seed)
    with torch.no_grad():
        drawn = draws(model.prior(), joint_samples, generator)
        given = {name: model.posterior({name: test[name]}).sample_one(generator) for name in model.modalities}
        both = model.posterior({name: test[name] for name in model.modalities}).sample_one(generator)
    from_prior = see(model, drawn, judges)
    from_one = {name: see(model, z, judges) for name, z in given.items()}
    from_both = see(model, both, judges)
    return {
        kind: _rates(from_prior[kind], {name: seen[kind] for name, seen in from_one.items()}, from_both[kind], labels)
        for kind in judges
    }


def _rates(
    drawn: dict[str, np.ndarray],
    from_one: dict[str, dict[str, np.ndarray]],
    from_both: dict[str, np.ndarray],
    labels: np.ndarray,
) -> dict:
    """The rates of one kind of classifier; a model of one modality has neither joint nor cross generation."""
    names = list(drawn)
    rates: dict = {
        "entropy": {name: entropy(digits) for name, digits in drawn.items()},
        "reconstruction": {name: _share(from_one[name][name] == labels) for name in names},
    }
    if len(names) > 1:
        first = drawn[names[0]]
        rates["joint_by_chance"] = chance_agreement(list(drawn.values()))
        rates["joint"] = _share(np.logical_and.reduce([drawn[name] == first for name in names]))
        rates["cross"] = {
            f"{source}_to_{target}": _share(from_one[source][target] == labels)
            for source in names
            for target in names
            if source != target
        }
        rates["from_both"] = {name: _share(from_both[name] == labels) for name in names}
    return rates


def _share(matches: np.ndarray) -> float:
    return float(matches.mean())
