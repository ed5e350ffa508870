"""Which collectives run, and on which devices."""

from __future__ import annotations

import torch
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode


class Collectives(TorchDispatchMode):
    """Notes each collective, and the devices of the tensors that it is given.

    Attributes:
        names: Operations of torch.distributed in the order of the calls.
        devices: Device types of their tensors.
        waits: Number of values that the host waited for.
    """

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.devices: set[str] = set()
        self.waits = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.namespace == "c10d":
            self.names.append(func._schema.name.removeprefix("c10d::"))
            tensors = [t for t in pytree.tree_leaves(args) if isinstance(t, torch.Tensor)]
            self.devices |= {tensor.device.type for tensor in tensors}
        self.waits += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))
