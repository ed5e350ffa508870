"""What every model returns."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Output(NamedTuple):
    """The logits of a batch; a tuple, so that compilers and data-parallel wrappers take it.

    Attributes:
        clip_logits: (batch, classes), one score per clip and class, before softmax or sigmoid.
        frame_logits: (batch, frames, classes), or None for a model that has no frame head.
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
