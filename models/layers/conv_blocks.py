"""Convolution blocks of PANNs.

B batch, C channels, T time (frames), F frequency (mels).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.errors import ModelError

# Up to so many channels oneDNN convolves and torch pools faster with channels last.
_MAX_CHANNELS_LAST = 512
# Weights that are convolved at once where no gradient is asked for.
_MAX_WEIGHTS = 5 << 20


class WideConv(nn.Conv2d):
    """A convolution without bias, by parts of its output where many weights are not being learnt.

    At every call oneDNN lays a copy of the weights out anew: 144 MiB for the largest of CNN14.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name in nn.Conv2d
        """(B, in_channels, T, F) -> (B, out_channels, T, F)."""
        num_parts = -(-self.weight.numel() // _MAX_WEIGHTS)
        whole = num_parts == 1 or torch.is_grad_enabled() or torch.compiler.is_compiling()
        if whole or input.device.type != "cpu":
            return super().forward(input)
        weights = self.weight.chunk(num_parts)
        parts = [functional.conv2d(input, part, padding=self.padding) for part in weights]
        return torch.cat(parts, dim=1)


class ConvBlock(nn.Module):
    """Convolutions with batch norm and ReLU, then average pooling."""

    def __init__(
        self, in_dim: int, dim: int, *, kernel_size: int, num_convs: int, pool_size: int
    ) -> None:
        """Draw `num_convs` convolutions that keep the size; 1 as `pool_size` pools nothing."""
        super().__init__()
        self.dim = dim
        self.pool_size = pool_size
        self.convs = nn.ModuleList(
            WideConv(dim if i else in_dim, dim, kernel_size, padding=kernel_size // 2, bias=False)
            for i in range(num_convs)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(dim) for _ in range(num_convs))

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_dim, T, F) -> (B, dim, T / pool_size, F / pool_size), rounded down."""
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = conv(_fast_layout(x, self.dim))
            x = functional.relu_(norm(x))
        return functional.avg_pool2d(x, self.pool_size) if self.pool_size > 1 else x


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut; halves the map by average pooling."""

    def __init__(self, in_dim: int, dim: int, *, halve: bool, dropout: float) -> None:
        """Draw the weights; the last norm's gain is 0, so that the block starts as its shortcut.

        With `halve`, the shortcut has a 1x1 convolution and a norm of its own.
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
        x = dropout(x, self.dropout, training=self.training)
        return functional.relu(self.norm2(self.conv2(x)) + shortcut)


def dropout(x: Tensor, rate: float, *, training: bool) -> Tensor:
    """Compute what `torch.nn.functional.dropout` does, from the same draws.

    It keeps one byte per value for the gradient; on a CPU PyTorch's keeps four.
    """
    return torch.native_dropout(x, rate, train=True)[0] if training and rate > 0 else x


def residual_stage(in_dim: int, dim: int, *, depth: int, dropout: float) -> nn.Module:
    """A row of residual blocks whose first halves the map if the width changes."""
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
    """One `ConvBlock` per width, of which the first `num_pools` halve the map."""
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


def _fast_layout(x: Tensor, dim: int) -> Tensor:
    """The same map in the layout in which a CPU convolves it to `dim` channels fastest."""
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return x
    last = dim <= _MAX_CHANNELS_LAST
    return x.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)
