"""Augmentations of normalized features, used in training only.

An augmentation is a module with `forward(features, *, clip_seeds, padding)`: features (batch,
channels, mels, frames), one seed per clip, and the normalized value of padding.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from models.errors import ModelError
from models.registry import register
from models.seeding import clip_uniform, derive_seed

_STREAM = derive_seed(0, "spec_augment")
_STRIPES = derive_seed(0, "stripes")
_NOISE = derive_seed(0, "uniform_noise")


class NoAugmentation(nn.Module):
    """Returns the features unchanged."""

    def forward(self, features: Tensor, *, clip_seeds: Tensor, padding: Tensor) -> Tensor:
        """Return the features unchanged."""
        return features


@register("augmentation")
def none() -> NoAugmentation:
    """No augmentation."""
    return NoAugmentation()


@register("augmentation")
class SpecAugment(nn.Module):
    """One frequency mask and one time mask per clip, as AST applies them.

    The width is U * mask and the start U * (size - width), with U uniform in [0, 1) and both
    truncated to integers. AST masks with 0, its padding value, before normalization; here masking
    follows normalization and writes the normalized padding value, which is equivalent.

    Source: Park et al., arXiv 1904.08779; YuanGongND/ast 31088be (`src/dataloader.py`);
    torchaudio 2.11 `functional.mask_along_axis`.
    """

    def __init__(self, *, freq_mask: int = 48, time_mask: int = 192) -> None:
        """Set the maximum mask widths.

        Args:
            freq_mask: Maximum width of the frequency mask in mel bins; 0 disables it.
            time_mask: Maximum width of the time mask in frames; 0 disables it.

        Raises:
            ModelError: A width is negative.
        """
        super().__init__()
        if freq_mask < 0 or time_mask < 0:
            raise ModelError(f"freq_mask={freq_mask}, time_mask={time_mask}: widths are >= 0")
        self.freq_mask = freq_mask
        self.time_mask = time_mask

    def forward(self, features: Tensor, *, clip_seeds: Tensor, padding: Tensor) -> Tensor:
        """Write `padding` at masked places; a clip's masks depend on its seed alone."""
        uniform = clip_uniform(clip_seeds, stream=_STREAM, count=4)
        mels, frames = features.shape[-2:]
        hidden = (
            _masked(uniform[:, 0], uniform[:, 1], self.freq_mask, mels)[:, None, :, None]
            | _masked(uniform[:, 2], uniform[:, 3], self.time_mask, frames)[:, None, None, :]
        )
        return torch.where(hidden, padding.to(features.dtype), features)


@register("augmentation")
class NoisySpecAugment(SpecAugment):
    """`SpecAugment`, then noise and a roll in time, as AST trains on Speech Commands.

    Every element gets U1 * U2 * noise, U1 uniform in [0, 1) per element and U2 per clip; then the
    frames are rolled around by a whole number, evenly from -roll to roll - 1.

    Source: YuanGongND/ast 31088be (`src/dataloader.py`), with noise 1/10 and roll 10.
    """

    def __init__(
        self,
        *,
        freq_mask: int = 48,
        time_mask: int = 48,
        noise: float = 0.1,
        roll: int = 10,
    ) -> None:
        """Set the masks, the noise and the roll.

        Args:
            freq_mask: Maximum width of the frequency mask in mel bins; 0 disables it.
            time_mask: Maximum width of the time mask in frames; 0 disables it.
            noise: Largest noise in units of the normalized features; 0 disables it.
            roll: Largest roll in frames; 0 disables it.

        Raises:
            ModelError: A value is negative.
        """
        super().__init__(freq_mask=freq_mask, time_mask=time_mask)
        if noise < 0 or roll < 0:
            raise ModelError(f"noise={noise}, roll={roll}: both are >= 0")
        self.noise = noise
        self.roll = roll

    def forward(self, features: Tensor, *, clip_seeds: Tensor, padding: Tensor) -> Tensor:
        """Mask, add noise and roll (batch, channels, mels, frames); see the class."""
        features = super().forward(features, clip_seeds=clip_seeds, padding=padding)
        size = math.prod(features.shape[1:])
        draws = clip_uniform(clip_seeds, stream=_NOISE, count=size + 2)
        strength = (self.noise * draws[:, 0])[:, None, None, None]
        features = features + strength * draws[:, 2:].view_as(features)
        frames = features.shape[-1]
        shift = (draws[:, 1] * 2 * self.roll).long() - self.roll
        places = (torch.arange(frames, device=features.device) - shift[:, None]) % frames
        return features.gather(3, places[:, None, None].expand(features.shape))


@register("augmentation")
class Stripes(nn.Module):
    """Several time and frequency masks per clip, as in PANNs and HTS-AT.

    Widths are uniform integers below the bound. Starts exclude the last position where the stripe
    fits, so the last frame and mel are never masked, as in the source. Stripes may overlap. Both
    papers' models mask with 0 after their first batch norm. Here the chain masks before that norm
    with the mean of the training features, which becomes only approximately 0: the mean is over all
    mels, masked places enter the norm's statistics, and the norm adds its offset to them.

    Source: torchlibrosa 0.1.0 `SpecAugmentation`, with the defaults of
    RetroCirce/HTS-Audio-Transformer 2e29471 and qiuqiangkong/audioset_tagging_cnn d2f4b8c.
    """

    def __init__(
        self,
        *,
        time_stripes: int = 2,
        time_width: int = 64,
        freq_stripes: int = 2,
        freq_width: int = 8,
    ) -> None:
        """Set the number and maximum width of the stripes.

        Args:
            time_stripes: Number of time stripes per clip; 0 disables them.
            time_width: Exclusive upper bound of a time stripe's width in frames.
            freq_stripes: Number of frequency stripes per clip; 0 disables them.
            freq_width: Exclusive upper bound of a frequency stripe's width in mel bins.

        Raises:
            ModelError: A number of stripes is negative, or a width is less than 1.
        """
        super().__init__()
        if min(time_stripes, freq_stripes) < 0 or min(time_width, freq_width) < 1:
            raise ModelError(
                f"time_stripes={time_stripes}, freq_stripes={freq_stripes}, time_width="
                f"{time_width}, freq_width={freq_width}: stripes are >= 0, widths >= 1"
            )
        self.time_stripes = time_stripes
        self.time_width = time_width
        self.freq_stripes = freq_stripes
        self.freq_width = freq_width

    def forward(self, features: Tensor, *, clip_seeds: Tensor, padding: Tensor) -> Tensor:
        """Write `padding` at masked places; a clip's stripes depend on its seed alone."""
        count = self.time_stripes + self.freq_stripes
        draws = clip_uniform(clip_seeds, stream=_STRIPES, count=2 * count).unflatten(1, (count, 2))
        time, freq = draws.split([self.time_stripes, self.freq_stripes], dim=1)
        mels, frames = features.shape[-2:]
        hidden = (
            _striped(freq, self.freq_width, mels)[:, None, :, None]
            | _striped(time, self.time_width, frames)[:, None, None, :]
        )
        return torch.where(hidden, padding.to(features.dtype), features)


def _striped(draws: Tensor, bound: int, size: int) -> Tensor:
    """Return a mask of the stripes drawn as (batch, stripes, 2): (batch, size) bool."""
    width = (draws[..., 0] * bound).long().clamp_max(size)
    start = (draws[..., 1] * (size - width)).long()
    position = torch.arange(size, device=draws.device)
    start, width = start[..., None], width[..., None]
    return ((position >= start) & (position < start + width)).any(dim=1)


def _masked(width_draw: Tensor, start_draw: Tensor, widest: int, size: int) -> Tensor:
    """Return a mask of hidden positions: (batch, size) bool."""
    width = width_draw * widest
    start = (start_draw * (size - width).clamp_min(0)).long()[:, None]
    position = torch.arange(size, device=width.device)
    return (position >= start) & (position < start + width.long()[:, None])
