"""Small models and data for tests of training."""

import numpy as np
import torch

from mmvae.data.pairs import Pairs
from mmvae.models import ModelConfig, MultimodalVAE, build

KINDS = {"a": "grey", "b": "colour"}


def toy_pairs(pairs: int = 64) -> Pairs:
    """Pairs of eight images of each kind, smooth ones, so that there is something to learn."""
    rng = np.random.default_rng(0)
    coarse = {"a": rng.integers(0, 256, (8, 1, 4, 4), np.uint8), "b": rng.integers(0, 256, (8, 3, 4, 4), np.uint8)}
    images = {"a": coarse["a"].repeat(7, 2).repeat(7, 3), "b": coarse["b"].repeat(8, 2).repeat(8, 3)}
    index = {name: rng.integers(0, 8, pairs, np.int32) for name in images}
    return Pairs(images, index, torch.device("cpu"))


def toy_model(kind: str = "mmvae", **choices) -> MultimodalVAE:
    torch.manual_seed(0)
    return build(ModelConfig(kind, KINDS, **({"latents": 4, "hidden": 16, "channels": 4} | choices)))
