"""Captions: convolutions over the words' embeddings, a categorical likelihood of each word (Table 6d).

A caption of T = 32 words with embeddings of E numbers is a picture of 32 x E. Three 4x4 stages of stride 2 halve it
to 4 x E/8; narrow 1x4 stages halve its width to 4. Table 6d has two of these, right for E = 128 (as released) though
it prints 256; here their number follows E.

Shape letters: V vocabulary, T words, E embedding.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from mmvae.data.text import EXC_INDEX, LENGTH, PAD_INDEX
from mmvae.layers import FromOnePixel, ToFewChannels
from mmvae.modality import Modality, Scaling, TwoHeads
from mmvae.params import Section, whole

STORED = (np.int32, (LENGTH,))
EMBEDDINGS = (32, 64, 128, 256)
UNSCORED = {"words": PAD_INDEX, "released": EXC_INDEX}  # how captions are scored -> the word that is not
LOGITS_AT_ONCE = {"cpu": 2**21, "cuda": 2**28}
SQUARE, NARROW = ((4, 4), (2, 2), (1, 1)), ((1, 4), (1, 2), (0, 1))  # kernel, stride, padding
WIDEST = 16  # times the channels of the first stage


def _stages(embedding: int) -> list[tuple]:
    """Kernel, stride and padding of each stage, from words to latents."""
    return [SQUARE] * 3 + [NARROW] * EMBEDDINGS.index(embedding)


def _widths(channels: int, stages: int) -> list[int]:
    return [channels * min(2**i, WIDEST) for i in range(stages)]


class WordEmbedding(nn.Module):
    """The one table of word vectors, which the encoder reads and the decoder's output layer uses transposed."""

    def __init__(self, vocabulary: int, embedding: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(vocabulary, embedding) / embedding**0.5)
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) -> (B, T, E)."""
        return functional.embedding(tokens, self.weight)

    def logits(self, h: Tensor) -> Tensor:
        """(..., E) -> (..., V)."""
        return functional.linear(h, self.weight, self.bias)


class Encoder(TwoHeads):
    """Convolutions with batch normalisation and ReLU, then two 4x4 heads of D latents."""

    def __init__(self, latents: int, vocabulary: int, channels: int = 32, embedding: int = 128):
        super().__init__()
        self.words = WordEmbedding(vocabulary, embedding)
        stages = _stages(embedding)
        widths = [1, *_widths(channels, len(stages))]
        layers: list[nn.Module] = []
        for (kernel, stride, padding), a, b in zip(stages, widths, widths[1:], strict=False):
            layers += [nn.Conv2d(a, b, kernel, stride, padding, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
        self.hidden = nn.Sequential(*layers)
        self.loc = nn.Conv2d(widths[-1], latents, 4)
        self.scale_logits = nn.Conv2d(widths[-1], latents, 4)

    def features(self, x: Tensor) -> Tensor:
        """The last hidden layer, (B, widest, 4, 4)."""
        return self.hidden(self.words(x)[:, None])

    def drop_decoder_parts(self) -> None:
        self.words.bias = None


class Decoder(nn.Module):
    """The encoder's stages mirrored: D -> 4x4 -> ... -> T x E."""

    def __init__(self, latents: int, channels: int = 32, embedding: int = 128):
        super().__init__()
        stages = _stages(embedding)[::-1]
        widths = [*_widths(channels, len(stages))[::-1], 1]
        layers: list[nn.Module] = [FromOnePixel(latents, widths[0], 4), nn.ReLU()]
        for (kernel, stride, padding), a, b in zip(stages[:-1], widths, widths[1:], strict=False):
            layers += [nn.ConvTranspose2d(a, b, kernel, stride, padding, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
        self.hidden = nn.Sequential(*layers)
        self.output = ToFewChannels(widths[-2], 1)

    def forward(self, z: Tensor) -> Tensor:
        """(N, D) -> (N, T, E), to be compared with every word's embedding."""
        return self.output(self.hidden(z))[:, 0].relu()


@dataclass(frozen=True)
class CategoricalLikelihood:
    """One of V words at each position, from its embedding (..., T, E); `ignored` is a word that is not scored."""

    words: WordEmbedding
    ignored: int

    def log_prob(self, predicted: Tensor, x: Tensor) -> Tensor:
        """Words are scored part by part, so that the logits of all rows never exist together, nor for a gradient.

        For a gradient they are computed again, with the table of words that there was at first.
        """
        rows, table = predicted.shape[:-2], (self.words.weight, self.words.bias)
        predicted, x = predicted.flatten(0, -3), x.expand(*rows, x.shape[-1]).flatten(0, -2)
        step = max(1, LOGITS_AT_ONCE[x.device.type] // (x.shape[-1] * len(self.words.weight)))
        parts = list(zip(predicted.split(step), x.split(step), strict=True))
        score = self._log_prob
        if len(parts) > 1 and torch.is_grad_enabled():
            score = partial(checkpoint, score, use_reentrant=False, preserve_rng_state=False)
        return torch.cat([score(*part, *table) for part in parts]).view(rows)

    def _log_prob(self, predicted: Tensor, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """(N, T, E), (N, T) and the table, (V, E) and (V,) -> (N,)."""
        logits = functional.linear(predicted, weight, bias).flatten(0, 1).to(weight.dtype)
        lost = functional.cross_entropy(logits, x.flatten(), ignore_index=self.ignored, reduction="none")
        return -lost.view(x.shape).sum(-1)

    def log_shares(self, predicted: Tensor) -> Tensor:
        """The log-probability of every word at each position: (..., T, E) -> (..., T, V)."""
        return self.words.logits(predicted).log_softmax(-1)

    def mode(self, predicted: Tensor) -> Tensor:
        """The most probable word at each position: (..., T, E) -> (..., T)."""
        return self.words.logits(predicted).argmax(-1)

    def sample(self, predicted: Tensor, generator: torch.Generator) -> Tensor:
        """One draw of every word: (..., T, E) -> (..., T)."""
        logits = self.words.logits(predicted)
        drawn = torch.multinomial(logits.softmax(-1).flatten(0, -2), 1, generator=generator)
        return drawn.view(logits.shape[:-1])


class Options(Section):
    """channels: of the first convolution; the second has twice, the third four times as many.

    embedding: E, numbers of a word's vector. scored: `words`, or `released`, which scores padding and not <exc>.
    vocabulary: V, taken from the data.
    """

    channels: whole(1, 256) = 32
    embedding: Literal[32, 64, 128, 256] = 128
    scaling: Scaling = None
    scored: Literal["words", "released"] = "words"
    vocabulary: whole(1, 1_000_000) = 1000


def measured(_: np.ndarray, vocabulary: list[str]) -> dict:
    """What the options take from the training data."""
    return {"vocabulary": len(vocabulary)}


def modality(latents: int, options: Options) -> Modality:
    encoder = Encoder(latents, options.vocabulary, options.channels, options.embedding)
    likelihood = CategoricalLikelihood(encoder.words, UNSCORED[options.scored])
    decoder = Decoder(latents, options.channels, options.embedding)
    return Modality(encoder, decoder, likelihood, options.scaling, (LENGTH,))
