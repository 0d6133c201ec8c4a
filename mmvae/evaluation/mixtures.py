"""Gaussian mixtures fitted to latents after training."""

import numpy as np
from sklearn.mixture import GaussianMixture

COMPONENTS = (10, 50, 100)
ROWS_EACH = 10  # training latents that a component needs, at least
HELD_OUT = 0.2  # of the training latents, on which the number of components is chosen


def fit(rows: np.ndarray, seed: int) -> GaussianMixture:
    """A mixture of full covariances, of the number of components under which held-out rows (n, F) are likeliest."""
    order = np.random.default_rng(seed).permutation(len(rows))
    held_out, kept = np.split(rows[order], [int(HELD_OUT * len(rows))])

    def fitted(components: int, to: np.ndarray) -> GaussianMixture:
        return GaussianMixture(components, reg_covar=1e-4, random_state=seed).fit(to)

    possible = [number for number in COMPONENTS if number * ROWS_EACH <= len(kept)] or [1]
    return fitted(max(possible, key=lambda number: fitted(number, kept).score(held_out)), rows)
