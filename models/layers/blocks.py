"""The parts of a transformer block around the attention.

B batch, H height (mel), W width (time), C channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class DropPath(nn.Module):
    """Drops a residual branch for whole clips in training (arXiv 1603.09382).

    Draws from the global generator of the device.
    """

    def __init__(self, rate: float) -> None:
        """Set the probability, in [0, 1), that a clip's branch is dropped."""
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Drop branches and rescale the others to keep the mean: (B, ...) -> (B, ...)."""
        if not self.training or self.rate == 0:
            return x
        kept = torch.rand(x.shape[:1] + (1,) * (x.dim() - 1), device=x.device) >= self.rate
        return x * (kept / (1 - self.rate)).to(x.dtype)


class Mlp(nn.Module):
    """Two linear layers with the exact GELU between them."""

    def __init__(self, dim: int, hidden_dim: int) -> None:
        """Draw the layers with PyTorch's default initialization."""
        super().__init__()
        self.up = nn.Linear(dim, hidden_dim)
        self.down = nn.Linear(hidden_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) -> (..., C)."""
        return self.down(functional.gelu(self.up(x)))


class Block(nn.Module):
    """Pre-norm transformer block: attention and MLP, each on a residual branch."""

    def __init__(self, dim: int, *, attention: nn.Module, mlp: nn.Module, drop_path: float) -> None:
        """Wrap two modules that keep (B, H, W, C); both branches drop at one rate."""
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attention = attention
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = mlp
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)."""
        x = x + self.drop_path(self.attention(self.norm1(x)))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class DownConv(nn.Module):
    """A convolution whose stride is its kernel, then LayerNorm: NCHW in, NHWC out."""

    def __init__(self, in_dim: int, dim: int, *, size: int, bias: bool) -> None:
        """Draw a (size x size) convolution from `in_dim` to `dim` channels."""
        super().__init__()
        self.conv = nn.Conv2d(in_dim, dim, size, stride=size, bias=bias)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_dim, H, W) -> (B, H / size, W / size, dim)."""
        return self.norm(self.conv(x).permute(0, 2, 3, 1))
