"""The networks of PANNs: convolution blocks on a spectrogram, pooled over time.

B batch, C channels, T time (frames), F frequency (mels). Inside, maps are (B, C, T, F), the
authors' order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.errors import ModelError
from models.output import Output
from models.panns.checkpoint import UNUSED, rename_panns_state

Pooling = Literal["embedding", "max", "avg", "att"]


class Panns(nn.Module):
    """Classifies spectrograms from a map that a sequence of stages makes of them.

    With `pooling="embedding"` time is pooled before the two linear layers (maximum plus mean).
    The others classify every time step and combine the probabilities of the steps: their maximum,
    their mean, or their mean with weights that each class learns. These models return logits of
    frames too.
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
        """Draw Xavier-uniform weights, zero biases.

        Args:
            num_channels: channels of the spectrogram.
            input_size: (mels, frames). The mels are fixed by the norm over them, the frames are
                not: any number of `step` or more will do.
            num_classes: size of the logits.
            stages: modules from (B, num_channels, T, F) to (B, dim, T / step, F / step), a
                dropout after each. A stage may be a sequence of blocks.
            dim: channels of the last stage, and width of the linear layer.
            step: frames, and mels, that one place of the last map stands for.
            dropout: rate after every stage.
            head_dropout: rate before the linear layer; before the classifier too in models of
                frames.
            pooling: how clips are made of time steps.

        Raises:
            ModelError: the input is smaller than `step`, or a rate is no probability.
        """
        super().__init__()
        mels, frames = input_size
        if mels < step or 0 < frames < step:  # no frames: as many as a clip gives
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
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    @property
    def head_parameters(self) -> tuple[str, ...]:
        """What depends on the number of classes."""
        heads = ("head",) if self.attention is None else ("head", "attention")
        return tuple(f"{head}.{kind}" for head in heads for kind in ("weight", "bias"))

    def forward(self, features: Tensor) -> Output:
        """Classify a batch of spectrograms.

        Args:
            features: (B, num_channels, mels, frames), natural logarithm or decibel as trained;
                the norm over mels learns their scale.

        Returns:
            `Output` with clip_logits (B, num_classes). Models of frames add frame_logits
            (B, frames, num_classes), constant over `step` frames, the last step lasting to the
            end.

        Raises:
            ModelError: the number of mels is another, or there are too few frames, for training
                one place of the last map.
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
        # gradients on a CPU, depending on strides.
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
        """Give a state of the authors' files this model's names."""
        return rename_panns_state(state, num_channels=self.num_channels)

    def _embed(self, x: Tensor) -> Tensor:
        x = functional.dropout(x, self.head_dropout, training=self.training)
        return functional.relu(self.embed(x))


def mean_probability_logits(logits: Tensor, scores: Tensor | None) -> Tensor:
    """Logits of the mean over time of sigmoid(logits), without leaving the logarithm.

    Args:
        logits: (B, steps, classes).
        scores: (B, steps, classes), by whose softmax over time the mean is weighted; None for
            equal weights.

    Returns:
        (B, classes).
    """
    weights = 0.0 if scores is None else functional.log_softmax(scores, dim=1)
    yes, no = (functional.logsigmoid(sign * logits) + weights for sign in (1, -1))
    return torch.logsumexp(yes, dim=1) - torch.logsumexp(no, dim=1)


def _largest_probability(logits: Tensor) -> Tensor:
    """The first step whose rounded probability is the largest: (B, 1, classes) int64.

    Nearly equal logits round to one probability, and the authors' gradient goes to the first of
    them. Beyond 16, where float32 ends at 1, logits are compared as they are.
    """
    order = torch.where(logits.abs() > 16, logits, logits.sigmoid())
    return order.max(dim=1, keepdim=True).indices


def _smooth(x: Tensor) -> Tensor:
    """Maximum plus mean of three neighbors in time, zeros counted: (B, C, steps), 0 or more."""
    steps = x.shape[2]
    # Not by max pooling, whose gradient has no fixed order on CUDA. Equal neighbors do occur, and
    # the first of them gets the whole gradient, as pooling does it; no value is less than the
    # zeros at the edges.
    before, after = functional.pad(x, (1, 1))[..., :steps], functional.pad(x, (0, 1))[..., 1:]
    largest = torch.where(before >= x, before, x)
    largest = torch.where(largest >= after, largest, after)
    return largest + functional.avg_pool1d(x, 3, stride=1, padding=1)
