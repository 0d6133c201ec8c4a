"""How often a system that is trained to say the digit says the right one."""

import torch

from mmvae.codes import Classifying
from mmvae.evaluation.labelled import DigitTest, latents
from mmvae.evaluation.measured import share
from mmvae.model import MultimodalModel


@torch.no_grad()
def measure(model: MultimodalModel, test: DigitTest) -> dict:
    """<a>: of test samples given a."""
    if not isinstance(model, Classifying) or model.classifier is None:
        return {}
    given = latents(model, test.values, test.seed)
    return {n: share(model.classify(test.on_device(z)).cpu().numpy() == test.digits) for n, z in given.items()}
