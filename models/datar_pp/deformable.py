"""Deformable attention in the convention of DAT++.

B batch, H height, W width, C channels, h heads, g groups, (Hk, Wk) key grid, N = Hk Wk keys.
Positions are (y, x) in [-1, 1]; groups are contiguous runs of channels and heads.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.datar.deformable import DeformableAttention


class DeformableAttentionPp(DeformableAttention):
    """The deformable attention of DAT++ (arXiv 2309.01430).

    Unlike the first version it clamps positions to the map if `offset_range_factor` is negative,
    and its grids are not half-pixel: queries span corner to corner, and reference points lie half a
    cell further down and right, the last of them outside. The map must exceed the stride on both
    axes, which gives at least two keys on each. A bias table of another map size is stretched to
    this one.

    Source: LeapLabTHU/DAT 32173fc (`models/dat_blocks.py`, DAttentionBaseline), numerically equal.
    Implementation differences as in the first version; a kernel that equals the stride is padded
    too.
    """

    def _place(self, map_size: tuple[int, int], key_size: tuple[int, int]) -> None:
        height, width = key_size
        cell = 1 / torch.tensor([height - 1, width - 1])
        self.register_buffer("cell", cell, persistent=False)
        self.register_buffer("reference", _grid(key_size, shift=0.5), persistent=False)
        self.register_buffer("query_grid", _grid(map_size, shift=0.0), persistent=False)

    def _bounded(self, offset: Tensor) -> Tensor:
        if self.offset_range_factor >= 0:
            return self.reference + offset.tanh() * (self.offset_range_factor * self.cell)
        return (self.reference + offset).clamp(-1, 1)


def _grid(size: tuple[int, int], *, shift: float) -> Tensor:
    """Return a corner-to-corner grid of [-1, 1], shifted by `shift` cells: (H, W, 2) in (y, x)."""
    y, x = ((torch.arange(n) + shift) / (n - 1) * 2 - 1 for n in size)
    return torch.stack(torch.meshgrid(y, x, indexing="ij"), dim=-1)
