"""Is it one space? A probe that says which modality a latent came from."""

import numpy as np

from mmvae.evaluation.labelled import DigitTest, latents
from mmvae.evaluation.measured import share
from mmvae.evaluation.probes import fit_probe
from mmvae.model import MultimodalVAE


def measure(model: MultimodalVAE, test: DigitTest) -> dict:
    """accuracy: on test samples; of M modalities in one space 1 / M, in spaces apart 1."""
    if len(model.modalities) < 2:
        return {}
    training, held_out = latents(model, test)
    origin = np.repeat(range(len(training)), len(test.training_digits))
    probe = fit_probe(np.concatenate(list(training.values())), origin)
    found = probe.predict(np.concatenate(list(held_out.values())))
    return {"accuracy": share(found == np.repeat(range(len(held_out)), len(test.digits)))}
