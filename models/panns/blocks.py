"""Convolution blocks of PANNs.

B batch, C channels, T time (frames), F frequency (mels).
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn
from torch.nn import functional

from models.errors import ModelError


class ConvBlock(nn.Module):
    """Convolutions with batch norm and ReLU, then average pooling."""

    def __init__(
        self, in_dim: int, dim: int, *, kernel_size: int, num_convs: int, pool_size: int
    ) -> None:
        """Build `num_convs` size-preserving convolutions; a `pool_size` of 1 does not pool."""
        super().__init__()
        self.pool_size = pool_size
        self.convs = nn.ModuleList(
            nn.Conv2d(dim if i else in_dim, dim, kernel_size, padding=kernel_size // 2, bias=False)
            for i in range(num_convs)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(dim) for _ in range(num_convs))

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_dim, T, F) -> (B, dim, T / pool_size, F / pool_size), rounded down."""
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = functional.relu_(norm(conv(x)))
        return functional.avg_pool2d(x, self.pool_size) if self.pool_size > 1 else x


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut; halves the map by average pooling."""

    def __init__(self, in_dim: int, dim: int, *, halve: bool, dropout: float) -> None:
        """Initialize with a gain of 0 in the last norm, so that the block starts as its shortcut.

        With `halve`, the shortcut has its own 1x1 convolution and norm.
        """
        super().__init__()
        self.halve = halve
        self.dropout = dropout
        self.conv1 = nn.Conv2d(in_dim, dim, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(dim)
        self.conv2 = nn.Conv2d(dim, dim, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(dim)
        nn.init.zeros_(self.norm2.weight)
        if halve:
            self.shortcut_conv = nn.Conv2d(in_dim, dim, 1, bias=False)
            self.shortcut_norm = nn.BatchNorm2d(dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_dim, T, F) -> (B, dim, T, F), or half of T and F, rounded down."""
        shortcut = x
        if self.halve:
            x = functional.avg_pool2d(x, 2)
            shortcut = self.shortcut_norm(self.shortcut_conv(x))
        x = functional.relu(self.norm1(self.conv1(x)))
        x = functional.dropout(x, self.dropout, training=self.training)
        return functional.relu(self.norm2(self.conv2(x)) + shortcut)


def residual_stage(in_dim: int, dim: int, *, depth: int, dropout: float) -> nn.Module:
    """Build a stage of residual blocks, the first of which halves the map if the width changes."""
    return nn.Sequential(
        *(
            ResidualBlock(
                dim if i else in_dim, dim, halve=i == 0 and in_dim != dim, dropout=dropout
            )
            for i in range(depth)
        )
    )


def conv_stages(
    num_channels: int, dims: Iterable[int], *, kernel_size: int, num_convs: int, num_pools: int
) -> list[nn.Module]:
    """Build one `ConvBlock` per width; the first `num_pools` halve the map."""
    widths = [num_channels, *dims]
    least = max(num_pools, 1)
    if len(widths) <= least or min(widths) < 1:
        raise ModelError(f"dims={tuple(widths[1:])}: {least} widths or more, each at least 1")
    return [
        ConvBlock(
            widths[i],
            dim,
            kernel_size=kernel_size,
            num_convs=num_convs,
            pool_size=2 if i < num_pools else 1,
        )
        for i, dim in enumerate(widths[1:])
    ]
