"""The convolutions of DAT++: stem, downsampling, local perception, MLP.

Source: LeapLabTHU/DAT 32173fc (`models/dat.py`, `models/dat_blocks.py`), numerically equal.

B batch, H height (mel), W width (time), C channels; token maps are (B, H, W, C).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from models.layers.blocks import Block


class HalvingConv(nn.Module):
    """A 3x3 convolution of stride 2, then LayerNorm: NCHW in, NHWC out."""

    def __init__(self, in_dim: int, dim: int, *, bias: bool) -> None:
        """Initialize the convolution with PyTorch's defaults."""
        super().__init__()
        self.conv = nn.Conv2d(in_dim, dim, 3, stride=2, padding=1, bias=bias)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_dim, H, W) -> (B, H / 2, W / 2, dim), rounded up."""
        return self.norm(self.conv(x).permute(0, 2, 3, 1))


class ConvStem(nn.Module):
    """Two halving convolutions with GELU between them, with a total stride of 4."""

    def __init__(self, in_channels: int, dim: int) -> None:
        """Initialize the convolutions; the first has `dim` / 2 channels."""
        super().__init__()
        self.in_channels = in_channels
        self.first = HalvingConv(in_channels, dim // 2, bias=True)
        self.second = HalvingConv(dim // 2, dim, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, H / 4, W / 4, dim), rounded up."""
        return self.second(functional.gelu(self.first(x)).permute(0, 3, 1, 2))


class DepthwiseConv(nn.Conv2d):
    """A depthwise 3x3 convolution on token maps."""

    def __init__(self, dim: int) -> None:
        """Initialize the convolution with PyTorch's defaults."""
        super().__init__(dim, dim, 3, padding=1, groups=dim)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name in nn.Conv2d
        """(B, H, W, C) -> (B, H, W, C)."""
        return super().forward(input.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class ConvMlp(nn.Module):
    """Two linear layers with a residual depthwise convolution and GELU between them."""

    def __init__(self, dim: int, hidden_dim: int) -> None:
        """Initialize the layers with PyTorch's defaults."""
        super().__init__()
        self.up = nn.Linear(dim, hidden_dim)
        self.depthwise = DepthwiseConv(hidden_dim)
        self.down = nn.Linear(hidden_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)."""
        x = self.up(x)
        return self.down(functional.gelu(x + self.depthwise(x)))


class LocalBlock(Block):
    """A local perception unit (residual depthwise convolution) and a transformer block."""

    def __init__(self, dim: int, *, attention: nn.Module, mlp: nn.Module, drop_path: float) -> None:
        """Wrap as `Block` does, and initialize the convolution with PyTorch's defaults."""
        super().__init__(dim, attention=attention, mlp=mlp, drop_path=drop_path)
        self.local = DepthwiseConv(dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)."""
        return super().forward(x + self.local(x))
