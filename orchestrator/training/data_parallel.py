"""What the training loop needs to know of data parallelism, with or without it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn

from orchestrator.training.sync_batch_norm import share_batch_norms


class Group:
    """The workers of one trial. Alone unless torch.distributed is initialized.

    Ray Train initializes it, in processes that it starts for one trial and ends with it; the
    processes that are used for several trials never do, so that none inherits another's group.
    Whatever is given to a collective stays on the device that it is on: a group of GPUs has no
    need to know how to reduce on a CPU.

    Attributes:
        rank: this worker's number, from 0.
        world_size: the number of workers.
        has_clips: whether this worker has a share of what is trained on right now.
    """

    def __init__(self) -> None:
        self._joined = torch.distributed.is_available() and torch.distributed.is_initialized()
        self.rank = torch.distributed.get_rank() if self._joined else 0
        self.world_size = torch.distributed.get_world_size() if self._joined else 1
        self.has_clips = True

    @property
    def is_main(self) -> bool:
        """Whether this worker writes for all."""
        return self.rank == 0

    def wrap(self, module: nn.Module, device: torch.device) -> nn.Module:
        """Return a module whose gradients are averaged over the workers, and batch norms shared."""
        if not self._joined:
            return module
        share_batch_norms(module, self)
        ids = [device] if device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(module, device_ids=ids)

    def without_sync(self, module: nn.Module) -> AbstractContextManager[Any]:
        """Return a context in which gradients are gathered here only."""
        return module.no_sync() if self._joined else nullcontext()  # type: ignore[union-attr]

    def total(self, value: Tensor) -> Tensor:
        """Return the sum of a tensor over the workers, in its place and on its device."""
        if self._joined:
            torch.distributed.all_reduce(value)
        return value
