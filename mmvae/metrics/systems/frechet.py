"""Fréchet distance of generated to real images, in the last hidden layer of the strong classifiers.

Of Gaussians fitted to both (Heusel et al. 2017), in another network than Inception: not to be compared with FIDs.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from mmvae.evaluation.classifiers import PREDICTED_AT_ONCE, STRONG
from mmvae.evaluation.generation import decoded
from mmvae.evaluation.labelled import DigitTest, latents
from mmvae.model import MultimodalModel


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Of Gaussians with the means and covariances of rows (n, F) and (m, F)."""
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    values, vectors = np.linalg.eigh(first)
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ second @ root).clip(0)).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(first) + np.trace(second) - 2 * cross)


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
            generator = torch.Generator(test.values[name].device).manual_seed(test.seed)
            drawn = model.draw(len(test.digits), generator)
            result.setdefault("prior", {})[name] = frechet(seen(judge, decoded(model, name, drawn)), real)
        for source, z in given.items():
            if name in model.generates([source]):
                result[f"{source}_to_{name}"] = frechet(seen(judge, decoded(model, name, z)), real)
    return result


def seen(judge: nn.Module, images: Tensor) -> np.ndarray:
    """Activations of the last hidden layer: (n, C, H, W) -> (n, F)."""
    parts = images.split(PREDICTED_AT_ONCE[images.device.type])
    return torch.cat([judge.penultimate(part) for part in parts]).double().cpu().numpy()
