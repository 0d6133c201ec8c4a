"""Paired inputs in memory, and batches of them."""

from copy import copy
from typing import Self

import numpy as np
import torch
from torch import Tensor

Arrays = dict[str, np.ndarray]  # by modality
# What else a batch may have, beside its modalities.
DIGITS = "digits"  # labels (B,)
PRESENT = "present"  # (B, M), one where the modality is there


class Pairs:
    """Paired inputs on a device, gathered there: images as uint8 with channels last, features and words as they are.

    Made from `arrays[name]` (n_name, ...) and `index[name]` (pairs,); without an index, row by row.
    """

    def __init__(self, arrays: Arrays, index: Arrays | None = None, device: torch.device | str = "cpu"):
        self.arrays = {name: _stored(torch.from_numpy(arrays[name]).to(device)) for name in arrays}
        index = index or {name: np.arange(len(array)) for name, array in arrays.items()}
        self.index = {name: torch.from_numpy(index[name]).long().to(device) for name in arrays}

    def __len__(self) -> int:
        return len(next(iter(self.index.values())))

    def of(self, pairs: np.ndarray) -> Self:
        """The given pairs (n,), over the same arrays."""
        some = copy(self)
        some.index = {name: index[torch.from_numpy(pairs).to(index.device)] for name, index in self.index.items()}
        return some

    def beside(self, name: str, values: np.ndarray) -> Self:
        """The same pairs with a value of each, (pairs, ...), beside their modalities."""
        more = Pairs({name: values}, device=next(iter(self.index.values())).device)
        both = copy(self)
        both.arrays, both.index = self.arrays | more.arrays, self.index | more.index
        return both

    def batch(self, pairs: Tensor | slice) -> dict[str, Tensor]:
        """The given pairs: pixels in [0, 1] (B, C, H, W), features (B, F) or words (B, T) of each modality."""
        return {name: _input(array[self.index[name][pairs]]) for name, array in self.arrays.items()}


def _stored(array: Tensor) -> Tensor:
    if array.dim() == 4:
        return array.permute(0, 2, 3, 1).contiguous()
    return array if array.is_floating_point() else array.long()


def _input(array: Tensor) -> Tensor:
    return array.permute(0, 3, 1, 2).float() / 255 if array.dim() == 4 else array
