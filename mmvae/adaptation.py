"""Domain adaptation: codes that say the digit in one modality, the source, and not which modality they are of.

The digits of the others, the targets, are never looked at, nor which images are a pair.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from mmvae.codes import CLASSES, Classifying, head, log_share
from mmvae.model import ModelConfig
from mmvae.params import ParamsError, Section


class Source(Section):
    """source: kind of the modality whose digits are known; None: the first."""

    source: str | None = None


class Adapted(Classifying):
    """One modality is encoded at a time."""

    sees_all, paired, fewest_modalities = False, False, 2

    def __init__(self, config: ModelConfig):
        super().__init__(config)
        source = config.options.get("source")
        self.source = next(name for name, kind in config.kinds.items() if source in (None, kind))
        self.classifier = head(len(range(config.latents)[self.common]), CLASSES)

    @classmethod
    def check(cls, config: ModelConfig) -> None:
        super().check(config)
        one_of_kinds(config, "source")


def one_of_kinds(config: ModelConfig, option: str) -> None:
    """May an option that names a kind have this value?

    Raises:
        ParamsError: no modality is of that kind.
    """
    kinds, value = config.kinds.values(), config.options.get(option)
    if value not in (None, *kinds):
        raise ParamsError(f"{option} is {value!r}: it should be one of {', '.join(kinds)}")


class Encoders(Adapted):
    """Nothing can be decoded."""

    def __init__(self, config: ModelConfig):
        super().__init__(config)
        for modality in self.modalities.values():
            modality.encoder.drop_decoder_parts()
            modality.decoder = None

    def generates(self, given: Sequence[str]) -> list[str]:
        return []


def reversed_gradient(z: Tensor, strength: Tensor | float) -> Tensor:
    """z, through which gradients go times -strength."""
    return (1 + strength) * z.detach() - strength * z


def told_apart(domain: torch.nn.Module, codes: Sequence[Tensor], strength: Tensor | float) -> Tensor:
    """How well a classifier tells modalities by their codes (B, D), which learn the reverse: (B,), nats, their sum."""
    rows = reversed_gradient(torch.cat(list(codes)), strength)
    labels = torch.arange(len(codes), device=rows.device).repeat_interleave(len(codes[0]))
    return log_share(domain(rows), labels).view(len(codes), -1).sum(0)


def discrepancy(a: Tensor, b: Tensor) -> Tensor:
    """The squared maximum mean discrepancy of rows (n, D) and (m, D): unbiased, so below zero at times.

    The kernel is the sum of five Gaussians exp(-d^2 / h), h from a quarter of the mean squared distance to four times
    that.
    """
    rows, n = torch.cat([a, b]), len(a)
    squares = (rows[:, None] - rows).square().sum(-1)
    mean = squares.detach().sum() / (len(rows) * (len(rows) - 1))
    kernel = sum((-squares / (mean.clamp(min=1e-12) * 2.0**i)).exp() for i in range(-2, 3))
    within = [part.sum() - part.diagonal().sum() for part in (kernel[:n, :n], kernel[n:, n:])]
    sizes = [count * (count - 1) for count in (n, len(b))]
    return within[0] / sizes[0] + within[1] / sizes[1] - 2 * kernel[:n, n:].mean()
