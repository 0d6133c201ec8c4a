"""What MoPoE makes of all modalities by the product of all experts, where its posterior is mostly that of subsets."""

import torch

from mmvae.evaluation.classifiers import STRONG
from mmvae.evaluation.labelled import DigitTest, seeded, shows_digit
from mmvae.evaluation.measured import share
from mmvae.evaluation.probes import fit_probe
from mmvae.model import MultimodalModel


@torch.no_grad()
def measure(model: MultimodalModel, test: DigitTest) -> dict:
    """probe: test accuracy of a probe of its samples. image.<a>: share of a's images from them that show the digit."""
    if not hasattr(model, "product_posterior") or len(model.modalities) < 2:
        return {}
    generator = seeded(test.values, test.seed)
    training, held_out = (
        model.product_posterior(values).sample_one(generator) for values in (test.training, test.values)
    )
    probe = fit_probe(training.cpu().numpy(), test.training_digits)
    judged = [name for name in test.judges[STRONG] if name in model.modalities]
    return {
        "probe": share(probe.predict(held_out.cpu().numpy()) == test.digits),
        "image": {name: share(shows_digit(model, name, held_out, test)) for name in judged},
    }
