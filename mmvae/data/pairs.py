"""Paired images in memory, and batches of them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


class Pairs:
    """Paired images on a device, kept as uint8 with channels last, and gathered there.

    Made from `images[name]` (n_name, C, H, W) and `index[name]` (pairs,).
    """

    def __init__(self, images: dict[str, np.ndarray], index: dict[str, np.ndarray], device: torch.device):
        self.images = {
            name: torch.from_numpy(images[name]).to(device).permute(0, 2, 3, 1).contiguous() for name in images
        }
        self.index = {name: torch.from_numpy(index[name]).long().to(device) for name in images}

    def __len__(self) -> int:
        return len(next(iter(self.index.values())))

    def batch(self, pairs: Tensor | slice) -> dict[str, Tensor]:
        """Pixels in [0, 1] of the given pairs, (B, C, H, W) for each modality."""
        return {
            name: images[self.index[name][pairs]].permute(0, 3, 1, 2).float() / 255
            for name, images in self.images.items()
        }
