"""Deformable attention: keys and values are sampled at positions predicted from the queries.

B batch, H height, W width, C channels, h heads, g groups, (Hk, Wk) key grid, N = Hk Wk keys.
Positions are (y, x) in [-1, 1]; groups are contiguous runs of channels and heads.

Bilinear sampling has two equivalent forms. The default is `grid_sample`, whose backward pass on
CUDA adds in no fixed order and which PyTorch refuses under
`torch.use_deterministic_algorithms(True)`. In that mode the dense form replaces it, with
interpolation as matrix products. In both, -1 and 1 are the centers of the outermost cells, and
values outside are 0.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.precision import full_precision


class OffsetNetwork(nn.Module):
    """Predicts offsets of keys: depthwise convolution, LayerNorm, GELU, projection to (y, x).

    All groups share its weights.
    """

    def __init__(self, dim: int, *, num_groups: int, kernel_size: int, stride: int) -> None:
        """Initialize the layers with PyTorch's defaults; `dim` is the width of one group."""
        super().__init__()
        self.num_groups = num_groups
        self.depthwise = nn.Conv2d(
            dim, dim, kernel_size, stride=stride, padding=kernel_size // 2, groups=dim
        )
        self.norm = nn.LayerNorm(dim)
        self.project = nn.Linear(dim, 2, bias=False)

    def forward(self, query: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, g, Hk, Wk, 2), unbounded."""
        batch, height, width, _ = query.shape
        x = query.view(batch, height, width, self.num_groups, -1).permute(0, 3, 4, 1, 2)
        x = self.depthwise(x.flatten(0, 1)).permute(0, 2, 3, 1)
        x = self.project(functional.gelu(self.norm(x)))
        return x.view(batch, self.num_groups, *x.shape[1:])


class DeformableAttention(nn.Module):
    """The deformable attention of DAT, conference version (arXiv 2201.00520).

    Source: LeapLabTHU/DAT 797f187 (`models/dat_blocks.py`, DAttentionBaseline), numerically equal.
    Implementation differences: channels last, one layer for keys and values, and positions and bias
    computed once per batch if there are no offsets.
    """

    cell: Tensor
    reference: Tensor
    query_grid: Tensor

    def __init__(
        self,
        dim: int,
        *,
        map_size: tuple[int, int],
        num_heads: int,
        num_groups: int,
        kernel_size: int,
        stride: int,
        offset_range_factor: float,
        deformable: bool,
        relative_position_bias: bool,
        table_map_size: tuple[int, int] | None = None,
    ) -> None:
        """Draw the layers with PyTorch's defaults and the bias table from N(0, 0.01).

        An unused offset network or bias table is drawn and discarded, so that the other weights are
        the same with and without it.

        Args:
            dim: Number of channels, a multiple of `num_heads`, itself a multiple of `num_groups`.
            map_size: (H, W).
            num_heads: Number of attention heads.
            num_groups: Number of channel groups with separate positions.
            kernel_size: Odd kernel size of the offset network.
            stride: Spacing of the reference keys in tokens.
            offset_range_factor: Maximum offset in half cells of the key grid; 0 leaves offsets
                unbounded, and a negative factor bounds the positions by tanh.
            deformable: Whether keys move; otherwise they stay at the reference points.
            relative_position_bias: Whether scores have a learned relative position bias.
            table_map_size: Map size of the bias table; None is `map_size`.
        """
        super().__init__()
        self.num_heads = num_heads
        self.num_groups = num_groups
        self.offset_range_factor = offset_range_factor
        self.query = nn.Linear(dim, dim)
        self.key_value = nn.Linear(dim, 2 * dim)
        self.out = nn.Linear(dim, dim)
        offset = OffsetNetwork(
            dim // num_groups, num_groups=num_groups, kernel_size=kernel_size, stride=stride
        )
        self.offset = offset if deformable else None
        table = torch.empty(num_heads, *(2 * size - 1 for size in table_map_size or map_size))
        table = nn.Parameter(nn.init.trunc_normal_(table, std=0.01))
        self.bias_table = table if relative_position_bias else None
        # A same-padded odd kernel gives ceil(size / stride) keys.
        height, width = map_size
        self._place(map_size, (-(-height // stride), -(-width // stride)))

    def _place(self, map_size: tuple[int, int], key_size: tuple[int, int]) -> None:
        """Set the geometry buffers: cell size of the key grid, key grid, and query grid."""
        self.register_buffer("cell", 1 / torch.tensor(key_size), persistent=False)
        self.register_buffer("reference", _half_pixel_grid(key_size), persistent=False)
        self.register_buffer("query_grid", _half_pixel_grid(map_size), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)."""
        batch, height, width, dim = x.shape
        query = self.query(x)
        # Interpolate in float32 under autocast: bfloat16 cannot resolve positions on a long axis.
        with full_precision(x):
            points = self.positions(query).flatten(2, 3)
            sampled = sample_map(x, points.expand(batch, -1, -1, -1))
        # Before the bias, so that backward frees the bias's buffers before these gradients.
        key, value = self.key_value(sampled).chunk(2, dim=2)
        del sampled
        bias = None
        if self.bias_table is not None:
            with full_precision(x):
                bias = look_up_bias(self.bias_table, self.query_grid, points).to(query.dtype)
        q, k, v = (
            t.reshape(batch, -1, self.num_heads, dim // self.num_heads).transpose(1, 2)
            for t in (query, key, value)
        )
        x = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return self.out(x.transpose(1, 2).reshape(batch, height, width, dim))

    def positions(self, query: Tensor) -> Tensor:
        """Compute the sampling positions of the keys.

        Args:
            query: (B, H, W, C), the projected queries.

        Returns:
            (B, g, Hk, Wk, 2) float32, unclamped; (1, g, Hk, Wk, 2) without offsets.
        """
        if self.offset is None:
            offset = self.reference.new_zeros(1, self.num_groups, *self.reference.shape)
        else:
            offset = self.offset(query.float())
        return self._bounded(offset)

    def _bounded(self, offset: Tensor) -> Tensor:
        """Convert raw offsets to bounded positions, both (B, g, Hk, Wk, 2)."""
        if self.offset_range_factor > 0:
            offset = offset.tanh() * (self.offset_range_factor * self.cell)
        positions = self.reference + offset
        return positions if self.offset_range_factor >= 0 else positions.tanh()


def _half_pixel_grid(size: tuple[int, int]) -> Tensor:
    """Return the cell centers of a grid over [-1, 1]: (height, width, 2) in (y, x)."""
    y, x = ((torch.arange(n) + 0.5) / n * 2 - 1 for n in size)
    return torch.stack(torch.meshgrid(y, x, indexing="ij"), dim=-1)


def sample_map(x: Tensor, points: Tensor, *, dense: bool | None = None) -> Tensor:
    """Sample a token map, each channel group at its own points.

    Args:
        x: (B, H, W, C), with C a multiple of g.
        points: (B, g, N, 2).
        dense: Whether to use the dense form; None chooses automatically.

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
    """Look up a bias table at half the distance from every key to every query.

    Args:
        table: (h, A, A'), with h a multiple of g.
        queries: (H, W, 2), a rectangular grid.
        keys: (B, g, N, 2).
        dense: Whether to use the dense form; None chooses automatically.

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
    # Flipped to grid_sample's (x, y), and halved before the large difference.
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
    """Return linear interpolation weights of all cells of an axis: (...) -> (..., size)."""
    place = (coordinate + 1) / 2 * (size - 1)
    cells = torch.arange(size, device=place.device)
    return (1 - (place[..., None] - cells).abs()).clamp_min(0)
