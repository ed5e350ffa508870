"""The output record of all models."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor


class Output(NamedTuple):
    """Logits of a batch, as a tuple so that compilers and data-parallel wrappers accept it.

    The embedding is the input of the clip head: after pooling, before the last linear layer. For
    models that pool the probabilities of time steps (TALNet, DeepRes, AudioSet's baseline, PSLA,
    CNN14 at the decision level) and for HTS-AT's token-semantic head, it is the mean over the
    positions that the head reads. HTS-AT and SlowFast average it over the crops of a longer clip.

    | family | dim of the embedding |
    |---|---|
    | DATAR | `dims[-1]`: 768 (tiny, small), 1024 (base) |
    | DATAR++ | `dims[-1]`: 512, 768 and 1024 (tiny, small, base) |
    | HTS-AT | `embed_dim` doubled from stage to stage: 768 |
    | AST | `dim`: 192, 384 and 768 (tiny, small, base), after the head's norm |
    | PANNs | `dims[-1]`: 2048 (CNN14, ResNet38), 512 (CNN6, CNN10), after `fc1` of the paper |
    | PSLA | features of EfficientNet: 1280 (B0), 1408 (B2) |
    | VGGSound | 512 (ResNet18, 34), 2048 (ResNet50); times `num_clusters`, length 1 with NetVLAD |
    | SlowFast | of the slow stream and the fast one: 2048 + 256 |
    | TALNet | `2 * hidden_dim`: 1024 |
    | ERANN | 128 times `widen`: 768 (1-6), 640 (2-5) |
    | DeepRes | 2048 |
    | AudioSet's baseline | `hidden_dim`: 1024 |
    | KWT | `dim`: 64, 128 and 192 (1, 2, 3), the class token |
    | Res-15 | `dim`: 45; of length 1 in `res15_triplet`, which compares clips by it |

    Attributes:
        clip_logits: (batch, classes), before softmax or sigmoid.
        frame_logits: (batch, rows, classes), or None for a model without a frame head. In DeepRes,
            AudioSet's baseline, TALNet, and PANNs' decision-level models a row is one frame of the
            front end, constant within a time step (`step` or a patch). In HTS-AT a row is a step of
            the image: `frames_per_step` frames of the clip stretched to `num_frames`.
        embedding: (batch, dim), or None if a user's model returns none.
    """

    clip_logits: Tensor
    frame_logits: Tensor | None = None
    embedding: Tensor | None = None

    @classmethod
    def of(cls, given: Any) -> Output:
        """Convert a model's output; a user's model may return any object with `clip_logits`."""
        if isinstance(given, cls):
            return given
        rest = (getattr(given, name, None) for name in cls._fields[1:])
        return cls(given.clip_logits, *rest)
