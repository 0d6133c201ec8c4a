"""The simplest joint model: VAEs of single modalities, and a Gaussian mixture of their latents side by side.

Nothing is trained on pairs but the mixture, which is fitted afterwards. A joint system should beat this. Shape letters:
C components, F latents of all modalities side by side, R of those that are not given.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from mmvae.evaluation.mixtures import fit
from mmvae.model import Inputs, MultimodalModel, MultimodalVAE

RIDGE = 1e-6  # on the diagonal of a covariance that is inverted


class GaussianMixture:
    """weights (C,), means (C, F), covariances (C, F, F), in double precision."""

    def __init__(self, weights: np.ndarray, means: np.ndarray, covariances: np.ndarray, device: torch.device | str):
        self.log_weights = torch.from_numpy(weights).to(device).log()
        self.means, self.covariances = (torch.from_numpy(part).to(device) for part in (means, covariances))

    def given(self, z: Tensor, known: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        """What z (B, known) says of the other latents: log-weights (B, C), means (B, C, R), covariances (C, R, R)."""
        known = list(known)
        rest = [i for i in range(self.means.shape[1]) if i not in set(known)]
        own = self.covariances[:, known][:, :, known] + RIDGE * torch.eye(len(known), device=z.device).double()
        across = self.covariances[:, rest][:, :, known]
        away = z[:, None] - self.means[:, known]
        root = torch.linalg.cholesky(own)
        white = torch.linalg.solve_triangular(root, away.permute(1, 2, 0), upper=False)  # (C, known, B)
        log_density = -0.5 * white.square().sum(1) - root.diagonal(dim1=1, dim2=2).log().sum(1)[:, None]
        log_density = log_density - 0.5 * len(known) * math.log(2 * math.pi)
        slope = torch.cholesky_solve(across.mT, root)  # (C, known, rest)
        means = self.means[:, rest] + torch.einsum("bck,ckr->bcr", away, slope)
        log_weights = (self.log_weights[:, None] + log_density).log_softmax(0).T
        return log_weights, means, self.covariances[:, rest][:, :, rest] - across @ slope


def drawn(log_weights: Tensor, means: Tensor, covariances: Tensor, generator: torch.Generator) -> Tensor:
    """One draw for each row: (B, C), (B, C, F), (C, F, F) -> (B, F)."""
    component = torch.multinomial(log_weights.exp(), 1, generator=generator)[:, 0]
    eye = torch.eye(means.shape[-1], device=means.device).double()
    roots = torch.linalg.cholesky(covariances + RIDGE * eye)[component]
    noise = torch.empty_like(means[:, 0]).normal_(generator=generator)
    return means[torch.arange(len(means)), component] + torch.einsum("bij,bj->bi", roots, noise)


class LateFusion(MultimodalModel):
    """A system that is never trained itself: it has no configuration, prior, posterior, or latents that are shared."""

    def __init__(self, parts: dict[str, MultimodalVAE], training: Inputs, seed: int):
        nn.Module.__init__(self)
        self.parts = parts
        self.modalities = nn.ModuleDict({name: part.modalities[name] for name, part in parts.items()})
        ends = np.cumsum([0, *(part.config.latents for part in parts.values())])
        self.places = {name: list(range(ends[i], ends[i + 1])) for i, name in enumerate(parts)}
        device = next(iter(training.values())).device
        rows = self.sample(training, torch.Generator(device).manual_seed(seed))
        found = fit(rows.cpu().double().numpy(), seed)
        self.mixture = GaussianMixture(found.weights_, found.means_, found.covariances_, device)

    @torch.no_grad()
    def sample(self, x: Inputs, generator: torch.Generator) -> Tensor:
        """Each given modality's posterior sample, and a draw of the others' latents given these: (B, F)."""
        z = {name: part.sample({name: x[name]}, generator) for name, part in self.parts.items() if name in x}
        return self._joined(z, None if len(z) == len(self.parts) else drawn(*self._others(z), generator))

    @torch.no_grad()
    def mean(self, x: Inputs) -> Tensor:
        """The same with means: (B, F)."""
        z = {name: part.mean({name: x[name]}) for name, part in self.parts.items() if name in x}
        if len(z) == len(self.parts):
            return self._joined(z, None)
        log_weights, means, _ = self._others(z)
        return self._joined(z, torch.einsum("bc,bcf->bf", log_weights.exp(), means))

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """From the mixture: (count, F)."""
        of = self.mixture
        weights, means = of.log_weights.expand(count, -1), of.means.expand(count, -1, -1)
        return drawn(weights, means, of.covariances, generator).float()

    def view(self, name: str, z: Tensor) -> Tensor:
        """A modality's own latents: (..., F) -> (..., D)."""
        return z[..., self.places[name]]

    def _others(self, z: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """What the mixture says of the latents of the modalities that are not in z."""
        known = [place for name in z for place in self.places[name]]
        return self.mixture.given(torch.cat(list(z.values()), 1).double(), known)

    def _joined(self, z: dict[str, Tensor], others: Tensor | None) -> Tensor:
        """All latents at their places: (B, F)."""
        parts, start = [], 0
        for name, places in self.places.items():
            if name in z:
                parts.append(z[name])
            else:
                parts.append(others[:, start : start + len(places)].float())
                start += len(places)
        return torch.cat(parts, 1)
