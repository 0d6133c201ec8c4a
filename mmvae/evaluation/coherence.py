"""Do generated digits match (Table 2)? Judged by classifiers of the real images, on the likelihood's mean."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from mmvae.classifiers import predict
from mmvae.models import Inputs, MultimodalVAE

CHUNK = 500


def entropy(digits: np.ndarray) -> float:
    """Entropy of a collection of digits, in nats; ln 10 = 2.303 when all are equally common."""
    shares = np.bincount(digits, minlength=10) / len(digits)
    shares = shares[shares > 0]
    return max(0.0, float(-(shares * np.log(shares)).sum()))


def _classify(model: MultimodalVAE, z: Tensor, judges: dict[str, nn.Module]) -> dict[str, np.ndarray]:
    """The digit each modality's judge sees in its predicted mean: z (n, D) -> (n,) for each modality."""
    return {
        name: torch.cat([predict(judges[name], model.mean(name, part)) for part in z.split(CHUNK)]).cpu().numpy()
        for name in model.modalities
    }


@torch.no_grad()
def prior_digits(
    model: MultimodalVAE, judges: dict[str, nn.Module], samples: int, generator: torch.Generator
) -> dict[str, np.ndarray]:
    """Digits seen in each modality for the same draws from the prior: (samples,) each."""
    prior = model.prior()
    noise = prior.noise((samples, len(prior.loc)), prior.loc, generator)
    return _classify(model, prior.loc + prior.scale * noise, judges)


@torch.no_grad()
def generated_digits(
    model: MultimodalVAE, given: Inputs, judges: dict[str, nn.Module], generator: torch.Generator
) -> dict[str, np.ndarray]:
    """Digits seen in each modality generated from one posterior sample given some modalities: (n,) each."""
    return _classify(model, model.posterior(given).sample_one(generator), judges)


def coherence(
    model: MultimodalVAE, test: Inputs, labels: np.ndarray, judges: dict[str, nn.Module], joint_samples: int, seed: int
) -> dict:
    """Agreement rates under one kind of judge, for all test pairs.

    joint: the modalities generated from one prior draw show the same digit. cross.<a>_to_<b>: the image generated
    from the other modality shows its digit. reconstruction.<a> and from_both.<a>: from itself, and from all
    modalities. entropy.<a>: of the digits generated from the prior, nats.
    """
    generator = torch.Generator(next(iter(test.values())).device).manual_seed(seed)
    names = list(model.modalities)
    drawn = prior_digits(model, judges, joint_samples, generator)
    result: dict = {"entropy": {name: entropy(drawn[name]) for name in names}, "reconstruction": {}}
    for source in names:
        seen = generated_digits(model, {source: test[source]}, judges, generator)
        result["reconstruction"][source] = float((seen[source] == labels).mean())
        for target in names:
            if target != source:
                result.setdefault("cross", {})[f"{source}_to_{target}"] = float((seen[target] == labels).mean())
    if len(names) > 1:
        first = drawn[names[0]]
        result["joint"] = float(np.logical_and.reduce([drawn[name] == first for name in names]).mean())
        seen = generated_digits(model, {name: test[name] for name in names}, judges, generator)
        result["from_both"] = {name: float((seen[name] == labels).mean()) for name in names}
    return result
