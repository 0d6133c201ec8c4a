"""Do latents keep more than the digit? Brightness and colour of an image, read from its latents by ridge regression."""

import numpy as np
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from mmvae.evaluation.labelled import DigitTest, latents
from mmvae.model import MultimodalModel


def brightness(images: Tensor) -> np.ndarray:
    """The mean of all pixels: (n, C, H, W) -> (n, 1)."""
    return images.mean((1, 2, 3)).cpu().numpy()[:, None]


def colour(images: Tensor) -> np.ndarray:
    """How far the mean of each channel is from the mean of all: (n, 3, H, W) -> (n, 3)."""
    channels = images.mean((2, 3))
    return (channels - channels.mean(1, keepdim=True)).cpu().numpy()


def measure(model: MultimodalModel, test: DigitTest) -> dict:
    """brightness.<a>, and colour.<a> of colour images: R squared on test images, from a sample given a."""
    training, held_out = (latents(model, values, test.seed) for values in (test.training, test.values))
    result: dict = {}
    for name in training:
        if test.values[name].dim() != 4:
            continue
        for of in (brightness, colour) if test.values[name].shape[1] == 3 else (brightness,):
            fitted = make_pipeline(StandardScaler(), Ridge()).fit(training[name], of(test.training[name]))
            score = fitted.score(held_out[name], of(test.values[name]))
            result.setdefault(of.__name__, {})[name] = score
    return result
