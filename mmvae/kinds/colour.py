"""Colour images of 3x32x32 pixels in [0, 1] (Table 6b)."""

import numpy as np
from torch import Tensor, nn

from mmvae.layers import FromOnePixel, ToFewChannels
from mmvae.modality import ImageOptions, Modality, TwoHeads
from mmvae.params import whole

SHAPE = (3, 32, 32)
STORED = (np.uint8, SHAPE)


class Encoder(TwoHeads):
    """Three 4x4 convolutions of stride 2, then two 4x4 heads of D latents."""

    def __init__(self, latents: int, channels: int = 32):
        super().__init__()
        self.conv1 = nn.Conv2d(3, channels, 4, 2, 1)
        self.conv2 = nn.Conv2d(channels, 2 * channels, 4, 2, 1)
        self.conv3 = nn.Conv2d(2 * channels, 4 * channels, 4, 2, 1)
        self.loc = nn.Conv2d(4 * channels, latents, 4)
        self.scale_logits = nn.Conv2d(4 * channels, latents, 4)

    def features(self, x: Tensor) -> Tensor:
        """The last hidden layer, (B, 4 * channels, 4, 4)."""
        return self.conv3(self.conv2(self.conv1(x).relu()).relu()).relu()


class Decoder(nn.Module):
    """Four 4x4 transposed convolutions: 1 -> 4 -> 8 -> 16 -> 32 pixels wide, sigmoid."""

    def __init__(self, latents: int, channels: int = 32):
        super().__init__()
        self.upconv1 = FromOnePixel(latents, 4 * channels, 4)
        self.upconv2 = nn.ConvTranspose2d(4 * channels, 2 * channels, 4, 2, 1)
        self.upconv3 = nn.ConvTranspose2d(2 * channels, channels, 4, 2, 1)
        self.upconv4 = ToFewChannels(channels, 3)

    def forward(self, z: Tensor) -> Tensor:
        """(N, D) -> mean pixels in (0, 1), (N, 3, 32, 32)."""
        h = self.upconv2(self.upconv1(z).relu()).relu()
        return self.upconv4(self.upconv3(h).relu()).sigmoid()


class Options(ImageOptions):
    """channels: of the first convolution; the others have 2 and 4 times as many."""

    channels: whole(1, 256) = 32


def modality(latents: int, options: Options) -> Modality:
    encoder, decoder = Encoder(latents, options.channels), Decoder(latents, options.channels)
    return Modality(encoder, decoder, options.image_likelihood(), options.scaling, SHAPE)
