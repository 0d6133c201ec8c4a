"""Canonical correlation analysis of what single VAEs see in images: RBM-CCA (Ngiam et al. 2011), with VAEs for RBMs.

Probabilistic CCA (Bach and Jordan 2005) of the last hidden layers of two encoders: z ~ N(0, I) is what two modalities
share, and hidden layers are a linear map of it and noise. Only the analysis sees pairs, after training. A hidden layer
that is expected is decoded by the VAE's own head and decoder.

Shape letters: B batch, D canonical directions, F units of a hidden layer.
"""

import numpy as np
import torch
from sklearn.decomposition import PCA
from torch import Tensor, nn

from mmvae.distributions import Normal
from mmvae.evaluation import cca
from mmvae.model import Inputs, MultimodalModel, MultimodalVAE
from mmvae.params import ParamsError

KEPT = (20, 50, 100, 200)  # principal components of a hidden layer that are analysed, one of these
HELD_OUT = 0.2  # of the training pairs, on which their number is chosen
LARGEST = 1 - 1e-6  # correlation


class VaeCca(MultimodalModel):
    """A system that is never trained itself. As many directions as a VAE has latents."""

    common = slice(None)

    def __init__(self, parts: dict[str, MultimodalVAE], training: Inputs, seed: int):
        nn.Module.__init__(self)
        if len(parts) != 2:
            raise ParamsError(f"vae_cca is of two modalities, not of {len(parts)}; leave it out of figure2.composed")
        self.modalities = nn.ModuleDict({name: part.modalities[name] for name, part in parts.items()})
        components = next(iter(parts.values())).config.latents
        rows = [self._features(name, training[name]).double().cpu().numpy() for name in parts]
        order = np.random.default_rng(seed).permutation(len(rows[0]))
        held_out, fitted = np.split(order, [int(HELD_OUT * len(order))])
        most = min(len(fitted) - 1, *(row.shape[1] for row in rows))
        possible = [number for number in KEPT if components <= number <= most] or [min(components, most)]
        some = [PCA(possible[-1], random_state=seed).fit(row[fitted]) for row in rows]
        scores = [pca.transform(row) for pca, row in zip(some, rows, strict=True)]

        def carried_over(number: int) -> float:
            """The sum of held-out correlations."""
            found = cca.fit(*(score[fitted, :number] for score in scores), components)
            first, second = scores[0][held_out, :number] @ found.x, scores[1][held_out, :number] @ found.y
            return float(sum(np.corrcoef(a, b)[0, 1] for a, b in zip(first.T, second.T, strict=True)))

        chosen = max(possible, key=carried_over) if len(possible) > 1 else possible[0]
        self.analysis = Analysis(rows, chosen, components, seed)

    @torch.no_grad()
    def _features(self, name: str, x: Tensor) -> Tensor:
        return self.modalities[name].encoder.features(x).flatten(1)

    def posterior(self, x: Inputs) -> Normal:
        """p(z | the hidden layers): (B, D)."""
        found = []
        for i, name in enumerate(self.modalities):
            if name in x:
                variates = self.analysis.variates(i, self._features(name, x[name]).double().cpu().numpy())
                found.append(torch.from_numpy(variates).float().to(x[name].device))
        correlations = torch.from_numpy(self.analysis.correlations).to(found[0])
        known = correlations if len(found) == 1 else 2 * correlations / (1 + correlations)
        loc = known / correlations.sqrt() * sum(found) / len(found)
        return Normal(loc, (1 - known).sqrt().expand_as(loc))

    def sample(self, x: Inputs, generator: torch.Generator) -> Tensor:
        posterior = self.posterior(x)
        return posterior.loc + posterior.scale * posterior.noise(posterior.loc.shape, posterior.loc, generator)

    def mean(self, x: Inputs) -> Tensor:
        return self.posterior(x).loc

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """From N(0, I): (count, D)."""
        like = next(self.parameters())
        return Normal.noise((count, len(self.analysis.correlations)), like, generator)

    @torch.no_grad()
    def view(self, name: str, z: Tensor) -> Tensor:
        """The latents that the VAE's head makes of the expected hidden layer: (..., D) -> (..., D')."""
        head = self.modalities[name].encoder.loc
        expected = self.analysis.expected(list(self.modalities).index(name), z.double().cpu().numpy())
        features = torch.from_numpy(expected).to(z)
        return head(features.view(*z.shape[:-1], *head.weight.shape[1:])).flatten(z.dim() - 1)


class Analysis:
    """Two hidden layers in float64 (n, F) each: their principal components, so many, and the CCA of those."""

    def __init__(self, rows: list[np.ndarray], kept: int, components: int, seed: int):
        self.principal = [PCA(kept, random_state=seed).fit(row) for row in rows]
        scores = [pca.transform(row) for pca, row in zip(self.principal, rows, strict=True)]
        found = cca.fit(*scores, components)
        self.directions = [found.x, found.y]
        self.correlations = found.correlations.clip(1e-6, LARGEST)
        self.loadings = [np.cov(s, rowvar=False) @ d for s, d in zip(scores, self.directions, strict=True)]

    def variates(self, which: int, rows: np.ndarray) -> np.ndarray:
        """Canonical variates: (n, F) -> (n, D)."""
        return self.principal[which].transform(rows) @ self.directions[which]

    def expected(self, which: int, z: np.ndarray) -> np.ndarray:
        """The hidden layer given z: (n, D) -> (n, F)."""
        return self.principal[which].inverse_transform((z * np.sqrt(self.correlations)) @ self.loadings[which].T)
