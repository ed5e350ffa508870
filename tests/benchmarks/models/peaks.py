"""The rise of the peak of memory during two calls."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from pathlib import Path

import torch

_PROC = Path("/proc/self")


def peak_mib(step: Callable[[], None], device: str) -> float:
    """In the resident set of this process (Linux), or in what PyTorch allocates on the GPU."""
    gc.collect()
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        step()
        step()
        return round((torch.cuda.max_memory_allocated(device) - before) / 2**20, 1)
    ctypes.CDLL(None).malloc_trim(0)  # what was freed before would hide what the calls take
    (_PROC / "clear_refs").write_text("5")  # sets the peak back to what is resident
    before = _resident_kib()
    step()
    step()
    return round((_resident_kib() - before) / 2**10, 1)


def _resident_kib() -> int:
    lines = (_PROC / "status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
