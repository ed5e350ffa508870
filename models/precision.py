"""Regions that stay in float32."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """Switch autocast off for what is computed on the device of `x`."""
    if x.device.type == "meta":  # which has no autocast to switch off
        return nullcontext()
    return torch.autocast(x.device.type, enabled=False)
