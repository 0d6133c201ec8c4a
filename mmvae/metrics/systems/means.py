"""Cross generation from the posterior's mean, where `coherence` takes one sample."""

import torch

from mmvae.evaluation.classifiers import STRONG
from mmvae.evaluation.labelled import DigitTest, shows_digit
from mmvae.evaluation.measured import share
from mmvae.model import MultimodalModel


@torch.no_grad()
def measure(model: MultimodalModel, test: DigitTest) -> dict:
    """<a>_to_<b>: share of b's images, made from the mean given a, that show the digit, by the strong classifiers."""
    means = {name: model.mean({name: test.values[name]}) for name in model.modalities}
    return {
        f"{source}_to_{name}": share(shows_digit(model, name, z, test))
        for source, z in means.items()
        for name in test.judges[STRONG]
        if name in model.generates([source]) and name != source
    }
