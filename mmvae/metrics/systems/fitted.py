"""Joint generation from a Gaussian mixture fitted to latents after training, in place of the prior.

One latent of each training pair, given all modalities; never two side by side, by which it would learn the pairing.
"""

import numpy as np

from mmvae.evaluation.classifiers import STRONG
from mmvae.evaluation.labelled import DigitTest, latents
from mmvae.evaluation.measured import share
from mmvae.evaluation.mixtures import fit
from mmvae.metrics.digits.coherence import chance_agreement, entropy, see
from mmvae.model import MultimodalModel


def measure(model: MultimodalModel, test: DigitTest) -> dict:
    """joint, joint_by_chance, entropy.<a>: as of coherence, by the strong classifiers; components: of the mixture."""
    names = list(model.modalities)
    if len(names) < 2 or not model.sees_all:
        return {}
    training = latents(model, test.training, test.seed, {"all": names})
    mixture = fit(training["all"].astype(np.float64), test.seed)
    drawn = mixture.sample(test.settings.joint_samples)[0].astype(np.float32)
    seen = list(see(model, test.on_device(drawn), names, test.judges)[STRONG].items())
    result: dict = {"components": mixture.n_components, "entropy": {name: entropy(digits) for name, digits in seen}}
    if len(seen) > 1:
        digits = [found for _, found in seen]
        result["joint"] = share(np.logical_and.reduce([found == digits[0] for found in digits]))
        result["joint_by_chance"] = chance_agreement(digits)
    return result
