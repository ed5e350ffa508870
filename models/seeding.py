"""Randomness as a function of seeds: initial weights by link, augmentation by clip.

Random numbers of clips come from a counter-based generator (SplitMix64, Steele et al., "Fast
splittable pseudorandom number generators", OOPSLA 2014) in tensor operations: a clip's numbers
depend on its seed alone, not on the batch, rank, or device, and a batch is drawn at once.
"""

from __future__ import annotations

import hashlib
import math

import torch
from torch import Tensor

_GAMMA = 0x9E3779B97F4A7C15 - (1 << 64)
_MIX_1 = 0xBF58476D1CE4E5B9 - (1 << 64)
_MIX_2 = 0x94D049BB133111EB - (1 << 64)


def derive_seed(seed: int, label: str) -> int:
    """Derive an independent seed in [0, 2**63) from a seed and a label."""
    digest = hashlib.sha256(f"{seed}/{label}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def draw_clip_seeds(batch_size: int, device: torch.device) -> Tensor:
    """Draw one seed per clip, (batch,) int64, from the global CPU generator."""
    return torch.randint(2**63 - 1, (batch_size,)).to(device)


def clip_uniform(clip_seeds: Tensor, *, stream: int, count: int) -> Tensor:
    """Draw uniform numbers for every clip.

    Args:
        clip_seeds: (batch,) int64, one seed per clip.
        stream: Seed of the caller from `derive_seed`, so that callers draw independently.
        count: Number of draws per clip.

    Returns:
        (batch, count) float32 in (0, 1), multiples of 2**-23 shifted by half a step.
    """
    start = _mix(clip_seeds ^ stream)
    counter = torch.arange(1, count + 1, device=clip_seeds.device)
    bits = _shift_right(_mix(start[:, None] + counter * _GAMMA), 41)
    return (bits.to(torch.float32) + 0.5) * 2.0**-23


def clip_normal(clip_seeds: Tensor, *, stream: int, count: int) -> Tensor:
    """Draw standard normal numbers for every clip: (batch, count) float32, within ±5.3."""
    uniform = clip_uniform(clip_seeds, stream=stream, count=count)
    return torch.erfinv(2 * uniform - 1) * math.sqrt(2)


def clip_laplace(clip_seeds: Tensor, *, stream: int, count: int) -> Tensor:
    """Draw Laplace numbers of scale 1 for every clip: (batch, count) float32."""
    centered = 2 * clip_uniform(clip_seeds, stream=stream, count=count) - 1
    return -torch.sign(centered) * torch.log1p(-centered.abs())


def _mix(z: Tensor) -> Tensor:
    z = (z ^ _shift_right(z, 30)) * _MIX_1
    z = (z ^ _shift_right(z, 27)) * _MIX_2
    return z ^ _shift_right(z, 31)


def _shift_right(z: Tensor, bits: int) -> Tensor:
    # Torch has no unsigned shift: clear the sign-extended bits.
    return (z >> bits) & ((1 << (64 - bits)) - 1)
