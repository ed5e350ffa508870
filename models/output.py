"""What every model returns."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Output(NamedTuple):
    """The logits of a batch; a tuple, so that compilers and data-parallel wrappers take it.

    Attributes:
        clip_logits: (batch, classes), one score per clip and class, before softmax or sigmoid.
        frame_logits: (batch, rows, classes), or None for a model that has no frame head. In
            DeepRes, AudioSet's baseline, TALNet and PANNs' models of frames a row is one frame of
            the front end, and equal for the frames of a step (`step`, or a patch). In HTS-AT a row
            is a step of the image, `frames_per_step` frames after the clip is stretched to
            `num_frames`.
    """

    clip_logits: Tensor
    frame_logits: Tensor | None = None


class EmbeddedOutput(NamedTuple):
    """An `Output` with the embedding that a model compares clips by.

    Attributes:
        clip_logits: as in `Output`.
        frame_logits: as in `Output`.
        embedding: (batch, dim), of length 1.
    """

    clip_logits: Tensor
    frame_logits: Tensor | None = None
    embedding: Tensor | None = None
