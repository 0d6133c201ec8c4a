"""Which latents are shared, which private: by construction, or by how posteriors differ; and the digit in each part."""

import numpy as np

from mmvae.evaluation.generation import divergences
from mmvae.evaluation.labelled import DigitTest, latents
from mmvae.evaluation.measured import share
from mmvae.evaluation.probes import fit_probe
from mmvae.model import Inputs, MultimodalModel
from mmvae.private import PrivateLatents


def measure(model: MultimodalModel, test: DigitTest) -> dict:
    """latents.shared, latents.<a>: how many are shared, and a's own. digit.shared.<a>, digit.private.<a>: test
    accuracy of probes of these, in samples given a; of private ones, where they exist by construction.
    """
    names = list(model.modalities)
    if len(names) < 2:
        return {}
    if not isinstance(model, PrivateLatents):
        rule = by_rule(model, test.values) if model.has_density else {}
        return {"latents": {name: len(found) for name, found in rule.items()}} if rule else {}
    parts = {name: np.r_[part] for name, part in model.parts().items()}
    result: dict = {"latents": {"shared": model.shared} | {name: len(part) for name, part in parts.items()}}
    training, held_out = (latents(model, values, test.seed) for values in (test.training, test.values))
    for name in names:
        for kind, part in (("shared", np.arange(model.shared)), ("private", parts[name])):
            if len(part):
                probe = fit_probe(training[name][:, part], test.training_digits)
                hits = probe.predict(held_out[name][:, part]) == test.digits
                result.setdefault("digit", {}).setdefault(kind, {})[name] = share(hits)
    return result


def by_rule(model: MultimodalModel, values: Inputs) -> dict[str, list[int]]:
    """A latent is shared if the posteriors of every two modalities differ by less than half of the smallest KL to the
    prior (symmetric KL), and else the modality's whose KL to the prior is largest, also a latent that says nothing.
    """
    to_prior, between = divergences(model, values)
    kl, apart = np.stack(list(to_prior.values())), np.stack(list(between.values())).max(0)
    found: dict[str, list[int]] = {"shared": [], **{name: [] for name in to_prior}}
    for latent in range(kl.shape[1]):
        owner = list(to_prior)[kl[:, latent].argmax()]
        found["shared" if apart[latent] < kl[:, latent].min() / 2 else owner].append(latent)
    return found
