"""The images and pairs of a digit data set, as the stages after `pair_digits` load them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch

from mmvae import config
from mmvae.data.pairs import Pairs
from mmvae.files import read_arrays


class DigitPairs:
    """The paired images of one data set, by split."""

    def __init__(self, data_set: str, device: torch.device):
        self.names = tuple(config.DIGIT_SETS[data_set])
        self.device = device
        self._files = (f"data/prepared/{data_set}.npz", f"data/pairs/{data_set}.npz")
        self._prepared, self._pairs = (read_arrays(path) for path in self._files)

    @property
    def digest(self) -> str:
        """A hash of all images and pairs."""
        digest = hashlib.sha256()
        for path in self._files:
            digest.update(Path(path).read_bytes())
        return digest.hexdigest()

    def split(self, split: str, names: tuple[str, ...] = ()) -> Pairs:
        """All pairs of a split, of all or some modalities."""
        names = names or self.names
        images = {name: self._prepared[f"{name}/{split}/images"] for name in names}
        return Pairs(images, {name: self._pairs[f"{split}/{name}"] for name in names}, self.device)

    def first_pass(self, split: str) -> tuple[dict[str, torch.Tensor], np.ndarray]:
        """Pixels in [0, 1] and digits of the pairs in which every used image appears once."""
        count = int(self._pairs[f"{split}/first_pass"])
        name = self.names[0]
        digits = self._prepared[f"{name}/{split}/labels"][self._pairs[f"{split}/{name}"][:count]]
        return self.split(split).batch(slice(0, count)), digits
