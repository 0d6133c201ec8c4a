"""Training on several processes: torchrun's environment says how many, every process has its part of each batch."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor


class ProcessesError(RuntimeError):
    """The work cannot be divided among the processes; the message says why."""


@dataclass(frozen=True)
class Processes:
    """This process, number `rank` of `count`. Only the first writes."""

    rank: int = 0
    count: int = 1

    @classmethod
    def join(cls, device: torch.device) -> Processes:
        """Meet the other processes that torchrun started, if it did."""
        if int(os.environ.get("WORLD_SIZE", 1)) == 1:
            return cls()
        import torch.distributed as distributed

        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        return cls(distributed.get_rank(), distributed.get_world_size())

    @property
    def first(self) -> bool:
        return self.rank == 0

    def rows(self, batch_size: int) -> slice:
        """This process's part of a batch.

        Raises:
            ProcessesError: there are more processes than rows.
        """
        if batch_size < self.count:
            raise ProcessesError(
                f"a batch of {batch_size} cannot be divided among {self.count} processes; start fewer of them"
            )
        return slice(batch_size * self.rank // self.count, batch_size * (self.rank + 1) // self.count)

    def sum(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its sum over processes, all in one exchange."""
        if self.count == 1:
            return
        import torch.distributed as distributed

        tensors = list(tensors)
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        distributed.all_reduce(flat)
        for tensor, total in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(total.view_as(tensor))

    def from_first(self, value: object) -> object:
        """The first process's `value`, in every process."""
        if self.count == 1:
            return value
        import torch.distributed as distributed

        box = [value]
        distributed.broadcast_object_list(box)
        return box[0]

    def leave(self) -> None:
        """Wait for the others, and part."""
        if self.count > 1:
            import torch.distributed as distributed

            distributed.barrier()
            distributed.destroy_process_group()


ALONE = Processes()
