"""Regions that stay in float32."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.amp.autocast_mode import is_autocast_available


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """Switch autocast off for what is computed on the device of `x`."""
    device = x.device.type
    if not is_autocast_available(device):  # the meta device
        return nullcontext()
    return torch.autocast(device, enabled=False)
