"""HTS-AT: a hierarchical token-semantic audio transformer, arXiv 2202.00874.

The authors' code is RetroCirce/HTS-Audio-Transformer 2e29471 (`model/htsat.py`, MIT), weights under
the same license. Numerically equal to it (tested with parity vectors). Differences:

- front end (`models.frontends.log_mel.LogMel`) and masking (`models.augment.Stripes`) are separate
  components; the authors mask after the batch norm, inside the model;
- no mixup. For AudioSet the authors add to every clip the one at the mirrored position in the
  batch, without changing the label. Here augmentation depends only on the clip's seed, so that
  results do not depend on batches and workers, which mixing within a batch would break;
- logits instead of probabilities, and frame outputs once per step instead of 32 times;
- no unused layers: the authors keep a linear head of classes x classes beside the token-semantic
  one. With it and the frozen front end (1.08 M) their counts are 31.33 M (30.24 M trained) for 527
  classes, and 29.02 M without token semantics. The paper prints 31 M (rounded) and 28.8 M, which no
  count of their class gives (27.94 M without the front end);
- no switches for repeating short clips: repeat the waveform instead.

Clips up to 10.24 s (1024 frames) are stretched to 1024 frames (bicubic, not padded as in the
paper). Longer ones, up to 2050 frames, are evaluated in crops; see `HtsAt`. The paper's forms are H
(`token_semantic=False`), HC (the default), and HCP (HC initialized from
`swin_tiny_c24_patch4_window8_256.pth` by `models.load_pretrained`).

The trunk is timm's `SwinTransformer`, bitwise equal to the authors'.

Legend: B batch, C channels, M mels, T frames, S side of the image, R = S / M chunks, D token
dimension, K classes, L = S R / (patch 2^(stages - 1)) steps of the frame output.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count

import torch
from timm.models.swin_transformer import SwinTransformer
from torch import Tensor, nn
from torch.nn import functional

from models.errors import ModelError
from models.htsat.checkpoint import UNUSED, rename_htsat_state
from models.layers.frames import random_crops, stretch_frames
from models.output import Output
from models.registry import register

_PATCH = 4


@register(
    "model",
    variants={
        "htsat_tiny": {},
        "htsat_laptop": {
            "image_size": 128,
            "embed_dim": 16,
            "depths": (2, 2, 2, 2),
            "num_heads": (1, 2, 4, 8),
            "window_size": 4,
        },
    },
)
class HtsAt(nn.Module):
    """Batch norm per mel row, fold into a square image, Swin transformer, token-semantic head.

    Variants:
        htsat_tiny: HTS-AT on Swin-T/C24, the size of the paper: 30.0 M parameters with 527 classes.
        htsat_laptop: HTS-AT for a laptop: 64 mels x 256 frames in two chunks; not a published size.
            Windows shift and tokens merge as in the published size, so the same ablations apply.
            Five seconds fill the image with the front end of `models.create_model`.
    """

    normalizes_input = True
    unused_published = UNUSED
    head_arguments = ("token_semantic",)

    def __init__(
        self,
        num_channels: int,
        input_size: tuple[int, int],
        num_classes: int,
        *,
        token_semantic: bool = True,
        drop_path_rate: float = 0.1,
        image_size: int = 256,
        embed_dim: int = 96,
        depths: tuple[int, ...] = (2, 2, 6, 2),
        num_heads: tuple[int, ...] = (4, 8, 16, 32),
        window_size: int = 8,
    ) -> None:
        """Build trunk and head.

        Args:
            num_channels: Number of channels of the input.
            input_size: (mels, frames) of the input, with up to 2 * `num_frames` + 2 frames; 0
                accepts those of any clip.
            num_classes: Number of classes.
            token_semantic: Whether to classify by a convolution over tokens of neighboring times
                (HC, HCP in the paper) instead of a linear layer on the mean token (H).
            drop_path_rate: Drop path rate of the last block, rising linearly from 0 at the first.
            image_size: Side of the square image, in which image_size / mels chunks of image_size
                frames are stacked.
            embed_dim: Width of the first stage, doubled from stage to stage.
            depths: Number of blocks in each stage; plain and shifted windows alternate.
            num_heads: Number of attention heads in each stage.
            window_size: Window size in tokens.

        Raises:
            ModelError: The sizes do not fit together.
        """
        super().__init__()
        mels = input_size[0]
        shrink = _PATCH << max(len(depths) - 1, 0)
        structure = (embed_dim, depths, num_heads, window_size, drop_path_rate)
        _check(input_size, image_size, shrink, *structure)
        self.num_channels = num_channels
        self.num_mels = mels
        self.image_size = image_size
        self.num_chunks = image_size // mels
        self.num_frames = image_size * self.num_chunks
        self.max_frames_in_place = self.num_frames
        self.frames_per_step = shrink
        self.token_semantic = token_semantic
        self.bn0 = nn.BatchNorm2d(mels)
        self.swin = SwinTransformer(
            img_size=image_size,
            patch_size=_PATCH,
            in_chans=num_channels,
            num_classes=0,
            embed_dim=embed_dim,
            depths=depths,
            num_heads=num_heads,
            window_size=window_size,
            drop_path_rate=drop_path_rate,
        )
        name = "token_head" if token_semantic else "head"
        self.head_parameters = (f"{name}.weight", f"{name}.bias")
        dim = self.swin.num_features
        if token_semantic:
            self.token_head = nn.Conv2d(dim, num_classes, (mels // shrink, 3), padding=(0, 1))
        else:
            self.head = nn.Linear(dim, num_classes)
            nn.init.trunc_normal_(self.head.weight, std=0.02)
            nn.init.zeros_(self.head.bias)

    def forward_features(self, features: Tensor) -> Tensor:
        """Compute the normalized tokens of the last stage, ordered by frequency and time.

        Args:
            features: (batch, channels, mels, frames), with at most `num_frames` frames; fewer are
                resized (bicubic, corners aligned).

        Returns:
            (batch, dim, mels / 32, steps), low frequencies first; step i starts at frame
            `frames_per_step` * i.

        Raises:
            ModelError: Another number of mels, or fewer than 2 frames.
        """
        return self._tokens(self._normalize(features))

    def forward(self, features: Tensor) -> Output:
        """Classify a batch of spectrograms.

        Clips of more than `num_frames` frames are cropped: in training once at a random position
        (from the global generator, as for drop path); in evaluation two or three times to half the
        clip, at quarters of it. As the authors do, evaluation averages the crops' probabilities,
        and returns their log-odds. Frame logits are then averages over crops at different times.

        Args:
            features: (batch, channels, mels, frames) in decibels.

        Returns:
            `Output` with clip_logits (batch, classes) and frame_logits (batch, steps, classes). The
            authors return sigmoids of both (for their loss "clip_ce" the clip logits, averaged as
            they are), and every step `frames_per_step` times.

        Raises:
            ModelError: Another number of mels, fewer than 2 frames, or more than evaluation can
                crop.
        """
        x = self._normalize(features)
        frames = x.shape[3]
        if frames <= self.num_frames:
            return self._classify(x)
        if self.training:
            return self._classify(random_crops(x, self.num_frames))
        size = (frames - 1) // 2
        if size > self.num_frames:
            raise ModelError(
                f"clips of {frames} frames, but the model evaluates at most "
                f"{2 * self.num_frames + 2}; cut them, or raise the front end's hop_length"
            )
        starts = range(0, frames - size - 1, (frames - 1) // 4)
        outputs = [self._classify(x[..., start : start + size]) for start in starts]
        clip, frame, embedding = zip(*outputs, strict=True)
        mean = torch.stack(embedding).mean(dim=0)
        return Output(_mean_log_odds(clip), _mean_log_odds(frame), mean)

    def rename_published(self, state: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
        """Give a published HTS-AT or Swin state this model's names, or None if it is neither."""
        return rename_htsat_state(
            state, num_channels=self.num_channels, token_semantic=self.token_semantic
        )

    def _normalize(self, features: Tensor) -> Tensor:
        mels, frames = features.shape[2:]
        if mels != self.num_mels:
            raise ModelError(
                f"features of {mels} mels, but the model was built for {self.num_mels}"
            )
        if frames < 2:  # one frame of one clip has no variance for batch norm
            raise ModelError(f"clips of {frames} frames, but the model takes 2 or more; pad them")
        return self.bn0(features.transpose(1, 2)).transpose(1, 2)

    def _tokens(self, x: Tensor) -> Tensor:
        x = self.swin.forward_features(self._fold(x))
        # Rows are ordered by chunk: (R rows) S D -> D rows (R S).
        batch, rows, columns, dim = x.shape
        x = x.view(batch, self.num_chunks, rows // self.num_chunks, columns, dim)
        return x.permute(0, 4, 2, 1, 3).flatten(3)

    def _fold(self, x: Tensor) -> Tensor:
        """(B, C, M, T) -> (B, C, S, S): vertically stacked chunks of S frames, low mels on top."""
        if x.shape[3] < self.num_frames:
            x = stretch_frames(x, self.num_frames)
        chunks = x.unflatten(3, (self.num_chunks, self.image_size))  # B C M R S
        return chunks.transpose(2, 3).flatten(2, 3)

    def _classify(self, x: Tensor) -> Output:
        tokens = self._tokens(x)
        embedding = tokens.mean(dim=(2, 3))
        if self.token_semantic:
            steps = self.token_head(tokens).flatten(2).transpose(1, 2)  # B L K
            return Output(steps.mean(dim=1), steps, embedding)
        # Summed over frequency as by the authors; the linear layer precedes the repetition.
        steps = self.head(tokens.sum(dim=2).transpose(1, 2))
        return Output(self.head(embedding), steps, embedding)


def _mean_log_odds(logits: tuple[Tensor, ...]) -> Tensor:
    """Return the log-odds of the mean probability."""
    stacked = torch.stack(logits).float()
    positive, negative = functional.logsigmoid(stacked), functional.logsigmoid(-stacked)
    return positive.logsumexp(dim=0) - negative.logsumexp(dim=0)


def _most_frames(mels: int, image_size: int) -> int:
    """Return the maximum number of frames for which half a clip fits into the image."""
    return 2 * image_size * (image_size // mels) + 2


def _check(
    input_size: tuple[int, int],
    image_size: int,
    shrink: int,
    embed_dim: int,
    depths: tuple[int, ...],
    num_heads: tuple[int, ...],
    window_size: int,
    drop_path_rate: float,
) -> None:
    (mels, frames), wrong = input_size, []
    if mels < shrink or mels % shrink:
        nearest = max(1, round(mels / shrink)) * shrink
        wrong.append(
            f"{mels} rows of the front end become a multiple of {shrink}, nearest {nearest}"
        )
    elif image_size < mels or image_size % mels:
        nearest = max(1, round(image_size / mels)) * mels
        wrong.append(f"image_size={image_size} is a multiple of the {mels} mels, nearest {nearest}")
    elif frames > (most := _most_frames(mels, image_size)):
        side = next(n for n in count(image_size, mels) if _most_frames(mels, n) >= frames)
        wrong.append(
            f"{frames} frames of the front end become {most} or less with image_size={image_size}, "
            f"or image_size={side} or more"
        )
    if len(depths) != len(num_heads) or min(depths, default=0) < 1:
        wrong.append(f"depths={depths}, num_heads={num_heads}: as many of both, 1 block or more")
    elif embed_dim < 1 or any(h < 1 or (embed_dim << i) % h for i, h in enumerate(num_heads)):
        dims = tuple(embed_dim << i for i in range(len(num_heads)))
        wrong.append(f"num_heads={num_heads} divide the dims {dims}")
    if window_size < 2:
        wrong.append(f"window_size={window_size} is 2 or more")
    if not 0 <= drop_path_rate < 1:
        wrong.append(f"drop_path_rate={drop_path_rate} is in [0, 1)")
    if wrong:
        raise ModelError("HTS-AT needs: " + "; ".join(wrong))
