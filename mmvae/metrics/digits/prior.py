"""How different the scales of the prior are, which MMVAE learns (section 3)."""

from mmvae.evaluation.labelled import DigitTest
from mmvae.model import MultimodalModel


def measure(model: MultimodalModel, _: DigitTest) -> dict:
    """scale_ratio: the largest over the smallest of D scales; 1 before training, and of a fixed prior."""
    if not model.has_density:
        return {}
    scale = model.prior().scale
    return {"scale_ratio": float(scale.max() / scale.min())}
