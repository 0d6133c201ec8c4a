"""Grey images of 1x28x28 pixels in [0, 1] (Table 6a)."""

import numpy as np
from torch import Tensor, nn

from mmvae.modality import ImageOptions, Modality, TwoHeads
from mmvae.params import whole

SHAPE = (1, 28, 28)
STORED = (np.uint8, SHAPE)
CLAMP = 1e-6  # the released code keeps the mean inside (0, 1)


class Encoder(TwoHeads):
    """784 -> hidden -> two heads of D latents."""

    def __init__(self, latents: int, hidden: int = 400):
        super().__init__()
        self.hidden = nn.Linear(784, hidden)
        self.loc = nn.Linear(hidden, latents)
        self.scale_logits = nn.Linear(hidden, latents)

    def features(self, x: Tensor) -> Tensor:
        """The last hidden layer, (B, hidden)."""
        return self.hidden(x.flatten(1)).relu()


class Decoder(nn.Module):
    """D -> hidden -> 784, sigmoid."""

    def __init__(self, latents: int, hidden: int = 400):
        super().__init__()
        self.hidden = nn.Linear(latents, hidden)
        self.output = nn.Linear(hidden, 784)

    def forward(self, z: Tensor) -> Tensor:
        """(N, D) -> mean pixels in (0, 1), (N, 1, 28, 28)."""
        mean = self.output(self.hidden(z).relu()).sigmoid()
        return mean.clamp(CLAMP, 1 - CLAMP).view(-1, 1, 28, 28)


class Options(ImageOptions):
    """hidden: units of the one hidden layer."""

    hidden: whole(1, 10_000) = 400


def modality(latents: int, options: Options) -> Modality:
    encoder, decoder = Encoder(latents, options.hidden), Decoder(latents, options.hidden)
    return Modality(encoder, decoder, options.image_likelihood(), options.scaling, SHAPE)
