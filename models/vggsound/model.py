"""VGGSound's classifiers: VGGSound, a large-scale audio-visual dataset, arXiv 2004.14368.

The authors' code is hche11/VGGSound 9bbc749 (repository license CC-BY-4.0), without training code.
ResNets on a log spectrogram (`models.frontends.log_spectrogram.LogSpectrogram`) with average
pooling or NetVLAD with 16 clusters. Numerically equal to the authors' (tested with parity vectors).
Differences:

- spectrograms of any size instead of 257 x 1004 (ten seconds at 16 kHz);
- NetVLAD on ResNet50, which the authors' class does not support;
- NetVLAD's assignment is initialized from its centers; see `NetVlad`.

Published weights (`models.vggsound.card`) are two ResNet18s, one for each pooling.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from timm.models.resnet import BasicBlock, Bottleneck, ResNet
from torch import Tensor, nn
from torch.nn import functional

from models.errors import ModelError
from models.output import Output
from models.precision import full_precision
from models.registry import register
from models.vggsound.checkpoint import rename_vggsound_state

_REDUCTION = 32
_SHARPNESS = 100.0


@register(
    "model",
    variants={
        "vggsound_resnet18": {},
        "vggsound_resnet34": {"depths": (3, 4, 6, 3)},
        "vggsound_resnet50": {"bottleneck": True, "depths": (3, 4, 6, 3)},
        "vggsound_resnet_laptop": {"channels": (16, 32, 64, 128), "depths": (1, 1, 1, 1)},
    },
    fixed=("bottleneck", "depths"),
)
class VggSoundResNet(nn.Module):
    """Classifies spectrograms as images of one channel.

    Variants:
        vggsound_resnet18: ResNet18 on a log spectrogram: 11.33 M parameters with 309 classes.
        vggsound_resnet34: ResNet34 on a log spectrogram: 21.4 M parameters with 309 classes.
        vggsound_resnet50: ResNet50 on a log spectrogram: 24.1 M parameters with 309 classes.
        vggsound_resnet_laptop: ResNet for a laptop, for 129 bins x 125 frames; not a published
            size.
    """

    # Its front end normalizes every clip; with another one the first batch norm does.
    normalizes_input = True
    head_parameters = ("head.weight", "head.bias")
    head_arguments = ("pooling", "num_clusters")

    def __init__(
        self,
        num_channels: int,
        input_size: tuple[int, int],
        num_classes: int,
        *,
        pooling: Literal["average", "netvlad"] = "average",
        num_clusters: int = 16,
        channels: tuple[int, ...] = (64, 128, 256, 512),
        bottleneck: bool = False,
        depths: tuple[int, ...] = (2, 2, 2, 2),
    ) -> None:
        """Initialize as the authors do, with batch norm weights from N(1, 0.02).

        Args:
            num_channels: Number of channels of the spectrogram.
            input_size: (bins, frames) of any size; 0 frames accept any number.
            num_classes: Number of classes.
            bottleneck: Whether blocks have three convolutions and four times as wide an output.
            depths: Number of blocks in each stage.
            pooling: Whether to pool the last map by its mean or by NetVLAD.
            num_clusters: Number of NetVLAD clusters.
            channels: Widths of the four stages; the stem has 64.

        Raises:
            ModelError: A size does not define a network.
        """
        super().__init__()
        if len(channels) != 4 or min(channels) < 1:
            raise ModelError(f"channels={channels}: four numbers, each 1 or more")
        if num_clusters < 1:
            raise ModelError(f"num_clusters={num_clusters}: 1 or more")
        self.num_channels = num_channels
        self.pooling = pooling
        self.resnet = ResNet(
            Bottleneck if bottleneck else BasicBlock,  # type: ignore[arg-type]
            depths,
            num_classes=0,
            in_chans=num_channels,
            channels=channels,
            zero_init_last=False,
        )
        for part in self.resnet.modules():
            if isinstance(part, nn.BatchNorm2d):
                nn.init.normal_(part.weight, mean=1.0, std=0.02)
        dim = channels[-1] * (4 if bottleneck else 1)
        self.vlad = NetVlad(dim, num_clusters) if pooling == "netvlad" else None
        self.head = nn.Linear(dim * (num_clusters if self.vlad else 1), num_classes)

    def forward(self, features: Tensor) -> Output:
        """Classify a batch of spectrograms.

        Args:
            features: (batch, num_channels, bins, frames).

        Returns:
            `Output` with clip_logits (batch, num_classes).

        Raises:
            ModelError: In training the last map has only one position.
        """
        height, width = features.shape[2:]
        if self.training and len(features) == 1 and max(height, width) <= _REDUCTION:
            raise ModelError(
                f"one clip of {height} x {width} leaves one place, from which no batch norm learns:"
                f" train with more clips in a batch, or pad to {_REDUCTION + 1} frames"
            )
        x = self.resnet.forward_features(features)
        x = x.mean(dim=(2, 3)) if self.vlad is None else self.vlad(x)
        return Output(self.head(x), embedding=x)

    def rename_published(self, state: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
        """Convert a published state to this model's names; None for a state of another format."""
        return rename_vggsound_state(
            state, num_channels=self.num_channels, netvlad=self.vlad is not None
        )


class NetVlad(nn.Module):
    """Softly assigns positions to clusters and sums differences from the centers.

    NetVLAD, arXiv 1511.07247. B batch, D descriptor, N positions, K clusters.
    """

    def __init__(self, dim: int, num_clusters: int) -> None:
        """Initialize the centers and the matching assignment.

        The authors of VGGSound then redraw the assignment's weights by the rule for all their
        convolutions, which this does not.

        Args:
            dim: Width of a descriptor (D).
            num_clusters: Number of clusters (K).
        """
        super().__init__()
        self.centroids = nn.Parameter(torch.rand(num_clusters, dim))
        self.assign = nn.Conv2d(dim, num_clusters, 1)
        with torch.no_grad():
            self.assign.weight.copy_(2 * _SHARPNESS * self.centroids[..., None, None])
            self.assign.bias.copy_(-_SHARPNESS * self.centroids.norm(dim=1))  # type: ignore[union-attr]

    def forward(self, x: Tensor) -> Tensor:
        """(B, D, height, width) -> (B, K * D), of length 1."""
        with full_precision(x):
            x = functional.normalize(x.float(), dim=1)
            shares = self.assign(x).flatten(2).softmax(dim=1)  # B K N
            sums = shares @ x.flatten(2).transpose(1, 2)  # B K D
            residuals = sums - shares.sum(dim=2, keepdim=True) * self.centroids
            clusters = functional.normalize(residuals, dim=2)
            return functional.normalize(clusters.flatten(1), dim=1)
