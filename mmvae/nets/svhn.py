"""Networks of the colour 3x32x32 images (Table 6b)."""

from __future__ import annotations

from torch import Tensor, nn


class Encoder(nn.Module):
    """Three 4x4 convolutions of stride 2, then two 4x4 heads of D latents."""

    def __init__(self, latents: int, channels: int = 32):
        super().__init__()
        self.conv1 = nn.Conv2d(3, channels, 4, 2, 1)
        self.conv2 = nn.Conv2d(channels, 2 * channels, 4, 2, 1)
        self.conv3 = nn.Conv2d(2 * channels, 4 * channels, 4, 2, 1)
        self.loc = nn.Conv2d(4 * channels, latents, 4)
        self.scale_logits = nn.Conv2d(4 * channels, latents, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels in [0, 1], (B, 3, 32, 32) -> location and scale logits, (B, D) each."""
        h = self.conv3(self.conv2(self.conv1(x).relu()).relu()).relu()
        return self.loc(h).flatten(1), self.scale_logits(h).flatten(1)


class Decoder(nn.Module):
    """Four 4x4 transposed convolutions: 1 -> 4 -> 8 -> 16 -> 32 pixels wide, sigmoid."""

    def __init__(self, latents: int, channels: int = 32):
        super().__init__()
        self.upconv1 = nn.ConvTranspose2d(latents, 4 * channels, 4)
        self.upconv2 = nn.ConvTranspose2d(4 * channels, 2 * channels, 4, 2, 1)
        self.upconv3 = nn.ConvTranspose2d(2 * channels, channels, 4, 2, 1)
        self.upconv4 = nn.ConvTranspose2d(channels, 3, 4, 2, 1)

    def forward(self, z: Tensor) -> Tensor:
        """(N, D) -> mean pixels in (0, 1), (N, 3, 32, 32)."""
        h = self.upconv1(z[:, :, None, None]).relu()
        return self.upconv4(self.upconv3(self.upconv2(h).relu()).relu()).sigmoid()
