"""Image features (section 4.3): the last map of a network, pooled over the picture and standardised.

A network is a file of `mmvae/extractors`. torchvision is imported where it is used: it takes seconds, and most stages
only read the settings here.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Literal, Self

import numpy as np
import torch
from PIL import Image
from pydantic import model_validator
from torch import Tensor, nn

from mmvae import registry
from mmvae.files import check_fit, read_weights, write_weights
from mmvae.params import Section, Seed, whole

BATCH = 32
FOLDER = "extractors"
REDUCTION = 32  # how many times smaller than its input the map of the last layer is


class FeatureSettings(Section):
    """How photographs become features.

    network: a file of mmvae/extractors. size: pixels. standardise: to mean 0 and deviation 1 over training images. The
    others are resnet101's. weights: `none` is untrained, with statistics calibrated on the data. layer: pooled.
    preprocessing: ImageNet's, or as released, without normalisation. seed: of untrained weights.
    """

    network: Literal[*registry.names(FOLDER)]
    weights: Literal["none", "IMAGENET1K_V1", "IMAGENET1K_V2"]
    layer: Literal["layer1", "layer2", "layer3", "layer4"]
    preprocessing: Literal["imagenet", "released"]
    size: whole(32, 1024)
    standardise: bool
    seed: Seed

    @model_validator(mode="after")
    def _map(self) -> Self:
        """Over a batch of one photograph, a map of one pixel leaves batch normalisation nothing to average."""
        if self.weights == "none" and self.layer == "layer4" and self.size <= REDUCTION:
            raise ValueError(f"size must be more than {REDUCTION}, because layer is {self.layer}")
        return self


Photographs = Iterable[tuple[str, Image.Image]]  # names and images
Read = Callable[[], Photographs]  # again, with a progress bar


class WeightsError(RuntimeError):
    """Trained weights could not be had; the message says from where, and what to do."""


class Extractor(nn.Module, ABC):
    """Images -> (B, F). `config` is what `save` keeps beside the weights; `length` is F."""

    def __init__(self, config, length: int):
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.zeros(length))
        self.register_buffer("std", torch.ones(length))

    @abstractmethod
    def prepared(self, images: Tensor) -> Tensor:
        """Pixels in [0, 1] of one size, (B, 3, H, W), as the network takes them: (B, 3, size, size)."""

    @abstractmethod
    def maps(self, prepared: Tensor) -> Tensor:
        """Of the last layer: (B, F, h, w)."""

    def forward(self, prepared: Tensor) -> Tensor:
        """Prepared images (B, 3, size, size) -> features (B, F)."""
        maps = self.maps(prepared.contiguous(memory_format=torch.channels_last))  # faster on a CPU than channels first
        return (maps.mean((2, 3)) - self.mean) / self.std


def cropped(images: Tensor, short: int, size: int, interpolation: str = "bilinear") -> Tensor:
    """The short side resized, then the middle: (B, 3, H, W) -> (B, 3, size, size)."""
    from torchvision.transforms.v2 import InterpolationMode, functional

    resized = functional.resize(images, [short], InterpolationMode(interpolation), antialias=True)
    return functional.center_crop(resized, [size, size])


def _batches(extractor: Extractor, photographs: Photographs) -> Iterator[tuple[list[str], Tensor]]:
    """Names and photographs of any sizes, prepared one by one: (at most BATCH, 3, size, size)."""
    from torchvision.transforms.v2 import functional

    device, photographs = extractor.mean.device, iter(photographs)
    while some := list(islice(photographs, BATCH)):
        pixels = [functional.pil_to_tensor(image).to(device).float()[None] / 255 for _, image in some]
        yield [name for name, _ in some], torch.cat([extractor.prepared(one) for one in pixels])


@torch.no_grad()
def calibrate(extractor: Extractor, photographs: Photographs) -> None:
    """Set the statistics of batch normalisation to their averages over batches of photographs, in place."""
    layers = [module for module in extractor.modules() if isinstance(module, nn.BatchNorm2d)]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # a plain average
    extractor.train()
    for _, prepared in _batches(extractor, photographs):
        extractor(prepared)
    extractor.eval()


@torch.no_grad()
def of_photographs(extractor: Extractor, photographs: Photographs) -> dict[str, Tensor]:
    """Features (F,) by name."""
    found = {}
    for names, prepared in _batches(extractor, photographs):
        found |= dict(zip(names, extractor(prepared).cpu(), strict=True))
    return found


@torch.no_grad()
def of_pixels(extractor: Extractor, images: np.ndarray) -> Tensor:
    """Features of uint8 images of one size: (n, 3, H, W) -> (n, F)."""
    device = extractor.mean.device
    parts = torch.from_numpy(images).split(BATCH)
    return torch.cat([extractor(extractor.prepared(part.to(device).float() / 255)).cpu() for part in parts])


def standardise(extractor: Extractor, features: Tensor) -> None:
    """Let features have mean 0 and deviation 1 over these training images (n, F), in place; constant ones become 0."""
    std = features.std(0)
    extractor.mean.copy_(features.mean(0))
    extractor.std.copy_(torch.where(std > 1e-6 * std.max(), std, torch.ones_like(std)))


def save(path: str | Path, extractor: Extractor) -> None:
    """Weights, statistics and configuration."""
    write_weights(path, extractor.state_dict(), vars(extractor.config))


def load(path: str | Path, device: torch.device) -> Extractor:
    """The extractor that `save` wrote.

    Raises:
        FileError: the file is damaged or of another network.
    """
    weights, config = read_weights(path)
    found = registry.find(FOLDER, config["network"])
    with torch.device("meta"):  # no weights are drawn that the file's would replace
        extractor = found.Network(found.Config(**config))
    check_fit(path, weights, extractor.state_dict())
    extractor.load_state_dict(weights, assign=True)
    return extractor.to(device)
