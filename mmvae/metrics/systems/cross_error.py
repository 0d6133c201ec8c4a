"""How far a generated image is from the real one, pixel by pixel: the mean absolute difference."""

from mmvae.evaluation.generation import decoded
from mmvae.evaluation.labelled import DigitTest, latents
from mmvae.evaluation.measured import mean
from mmvae.model import MultimodalModel


def measure(model: MultimodalModel, test: DigitTest) -> dict:
    """<a>_to_<b>: between b's test image and b made from a sample given a, of pixels in [0, 1]."""
    result = {}
    for source, z in latents(model, test.values, test.seed).items():
        for target, real in test.values.items():
            if target in model.generates([source]) and real.dim() == 4:
                error = (decoded(model, target, test.on_device(z)) - real).abs().mean((1, 2, 3))
                result[f"{source}_to_{target}"] = mean(error.cpu().numpy())
    return result
