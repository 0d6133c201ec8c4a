"""Joint generation from a Gaussian mixture fitted to latents after training, in place of the prior.

One latent of each training pair, given all modalities; never two side by side, by which it would learn the pairing.
"""

import numpy as np
from sklearn.mixture import GaussianMixture

from mmvae.evaluation.classifiers import STRONG
from mmvae.evaluation.labelled import DigitTest, latents
from mmvae.evaluation.measured import share
from mmvae.metrics.digits.coherence import chance_agreement, entropy, see
from mmvae.model import MultimodalVAE

COMPONENTS = (10, 50, 100)
HELD_OUT = 0.2  # of the training latents, on which the number of components is chosen


def fit(rows: np.ndarray, seed: int) -> GaussianMixture:
    """A mixture of full covariances, of the number of components under which held-out rows (n, D) are likeliest."""
    order = np.random.default_rng(seed).permutation(len(rows))
    held_out, kept = np.split(rows[order], [int(HELD_OUT * len(rows))])

    def fitted(components: int, to: np.ndarray) -> GaussianMixture:
        return GaussianMixture(components, reg_covar=1e-4, random_state=seed).fit(to)

    possible = [number for number in COMPONENTS if number <= len(kept) // 10] or [1]
    best = max(possible, key=lambda number: fitted(number, kept).score(held_out))
    return fitted(best, rows)


def measure(model: MultimodalVAE, test: DigitTest) -> dict:
    """joint, joint_by_chance, entropy.<a>: as of coherence, by the strong classifiers; components: of the mixture."""
    names = list(model.modalities)
    if len(names) < 2:
        return {}
    training, _ = latents(model, test, {"all": names})
    mixture = fit(training["all"].astype(np.float64), test.seed)
    drawn = mixture.sample(test.settings.joint_samples)[0].astype(np.float32)
    seen = list(see(model, test.on_device(drawn), test.judges)[STRONG].items())
    result: dict = {"components": mixture.n_components, "entropy": {name: entropy(digits) for name, digits in seen}}
    if len(seen) > 1:
        digits = [found for _, found in seen]
        result["joint"] = share(np.logical_and.reduce([found == digits[0] for found in digits]))
        result["joint_by_chance"] = chance_agreement(digits)
    return result
