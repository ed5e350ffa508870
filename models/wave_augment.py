"""Augmentations of waveforms, used in training only, before the front end.

A waveform augmentation is a module with `forward(waveform, *, clip_seeds, num_samples)`: waveforms
(batch, time) in [-1, 1], one seed per clip, and each clip's own length in samples, behind which the
waveform is padded with zeros. It is built from the sample rate. One that moves what sounds in time
says so in an attribute `moves_time = True`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from models.errors import ModelError
from models.registry import register
from models.seeding import clip_normal, clip_uniform, derive_seed

_STREAM = derive_seed(0, "wave_augment")
_NOISE = derive_seed(0, "wave_augment/noise")


@register("waveform_augmentation")
def none(sample_rate: int) -> None:
    """No augmentation of waveforms, so that features which are kept beside the pack are read."""


@register("waveform_augmentation")
class WaveAugment(nn.Module):
    """Stretches, scales and shifts clips, and adds background recordings and white noise.

    In this order; what comes out is limited to [-1, 1]. Every step has its own draws, so that arms
    which differ in one of them share those of the others.

    Signal-to-noise ratios count the power of the clip over its own length; noise fills the padding
    behind a short clip too, as in the keyword models' code.

    Source: stretch, shift and background of ARM-software/keyword-transformer 237e409
    (`kws_streaming/data/input_data.py`) and castorini/honk c3aae75 (`utils/model.py`), where shifts
    are zero-filled, every recording is equally likely, and so is every position in it.
    """

    bank: Tensor
    starts: Tensor
    sizes: Tensor

    def __init__(
        self,
        sample_rate: int,
        *,
        stretch: float = 0.0,
        gain_db: tuple[float, float] = (0.0, 0.0),
        shift_s: float = 0.0,
        shift_fill: Literal["zeros", "roll"] = "zeros",
        background: Any = None,
        background_probability: float = 1.0,
        background_volume: tuple[float, float] | None = None,
        background_snr_db: tuple[float, float] | None = None,
        noise_snr_db: tuple[float, float] | None = None,
    ) -> None:
        """Set what is done to a clip; all draws are uniform.

        Args:
            sample_rate: Rate of the waveforms in Hz.
            stretch: Largest share by which a clip becomes longer and lower, or shorter and higher,
                by linear interpolation about the middle of the waveform; 0 disables it.
            gain_db: Lowest and highest gain in dB.
            shift_s: Largest shift in seconds, earlier or later; 0 disables it.
            shift_fill: What fills the gap: zeros, or what left the waveform at its other end.
            background: Recordings (time,) at this rate to add a part of; in an experiment an
                `orchestrator.AudioFolder`. None adds nothing.
            background_probability: Share of the clips that get one.
            background_volume: Lowest and highest factor of the recording.
            background_snr_db: Lowest and highest signal-to-noise ratio, in place of the factor.
            noise_snr_db: Lowest and highest signal-to-noise ratio of white Gaussian noise; None
                adds none.

        Raises:
            ModelError: A value is out of range, or the background has no volume.
        """
        super().__init__()
        if not (0 <= stretch < 1 and shift_s >= 0 and 0 <= background_probability <= 1):
            raise ModelError(
                f"stretch={stretch}, shift_s={shift_s}, background_probability="
                f"{background_probability}: a stretch is in [0, 1), a shift is >= 0 seconds, and a "
                "probability in [0, 1]"
            )
        ranges = {
            "gain_db": gain_db,
            "background_volume": background_volume,
            "background_snr_db": background_snr_db,
            "noise_snr_db": noise_snr_db,
        }
        for name, limits in ranges.items():
            if limits is not None and limits[0] > limits[1]:
                raise ModelError(f"{name}={limits}: the lowest value comes first")
        if background_volume is not None and background_volume[0] < 0:
            raise ModelError(f"background_volume={background_volume}: factors are >= 0")
        if background is not None and (background_volume is None) == (background_snr_db is None):
            raise ModelError(
                "background needs one of background_volume, such as (0.0, 0.1), and "
                f"background_snr_db, such as (5.0, 20.0); it has {background_volume} and "
                f"{background_snr_db}"
            )
        self.stretch = stretch
        self.gain_db = gain_db
        self.shift = round(shift_s * sample_rate)
        self.rolls = shift_fill == "roll"
        self.background_probability = background_probability
        self.background_volume = background_volume
        self.background_snr_db = background_snr_db
        self.noise_snr_db = noise_snr_db
        self.moves_time = self.shift > 0 or stretch > 0
        recordings = _recordings(background)
        sizes = torch.tensor([len(one) for one in recordings], dtype=torch.int64)
        self.register_buffer("bank", torch.cat([torch.zeros(0), *recordings]), persistent=False)
        self.register_buffer("sizes", sizes, persistent=False)
        self.register_buffer("starts", sizes.cumsum(0) - sizes, persistent=False)

    @torch.no_grad()
    def forward(self, waveform: Tensor, *, clip_seeds: Tensor, num_samples: Tensor) -> Tensor:
        """Augment clips; what a clip becomes depends on its seed alone.

        Args:
            waveform: (batch, time) in [-1, 1].
            clip_seeds: (batch,) int64.
            num_samples: (batch,) int64 length of each clip without its padding.

        Returns:
            (batch, time) float32 in [-1, 1].
        """
        stretch, gain, shift, whether, which, start, level, noise = clip_uniform(
            clip_seeds, stream=_STREAM, count=8
        ).unbind(dim=1)
        power = waveform.square().sum(dim=1) / num_samples
        if self.stretch:
            waveform = _stretched(waveform, 1 + self.stretch * (2 * stretch.double() - 1))
        if self.gain_db != (0.0, 0.0):
            factor = _decibels(gain, self.gain_db)
            waveform, power = waveform * factor.sqrt()[:, None], power * factor
        if self.shift:
            by = _whole(shift, 2 * self.shift + 1) - self.shift
            waveform = _shifted(waveform, by, rolls=self.rolls)
        if len(self.sizes):
            part = self._part(which, start, waveform.shape[1])
            if self.background_volume is not None:
                low, high = self.background_volume
                volume = low + (high - low) * level
            else:
                assert self.background_snr_db is not None
                wanted = power / _decibels(level, self.background_snr_db)
                found = part.square().mean(dim=1)
                volume = torch.where(found > 0, wanted / found, 0.0).sqrt()
            volume = torch.where(whether < self.background_probability, volume, 0.0)
            waveform = waveform + volume[:, None] * part
        if self.noise_snr_db is not None:
            deviation = (power / _decibels(noise, self.noise_snr_db)).sqrt()
            white = clip_normal(clip_seeds, stream=_NOISE, count=waveform.shape[1])
            waveform = waveform + deviation[:, None] * white
        return waveform.clamp(-1, 1)

    def _part(self, which: Tensor, start: Tensor, length: int) -> Tensor:
        """Return a part of a recording for each clip; a shorter one begins again at its end."""
        number = _whole(which, len(self.sizes))
        size = self.sizes[number]
        first = _whole(start, torch.where(size >= length, size - length + 1, size))
        places = (first[:, None] + torch.arange(length, device=start.device)) % size[:, None]
        return self.bank[self.starts[number][:, None] + places]


def _recordings(background: Any) -> list[Tensor]:
    """Return recordings as (time,) float32.

    Raises:
        ModelError: They are no recordings.
    """
    if background is None:
        return []
    listed = list(background) if isinstance(background, Sequence) else []
    fits = [isinstance(one, Tensor | np.ndarray) and one.ndim == 1 and len(one) for one in listed]
    if not listed or not all(fits):
        raise ModelError(
            f"background={background!r}: recordings (time,) are needed; in an experiment "
            "background=AudioFolder.read(PATH)"
        )
    return [torch.as_tensor(one, dtype=torch.float32) for one in listed]


def _whole(draws: Tensor, count: int | Tensor) -> Tensor:
    """Return whole numbers from 0 to count - 1 from uniform draws."""
    return (draws.double() * count).long()


def _decibels(draws: Tensor, limits: tuple[float, float]) -> Tensor:
    """Return ratios of power from uniform draws between two limits in dB."""
    return 10 ** ((limits[0] + (limits[1] - limits[0]) * draws) / 10)


def _shifted(waveform: Tensor, by: Tensor, *, rolls: bool) -> Tensor:
    """Return waveforms (batch, time) that begin later by (batch,) samples."""
    length = waveform.shape[1]
    places = torch.arange(length, device=by.device) - by[:, None]
    moved = waveform.gather(1, places % length)
    return moved if rolls else torch.where((places >= 0) & (places < length), moved, 0.0)


def _stretched(waveform: Tensor, factors: Tensor) -> Tensor:
    """Return the middle of waveforms (batch, time) that are (batch,) float64 times as long."""
    length = waveform.shape[1]
    made = (length * factors).long()[:, None]
    margin = torch.where(made >= length, (made - length) // 2, -((length - made) // 2))
    places = torch.arange(length, device=made.device) + margin
    source = places * (length / made)
    below = source.floor()
    left = below.long().clamp(0, length - 1)
    right = (left + 1).clamp_max(length - 1)
    share = (source - below).to(waveform.dtype)
    between = torch.lerp(waveform.gather(1, left), waveform.gather(1, right), share)
    return torch.where((places >= 0) & (places < made), between, 0.0)
