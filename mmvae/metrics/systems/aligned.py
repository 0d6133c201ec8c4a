"""Cross generation after a rotation of codes, fitted to training pairs: of systems whose codes are alike up to one."""

import numpy as np
from scipy.linalg import orthogonal_procrustes

from mmvae.evaluation.classifiers import STRONG
from mmvae.evaluation.labelled import DigitTest, latents, shows_digit
from mmvae.evaluation.measured import share
from mmvae.model import MultimodalModel


def measure(model: MultimodalModel, test: DigitTest) -> dict:
    """<a>_to_<b>: share of b's images, made from codes of a moved to where b's are, that show the digit, by the strong
    classifiers. Of systems that say that they are `rotated`; training pairs fit the rotation.
    """
    if not getattr(model, "rotated", False):
        return {}
    training, held_out = (latents(model, values, test.seed) for values in (test.training, test.values))
    result = {}
    for a, b in ((a, b) for a in training for b in test.judges[STRONG] if a != b and b in model.generates([a])):
        (from_a, from_b), (mean_a, mean_b) = (training[a], training[b]), (training[a].mean(0), training[b].mean(0))
        rotation, _ = orthogonal_procrustes(from_a - mean_a, from_b - mean_b)
        moved = ((held_out[a] - mean_a) @ rotation + mean_b).astype(np.float32)
        result[f"{a}_to_{b}"] = share(shows_digit(model, b, test.on_device(moved), test))
    return result
