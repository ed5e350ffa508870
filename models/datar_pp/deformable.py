"""Deformable attention in the convention of DAT++.

B batch, H height, W width, C channels, h heads, g groups, (Hk, Wk) key grid, N = Hk Wk keys.
Positions are (y, x) in [-1, 1]; channels and heads belong to groups in contiguous runs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.datar.deformable import DeformableAttention


class DeformableAttentionPp(DeformableAttention):
    """The deformable attention of DAT++ (arXiv 2309.01430).

    Other than the first version it clamps positions to the map where `offset_range_factor` is
    negative, and its grids are not those of half pixels: queries lie on the corners and between
    them, the reference points half a cell further down and right, the last of them outside. The
    map is larger than the stride on both axes, so that there are two keys on each. The bias table
    may be made for another map: it is stretched to this one.

    Source: LeapLabTHU/DAT 32173fc (`models/dat_blocks.py`, DAttentionBaseline), same values.
    Differs in form as the first version does. A kernel that equals the stride is padded too.
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
    """A grid from corner to corner of [-1, 1], moved by a part of a cell: (H, W, 2) in (y, x)."""
    y, x = ((torch.arange(n) + shift) / (n - 1) * 2 - 1 for n in size)
    return torch.stack(torch.meshgrid(y, x, indexing="ij"), dim=-1)
