"""Bilinear sampling at points that a network chooses, in two forms of equal value.

The usual form is `grid_sample`. Its backward pass on CUDA adds in no fixed order, and PyTorch
refuses it under `torch.use_deterministic_algorithms(True)`. There the dense form takes over,
which writes the interpolation as matrix products.

B batch, g groups, h heads, (H, W) map, N points. Coordinates are (y, x); -1 and 1 are the centers
of the outermost cells, and what lies outside counts as 0.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def sample_map(x: Tensor, points: Tensor, *, dense: bool | None = None) -> Tensor:
    """Sample a map of tokens, each group of channels at points of its own.

    Args:
        x: (B, H, W, C) with C a multiple of g.
        points: (B, g, N, 2).
        dense: which form to take; None chooses it.

    Returns:
        (B, N, C) float32.
    """
    batch, height, width, dim = x.shape
    groups, count = points.shape[1:3]
    x = x.float().view(batch, height, width, groups, -1)
    if _choose(dense, x):
        weight = torch.einsum(
            "bgny,bgnx->bgnyx", _hat(points[..., 0], height), _hat(points[..., 1], width)
        )
        sampled = weight.flatten(3) @ x.permute(0, 3, 1, 2, 4).flatten(2, 3)
        return sampled.transpose(1, 2).reshape(batch, count, dim)
    maps = x.permute(0, 3, 4, 1, 2).flatten(0, 1)
    grid = points.flip(-1).flatten(0, 1).unsqueeze(1)
    sampled = functional.grid_sample(maps, grid, align_corners=True)
    return sampled.view(batch, dim, count).transpose(1, 2)


def look_up_bias(
    table: Tensor, queries: Tensor, keys: Tensor, *, dense: bool | None = None
) -> Tensor:
    """Look a table of biases up at half the distance from every key to every query.

    Args:
        table: (h, A, A') with h a multiple of g.
        queries: (H, W, 2), a rectangular grid.
        keys: (B, g, N, 2).
        dense: which form to take; None chooses it.

    Returns:
        (B, h, H W, N) float32.
    """
    batch, groups, count = keys.shape[:3]
    heads, rows, columns = table.shape
    table = table.float().view(groups, heads // groups, rows, columns)
    if _choose(dense, table):
        down = (queries[:, 0, 0] - keys[..., 0, None]) / 2  # (B, g, N, H)
        right = (queries[0, :, 1] - keys[..., 1, None]) / 2  # (B, g, N, W)
        bias = torch.einsum("bgniy,gpyx->bgnipx", _hat(down, rows), table)
        bias = torch.einsum("bgnipx,bgnjx->bgpijn", bias, _hat(right, columns))
        return bias.reshape(batch, heads, -1, count)
    # Turned to grid_sample's (x, y) and halved before the large difference is taken.
    near = queries.flip(-1).flatten(0, 1) / 2  # (H W, 2)
    far = keys.flip(-1).flatten(0, 1) / 2  # (B g, N, 2)
    displacement = near[:, None] - far[:, None]  # (B g, H W, N, 2)
    table = table.expand(batch, -1, -1, -1, -1).flatten(0, 1)
    bias = functional.grid_sample(table, displacement, align_corners=True)
    return bias.view(batch, heads, -1, count)


def _choose(dense: bool | None, x: Tensor) -> bool:
    if dense is None:
        return x.is_cuda and torch.are_deterministic_algorithms_enabled()
    return dense


def _hat(coordinate: Tensor, size: int) -> Tensor:
    """Weight of every cell of an axis in linear interpolation: (...) -> (..., size)."""
    place = (coordinate + 1) / 2 * (size - 1)
    cells = torch.arange(size, device=place.device)
    return (1 - (place[..., None] - cells).abs()).clamp_min(0)
