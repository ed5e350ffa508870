"""Blocks of Auditory SlowFast, with separate kernels over time and frequency.

B batch, C channels, T time, F frequency; maps are (B, C, T, F).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

_LATERAL_KERNEL = 7
_STEM_KERNEL = 7


class Stem(nn.Module):
    """A convolution that halves the map, then max pooling that halves it again."""

    def __init__(self, in_dim: int, dim: int, *, time_kernel: int) -> None:
        """Build the convolution with a frequency kernel of 7."""
        super().__init__()
        kernel = (time_kernel, _STEM_KERNEL)
        padding = (time_kernel // 2, _STEM_KERNEL // 2)
        self.conv = nn.Conv2d(in_dim, dim, kernel, stride=2, padding=padding, bias=False)
        self.norm = nn.BatchNorm2d(dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_dim, T, F) -> (B, dim, T / 4, F / 4), rounded up."""
        return functional.max_pool2d(functional.relu(self.norm(self.conv(x))), 3, 2, 1)


class Lateral(nn.Module):
    """The connection from the fast to the slow stream: a convolution over time at its rate."""

    def __init__(self, in_dim: int, dim: int, *, stride: int) -> None:
        """Build the convolution."""
        super().__init__()
        self.conv = nn.Conv2d(
            in_dim,
            dim,
            (_LATERAL_KERNEL, 1),
            stride=(stride, 1),
            padding=(_LATERAL_KERNEL // 2, 0),
            bias=False,
        )
        self.norm = nn.BatchNorm2d(dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_dim, T, F) -> (B, dim, T / stride, F)."""
        return functional.relu(self.norm(self.conv(x)))


class Bottleneck(nn.Module):
    """Convolutions over time, over frequency and over channels around a shortcut."""

    def __init__(self, in_dim: int, dim: int, *, inner: int, time_kernel: int, stride: int) -> None:
        """Initialize with a gain of 0 in the last norm, so the block starts as its shortcut."""
        super().__init__()
        self.time_conv = nn.Conv2d(
            in_dim, inner, (time_kernel, 1), padding=(time_kernel // 2, 0), bias=False
        )
        self.time_norm = nn.BatchNorm2d(inner)
        self.mel_conv = nn.Conv2d(
            inner, inner, (1, 3), stride=(1, stride), padding=(0, 1), bias=False
        )
        self.mel_norm = nn.BatchNorm2d(inner)
        self.out_conv = nn.Conv2d(inner, dim, 1, bias=False)
        self.out_norm = nn.BatchNorm2d(dim)
        nn.init.zeros_(self.out_norm.weight)
        self.shortcut_conv = None
        if in_dim != dim or stride != 1:
            self.shortcut_conv = nn.Conv2d(in_dim, dim, 1, stride=(1, stride), bias=False)
            self.shortcut_norm = nn.BatchNorm2d(dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_dim, T, F) -> (B, dim, T, F / stride), rounded up."""
        shortcut = x
        if self.shortcut_conv is not None:
            shortcut = self.shortcut_norm(self.shortcut_conv(x))
        x = functional.relu(self.time_norm(self.time_conv(x)))
        x = functional.relu(self.mel_norm(self.mel_conv(x)))
        return functional.relu(self.out_norm(self.out_conv(x)) + shortcut)


def stage(
    in_dim: int, dim: int, *, inner: int, depth: int, time_kernel: int, stride: int
) -> nn.Sequential:
    """Build a stage of bottlenecks, the first of which strides over frequency."""
    return nn.Sequential(
        *(
            Bottleneck(
                dim if i else in_dim,
                dim,
                inner=inner,
                time_kernel=time_kernel,
                stride=1 if i else stride,
            )
            for i in range(depth)
        )
    )
