"""Fréchet distance of generated to real images, in the last hidden layer of the strong classifiers.

In another network than Inception: not to be compared with FIDs.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from mmvae.evaluation.classifiers import PREDICTED_AT_ONCE, STRONG
from mmvae.evaluation.frechet import frechet
from mmvae.evaluation.generation import decoded
from mmvae.evaluation.labelled import DigitTest, latents, seeded
from mmvae.model import MultimodalModel


def measure(model: MultimodalModel, test: DigitTest) -> dict:
    """prior.<a>: of a's images made from the prior. <b>_to_<a>: from a sample given b. As many as there are test pairs.

    Of few images both are too large, by the same.
    """
    return distances(model, test, test.judges[STRONG])


@torch.no_grad()
def distances(model: MultimodalModel, test: DigitTest, networks: Mapping[str, nn.Module]) -> dict:
    """The same in the network of each modality of images, by its `penultimate` layer."""
    given = {name: test.on_device(z) for name, z in latents(model, test.values, test.seed).items()}
    result: dict = {}
    for name, judge in networks.items():
        if name not in model.modalities or test.values[name].dim() != 4:
            continue
        real = seen(judge, test.values[name])
        if name in model.generates([]):
            drawn = model.draw(len(test.digits), seeded(test.values, test.seed))
            result.setdefault("prior", {})[name] = frechet(seen(judge, decoded(model, name, drawn)), real)
        for source, z in given.items():
            if name in model.generates([source]):
                result[f"{source}_to_{name}"] = frechet(seen(judge, decoded(model, name, z)), real)
    return result


def seen(judge: nn.Module, images: Tensor) -> np.ndarray:
    """Activations of the last hidden layer: (n, C, H, W) -> (n, F)."""
    parts = images.split(PREDICTED_AT_ONCE[images.device.type])
    return torch.cat([judge.penultimate(part) for part in parts]).double().cpu().numpy()
