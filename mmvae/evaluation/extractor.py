"""Image features: pooled activations of torchvision's ResNet-101 (section 4.3), trained on ImageNet or untrained.

An untrained network's statistics of batch normalisation are calibrated on the data. Its last layer then carries
nothing, its early ones colours and edges. torchvision is imported where it is used: it takes seconds, and most stages
only read the settings here.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Literal, Self

import numpy as np
import torch
from PIL import Image
from pydantic import model_validator
from torch import Tensor, nn

from mmvae.data.sources import place
from mmvae.files import check_fit, read_weights, write_weights
from mmvae.params import Section, Seed, whole

LAYERS = ("layer1", "layer2", "layer3", "layer4")
LENGTHS = {"layer1": 256, "layer2": 512, "layer3": 1024, "layer4": 2048}  # features an image
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's pixels
COUNTER = "num_batches_tracked"  # of batch normalisation: files of old networks lack it, and nothing here reads it
RESIZED = {"imagenet": 256 / 224, "released": 1.0}  # the short side before the crop, in sizes of the crop
BATCH = 32

REDUCTION = 32  # how many times smaller than its input the map of the last layer is


class FeatureSettings(Section):
    """How photographs become features.

    weights: `none` is untrained, with statistics calibrated on the data. layer: pooled. preprocessing: ImageNet's, or
    as released, without normalisation. size: pixels. standardise: to mean 0 and deviation 1 over training images.
    seed: of untrained weights.
    """

    weights: Literal["none", "IMAGENET1K_V1", "IMAGENET1K_V2"]
    layer: Literal["layer1", "layer2", "layer3", "layer4"]
    preprocessing: Literal["imagenet", "released"]
    size: whole(32, 1024)
    standardise: bool
    seed: Seed

    @model_validator(mode="after")
    def _map(self) -> Self:
        """Over a batch of one photograph, a map of one pixel leaves batch normalisation nothing to average."""
        if self.weights == "none" and self.layer == LAYERS[-1] and self.size <= REDUCTION:
            raise ValueError(f"size must be more than {REDUCTION}, because layer is {self.layer}")
        return self


Photographs = Iterable[tuple[str, Image.Image]]  # names and images


class WeightsError(RuntimeError):
    """ImageNet weights could not be had; the message says from where, and what to do."""


@dataclass(frozen=True)
class ExtractorConfig:
    """`layer` is pooled. `preprocessing` of images to `size` pixels: `imagenet`, or `released`, not normalised."""

    layer: str
    preprocessing: str
    size: int


class Extractor(nn.Module):
    """A ResNet-101 up to one layer, pooled over the picture and standardised: images -> (B, F)."""

    def __init__(self, config: ExtractorConfig):
        from torchvision.models import resnet101

        super().__init__()
        self.config = config
        network = resnet101(weights=None)
        self.stem = nn.Sequential(network.conv1, network.bn1, network.relu, network.maxpool)
        used = LAYERS[: LAYERS.index(config.layer) + 1]
        self.layers = nn.ModuleDict({name: getattr(network, name) for name in used})
        self.register_buffer("mean", torch.zeros(LENGTHS[config.layer]))
        self.register_buffer("std", torch.ones(LENGTHS[config.layer]))
        self.eval().requires_grad_(False)

    def prepared(self, images: Tensor) -> Tensor:
        """Pixels in [0, 1] of one size, (B, 3, H, W), resized, cropped at the centre and normalised."""
        from torchvision.transforms.v2 import functional

        size = self.config.size
        short = round(size * RESIZED[self.config.preprocessing])
        cropped = functional.center_crop(functional.resize(images, [short], antialias=True), [size, size])
        return functional.normalize(cropped, MEAN, STD) if self.config.preprocessing == "imagenet" else cropped

    def forward(self, prepared: Tensor) -> Tensor:
        """Prepared images (B, 3, size, size) -> features (B, F)."""
        h = self.stem(prepared)
        for layer in self.layers.values():
            h = layer(h)
        return (h.mean((2, 3)) - self.mean) / self.std


def untrained(config: ExtractorConfig, seed: int) -> Extractor:
    """An extractor with random weights; `calibrate` it."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return Extractor(config)


def trained(config: ExtractorConfig, weights: str, mirror: str | None) -> Extractor:
    """An extractor with torchvision's `weights` ('IMAGENET1K_V1' or '..._V2'), downloaded or from a mirror's folder.

    Raises:
        WeightsError: they are not there, or damaged; says what to do.
    """
    from torchvision.models import ResNet101_Weights

    extractor, official = Extractor(config), ResNet101_Weights[weights]
    name = official.url.rpartition("/")[2]
    local = Path(place(mirror or ".")) / name
    # A mirror in a folder needs no network; torch checks the hash that is part of the file's name.
    url = local.resolve().as_uri() if mirror and local.exists() else official.url
    own = extractor.state_dict()
    names = {key: _official_name(key) for key in own if key.startswith(("stem.", "layers.")) and COUNTER not in key}
    try:
        state = torch.hub.load_state_dict_from_url(url, check_hash=True, weights_only=True, map_location="cpu")
        found = {key: state[name] for key, name in names.items() if name in state}
        check_fit(name, found, {key: own[key] for key in names})
    except Exception as error:  # of the network, of torch, of what the file holds instead
        raise WeightsError(
            f"{name} could not be had from {url}: {' '.join(str(error).split())}. Without a network, put the "
            f"file into the folder of download.mirror, or set features.<set>.weights to none"
        ) from error
    extractor.load_state_dict(own | found)
    return extractor


def _official_name(name: str) -> str:
    """The extractor's name of a weight -> torchvision's."""
    first, _, rest = name.partition(".")
    if first == "layers":
        return rest
    number, _, rest = rest.partition(".")
    return f"{('conv1', 'bn1')[int(number)]}.{rest}"


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
    write_weights(path, extractor.state_dict(), asdict(extractor.config))


def load(path: str | Path, device: torch.device) -> Extractor:
    """The extractor that `save` wrote.

    Raises:
        FileError: the file is damaged or of another network.
    """
    weights, config = read_weights(path)
    extractor = Extractor(ExtractorConfig(**config))
    check_fit(path, weights, extractor.state_dict())
    extractor.load_state_dict(weights)
    return extractor.to(device)
