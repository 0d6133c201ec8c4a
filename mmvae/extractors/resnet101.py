"""torchvision's ResNet-101, the paper's: pooled activations of one of its layers, trained on ImageNet or untrained.

An untrained network's statistics of batch normalisation are calibrated on the data. Its last layer then carries
nothing, its early ones colours and edges.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from mmvae.data.sources import place
from mmvae.evaluation.extractor import Extractor, FeatureSettings, Read, WeightsError, calibrate, cropped
from mmvae.files import check_fit

LENGTHS = {"layer1": 256, "layer2": 512, "layer3": 1024, "layer4": 2048}  # features an image
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's pixels
COUNTER = "num_batches_tracked"  # of batch normalisation: files of old networks lack it, and nothing here reads it
RESIZED = {"imagenet": 256 / 224, "released": 1.0}  # the short side before the crop, in sizes of the crop


@dataclass(frozen=True)
class Config:
    """`layer` is pooled. `preprocessing` of images to `size` pixels: `imagenet`, or `released`, not normalised."""

    layer: str
    preprocessing: str
    size: int
    network: str = "resnet101"


class Network(Extractor):
    """Up to one layer."""

    def __init__(self, config: Config):
        from torchvision.models import resnet101

        super().__init__(config, LENGTHS[config.layer])
        network = resnet101(weights=None)
        self.stem = nn.Sequential(network.conv1, network.bn1, network.relu, network.maxpool)
        used = list(LENGTHS)[: list(LENGTHS).index(config.layer) + 1]
        self.layers = nn.ModuleDict({name: getattr(network, name) for name in used})
        self.eval().requires_grad_(False)

    def prepared(self, images: Tensor) -> Tensor:
        from torchvision.transforms.v2 import functional

        size = self.config.size
        middle = cropped(images, round(size * RESIZED[self.config.preprocessing]), size)
        return functional.normalize(middle, MEAN, STD) if self.config.preprocessing == "imagenet" else middle

    def maps(self, prepared: Tensor) -> Tensor:
        h = self.stem(prepared)
        for layer in self.layers.values():
            h = layer(h)
        return h


def obtain(settings: FeatureSettings, training: Read, mirror: str | None, device: torch.device) -> Network:
    """The network of the settings; if it is untrained, calibrated on training photographs.

    Raises:
        WeightsError: as `trained` does.
    """
    config = Config(settings.layer, settings.preprocessing, settings.size)
    if settings.weights != "none":
        return trained(config, settings.weights, mirror).to(device)
    network = untrained(config, settings.seed).to(device)
    calibrate(network, training())
    return network


def untrained(config: Config, seed: int) -> Network:
    """An extractor with random weights; `calibrate` it."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return Network(config)


def trained(config: Config, weights: str, mirror: str | None) -> Network:
    """An extractor with torchvision's `weights` ('IMAGENET1K_V1' or '..._V2'), downloaded or from a mirror's folder.

    Raises:
        WeightsError: they are not there, or damaged; says what to do.
    """
    from torchvision.models import ResNet101_Weights

    extractor, official = Network(config), ResNet101_Weights[weights]
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
