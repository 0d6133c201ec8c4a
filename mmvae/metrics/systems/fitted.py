"""Joint generation from a Gaussian mixture fitted to latents after training, in place of the prior.

One latent of each training pair, given all modalities; of late fusion, one of each side by side. Of a system that does
not look at pairs, latents given one modality; private ones have mixtures of their own.
"""

import numpy as np

from mmvae.evaluation.classifiers import STRONG
from mmvae.evaluation.labelled import DigitTest, latents
from mmvae.evaluation.mixtures import fit
from mmvae.metrics.digits.coherence import agreement, entropy, see
from mmvae.model import MultimodalModel
from mmvae.private import PrivateLatents


def training_rows(model: MultimodalModel, test: DigitTest) -> list[np.ndarray]:
    """What a mixture each is fitted to, and drawn side by side from: (n, some of D)."""
    if model.paired:
        return [latents(model, test.training, test.seed, {"all": list(model.modalities)})["all"]]
    single = latents(model, test.training, test.seed)
    own = model.parts() if isinstance(model, PrivateLatents) else {}
    shared = np.concatenate([z[:, model.common] for z in single.values()])
    return [shared, *(single[name][:, part] for name, part in own.items())]


def measure(model: MultimodalModel, test: DigitTest) -> dict:
    """joint, joint_by_chance, entropy.<a>: as of coherence, by the strong classifiers; components: of the mixture, of
    shared latents where there are several.
    """
    names = list(model.modalities)
    if len(names) < 2 or not model.generates(names) or (model.paired and not model.sees_all):
        return {}
    rng = np.random.default_rng(test.seed)  # a mixture's draws are in the order of its components
    mixtures = [fit(rows.astype(np.float64), test.seed) for rows in training_rows(model, test)]
    drawn = [rng.permutation(mixture.sample(test.settings.joint_samples)[0]) for mixture in mixtures]
    z = test.on_device(np.concatenate(drawn, 1).astype(np.float32))
    seen = see(model, z, names, test.judges)[STRONG]
    entropies = {name: entropy(digits) for name, digits in seen.items()}
    return {"components": mixtures[0].n_components, "entropy": entropies, **agreement(list(seen.values()))}
