"""Auditory SlowFast: slow-fast auditory streams for audio recognition, arXiv 2103.03516.

The authors' code is ekazakos/auditory-slow-fast 6af3fd7 (CC-BY-NC-SA-4.0, as are its weights); no
code is copied, only facts. Numerically equal to it (tested with parity vectors). Differences:

- the input is the whole clip, which the model crops or extends; the authors' loader crops the
  waveform, so the edges of their crops see zeros instead of neighbors;
- logits instead of probabilities, on the scale of the layer's output for clips of any length. With
  several heads (verbs and nouns), one tensor holds their concatenated logits;
- several heads can be built, loaded, and run (`models.create_model`), but not trained or scored:
  packs have one label per clip, and `orchestrator.training.evaluate.build` refuses such an
  experiment. Apply softmax per head, `clip_logits.split(heads, dim=1)`;
- any number of mels: the authors pool 128 / 32 rows at the end, this all rows;
- no single-stream models and no time warping.

Published weights expect `models.frontends.htk_log_mel.HtkLogMel` of audio at 16 kHz (VGG-Sound,
crops of 512 frames), or at 24 kHz with win_length 240, hop_length 120 and f_max 12000
(EPIC-KITCHENS, 400 frames). 26.68 M parameters with 309 classes, 5.52 GMAC for one view of 512
frames.

B batch, C channels, T time (frames), F frequency (mels). Internal maps are (B, C, T, F), the
authors' order. Streams are in the order slow, fast.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.errors import ModelError
from models.layers.frames import random_crops
from models.output import Output
from models.registry import register
from models.slowfast.blocks import Lateral, Stem, stage
from models.slowfast.checkpoint import rename_slowfast_state

# Frames, and mels, per position of a stream's last map.
_TIME_STEP, _MEL_STEP = 4, 32
# Time kernels of the stem and the four stages.
_SLOW_KERNELS, _FAST_KERNELS = (1, 1, 1, 3, 3), (5, 3, 3, 3, 3)


@register(
    "model",
    variants={
        "slowfast_r50": {},
        "slowfast_laptop": {
            "num_frames": 128,
            "dropout": 0.0,
            "width": 16,
            "width_ratio": 4,
            "depths": (1, 1, 1, 1),
        },
    },
)
class SlowFast(nn.Module):
    """Classifies spectrograms by a slow stream of many channels and a fast stream of few.

    Variants:
        slowfast_r50: Two ResNet50s with separable kernels, the size of the paper: 26.68 M
            parameters.
        slowfast_laptop: SlowFast for a laptop, for 64 mels x 128 frames; not a published size.
    """

    # The authors do not normalize features; a batch norm follows the first convolution.
    normalizes_input = True
    head_arguments = ("heads",)

    def __init__(
        self,
        num_channels: int,
        input_size: tuple[int, int],
        num_classes: int,
        *,
        heads: tuple[int, ...] = (),
        num_frames: int = 512,
        views: int = 2,
        dropout: float = 0.5,
        width: int = 64,
        slow_ratio: int = 4,
        width_ratio: int = 8,
        lateral_ratio: int = 2,
        depths: tuple[int, ...] = (3, 4, 6, 3),
    ) -> None:
        """Initialize so that residual blocks start as their shortcuts.

        Args:
            num_channels: Number of channels of the spectrogram.
            input_size: (mels, frames). Clips may have any length; see `forward`.
            num_classes: Number of classes.
            heads: Number of classes of each head, for example (97, 300) verbs and nouns, summing to
                `num_classes`; empty for one head.
            num_frames: Number of frames that the model sees.
            views: Number of crops of a longer clip whose probabilities are averaged in evaluation.
            dropout: Dropout rate before the heads.
            width: Number of channels of the slow stem.
            slow_ratio: Stride of the slow stream's frames.
            width_ratio: Ratio of the slow stream's channels to the fast stream's.
            lateral_ratio: Ratio of lateral channels to the fast stream's channels.
            depths: Number of blocks in each stage.

        Raises:
            ModelError: The sizes do not define a network.
        """
        super().__init__()
        step = _TIME_STEP * slow_ratio
        wrong = [
            rule
            for valid, rule in (
                (not heads or sum(heads) == num_classes, f"heads={heads} add up to {num_classes}"),
                (all(head > 0 for head in heads), f"heads={heads} have a class each"),
                (views >= 1, f"views={views} is 1 or more"),
                (0 <= dropout < 1, f"dropout={dropout} is in [0, 1)"),
                (min(width, width_ratio, slow_ratio, lateral_ratio) > 0, "ratios are above 0"),
                (width_ratio > 0 and width % width_ratio == 0, "width_ratio divides width"),
                (len(depths) == 4 and min(depths) > 0, f"depths={depths} are four, 1 or more"),
                (
                    step > 0 and num_frames >= 2 * step and num_frames % step == 0,
                    f"num_frames={num_frames} is a multiple of {step}, {2 * step} or more",
                ),
            )
            if not valid
        ]
        if wrong:
            raise ModelError("SlowFast needs: " + "; ".join(wrong))
        self.num_channels = num_channels
        self.heads_split = heads or (num_classes,)
        self.num_frames = num_frames
        self.views = views
        self.dropout = dropout
        self.slow_ratio = slow_ratio
        fast = width // width_ratio
        # Maps of the slow stem and stages include the lateral channels.
        self.stems = nn.ModuleList(
            Stem(num_channels, dim, time_kernel=kernels[0])
            for dim, kernels in ((width, _SLOW_KERNELS), (fast, _FAST_KERNELS))
        )
        self.laterals = nn.ModuleList()
        self.stages = nn.ModuleList()
        dims = (width, fast)
        for i, depth in enumerate(depths):
            self.laterals.append(Lateral(dims[1], lateral_ratio * dims[1], stride=slow_ratio))
            entering = (dims[0] + lateral_ratio * dims[1], dims[1])
            inner = (width << i, fast << i)
            dims = (4 * inner[0], 4 * inner[1])
            self.stages.append(
                nn.ModuleList(
                    stage(
                        entering[stream],
                        dims[stream],
                        inner=inner[stream],
                        depth=depth,
                        time_kernel=(_SLOW_KERNELS, _FAST_KERNELS)[stream][i + 1],
                        stride=2 if i else 1,
                    )
                    for stream in (0, 1)
                )
            )
        self.heads = nn.ModuleList(nn.Linear(sum(dims), head) for head in self.heads_split)
        count = range(len(self.heads))
        self.head_parameters = tuple(f"heads.{i}.{k}" for i in count for k in ("weight", "bias"))
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(part, nn.Linear):
                nn.init.normal_(part.weight, std=0.01)
                nn.init.zeros_(part.bias)
        frames = torch.linspace(0, num_frames - 1, num_frames // slow_ratio).long()
        self.register_buffer("slow_frames", frames, persistent=False)

    slow_frames: Tensor

    def forward(self, features: Tensor) -> Output:
        """Classify a batch of spectrograms.

        Clips shorter than `num_frames` repeat their last frame. Longer clips are cropped: in
        training at a random position (from the global generator, as for dropout); in evaluation at
        `views` positions from start to end, averaging the probabilities, a softmax per head. The
        result is returned as logits, the logarithm plus the crops' mean log-normalizer, so that
        equal crops give the logits of one, and all clips have the same scale.

        Args:
            features: (B, num_channels, mels, frames).

        Returns:
            `Output` with clip_logits (B, num_classes), concatenated over heads.
        """
        missing = self.num_frames - features.shape[3]
        if missing > 0:
            # Not padding, whose gradient has no fixed order on CUDA.
            last = features[..., -1:].expand(-1, -1, -1, missing)
            features = torch.cat([features, last], dim=3)
        if missing >= 0:
            return self._classify(features)
        if self.training:
            return self._classify(random_crops(features, self.num_frames))
        starts = [int(i * -missing / max(self.views - 1, 1)) for i in range(self.views)]
        crops = [features[..., start : start + self.num_frames] for start in starts]
        output = self._classify(torch.cat(crops))
        assert output.embedding is not None
        embedding = output.embedding.unflatten(0, (self.views, -1)).mean(dim=0)
        return Output(self._mean(output.clip_logits), embedding=embedding)

    def rename_published(self, state: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
        """Convert a published state to this model's names; None for a state of another format."""
        return rename_slowfast_state(state, num_channels=self.num_channels)

    def _classify(self, features: Tensor) -> Output:
        fast = features.transpose(2, 3).contiguous()
        slow = fast.index_select(2, self.slow_frames)
        maps = [stem(x) for stem, x in zip(self.stems, (slow, fast), strict=True)]
        for lateral, streams in zip(self.laterals, self.stages, strict=True):
            maps[0] = torch.cat([maps[0], lateral(maps[1])], dim=1)
            assert isinstance(streams, nn.ModuleList)
            maps = [blocks(x) for blocks, x in zip(streams, maps, strict=True)]
        x = torch.cat([x.mean(dim=(2, 3)) for x in maps], dim=1)
        y = functional.dropout(x, self.dropout, self.training)
        return Output(torch.cat([head(y) for head in self.heads], dim=1), embedding=x)

    def _mean(self, logits: Tensor) -> Tensor:
        """(views * B, classes) -> (B, classes), logits whose softmax is the mean probability."""
        if self.views == 1:
            return logits
        by_view = logits.float().unflatten(0, (self.views, -1)).split(self.heads_split, dim=2)
        means = [
            part.log_softmax(dim=2).logsumexp(dim=0)
            + part.logsumexp(dim=2, keepdim=True).mean(dim=0)
            for part in by_view
        ]
        return torch.cat(means, dim=1) - math.log(self.views)
