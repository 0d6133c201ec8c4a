"""Is it one space? A probe that says which modality a latent came from."""

import numpy as np

from mmvae.evaluation.labelled import DigitTest, latents
from mmvae.evaluation.measured import share
from mmvae.evaluation.probes import fit_probe
from mmvae.model import Inputs, MultimodalModel


def measure(model: MultimodalModel, test: DigitTest) -> dict:
    """accuracy: on test samples, of the latents that all share; of M modalities in one space 1 / M, in M spaces 1."""
    if len(model.modalities) < 2 or model.common is None:
        return {}

    def rows(values: Inputs) -> tuple[np.ndarray, np.ndarray]:
        every = [z[:, model.common] for z in latents(model, values, test.seed).values()]
        return np.concatenate(every), np.repeat(range(len(every)), [len(z) for z in every])

    probe, (held_out, origin) = fit_probe(*rows(test.training)), rows(test.values)
    return {"accuracy": share(probe.predict(held_out) == origin)}
