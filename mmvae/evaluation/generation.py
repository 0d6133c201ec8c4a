"""The images that the figures show: drawn from the prior, reconstructed, generated across modalities, traversed."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mmvae.distributions import draws
from mmvae.model import Inputs, MultimodalVAE


def _array(images: Tensor) -> np.ndarray:
    return images.cpu().numpy()


@torch.no_grad()
def from_prior(
    model: MultimodalVAE, count: int, samples: int, generator: torch.Generator
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Predicted means (count, C, H, W) and likelihood samples (count, samples, C, H, W) of the same prior draws."""
    z = draws(model.prior(), count, generator)
    result = {}
    for name, modality in model.modalities.items():
        mean = model.decode(name, z)
        drawn = modality.likelihood.sample(mean[:, None].expand(-1, samples, -1, -1, -1), generator)
        result[name] = (_array(mean), _array(drawn))
    return result


@torch.no_grad()
def across(model: MultimodalVAE, x: Inputs, source: str, generator: torch.Generator) -> dict[str, np.ndarray]:
    """The mean of every modality (n, C, H, W), from one posterior sample given the modality `source`."""
    z = model.posterior({source: x[source]}).sample_one(generator)
    return {name: _array(model.decode(name, z)) for name in model.modalities}


@torch.no_grad()
def traverse(model: MultimodalVAE, x: Inputs, source: str, steps: int, reach: float = 5.0) -> dict[str, np.ndarray]:
    """Each latent moved over -reach..+reach prior standard deviations around the mean embedding of one image.

    `x[source]` (1, C, H, W). Returns predicted means (D, steps, C, H, W) of every modality.
    """
    centre = model.posterior({source: x[source]}).experts.loc[0, 0]
    offsets = torch.linspace(-reach, reach, steps, dtype=centre.dtype, device=centre.device)
    moves = torch.diag(model.prior().std)[:, None] * offsets[None, :, None]
    z = centre + moves
    return {name: _array(model.decode(name, z.flatten(0, 1)).unflatten(0, z.shape[:2])) for name in model.modalities}


@torch.no_grad()
def divergences(model: MultimodalVAE, x: Inputs) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """KL of each modality's posterior to the prior, and the symmetric KL between the first two, per latent: (D,).

    Means over the pairs `x`, in nats; the symmetric KL is the mean of the two directions.
    """
    experts = [model.posterior({name: image}).experts for name, image in x.items()]
    to_prior = {name: expert.kl(model.prior()).mean((0, 1)) for name, expert in zip(x, experts, strict=True)}
    between = (experts[0].kl(experts[1]) + experts[1].kl(experts[0])).mean((0, 1)) / 2
    return {name: _array(value) for name, value in to_prior.items()}, _array(between)
