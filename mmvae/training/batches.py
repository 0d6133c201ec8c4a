"""The order in which training sees its data."""

from collections.abc import Iterator

import torch
from torch import Tensor


def shuffled_batches(pairs: int, batch_size: int, steps: int, generator: torch.Generator) -> Iterator[Tensor]:
    """`steps` batches of positions from endless shuffled passes over `pairs` positions, (batch_size,) each."""
    waiting = torch.empty(0, dtype=torch.long)
    for _ in range(steps):
        while len(waiting) < batch_size:
            waiting = torch.cat([waiting, torch.randperm(pairs, generator=generator)])
        batch, waiting = waiting[:batch_size], waiting[batch_size:]
        yield batch
