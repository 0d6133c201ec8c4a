"""Short texts: convolutions over characters, a categorical likelihood of each (MNIST-SVHN-Text's).

`mmvae/data/names.py` says what a text (T,) is. Shape letters: T = 8 characters, each one of A.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor, nn
from torch.nn import functional

from mmvae.data.names import ALPHABET, LENGTH, starts, written
from mmvae.modality import Modality, Scaling, TwoHeads
from mmvae.params import Section, whole

STORED = (np.int32, (LENGTH,))
PICTURE = (16, 48)  # height and width of a text as it is drawn, pixels


class Encoder(TwoHeads):
    """Convolutions over the characters, 8 -> 8 -> 4 -> 2 long, then two heads of D latents."""

    def __init__(self, latents: int, channels: int = 32):
        super().__init__()
        self.hidden = nn.Sequential(
            *(nn.Conv1d(len(ALPHABET), channels, 1), nn.ReLU()),
            *(nn.Conv1d(channels, 2 * channels, 4, 2, 1), nn.ReLU()),
            *(nn.Conv1d(2 * channels, 2 * channels, 4, 2, 1), nn.ReLU()),
        )
        self.loc = nn.Conv1d(2 * channels, latents, 2)
        self.scale_logits = nn.Conv1d(2 * channels, latents, 2)

    def features(self, x: Tensor) -> Tensor:
        """The last hidden layer, (B, 2 * channels, 2)."""
        return self.hidden(functional.one_hot(x, len(ALPHABET)).movedim(-1, 1).to(self.hidden[0].weight.dtype))


class Decoder(nn.Module):
    """The encoder's convolutions mirrored: D -> 2 -> 4 -> 8 characters."""

    def __init__(self, latents: int, channels: int = 32):
        super().__init__()
        self.hidden = nn.Sequential(
            *(nn.ConvTranspose1d(latents, 2 * channels, 2), nn.ReLU()),
            *(nn.ConvTranspose1d(2 * channels, 2 * channels, 4, 2, 1), nn.ReLU()),
            *(nn.ConvTranspose1d(2 * channels, channels, 4, 2, 1), nn.ReLU()),
        )
        self.output = nn.Conv1d(channels, len(ALPHABET), 1)

    def forward(self, z: Tensor) -> Tensor:
        """(N, D) -> logits of every character, (N, T, A)."""
        return self.output(self.hidden(z[..., None])).movedim(1, -1)


@dataclass(frozen=True)
class CharacterLikelihood:
    """One of A characters at each place, from its logits (..., T, A)."""

    def log_prob(self, predicted: Tensor, x: Tensor) -> Tensor:
        shares = predicted.log_softmax(-1, torch.promote_types(predicted.dtype, torch.float32))  # also in a screen
        return shares.gather(-1, x.expand(shares.shape[:-1])[..., None]).sum((-2, -1))

    def mode(self, predicted: Tensor) -> Tensor:
        """The most probable character at each place: (..., T, A) -> (..., T)."""
        return predicted.argmax(-1)

    def sample(self, predicted: Tensor, generator: torch.Generator) -> Tensor:
        """One draw of every character: (..., T, A) -> (..., T)."""
        drawn = torch.multinomial(predicted.softmax(-1).flatten(0, -2), 1, generator=generator)
        return drawn.view(predicted.shape[:-1])


class Options(Section):
    """channels: of the first convolution; the others have twice as many. scaling: the factor of the log-likelihood in
    training; None: scaled up to the number of values of the model's largest modality, of which a text has T.
    """

    channels: whole(1, 1024) = 32
    scaling: Scaling = None


def modality(latents: int, options: Options) -> Modality:
    encoder, decoder = Encoder(latents, options.channels), Decoder(latents, options.channels)
    return Modality(encoder, decoder, CharacterLikelihood(), options.scaling, (LENGTH,))


class Judge(nn.Module):
    """Which digit a text names: the one of which a name, somewhere among spaces, has the most characters in common.

    It learns nothing. A text that no name resembles is given the smallest of the digits that come nearest.
    """

    def __init__(self):
        super().__init__()
        every = [(digit, start) for digit in range(10) for start in range(starts(digit))]
        self.register_buffer("texts", torch.from_numpy(np.stack([written(*one) for one in every])))
        self.register_buffer("digits", torch.tensor([digit for digit, _ in every]))

    def forward(self, x: Tensor) -> Tensor:
        """(B, T) -> characters in common with the nearest text of each digit, (B, 10)."""
        common = (x[:, None] == self.texts).sum(-1)
        return torch.stack([common[:, self.digits == digit].amax(1) for digit in range(10)], 1)


@cache
def _font() -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(10)


def pictures(values: np.ndarray) -> np.ndarray:
    """Texts (..., T) as grey images in [0, 1], (..., 1, H, W)."""
    drawn = []
    for value in values.reshape(-1, LENGTH):
        image = Image.new("L", PICTURE[::-1])
        ImageDraw.Draw(image).text((2, 2), "".join(ALPHABET[i] for i in value), fill=255, font=_font())
        drawn.append(np.asarray(image) / 255)
    return np.stack(drawn).reshape(*values.shape[:-1], 1, *PICTURE)
