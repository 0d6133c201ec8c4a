"""Image features: vectors of F activations of an image network (Table 6c)."""

from itertools import pairwise

import numpy as np
from torch import Tensor, nn

from mmvae.modality import LaplaceLikelihood, Modality, Scale, Scaling, TwoHeads
from mmvae.params import Section, whole

STORED = (np.float32, (None,))  # any length


class Encoder(TwoHeads):
    """F -> hidden -> hidden / 2 -> hidden / 4 with ELU, then two heads of D latents."""

    def __init__(self, latents: int, features: int = 2048, hidden: int = 1024):
        super().__init__()
        self.hidden = _layers(features, hidden, hidden // 2, hidden // 4)
        self.loc = nn.Linear(hidden // 4, latents)
        self.scale_logits = nn.Linear(hidden // 4, latents)

    def features(self, x: Tensor) -> Tensor:
        """The last hidden layer, (B, hidden / 4)."""
        return self.hidden(x)


class Decoder(nn.Module):
    """D -> hidden / 4 -> hidden / 2 -> hidden with ELU, then F."""

    def __init__(self, latents: int, features: int = 2048, hidden: int = 1024):
        super().__init__()
        self.hidden = _layers(latents, hidden // 4, hidden // 2, hidden)
        self.output = nn.Linear(hidden, features)

    def forward(self, z: Tensor) -> Tensor:
        """(N, D) -> mean features, (N, F)."""
        return self.output(self.hidden(z))


def _layers(*widths: int) -> nn.Sequential:
    return nn.Sequential(*[layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), nn.ELU())])


class Options(Section):
    """hidden: units of the first layer; the others have a half and a quarter. length: F, taken from the data."""

    hidden: whole(4, 10_000) = 1024
    likelihood_scale: Scale = 1.0
    scaling: Scaling = None
    length: whole(1, 100_000) = 2048


def measured(values: np.ndarray, _: list[str]) -> dict:
    """What the options take from training values (n, F)."""
    return {"length": values.shape[1]}


def modality(latents: int, options: Options) -> Modality:
    encoder = Encoder(latents, options.length, options.hidden)
    decoder = Decoder(latents, options.length, options.hidden)
    likelihood = LaplaceLikelihood(options.likelihood_scale, dimensions=1)
    return Modality(encoder, decoder, likelihood, options.scaling, (options.length,))
