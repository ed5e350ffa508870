"""VGGSound's classifiers: VGGSound, a large-scale audio-visual dataset, arXiv 2004.14368.

The authors' code is hche11/VGGSound 9bbc749 (the repository's licence is CC-BY-4.0), which tests
and does not train. ResNets on a log spectrogram
(`models.frontends.log_spectrogram.LogSpectrogram`), pooled on average or by NetVLAD with 16
clusters. Equal to the authors' in values (a test holds parity vectors), and different in:

- a spectrogram of any size, where theirs is 257 x 1004 (ten seconds at 16 kHz);
- NetVLAD behind a ResNet50, for which the authors' class does not fit;
- NetVLAD's first assignment follows its centres; see `models.vggsound.netvlad.NetVlad`.

Published weights (`models.zoo.weights`) are two of ResNet18, one for each pooling.
"""

from __future__ import annotations

from typing import Literal

from models.registry import register
from models.vggsound.resnet import VggSoundResNet


@register("model")
def vggsound_resnet18(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    pooling: Literal["average", "netvlad"] = "average",
    num_clusters: int = 16,
    channels: tuple[int, ...] = (64, 128, 256, 512),
) -> VggSoundResNet:
    """ResNet18 on a log spectrogram: 11.33 M parameters with 309 classes.

    Arguments, shapes and errors as in `models.vggsound.resnet.VggSoundResNet`.
    """
    return VggSoundResNet(
        num_channels,
        input_size,
        num_classes,
        bottleneck=False,
        depths=(2, 2, 2, 2),
        pooling=pooling,
        num_clusters=num_clusters,
        channels=channels,
    )


@register("model")
def vggsound_resnet34(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    pooling: Literal["average", "netvlad"] = "average",
    num_clusters: int = 16,
    channels: tuple[int, ...] = (64, 128, 256, 512),
) -> VggSoundResNet:
    """ResNet34 on a log spectrogram: 21.4 M parameters with 309 classes.

    Arguments, shapes and errors as in `models.vggsound.resnet.VggSoundResNet`.
    """
    return VggSoundResNet(
        num_channels,
        input_size,
        num_classes,
        bottleneck=False,
        depths=(3, 4, 6, 3),
        pooling=pooling,
        num_clusters=num_clusters,
        channels=channels,
    )


@register("model")
def vggsound_resnet50(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    pooling: Literal["average", "netvlad"] = "average",
    num_clusters: int = 16,
    channels: tuple[int, ...] = (64, 128, 256, 512),
) -> VggSoundResNet:
    """ResNet50 on a log spectrogram: 24.1 M parameters with 309 classes.

    Arguments, shapes and errors as in `models.vggsound.resnet.VggSoundResNet`.
    """
    return VggSoundResNet(
        num_channels,
        input_size,
        num_classes,
        bottleneck=True,
        depths=(3, 4, 6, 3),
        pooling=pooling,
        num_clusters=num_clusters,
        channels=channels,
    )


@register("model")
def vggsound_resnet_laptop(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    pooling: Literal["average", "netvlad"] = "average",
    num_clusters: int = 16,
    channels: tuple[int, ...] = (16, 32, 64, 128),
) -> VggSoundResNet:
    """ResNet for a laptop, for 129 bins x 125 frames; not a published size.

    Arguments, shapes and errors as in `models.vggsound.resnet.VggSoundResNet`.
    """
    return VggSoundResNet(
        num_channels,
        input_size,
        num_classes,
        bottleneck=False,
        depths=(1, 1, 1, 1),
        pooling=pooling,
        num_clusters=num_clusters,
        channels=channels,
    )
