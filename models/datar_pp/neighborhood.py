"""Neighborhood attention: every token attends to the k x k tokens around it.

B batch, H height, W width, C channels, h heads, D channels of a head; an axis is cut into T tiles
of t queries, each of which gets the K >= t keys that any of its queries needs.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

# Larger tiles copy fewer keys but compute more masked products.
_TILE = 8


class NeighborhoodAttention(nn.Module):
    """Self-attention to neighbors, with a learned relative position bias.

    At a border the window stays k wide and is shifted inside, so that border tokens share the
    outermost window. A map smaller than k is zero-padded at the bottom and right before the
    projections, and cropped afterwards; padded keys take part. Both are as in the authors' code.

    Source: NAT, arXiv 2204.07143; LeapLabTHU/DAT 32173fc (`models/nat.py`) on NATTEN 0.14.6,
    numerically equal without an extension: dense products over tiles of queries and surrounding
    keys, masked to k x k keys per query. `count_macs` counts the dense products, up to four times
    those of unmasked pairs.
    """

    rows: Tensor
    columns: Tensor
    row_distances: Tensor
    column_distances: Tensor

    def __init__(
        self, dim: int, *, map_size: tuple[int, int], num_heads: int, neighbourhood_size: int
    ) -> None:
        """Initialize projections with PyTorch's defaults and the bias table from N(0, 0.02).

        Args:
            dim: Number of channels, a multiple of `num_heads`.
            map_size: (H, W).
            num_heads: Number of attention heads.
            neighbourhood_size: Odd side k of the neighborhood.
        """
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        table = torch.empty(num_heads, 2 * neighbourhood_size - 1, 2 * neighbourhood_size - 1)
        self.bias_table = nn.Parameter(nn.init.trunc_normal_(table, std=0.02))
        height, width = (max(size, neighbourhood_size) for size in map_size)
        self.padding = (0, 0, 0, width - map_size[1], 0, height - map_size[0])
        for name, distances, length in (
            ("rows", "row_distances", height),
            ("columns", "column_distances", width),
        ):
            places, apart = _tiles(length, neighbourhood_size)
            self.register_buffer(name, places, persistent=False)
            self.register_buffer(distances, apart, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)."""
        batch, height, width, dim = x.shape
        if any(self.padding):
            x = functional.pad(x, self.padding)
        q, kv = self.qkv(x).split((dim, 2 * dim), dim=3)
        (tiles_y, keys_y), (tiles_x, keys_x) = self.rows.shape, self.columns.shape
        side_y, side_x = self.row_distances.shape[1], self.column_distances.shape[1]
        spare = (0, 0, 0, tiles_x * side_x - x.shape[2], 0, tiles_y * side_y - x.shape[1])
        q = functional.pad(q, spare).view(
            batch, tiles_y, side_y, tiles_x, side_x, self.num_heads, -1
        )
        q = q.permute(0, 1, 3, 5, 2, 4, 6).reshape(
            batch, -1, side_y * side_x, dim // self.num_heads
        )  # (B, Ty Tx h, ty tx, D)
        kv = kv.index_select(1, self.rows.flatten()).index_select(2, self.columns.flatten())
        kv = kv.view(batch, tiles_y, keys_y, tiles_x, keys_x, 2, self.num_heads, -1)
        k, v = kv.permute(5, 0, 1, 3, 6, 2, 4, 7).reshape(
            2, batch, -1, keys_y * keys_x, dim // self.num_heads
        )  # (B, Ty Tx h, Ky Kx, D)
        x = functional.scaled_dot_product_attention(q, k, v, attn_mask=self._bias().to(q.dtype))
        x = x.view(batch, tiles_y, tiles_x, self.num_heads, side_y, side_x, -1)
        x = x.permute(0, 1, 4, 2, 5, 3, 6).reshape(batch, tiles_y * side_y, tiles_x * side_x, dim)
        return self.out(x[:, :height, :width])

    def _bias(self) -> Tensor:
        """Return the additive bias of each tile: (1, Ty Tx h, ty tx, Ky Kx)."""
        # The last row and column are for keys outside the neighborhood.
        table = functional.pad(self.bias_table, (0, 1, 0, 1), value=-math.inf)
        bias = table.index_select(1, self.row_distances.flatten())
        bias = bias.index_select(2, self.column_distances.flatten())
        bias = bias.view(self.num_heads, *self.row_distances.shape, *self.column_distances.shape)
        return bias.permute(1, 4, 0, 2, 5, 3, 6).flatten(3, 4).flatten(4).flatten(0, 2)[None]


def _tiles(length: int, size: int) -> tuple[Tensor, Tensor]:
    """Split an axis into tiles: indices of their keys (T, K), and distances (T, t, K).

    A distance is a row of the bias table, key - query + size - 1, or one row past the end for a key
    outside the query's neighborhood.
    """
    half = size // 2
    num_tiles = math.ceil(length / _TILE)
    side = math.ceil(length / num_tiles)
    num_keys = min(side + size - 1, length)
    query = torch.arange(num_tiles * side).view(num_tiles, side).clamp(max=length - 1)
    first = (query[:, 0] - half).clamp(0, length - num_keys)
    key = first[:, None] + torch.arange(num_keys)
    start = (query - half).clamp(0, length - size)[:, :, None]
    inside = (key[:, None] >= start) & (key[:, None] < start + size)
    distance = key[:, None] - query[:, :, None] + size - 1
    return key, torch.where(inside, distance, 2 * size - 1)
