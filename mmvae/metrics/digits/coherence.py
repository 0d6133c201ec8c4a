"""Do generated digits match (Table 2)? Judged by classifiers of the real images, on the likelihood's mean."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mmvae.evaluation.classifiers import Judges, predict
from mmvae.evaluation.generation import DECODED_AT_ONCE
from mmvae.evaluation.labelled import DigitTest, seeded
from mmvae.evaluation.measured import share
from mmvae.model import MultimodalModel

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


def agreement(modalities: list[np.ndarray]) -> dict:
    """joint and joint_by_chance, of the digits (n,) of two or more modalities; of fewer, nothing."""
    if len(modalities) < 2:
        return {}
    joint = share(np.logical_and.reduce([digits == modalities[0] for digits in modalities]))
    return {"joint_by_chance": chance_agreement(modalities), "joint": joint}


@torch.no_grad()
def see(model: MultimodalModel, z: Tensor, given: Sequence[str], judges: Judges) -> Seen:
    """The digit that each classifier sees in the predicted mean of each modality it can judge: z (n, D).

    Of the modalities that the model generates from codes of the `given`.
    """
    judged = {kind: [name for name in model.generates(given) if name in of] for kind, of in judges.items()}
    parts: dict[str, dict[str, list[np.ndarray]]] = {kind: {n: [] for n in names} for kind, names in judged.items()}
    for some in z.split(DECODED_AT_ONCE[z.device.type]):
        for name in dict.fromkeys(name for names in judged.values() for name in names):
            mean = model.decode(name, some)
            for kind, seen in parts.items():
                if name in seen:
                    seen[name].append(predict(judges[kind][name], mean).cpu().numpy())
    return {kind: {name: np.concatenate(digits) for name, digits in seen.items()} for kind, seen in parts.items()}


@torch.no_grad()
def measure(model: MultimodalModel, test: DigitTest) -> dict:
    """Table 2: agreement rates under each kind of classifier, over all test pairs, from one posterior sample each.

    joint: the modalities generated from one prior draw show the same digit. joint_by_chance: how often they would if
    each drew its digits, as common as they are, by itself. cross.<a>_to_<b>: the image generated from the other
    modality shows its digit. reconstruction.<a>: from itself. Of models that see all at once, from_both.<a>: from all
    modalities; from_others.<a>, of three or more: from all but itself. entropy.<a>: of the digits generated from the
    prior, nats.
    """
    generator = seeded(test.values, test.seed)
    names, labels = list(model.modalities), test.digits

    def given(members: list[str]) -> Seen:
        z = model.sample({name: test.values[name] for name in members}, generator)
        return see(model, z, members, test.judges)

    drawn: Seen = {}
    if model.generates([]):
        drawn = see(model, model.draw(test.settings.joint_samples, generator), [], test.judges)
    from_one = {name: given([name]) for name in names}
    together = model.sees_all and len(names) > 1
    from_both = given(names) if together else {}
    rest = {name: [n for n in names if n != name] for name in names if together and len(names) > 2}
    from_others = {name: given(members) for name, members in rest.items()}
    result = {}
    for kind in test.judges:
        rates = _rates(drawn.get(kind, {}), {n: of[kind] for n, of in from_one.items()}, labels)
        if from_both:
            rates["from_both"] = {name: share(digits == labels) for name, digits in from_both[kind].items()}
        if from_others:
            rates["from_others"] = {n: share(of[kind][n] == labels) for n, of in from_others.items() if n in of[kind]}
        result[kind] = rates
    return result


def _rates(drawn: dict[str, np.ndarray], from_one: dict[str, dict[str, np.ndarray]], labels: np.ndarray) -> dict:
    """The rates of one kind of classifier, of what the model generates.

    `joint` needs two modalities that are judged, `cross` two that the model has.
    """
    rates: dict = {
        "entropy": {name: entropy(digits) for name, digits in drawn.items()},
        "reconstruction": {name: share(of[name] == labels) for name, of in from_one.items() if name in of},
    }
    rates |= agreement(list(drawn.values()))
    if len(from_one) > 1:
        rates["cross"] = {
            f"{source}_to_{target}": share(digits == labels)
            for source, of in from_one.items()
            for target, digits in of.items()
            if source != target
        }
    return rates
