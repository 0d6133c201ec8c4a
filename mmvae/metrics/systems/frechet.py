"""Fréchet distance of generated to real images, in the last hidden layer of the strong classifiers.

Of Gaussians fitted to both (Heusel et al. 2017), in another network than Inception: not to be compared with FIDs.
"""

import numpy as np
import torch
from torch import Tensor

from mmvae.evaluation.classifiers import PREDICTED_AT_ONCE, STRONG
from mmvae.evaluation.labelled import DigitTest, latents
from mmvae.model import MultimodalVAE


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Of Gaussians with the means and covariances of rows (n, F) and (m, F)."""
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    values, vectors = np.linalg.eigh(first)
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ second @ root).clip(0)).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(first) + np.trace(second) - 2 * cross)


@torch.no_grad()
def measure(model: MultimodalVAE, test: DigitTest) -> dict:
    """prior.<a>: of a's images made from the prior. <b>_to_<a>: from a sample given b, for every test pair."""
    device = next(iter(test.values.values())).device
    generator = torch.Generator(device).manual_seed(test.seed)
    given = {name: test.on_device(z) for name, z in latents(model, test)[1].items()}
    drawn = model.draw(test.settings.joint_samples, generator)
    result: dict = {}
    for name in model.modalities:
        if name not in test.judges[STRONG]:
            continue
        judge, rows = test.judges[STRONG][name], PREDICTED_AT_ONCE[device.type]

        def seen(images: Tensor, judge=judge, rows=rows) -> np.ndarray:
            return torch.cat([judge.penultimate(part) for part in images.split(rows)]).double().cpu().numpy()

        real = seen(test.values[name])
        made = torch.cat([model.decode(name, part) for part in drawn.split(rows)])
        result.setdefault("prior", {})[name] = frechet(seen(made), real)
        for source, z in given.items():
            result[f"{source}_to_{name}"] = frechet(seen(model.decode(name, z)), real)
    return result
