"""The digit classifiers that judge generations: the paper's LeNets, and a strong one for each modality.

Their own accuracy caps the coherence they can report, so it is measured on test images and kept beside every table.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from mmvae import registry
from mmvae.evaluation.measured import Measured, share
from mmvae.files import AGAIN, FileError, check_fit, read_weights, write_weights
from mmvae.params import Section, whole
from mmvae.training.batches import shuffled_batches


class ClassifierSettings(Section):
    """updates: of BATCH images, for each classifier. channels: of the strong one's first stage."""

    updates: whole(1, 1_000_000)
    channels: whole(1, 256)


LENET, STRONG = "lenet", "strong"
BATCH = 128
PREDICTED_AT_ONCE = {"cpu": 64, "cuda": 8192}
LEARNING_RATE = 1e-3
MAXIMUM_SHIFT = 2  # pixels, in the training of the strong classifiers


class LeNet(nn.Module):
    """conv 10, conv 20 (5x5), fully connected 50, with dropout: the released code's digit classifier."""

    def __init__(self, channels: int, size: int):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(channels, 10, 5), nn.Conv2d(10, 20, 5)
        self.drop = nn.Dropout2d()
        width = ((size - 4) // 2 - 4) // 2
        self.fc1, self.fc2 = nn.Linear(20 * width**2, 50), nn.Linear(50, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Pixels in [0, 1], (B, C, size, size) -> logits (B, 10)."""
        h = functional.max_pool2d(self.conv1(x), 2).relu()
        h = functional.max_pool2d(self.drop(self.conv2(h)), 2).relu()
        return self.fc2(functional.dropout(self.fc1(h.flatten(1)).relu(), training=self.training))


class Strong(nn.Module):
    """Three stages of two 3x3 convolutions with batch normalisation, `width`, 2 and 4 times `width` channels wide."""

    def __init__(self, channels: int, size: int, width: int):
        super().__init__()
        layers: list[nn.Module] = []
        for inside, outside in pairwise((channels, width, 2 * width, 4 * width)):
            for a in (inside, outside):
                layers += [nn.Conv2d(a, outside, 3, padding=1, bias=False), nn.BatchNorm2d(outside), nn.ReLU()]
            layers += [nn.MaxPool2d(2), nn.Dropout(0.2)]
        self.features = nn.Sequential(*layers)
        self.output = nn.Sequential(
            nn.Linear(4 * width * (size // 8) ** 2, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10)
        )

    def penultimate(self, x: Tensor) -> Tensor:
        """Pixels in [0, 1], (B, C, size, size) -> the layer before the logits, (B, 128)."""
        return self.output[:-1](self.features(x).flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        """Pixels in [0, 1], (B, C, size, size) -> logits (B, 10)."""
        return self.output[-1](self.penultimate(x))


KINDS = (LENET, STRONG)


def images(modalities: dict[str, str]) -> dict[str, tuple[int, int, int]]:
    """The modalities (name -> kind) that are images, which classifiers learn to judge: name -> (C, H, W)."""
    found = {name: registry.find("kinds", kind) for name, kind in modalities.items()}
    return {name: kind.SHAPE for name, kind in found.items() if hasattr(kind, "SHAPE")}


def build(kind: str, shape: tuple[int, int, int], width: int) -> nn.Module:
    """A fresh classifier for images of `shape` (C, H, W); `width`: channels of the strong one's first stage."""
    model = LeNet(*shape[:2]) if kind == LENET else Strong(*shape[:2], width)
    return model.to(memory_format=torch.channels_last)


def shifted(x: Tensor, generator: torch.Generator) -> Tensor:
    """The batch moved by up to MAXIMUM_SHIFT pixels in each direction, edges repeated: (B, C, H, W)."""
    down, right = torch.randint(2 * MAXIMUM_SHIFT + 1, (2,), generator=generator).tolist()
    padded = functional.pad(x, [MAXIMUM_SHIFT] * 4, mode="replicate")
    return padded[..., down : down + x.shape[-2], right : right + x.shape[-1]]


def train(
    kind: str, images: np.ndarray, labels: np.ndarray, settings: ClassifierSettings, seed: int, device: torch.device
) -> nn.Module:
    """A classifier of uint8 images (n, C, H, W) with labels (n,); cross-entropy, Adam, one-cycle learning rate."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = build(kind, images.shape[1:], settings.channels).to(device).train()
    x, y = torch.from_numpy(images).to(device), torch.from_numpy(labels).long().to(device)
    optimiser = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3 * LEARNING_RATE, total_steps=settings.updates)
    batches = shuffled_batches(len(x), BATCH, settings.updates, generator)
    for rows in tqdm(batches, total=settings.updates, desc=f"{kind} classifier", unit="update", mininterval=1.0):
        rows = rows.to(device)
        batch = x[rows].float() / 255
        batch = shifted(batch, generator) if kind == STRONG else batch
        loss = functional.cross_entropy(model(batch), y[rows])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
    return model.eval()


@torch.no_grad()
def predict(model: nn.Module, images: Tensor) -> Tensor:
    """Digits of images in [0, 1]: (n, C, H, W) -> (n,)."""
    return torch.cat([model(part).argmax(1) for part in images.split(PREDICTED_AT_ONCE[images.device.type])])


def accuracy(model: nn.Module, images: np.ndarray, labels: np.ndarray, device: torch.device) -> Measured:
    """Share of uint8 images (n, C, H, W) whose digit is recognised."""
    predicted = predict(model, torch.from_numpy(images).to(device).float() / 255)
    return share(predicted.cpu().numpy() == labels)


Judges = dict[str, dict[str, nn.Module]]  # kind -> modality -> classifier


def save(path: str | Path, judges: Judges, width: int) -> None:
    """All classifiers of a data set in one weights file; `width` as in `build`."""
    write_weights(path, joined(judges).state_dict(), {"width": width})


def load(path: str | Path, modalities: dict[str, str], device: torch.device) -> Judges:
    """The classifiers that `save` wrote, for modalities (name -> kind), and the `Judge` of kinds that have one.

    Raises:
        FileError: the file is damaged, or of other classifiers.
    """
    weights, config = read_weights(path)
    if "width" not in config:
        raise FileError(f"{path} does not say how wide its classifiers are; {AGAIN}")
    shapes = images(modalities)
    judges = {kind: {name: build(kind, shape, config["width"]) for name, shape in shapes.items()} for kind in KINDS}
    every = joined(judges)
    check_fit(path, weights, every.state_dict())
    every.load_state_dict(weights)
    every.to(device).eval()
    kinds = {name: registry.find("kinds", kind) for name, kind in modalities.items()}
    learned_nothing = {name: kind.Judge().to(device) for name, kind in kinds.items() if hasattr(kind, "Judge")}
    return {kind: of | learned_nothing for kind, of in judges.items()}


def joined(judges: Judges) -> nn.Module:
    """One module of all classifiers, with weights '<kind>.<modality>.<name>'."""
    return nn.ModuleDict({kind: nn.ModuleDict(models) for kind, models in judges.items()})
