"""Two early AudioSet systems: DeepRes and the data set's own baseline.

**DeepRes**: Ford, Tang, Grondin, Glass, "A Deep Residual Network for Large-Scale Acoustic Scene
Analysis", Interspeech 2019. Known are its abstract (a residual network trained on AudioSet's
recordings, jointly with an attention module, mAP 0.392, AUC 0.971) and its size in HTS-AT's table,
26 M parameters. There is no code. Our choices where it is unspecified:

- network: ResNet-50 with one input channel, 25.66 M parameters with two linear layers of 527
  classes;
- attention module: each class weights the probabilities of time steps by a softmax over its own
  scores, after averaging over frequency;
- features: AST's filterbank, from the same laboratory.

**Baseline**: the 0.314 of HTS-AT's first row is from Gemmeke et al., "Audio Set: An Ontology and
Human-Labeled Dataset for Audio Events", ICASSP 2017: a shallow classifier on embeddings of a
ResNet-50 (Hershey et al., arXiv 1609.09430) trained on private videos. That network is not public,
and the public VGGish is a different one. HTS-AT lists 2.6 M parameters, which matches the
classifier with 1024 hidden units (2.64 M). Here the embedding is trained with it from scratch, so
the numbers of that row cannot be reached without its data. Known: patches of 96 frames of 10 ms and
64 mels from 125 to 7500 Hz at 16 kHz, a first convolution without stride, patch scores averaged
over the clip. Assumed: one hidden layer with ReLU, and decibels instead of log(x + 0.01).

B batch, C channels, T time steps, F frequency (mels).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from timm.models.resnet import BasicBlock, Bottleneck, ResNet
from torch import Tensor, nn
from torch.nn import functional

from models.errors import ModelError
from models.layers.steps import mean_probability_logits, repeat_steps
from models.output import Output
from models.registry import register

_STEP = 32


@register(
    "model",
    variants={
        "deepres": {},
        "deepres_laptop": {"depths": (1, 1, 1, 1), "dims": (16, 32, 64, 128), "bottleneck": False},
    },
)
class DeepRes(nn.Module):
    """Scores time steps of a ResNet's map and weights them by attention per class.

    Variants:
        deepres: DeepRes on ResNet-50: 25.7 M parameters with 527 classes.
        deepres_laptop: DeepRes for a laptop: four plain blocks at a quarter of the width; not a
            published size.
    """

    head_parameters = ("head.weight", "head.bias", "attention.weight")

    def __init__(
        self,
        num_channels: int,
        input_size: tuple[int, int],
        num_classes: int,
        *,
        depths: tuple[int, ...] = (3, 4, 6, 3),
        dims: tuple[int, ...] = (64, 128, 256, 512),
        bottleneck: bool = True,
    ) -> None:
        """Initialize as timm does.

        Args:
            num_channels: Number of channels of the spectrogram.
            input_size: (mels, frames); any number of frames.
            num_classes: Number of classes.
            depths: Number of blocks in each stage.
            dims: Inner width of the blocks of each stage.
            bottleneck: Whether blocks have three convolutions and four times as wide an output.

        Raises:
            ModelError: The sizes do not define a network, or the frames do not fill one time step.
        """
        super().__init__()
        if 0 < input_size[1] < _STEP:
            raise ModelError(
                f"{input_size[1]} frames leave nothing: {_STEP} or more; change the front end's "
                "frames"
            )
        self.trunk = _resnet(num_channels, depths, dims, bottleneck=bottleneck)
        width = _width(dims, bottleneck=bottleneck)
        self.head = nn.Linear(width, num_classes)
        # A bias would cancel in the softmax over time.
        self.attention = nn.Linear(width, num_classes, bias=False)

    def forward(self, features: Tensor) -> Output:
        """Score a batch of spectrograms.

        Args:
            features: (B, num_channels, mels, frames), normalized.

        Returns:
            `Output` with clip_logits (B, num_classes) and frame_logits (B, frames, num_classes),
            constant over the 32 frames of a step.

        Raises:
            ModelError: There are fewer frames than in one step.
        """
        frames = features.shape[3]
        if frames < _STEP:
            raise ModelError(
                f"the model takes {_STEP} frames or more, not {frames}; pad shorter clips, or set "
                "the front end's number of frames"
            )
        x = self.trunk.forward_features(features).mean(dim=2).transpose(1, 2)  # (B, T, C)
        logits, scores = self.head(x), self.attention(x)
        precision = torch.promote_types(logits.dtype, torch.float32)
        logits = logits.to(precision)
        clip = mean_probability_logits(logits, scores.to(precision))
        return Output(clip, repeat_steps(logits, _STEP, frames), x.mean(dim=1))


@register(
    "model",
    variants={
        "audioset_baseline": {},
        "audioset_baseline_laptop": {
            "patch_frames": 24,
            "hidden_dim": 128,
            "depths": (1, 1, 1, 1),
            "dims": (16, 32, 64, 128),
            "bottleneck": False,
        },
    },
)
class PatchBaseline(nn.Module):
    """Scores patches of about a second by their ResNet embeddings, and clips by the mean score.

    Variants:
        audioset_baseline: AudioSet's baseline: ResNet-50 on patches of 0.96 s and a classifier of
            2.6 M parameters.
        audioset_baseline_laptop: AudioSet's baseline for a laptop, on patches of 24 frames; not a
            published size.
    """

    head_parameters = ("head.weight", "head.bias")

    def __init__(
        self,
        num_channels: int,
        input_size: tuple[int, int],
        num_classes: int,
        *,
        patch_frames: int = 96,
        hidden_dim: int = 1024,
        depths: tuple[int, ...] = (3, 4, 6, 3),
        dims: tuple[int, ...] = (64, 128, 256, 512),
        bottleneck: bool = True,
    ) -> None:
        """Initialize as timm does, and the classifier as PyTorch does.

        Args:
            num_channels: Number of channels of the spectrogram.
            input_size: (mels, frames), with at least half a patch of frames.
            num_classes: Number of classes.
            patch_frames: Number of frames per patch. An incomplete last patch is dropped, and a
                clip shorter than one patch is zero-padded, at most by half.
            hidden_dim: Width of the classifier's hidden layer.
            depths: Number of blocks in each stage.
            dims: Inner width of the blocks of each stage.
            bottleneck: Whether blocks have three convolutions and four times as wide an output.

        Raises:
            ModelError: The sizes do not define a network, or there are too few frames.
        """
        super().__init__()
        if min(patch_frames, hidden_dim) < 1:
            raise ModelError(
                f"patch_frames={patch_frames}, hidden_dim={hidden_dim}: each at least 1"
            )
        self.patch_frames = patch_frames
        self.least = math.ceil(patch_frames / 2)
        if 0 < input_size[1] < self.least:
            raise ModelError(
                f"{input_size[1]} frames are less than half a patch: {self.least} or more; change "
                "the front end's frames"
            )
        self.trunk = _resnet(num_channels, depths, dims, bottleneck=bottleneck)
        first = self.trunk.conv1
        assert isinstance(first, nn.Conv2d)
        first.stride = (1, 1)
        self.hidden = nn.Linear(_width(dims, bottleneck=bottleneck), hidden_dim)
        self.head = nn.Linear(hidden_dim, num_classes)

    def forward(self, features: Tensor) -> Output:
        """Score a batch of spectrograms.

        Args:
            features: (B, num_channels, mels, frames), normalized.

        Returns:
            `Output` with clip_logits (B, num_classes) and frame_logits (B, frames, num_classes),
            constant over the frames of a patch.

        Raises:
            ModelError: There are fewer frames than half a patch.
        """
        frames, size = features.shape[3], self.patch_frames
        if frames < self.least:
            raise ModelError(
                f"the model takes {self.least} frames or more, not {frames}; pad shorter clips, or "
                "set the front end's number of frames"
            )
        if frames < size:
            features = functional.pad(features, (0, size - frames))
        patches = features[..., : max(frames, size) // size * size].unflatten(3, (-1, size))
        x = self.trunk.forward_features(patches.permute(0, 3, 1, 2, 4).flatten(0, 1))
        x = functional.relu(self.hidden(x.mean(dim=(2, 3))))
        logits, x = (y.unflatten(0, (-1, patches.shape[3])) for y in (self.head(x), x))
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        clip = mean_probability_logits(logits, None)
        return Output(clip, repeat_steps(logits, size, frames), x.mean(dim=1))


def _resnet(
    num_channels: int, depths: Sequence[int], dims: Sequence[int], *, bottleneck: bool
) -> ResNet:
    if len(depths) != 4 or len(dims) != 4 or min(*depths, *dims) < 1:
        raise ModelError(f"depths={depths}, dims={dims}: four each, all at least 1")
    block: Any = Bottleneck if bottleneck else BasicBlock
    return ResNet(
        block,
        tuple(depths),
        channels=tuple(dims),
        in_chans=num_channels,
        num_classes=0,
        zero_init_last=False,
    )


def _width(dims: Sequence[int], *, bottleneck: bool) -> int:
    return dims[-1] * (Bottleneck.expansion if bottleneck else BasicBlock.expansion)
