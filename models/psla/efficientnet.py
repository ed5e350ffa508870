"""EfficientNet (arXiv 1905.11946) by timm, with the padding of a fixed image size.

TensorFlow pads a strided convolution depending on its input size. PSLA's trunk, from
efficientnet_pytorch 0.7.1, fixes the padding for the square image that the network is meant for,
and applies it to spectrograms of any size.
"""

from __future__ import annotations

from functools import partial

from timm.models._efficientnet_builder import decode_arch_def, round_channels
from timm.models.efficientnet import EfficientNet
from torch import Tensor, nn
from torch.nn import functional

# Blocks, kernel, stride, expansion, and channels of the seven stages of B0.
_STAGES = (
    "ds_r1_k3_s1_e1_c16_se0.25",
    "ir_r2_k3_s2_e6_c24_se0.25",
    "ir_r2_k5_s2_e6_c40_se0.25",
    "ir_r3_k3_s2_e6_c80_se0.25",
    "ir_r3_k5_s1_e6_c112_se0.25",
    "ir_r4_k5_s2_e6_c192_se0.25",
    "ir_r1_k3_s1_e6_c320_se0.25",
)
_NORM_EPS = 1e-3


class FixedPadConv2d(nn.Conv2d):
    """A convolution padded by `before` zeros above and left, `after` zeros below and right."""

    before: int
    after: int

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002, torch's name
        """Pad and convolve (batch, channels, height, width)."""
        edges = (self.before, self.after, self.before, self.after)
        return super().forward(functional.pad(input, edges))


def efficientnet(
    num_channels: int,
    *,
    width: float,
    depth: float,
    image_size: int,
    drop_path_rate: float,
    norm_momentum: float,
) -> EfficientNet:
    """Build a trunk without pooling or classifier.

    Args:
        num_channels: Number of channels of the input.
        width: Factor of the widths of B0, rounded to multiples of 8.
        depth: Factor of the depths of B0, rounded up.
        image_size: Side of the image that determines the padding of strided convolutions.
        drop_path_rate: Drop path rate, rising linearly from 0 at the first block to almost this at
            the last.
        norm_momentum: Weight of a batch in the running statistics.
    """
    channels = partial(round_channels, multiplier=width)
    trunk = EfficientNet(
        decode_arch_def([[stage] for stage in _STAGES], depth),
        num_classes=0,
        num_features=channels(1280),
        in_chans=num_channels,
        act_layer=nn.SiLU,
        norm_layer=partial(nn.BatchNorm2d, eps=_NORM_EPS, momentum=norm_momentum),
        round_chs_fn=channels,
        drop_path_rate=drop_path_rate,
        global_pool="",
    )
    for conv in strided(trunk):
        missing = max((-(-image_size // 2) - 1) * 2 + conv.kernel_size[0] - image_size, 0)
        conv.__class__ = FixedPadConv2d
        conv.before, conv.after = missing // 2, missing - missing // 2
        conv.padding = (0, 0)
        image_size = -(-image_size // 2)
    return trunk


def strided(trunk: EfficientNet) -> list[FixedPadConv2d]:
    """Return the convolutions that halve the map, first to last."""
    convs = [part for part in trunk.modules() if isinstance(part, nn.Conv2d)]
    return [conv for conv in convs if conv.stride != (1, 1)]  # type: ignore[misc]


def reduced(trunk: EfficientNet, size: int) -> int:
    """Return the size of the last map for a size of the input; 0 if nothing is left."""
    for conv in strided(trunk):
        size = max(size + conv.before + conv.after - conv.kernel_size[0], -2) // 2 + 1
    return size
