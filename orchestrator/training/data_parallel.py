"""Data parallelism as the training loop sees it, with any number of workers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from orchestrator.training.sync_batch_norm import share_batch_norms

State = tuple[Mapping[str, Tensor], Mapping[str, Any]]


class Group:
    """The workers of one trial; a single one unless torch.distributed is initialized.

    Ray Train initializes it, in processes that it starts for one trial and ends with it; processes
    that run several trials never do, so no trial inherits another's group. A group of one runs
    every collective all the same.

    Collectives run on the device that holds the tensor, which is always the training device: a
    group of GPUs need not reduce on a CPU. None of them pickles.

    Attributes:
        rank: This worker's number, from 0.
        world_size: Number of workers.
        has_clips: Whether this worker has a share of the current training clips.
        norms: Process group of the batch norms; None for a single worker.
    """

    def __init__(self) -> None:
        self._joined = torch.distributed.is_available() and torch.distributed.is_initialized()
        self.rank = torch.distributed.get_rank() if self._joined else 0
        self.world_size = torch.distributed.get_world_size() if self._joined else 1
        self.has_clips = True
        self.norms: torch.distributed.ProcessGroup | None = None

    @property
    def is_main(self) -> bool:
        """Whether this worker writes for all."""
        return self.rank == 0

    def wrap(self, module: nn.Module, device: torch.device) -> nn.Module:
        """Return the module with gradients averaged and batch norms shared over the workers.

        A step may leave parameters out, others than the step before, or some of the outputs: the
        graph is searched for them in every step (0.1 to 0.4 ms for DATAR and AST on a CPU). A
        worker waits for the result only where one was left out. Buffers are equal on all workers
        once the batch norms are shared, so they are sent at the start only.

        Raises:
            ConfigError: A batch norm cannot be shared.
        """
        if not self._joined:
            return module
        # A bucket of gradients is sent as soon as its parameters are done. That is before a norm's
        # gradient on a worker that leaves a part out and after it on another: one group would mix
        # them up.
        norms: Any = torch.distributed.new_group()  # its type allows for the absent
        self.norms = norms
        share_batch_norms(module, self)
        if not any(parameter.requires_grad for parameter in module.parameters()):
            return module  # PyTorch refuses to wrap what it has nothing to do for
        return DistributedDataParallel(
            module,
            device_ids=[device] if device.type == "cuda" else None,
            broadcast_buffers=False,
            find_unused_parameters=True,
        )

    def without_sync(self, module: nn.Module) -> AbstractContextManager[Any]:
        """Return a context in which gradients stay on this worker."""
        return module.no_sync() if isinstance(module, DistributedDataParallel) else nullcontext()

    def total(self, value: Tensor) -> Tensor:
        """Sum a tensor over the workers, in place and on its device, and return it."""
        if self._joined:
            torch.distributed.all_reduce(value)
        return value

    def from_main(self, load: Callable[[], State | None], device: torch.device) -> State | None:
        """Return what the main worker loads, on every worker.

        A shared file system may show another worker an older checkpoint, or none yet; the others do
        not look at it.

        Args:
            load: Returns tensors on the CPU and plain JSON, or None; called by the main worker.
            device: Training device, over which the tensors travel.
        """
        if not self._joined:
            return load()
        if not self.is_main:
            return self._receive(device)
        state = load()
        head = None
        if state is not None:
            shapes = [(name, str(t.dtype)[6:], list(t.shape)) for name, t in state[0].items()]
            head = {"tensors": shapes, "facts": state[1]}
        text = torch.frombuffer(bytearray(json.dumps(head).encode()), dtype=torch.uint8)
        torch.distributed.broadcast(torch.tensor([len(text)]).to(device), 0)
        for tensor in (text, *(state[0].values() if state else ())):
            torch.distributed.broadcast(tensor.to(device).contiguous(), 0)
        return state

    def _receive(self, device: torch.device) -> State | None:
        size = torch.zeros(1, dtype=torch.int64, device=device)
        torch.distributed.broadcast(size, 0)
        text = torch.empty(int(size), dtype=torch.uint8, device=device)
        torch.distributed.broadcast(text, 0)
        head = json.loads(bytes(text.cpu().numpy()))
        if head is None:
            return None
        tensors: dict[str, Tensor] = {}
        for name, dtype, shape in head["tensors"]:
            value = torch.empty(shape, dtype=getattr(torch, dtype), device=device)
            torch.distributed.broadcast(value, 0)
            tensors[name] = value.cpu()
        return tensors, head["facts"]
