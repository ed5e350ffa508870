"""Regions that stay in float32."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """Disable autocast on the device of `x`."""
    # Tensors on `meta` have no autocast. An exported program is float32 throughout, and the checks
    # of torch.export refuse regions that disable autocast where several values leave them.
    if x.device.type == "meta" or torch.compiler.is_exporting():
        return nullcontext()
    return torch.autocast(x.device.type, enabled=False)
