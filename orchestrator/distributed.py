"""What the training loop needs to know of data parallelism, with or without it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn

from orchestrator.batch_norm import share_batch_norms


class Group:
    """The workers of one trial. Alone unless torch.distributed is initialised.

    Attributes:
        rank: this worker's number, from 0.
        world: the number of workers.
        has_clips: whether this worker has a share of what is trained on right now.
    """

    def __init__(self) -> None:
        together = torch.distributed.is_available() and torch.distributed.is_initialized()
        self.rank = torch.distributed.get_rank() if together else 0
        self.world = torch.distributed.get_world_size() if together else 1
        self.has_clips = True

    @property
    def leads(self) -> bool:
        """Whether this worker writes for all."""
        return self.rank == 0

    def wrap(self, module: nn.Module, device: torch.device) -> nn.Module:
        """Return a module whose gradients are averaged over the workers, and batch norms shared."""
        if self.world == 1:
            return module
        share_batch_norms(module, self)
        ids = [device.index or 0] if device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(module, device_ids=ids)

    def without_sync(self, module: nn.Module) -> AbstractContextManager[Any]:
        """Return a context in which gradients are gathered here only."""
        return module.no_sync() if self.world > 1 else nullcontext()  # type: ignore[union-attr]

    def total(self, value: Tensor) -> Tensor:
        """Return the sum of a tensor over the workers."""
        if self.world > 1:
            torch.distributed.all_reduce(value)
        return value

    def gather(self, value: Any) -> list[Any]:
        """Return every worker's value, in the order of ranks."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        torch.distributed.all_gather_object(values, value)
        return values

    def barrier(self) -> None:
        """Wait for every worker."""
        if self.world > 1:
            torch.distributed.barrier()
