"""Augmentations of normalised features, used in training only.

An augmentation is a module `forward(features, *, clip_seeds, padding)`: features (batch, channels,
mels, frames), one seed per clip, and the value that a padding row has after normalisation.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.errors import ModelError
from models.registry import register
from models.seeding import clip_uniform, derive_seed

_STREAM = derive_seed(0, "spec_augment")


class NoAugmentation(nn.Module):
    """Returns the features as they are."""

    def forward(self, features: Tensor, *, clip_seeds: Tensor, padding: Tensor) -> Tensor:
        """Return the features as they are."""
        return features


@register("augmentation")
def none() -> NoAugmentation:
    """No augmentation."""
    return NoAugmentation()


@register("augmentation")
class SpecAugment(nn.Module):
    """One frequency mask and one time mask per clip, as AST applies them.

    The width is U * mask and the start U * (size - width), U uniform in [0, 1), both cut to whole
    bins. AST masks before normalisation with 0, which is also the value of its padding; here the
    mask comes after normalisation and takes the value that padding has there, which is the same.

    Source: Park et al., arXiv 1904.08779; YuanGongND/ast 31088be (`src/dataloader.py`);
    torchaudio 2.11 `functional.mask_along_axis`.
    """

    def __init__(self, *, freq_mask: int = 48, time_mask: int = 192) -> None:
        """Set the widest masks.

        Args:
            freq_mask: upper bound of the mask's width in mel bins; 0 masks nothing.
            time_mask: upper bound of the mask's width in frames; 0 masks nothing.

        Raises:
            ModelError: a width is negative.
        """
        super().__init__()
        if freq_mask < 0 or time_mask < 0:
            raise ModelError(f"freq_mask={freq_mask}, time_mask={time_mask}: widths are >= 0")
        self.freq_mask = freq_mask
        self.time_mask = time_mask

    def forward(self, features: Tensor, *, clip_seeds: Tensor, padding: Tensor) -> Tensor:
        """Mask a batch.

        Args:
            features: (batch, channels, mels, frames), normalised.
            clip_seeds: (batch,) int64; a clip's masks depend on its seed alone.
            padding: the value to write, a scalar tensor.

        Returns:
            (batch, channels, mels, frames).
        """
        uniform = clip_uniform(clip_seeds, stream=_STREAM, count=4)
        mels, frames = features.shape[-2:]
        hidden = (
            _masked(uniform[:, 0], uniform[:, 1], self.freq_mask, mels)[:, None, :, None]
            | _masked(uniform[:, 2], uniform[:, 3], self.time_mask, frames)[:, None, None, :]
        )
        return torch.where(hidden, padding.to(features.dtype), features)


def _masked(width_draw: Tensor, start_draw: Tensor, widest: int, size: int) -> Tensor:
    """Positions that are hidden: (batch, size) bool."""
    width = width_draw * widest
    start = (start_draw * (size - width).clamp_min(0)).long()[:, None]
    position = torch.arange(size, device=width.device)
    return (position >= start) & (position < start + width.long()[:, None])
