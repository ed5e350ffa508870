"""What every model returns."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor


class Output(NamedTuple):
    """The logits of a batch; a tuple, so that compilers and data-parallel wrappers take it.

    The embedding is what the clip head reads: after pooling, before the last linear map. Where
    probabilities of time steps are pooled instead (TALNet, DeepRes, AudioSet's baseline, PSLA,
    CNN14 at the decision level), and before HTS-AT's token-semantic head, it is the mean over the
    places that the head reads. HTS-AT and SlowFast average it over the crops of a longer clip.

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
        clip_logits: (batch, classes), one score per clip and class, before softmax or sigmoid.
        frame_logits: (batch, rows, classes), or None for a model that has no frame head. In
            DeepRes, AudioSet's baseline, TALNet and PANNs' models of frames a row is one frame of
            the front end, and equal for the frames of a step (`step`, or a patch). In HTS-AT a row
            is a step of the image, `frames_per_step` frames after the clip is stretched to
            `num_frames`.
        embedding: (batch, dim); None for a model of your own that returns none.
    """

    clip_logits: Tensor
    frame_logits: Tensor | None = None
    embedding: Tensor | None = None

    @classmethod
    def of(cls, given: Any) -> Output:
        """Read what a model returned; one of your own may return anything with `clip_logits`."""
        if isinstance(given, cls):
            return given
        rest = (getattr(given, name, None) for name in cls._fields[1:])
        return cls(given.clip_logits, *rest)
