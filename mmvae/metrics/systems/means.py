"""Cross generation from the posterior's mean, where `coherence` takes one sample."""

import torch

from mmvae.evaluation.classifiers import STRONG
from mmvae.evaluation.labelled import DigitTest
from mmvae.evaluation.measured import share
from mmvae.metrics.digits.coherence import see
from mmvae.model import MultimodalVAE


@torch.no_grad()
def measure(model: MultimodalVAE, test: DigitTest) -> dict:
    """<a>_to_<b>: share of b's images, made from the mean given a, that show the digit, by the strong classifiers."""
    result = {}
    for source in model.modalities:
        seen = see(model, model.mean({source: test.values[source]}), test.judges)[STRONG]
        result |= {
            f"{source}_to_{name}": share(digits == test.digits) for name, digits in seen.items() if name != source
        }
    return result
