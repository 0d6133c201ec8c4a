"""Photographs of 3x64x64 pixels in [0, 1]: the networks of the 32x32 images (Table 6b) with one more stage."""

from itertools import pairwise

import numpy as np
from torch import Tensor, nn

from mmvae.layers import FromOnePixel, ToFewChannels
from mmvae.modality import ImageOptions, Modality, TwoHeads
from mmvae.params import whole

SHAPE = (3, 64, 64)
STORED = (np.uint8, SHAPE)


class Encoder(TwoHeads):
    """Four 4x4 convolutions of stride 2, then two 4x4 heads of D latents."""

    def __init__(self, latents: int, channels: int = 64):
        super().__init__()
        widths = [3, channels, 2 * channels, 4 * channels, 8 * channels]
        self.hidden = nn.Sequential(
            *[layer for a, b in pairwise(widths) for layer in (nn.Conv2d(a, b, 4, 2, 1), nn.ReLU())]
        )
        self.loc = nn.Conv2d(8 * channels, latents, 4)
        self.scale_logits = nn.Conv2d(8 * channels, latents, 4)

    def features(self, x: Tensor) -> Tensor:
        """The last hidden layer, (B, 8 * channels, 4, 4)."""
        return self.hidden(x)


class Decoder(nn.Module):
    """Five 4x4 transposed convolutions: 1 -> 4 -> 8 -> 16 -> 32 -> 64 pixels wide, sigmoid."""

    def __init__(self, latents: int, channels: int = 64):
        super().__init__()
        widths = [8 * channels, 4 * channels, 2 * channels, channels]
        self.start = FromOnePixel(latents, 8 * channels, 4)
        self.hidden = nn.Sequential(
            nn.ReLU(), *[layer for a, b in pairwise(widths) for layer in (nn.ConvTranspose2d(a, b, 4, 2, 1), nn.ReLU())]
        )
        self.output = ToFewChannels(channels, 3)

    def forward(self, z: Tensor) -> Tensor:
        """(N, D) -> mean pixels in (0, 1), (N, 3, 64, 64)."""
        return self.output(self.hidden(self.start(z))).sigmoid()


class Options(ImageOptions):
    """channels: of the first convolution; the others have 2, 4 and 8 times as many."""

    channels: whole(1, 256) = 64


def modality(latents: int, options: Options) -> Modality:
    encoder, decoder = Encoder(latents, options.channels), Decoder(latents, options.channels)
    return Modality(encoder, decoder, options.image_likelihood(), options.scaling, SHAPE)
