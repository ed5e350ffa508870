"""Window attention, plain and shifted, on maps of any size.

B batch, H height, W width, C channels, h heads, D channels of a head, w window, T windows.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

# Added to the scores of pairs that only the roll made neighbors; Swin's value.
_FORBIDDEN = -100.0


class WindowAttention(nn.Module):
    """Self-attention within square windows, with a learned relative position bias.

    A map that the window does not divide is zero-padded at the bottom and right before the
    projections, and cropped afterwards; padded keys take part. The shifted form pads first, then
    rolls the map by ceil(w / 2) and masks pairs that were not adjacent.

    Source: Swin, arXiv 2103.14030; LeapLabTHU/DAT 797f187 (`models/dat_blocks.py`, whose maps must
    divide); padding as in LeapLabTHU/DAT-Detection 4d4023d.
    """

    bias_index: Tensor
    mask: Tensor | None

    def __init__(
        self,
        dim: int,
        *,
        map_size: tuple[int, int],
        num_heads: int,
        window_size: int,
        shifted: bool,
    ) -> None:
        """Initialize projections with PyTorch's defaults and the bias table from N(0, 0.01).

        Args:
            dim: Number of channels, a multiple of `num_heads`.
            map_size: (H, W).
            num_heads: Number of attention heads.
            window_size: Window size in tokens.
            shifted: Whether the windows are shifted.
        """
        super().__init__()
        self.num_heads = num_heads
        self.window_size = window_size
        self.shift = math.ceil(window_size / 2) if shifted else 0
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        table = torch.empty((2 * window_size - 1) ** 2, num_heads)
        self.bias_table = nn.Parameter(nn.init.trunc_normal_(table, std=0.01))
        self.register_buffer("bias_index", _bias_index(window_size), persistent=False)
        height, width = (math.ceil(size / window_size) * window_size for size in map_size)
        self.padding = (0, 0, 0, width - map_size[1], 0, height - map_size[0])
        mask = _shift_mask(height, width, window_size, self.shift) if shifted else None
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)."""
        batch, height, width, dim = x.shape
        if any(self.padding):
            x = functional.pad(x, self.padding)
        if self.shift:
            x = x.roll((-self.shift, -self.shift), dims=(1, 2))
        window = self.window_size
        rows, columns = (size // window for size in x.shape[1:3])
        x = _partition(x, window)  # reuse the name to free the input
        x = self._attend(x).view(batch, rows, columns, window, window, dim)
        x = x.transpose(2, 3).flatten(3, 4).flatten(1, 2)
        if self.shift:
            x = x.roll((self.shift, self.shift), dims=(1, 2))
        return x[:, :height, :width]

    def _attend(self, x: Tensor) -> Tensor:
        """(B, T, w^2, C) -> (B, T, w^2, C)."""
        batch, num_windows, length, dim = x.shape
        qkv = self.qkv(x).view(batch, num_windows, length, 3, self.num_heads, -1)
        q, k, v = qkv.permute(3, 0, 1, 4, 2, 5)  # (B, T, h, w^2, D)
        bias = self.bias_table[self.bias_index].permute(2, 0, 1)  # (h, w^2, w^2)
        if self.mask is not None:
            bias = bias + self.mask[:, None]  # (T, h, w^2, w^2)
        x = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        return self.out(x.transpose(2, 3).reshape(batch, num_windows, length, dim))


def _partition(x: Tensor, window: int) -> Tensor:
    """(B, H, W, C) -> (B, T, w^2, C)."""
    batch, height, width, dim = x.shape
    x = x.view(batch, height // window, window, width // window, window, dim)
    return x.transpose(2, 3).reshape(batch, -1, window * window, dim)


def _bias_index(window: int) -> Tensor:
    """Return the bias table row of each (query, key) pair in a window: (w^2, w^2) int64."""
    place = torch.arange(window)
    y, x = (axis.flatten() for axis in torch.meshgrid(place, place, indexing="ij"))
    down = y[:, None] - y + window - 1
    right = x[:, None] - x + window - 1
    return down * (2 * window - 1) + right


def _shift_mask(height: int, width: int, window: int, shift: int) -> Tensor:
    """Return the additive mask of each window of a rolled map: (T, w^2, w^2)."""

    def regions(size: int) -> Tensor:
        place = torch.arange(size)
        return (place >= size - window).long() + (place >= size - shift).long()

    region = 3 * regions(height)[:, None] + regions(width)
    region = _partition(region[None, :, :, None], window)[0, :, :, 0]
    apart = region[:, :, None] != region[:, None, :]
    return apart.to(torch.get_default_dtype()) * _FORBIDDEN
