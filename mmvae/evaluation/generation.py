"""What the figures show: draws from the prior, generation across modalities, traversals, divergences of posteriors.

Models have any number of modalities of any kind: pixels (N, C, H, W), features (N, F), words (N, T).
"""

from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from mmvae.model import Inputs, MultimodalModel, MultimodalVAE

DECODED_AT_ONCE = {"cpu": 256, "cuda": 8192}


@torch.no_grad()
def decoded(model: MultimodalModel, name: str, z: Tensor) -> Tensor:
    """The predicted mean of a modality, decoded part by part: (n, D) -> (n, ...)."""
    return torch.cat([model.decode(name, part) for part in z.split(DECODED_AT_ONCE[z.device.type])])


def _array(values: Tensor) -> np.ndarray:
    return values.cpu().numpy()


@torch.no_grad()
def from_prior(
    model: MultimodalModel, count: int, samples: int, generator: torch.Generator
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Predicted means (count, ...) and likelihood samples (count, samples, ...) of the same prior draws."""
    z = model.draw(count, generator)
    result = {}
    for name, modality in model.modalities.items():
        predicted = modality.decoder(model.view(name, z))
        repeated = predicted[:, None].expand(-1, samples, *predicted.shape[1:])
        drawn = modality.likelihood.sample(repeated, generator)
        result[name] = (_array(modality.likelihood.mode(predicted)), _array(drawn))
    return result


@torch.no_grad()
def across(model: MultimodalModel, x: Inputs, source: str, generator: torch.Generator) -> dict[str, np.ndarray]:
    """The mean of every modality (n, ...), from one posterior sample given the modality `source`."""
    z = model.sample({source: x[source]}, generator)
    return {name: _array(model.decode(name, z)) for name in model.modalities}


@torch.no_grad()
def traverse(model: MultimodalVAE, x: Inputs, source: str, steps: int, reach: float = 5.0) -> dict[str, np.ndarray]:
    """Each latent moved over -reach..+reach prior standard deviations around the mean embedding of one input.

    `x[source]` (1, ...). Returns predicted means (D, steps, ...) of every modality.
    """
    centre = model.mean({source: x[source]})[0]
    offsets = torch.linspace(-reach, reach, steps, dtype=centre.dtype, device=centre.device)
    moves = torch.diag(model.prior().std)[:, None] * offsets[None, :, None]
    z = centre + moves
    return {name: _array(model.decode(name, z.flatten(0, 1)).unflatten(0, z.shape[:2])) for name in model.modalities}


@torch.no_grad()
def divergences(model: MultimodalVAE, x: Inputs) -> tuple[dict[str, np.ndarray], dict[tuple[str, str], np.ndarray]]:
    """KL of each modality's posterior to the prior, and the symmetric KL of every pair of modalities: (D,) each.

    Means over the pairs `x`, in nats a latent; the symmetric KL is the mean of the two directions.
    """
    experts = {name: model.posterior({name: values}).experts for name, values in x.items()}
    to_prior = {name: _array(expert.kl(model.prior()).mean((0, 1))) for name, expert in experts.items()}
    between = {
        (a, b): _array((experts[a].kl(experts[b]) + experts[b].kl(experts[a])).mean((0, 1)) / 2)
        for a, b in combinations(experts, 2)
    }
    return to_prior, between
