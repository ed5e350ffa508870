"""PANNs: pretrained audio neural networks, arXiv 1912.10211 (TASLP 2020).

The authors' code is qiuqiangkong/audioset_tagging_cnn d2f4b8c (MIT); weights are Zenodo record
3987831, under the license stated there. Numerically equal to the authors' models (tested with
parity vectors). Differences:

- the input is the spectrogram (batch, 1, mels, frames); front end and masking are links of the
  chain (`models.frontends.log_mel.LogMel`, `models.augment.Stripes`). The published parameter
  counts include the front end's filters (1.08 M at 32 kHz);
- no mixup, which mixes clips and targets within a batch; here augmentation of a clip does not
  depend on its batch;
- any number of mels; the authors' first norm is fixed to 64;
- logits instead of probabilities.

CNN14 at the decision level scores every frame: steps are 32 frames long (320 ms), and their scores
are repeated for each frame. `clip_logits` are the logits of the combined probability of the steps,
so that the sigmoid of both outputs equals the authors' outputs. The attention model's unused norm
is not built.

Published weights expect log-mel features in decibels, 10 log10(max(power, 1e-10)), of audio at 32
kHz: periodic Hann window, reflection padding, `n_fft` and `win_length` 1024, `hop_length` 320, 64
Slaney mels (area 1) from 50 to 14000 Hz, thus 1001 frames for ten seconds. The norm over mels
replaces the chain's normalization.

B batch, C channels, T time (frames), F frequency (mels). Internal maps are (B, C, T, F), the
authors' order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.errors import ModelError
from models.layers.steps import mean_probability_logits
from models.output import Output
from models.panns.blocks import conv_stages, residual_stage
from models.panns.checkpoint import UNUSED, rename_panns_state
from models.registry import register

Pooling = Literal["embedding", "max", "avg", "att"]


class Panns(nn.Module):
    """Classifies spectrograms from the map of a sequence of stages.

    `pooling="embedding"` pools time before the two linear layers (maximum plus mean). The others
    classify every time step and combine the probabilities by maximum, mean, or a mean with weights
    learned per class; these decision-level models return frame logits too.
    """

    normalizes_input = True
    unused_published = UNUSED

    def __init__(
        self,
        num_channels: int,
        input_size: tuple[int, int],
        num_classes: int,
        *,
        stages: Sequence[nn.Module],
        dim: int,
        step: int,
        dropout: float,
        head_dropout: float,
        pooling: Pooling,
    ) -> None:
        """Initialize Xavier-uniform weights and zero biases.

        Args:
            num_channels: Number of channels of the spectrogram.
            input_size: (mels, frames). The norm fixes the mels; any number of frames from `step` up
                is accepted.
            num_classes: Number of classes.
            stages: Modules from (B, num_channels, T, F) to (B, dim, T / step, F / step), each
                followed by dropout.
            dim: Width of the last stage and of the linear layer.
            step: Number of frames, and of mels, per position of the last map.
            dropout: Dropout rate after every stage.
            head_dropout: Dropout rate before the linear layer; in decision-level models before the
                classifier too.
            pooling: How time steps are pooled into clips.

        Raises:
            ModelError: The input is smaller than `step`, or a rate is not a probability.
        """
        super().__init__()
        mels, frames = input_size
        if mels < step or 0 < frames < step:  # 0 frames: any number
            raise ModelError(
                f"(mels, frames) = {tuple(input_size)} leaves nothing: each is {step} or more; "
                "change the front end's rows and frames"
            )
        for name, rate in (("dropout", dropout), ("head_dropout", head_dropout)):
            if not 0 <= rate < 1:
                raise ModelError(f"{name}={rate}: a probability in [0, 1)")
        self.num_channels = num_channels
        self.n_mels = input_size[0]
        self.step = step
        self.dropout = dropout
        self.head_dropout = head_dropout
        self.pooling = pooling
        self.mel_norm = nn.BatchNorm1d(self.n_mels)
        self.stages = nn.ModuleList(stages)
        self.embed = nn.Linear(dim, dim)
        self.head = nn.Linear(dim, num_classes)
        self.attention = nn.Linear(dim, num_classes) if pooling == "att" else None
        heads = ("head",) if self.attention is None else ("head", "attention")
        self.head_parameters = tuple(f"{h}.{kind}" for h in heads for kind in ("weight", "bias"))
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, features: Tensor) -> Output:
        """Classify a batch of spectrograms.

        Args:
            features: (B, num_channels, mels, frames), in natural logarithm or decibels as in
                training; the norm over mels learns the scale.

        Returns:
            `Output` with clip_logits (B, num_classes). Decision-level models add frame_logits (B,
            frames, num_classes), constant over `step` frames; the last step extends to the end.

        Raises:
            ModelError: The number of mels is wrong, or there are too few frames, or in training
                only one position in the last map.
        """
        mels, frames = features.shape[2:]
        if mels != self.n_mels or frames < self.step:
            raise ModelError(
                f"the model takes {self.n_mels} mels and {self.step} frames or more, not "
                f"({mels}, {frames}); pad shorter clips, or set the front end's number of frames"
            )
        if self.training and len(features) * (mels // self.step) * (frames // self.step) < 2:
            raise ModelError(
                f"one clip of {frames} frames leaves one place, from which no batch norm learns: "
                f"train with more clips in a batch, or pad to {2 * self.step} frames"
            )
        # In three dimensions: for maps of width 1 the two-dimensional norm of torch 2.11 has wrong
        # gradients on the CPU, depending on strides.
        x = self.mel_norm(features.transpose(1, 2).flatten(2))
        x = x.unflatten(2, (features.shape[1], frames)).permute(0, 2, 3, 1)
        for stage in self.stages:
            x = functional.dropout(stage(x), self.dropout, training=self.training)
        x = x.mean(dim=3)  # (B, dim, steps)
        if self.pooling == "embedding":
            x = self._embed(x.max(dim=2).values + x.mean(dim=2))
            return Output(self.head(x), embedding=x)
        x = self._embed(_smooth(x).transpose(1, 2))
        embedding = x.mean(dim=1)
        x = functional.dropout(x, self.head_dropout, training=self.training)
        precision = torch.promote_types(x.dtype, torch.float32)
        logits = self.head(x).to(precision)
        if self.pooling == "max":
            clip = logits.gather(1, _largest_probability(logits))[:, 0]
        else:
            scores = None
            if self.attention is not None:
                scores = self.attention(x).to(precision).clamp(-10, 10)
            clip = mean_probability_logits(logits, scores)
        last = logits[:, -1:].expand(-1, frames - self.step * logits.shape[1], -1)
        repeated = logits.repeat_interleave(self.step, dim=1)
        return Output(clip, torch.cat([repeated, last], dim=1), embedding)

    def rename_published(self, state: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
        """Convert a published state to this model's names."""
        return rename_panns_state(state, num_channels=self.num_channels)

    def _embed(self, x: Tensor) -> Tensor:
        x = functional.dropout(x, self.head_dropout, training=self.training)
        return functional.relu(self.embed(x))


@register(
    "model",
    variants={
        "cnn6": {"kernel_size": 5, "num_convs": 1},
        "cnn6_laptop": {"dims": (16, 32, 64, 128), "kernel_size": 5, "num_convs": 1},
        "cnn10": {},
        "cnn14": {"dims": (64, 128, 256, 512, 1024, 2048), "num_pools": 5},
        "cnn14_decision_level_max": {
            "dims": (64, 128, 256, 512, 1024, 2048),
            "num_pools": 5,
            "pooling": "max",
        },
        "cnn14_decision_level_avg": {
            "dims": (64, 128, 256, 512, 1024, 2048),
            "num_pools": 5,
            "pooling": "avg",
        },
        "cnn14_decision_level_att": {
            "dims": (64, 128, 256, 512, 1024, 2048),
            "num_pools": 5,
            "pooling": "att",
        },
        "cnn14_decision_level_att_laptop": {"dims": (8, 16, 32, 64), "pooling": "att"},
    },
    fixed=("kernel_size", "num_convs", "num_pools", "pooling"),
)
class PannsCnn(Panns):
    """Stages of convolutions, the first of which halve the map.

    Variants:
        cnn6: CNN6: four 5x5 convolutions, 4.84 M parameters with 527 classes.
        cnn6_laptop: CNN6 for a laptop: 0.29 M parameters at 64 mels x 128 frames; not a published
            size. 81.9 M MACs per clip, with ten classes and the front end of `models.create_model`.
        cnn10: CNN10: four pairs of 3x3 convolutions, 5.22 M parameters with 527 classes.
        cnn14: CNN14: six pairs of 3x3 convolutions, 80.75 M parameters with 527 classes.
        cnn14_decision_level_max: CNN14 with frame scores; a clip's probability is the maximum over
            time steps.
        cnn14_decision_level_avg: CNN14 with frame scores; a clip's probability is the mean over
            time steps.
        cnn14_decision_level_att: CNN14 with frame scores, weighted by attention over time: 81.83 M
            parameters.
        cnn14_decision_level_att_laptop: The same with four pairs of narrow convolutions, for a
            laptop; not a published size. Steps are 16 frames, 320 ms with frames of 20 ms as in the
            published size.
    """

    def __init__(
        self,
        num_channels: int,
        input_size: tuple[int, int],
        num_classes: int,
        *,
        dropout: float = 0.2,
        head_dropout: float = 0.5,
        dims: tuple[int, ...] = (64, 128, 256, 512),
        kernel_size: int = 3,
        num_convs: int = 2,
        num_pools: int = 4,
        pooling: Literal["embedding", "max", "avg", "att"] = "embedding",
    ) -> None:
        """Initialize as `Panns` does.

        Args:
            num_channels: Number of channels of the spectrogram.
            input_size: (mels, frames), with enough frames for one position after pooling.
            num_classes: Number of classes.
            dropout: Dropout rate after every stage.
            head_dropout: Dropout rate before the linear layer; in decision-level models before the
                classifier too.
            dims: Widths of the stages.
            kernel_size: Kernel size of the convolutions.
            num_convs: Number of convolutions per stage.
            num_pools: Number of stages that halve the map.
            pooling: How time steps are pooled into clips; see `Panns`.

        Raises:
            ModelError: The sizes do not define a network, or a rate is not a probability.
        """
        super().__init__(
            num_channels,
            input_size,
            num_classes,
            stages=conv_stages(
                num_channels,
                dims,
                kernel_size=kernel_size,
                num_convs=num_convs,
                num_pools=num_pools,
            ),
            dim=dims[-1],
            step=2**num_pools,
            dropout=dropout,
            head_dropout=head_dropout,
            pooling=pooling,
        )


@register("model")
def resnet38(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    dropout: float = 0.2,
    head_dropout: float = 0.5,
    block_dropout: float = 0.1,
    dims: tuple[int, ...] = (64, 128, 256, 512, 2048),
    depths: tuple[int, ...] = (3, 4, 6, 3),
) -> Panns:
    """ResNet38 of PANNs: 73.78 M parameters with 527 classes.

    Shapes and errors are those of `Panns`.

    Args:
        num_channels: Number of channels of the spectrogram.
        input_size: (mels, frames).
        num_classes: Number of classes.
        dropout: Dropout rate after every stage.
        head_dropout: Dropout rate before the linear layer.
        block_dropout: Dropout rate inside the residual blocks.
        dims: Widths of the four stages of residual blocks and of the last pair of convolutions; the
            first pair is as wide as the first stage.
        depths: Number of residual blocks in each stage.
    """
    if len(dims) != 5 or len(depths) != 4:
        raise ModelError(f"dims={dims} and depths={depths}: give 5 dims and 4 depths")
    before = conv_stages(num_channels, dims[:1], kernel_size=3, num_convs=2, num_pools=1)
    rows = [
        residual_stage(dims[max(i - 1, 0)], dims[i], depth=depth, dropout=block_dropout)
        for i, depth in enumerate(depths)
    ]
    after = conv_stages(dims[3], dims[4:], kernel_size=3, num_convs=2, num_pools=0)
    return Panns(
        num_channels,
        input_size,
        num_classes,
        stages=[*before, nn.Sequential(*rows, nn.AvgPool2d(2)), *after],
        dim=dims[4],
        step=32,
        dropout=dropout,
        head_dropout=head_dropout,
        pooling="embedding",
    )


def _largest_probability(logits: Tensor) -> Tensor:
    """Return the first step with the largest rounded probability: (B, 1, classes) int64.

    Nearly equal logits round to one probability, and the authors' gradient goes to the first of
    them. Beyond 16, where float32 probabilities saturate at 1, logits are compared directly.
    """
    order = torch.where(logits.abs() > 16, logits, logits.sigmoid())
    return order.max(dim=1, keepdim=True).indices


def _smooth(x: Tensor) -> Tensor:
    """Return maximum plus mean of three neighbors in time, zero-padded: (B, C, steps) >= 0."""
    steps = x.shape[2]
    # Not max pooling, whose gradient has no fixed order on CUDA. Equal neighbors do occur, and
    # the first of them gets the whole gradient, as in pooling; no value is less than the
    # zeros at the edges.
    before, after = functional.pad(x, (1, 1))[..., :steps], functional.pad(x, (0, 1))[..., 1:]
    largest = torch.where(before >= x, before, x)
    largest = torch.where(largest >= after, largest, after)
    return largest + functional.avg_pool1d(x, 3, stride=1, padding=1)
