"""The base class of audio front ends: frames of a waveform, then features of each frame."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.errors import ModelError
from models.precision import full_precision


class AudioFrontend(nn.Module):
    """Cuts waveforms into frames and computes the features of each frame.

    A subclass defines where the first frame starts (`_placed`) and how features are computed
    (`_features`). Computes in float32 even under autocast.
    """

    num_channels = 1
    rows_arguments: tuple[str, ...] = ("n_mels",)
    frames_arguments: tuple[str, ...] = ("num_frames",)
    padding_value: float = 0.0
    clip_by_clip = True
    """Whether the CPU computes one clip at a time, whose frames then stay in cache; this halves the
    time of Kaldi's filterbank."""
    window: Tensor
    filters: Tensor
    sample_rate: int

    def __init__(
        self,
        *,
        sample_rate: int,
        n_fft: int,
        win_length: int,
        hop_length: int,
        n_mels: int,
        num_frames: int,
        window: Callable[[], Tensor],
        filters: Callable[[], Tensor],
        least: int,
        short: str,
    ) -> None:
        """Check the sizes and precompute window and filters.

        Args:
            sample_rate: Sample rate of the clips in Hz.
            n_fft: Size of the Fourier transform in samples.
            win_length: Length of the window in samples.
            hop_length: Hop between frames in samples.
            n_mels: Number of rows of the output.
            num_frames: Number of frames of the output; 0 keeps those of the clip.
            window: Returns the window, one frame long.
            filters: Returns the (bins, n_mels) filters.
            least: Minimum number of samples per clip.
            short: Describes a shorter clip in the error message.

        Raises:
            ModelError: The sizes do not define a spectrogram; the message gives all with their
                bounds.
        """
        super().__init__()
        if not 2 <= win_length <= n_fft or hop_length < 1 or n_mels < 1 or num_frames < 0:
            raise ModelError(
                f"no spectrogram has n_fft={n_fft}, win_length={win_length}, "
                f"hop_length={hop_length}, n_mels={n_mels}, num_frames={num_frames}: "
                "2 <= win_length <= n_fft, hop_length and n_mels are >= 1, num_frames is >= 0"
            )
        self.sample_rate = sample_rate
        self.n_fft = n_fft
        self.win_length = win_length
        self.hop_length = hop_length
        self.n_mels = n_mels
        self.num_frames = num_frames
        self.output_size = (n_mels, num_frames)
        self.least = least
        self.short = short
        self.register_buffer("window", window(), persistent=False)
        self.register_buffer("filters", filters(), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Compute the features of a batch of clips of equal length.

        Args:
            waveform: (batch, time) in [-1, 1].

        Returns:
            (batch, 1, rows, frames) float32.

        Raises:
            ModelError: The shape is wrong, or the clips are too short.
        """
        self._check(waveform)
        with full_precision(waveform):
            waveform = self._placed(waveform.float())
            if self.clip_by_clip and waveform.is_cpu and not torch.compiler.is_compiling():
                features = torch.cat([self._features(clip) for clip in waveform.split(1)])
            else:
                features = self._features(waveform)
        features = features.transpose(1, 2).unsqueeze(1)
        missing = self.num_frames - features.shape[3]
        if self.num_frames and missing > 0:
            features = self._lengthened(features, missing)
        return features.contiguous()

    def rows_hz(self) -> Tensor | None:
        """Return the mean frequency of each row's filter in Hz; None if rows are no bands.

        A row without a filter is NaN.
        """
        bins = torch.arange(len(self.filters), device=self.filters.device)
        hertz = bins * (self.sample_rate / self.n_fft)
        if self.filters.dim() == 1:  # a row per bin
            return hertz
        return (hertz @ self.filters) / self.filters.sum(dim=0)

    def _placed(self, waveform: Tensor) -> Tensor:
        """Pad or cut (batch, time) so that it starts with the first frame."""
        return waveform

    def _features(self, waveform: Tensor) -> Tensor:
        """(batch, time) from `_placed` -> (batch, frames, rows), each clip independently."""
        raise NotImplementedError

    def _lengthened(self, features: Tensor, missing: int) -> Tensor:
        """Append frames to (batch, 1, rows, frames)."""
        return functional.pad(features, (0, missing), value=self.padding_value)

    def _frames(self, waveform: Tensor) -> Tensor:
        """(batch, time) -> (batch, frames, length of the window), at most `num_frames`."""
        frames = waveform.unfold(1, len(self.window), self.hop_length)
        return frames[:, : self.num_frames] if self.num_frames else frames

    def _power(self, frames: Tensor) -> Tensor:
        """(batch, frames, length of the window) -> (batch, frames, bins)."""
        spectrum = torch.fft.rfft(frames * self.window, n=self.n_fft)
        return torch.view_as_real(spectrum).square().sum(dim=3)

    def _check(self, waveform: Tensor) -> None:
        if waveform.dim() != 2:
            hint = (
                "one clip is waveform[None]"
                if waveform.dim() < 2
                else "features (batch, channels, mels, frames) of your own go to "
                "chain.model(chain.transform(features)), or to a chain that is built with "
                "frontend=('features', {...}); channels of audio are averaged, waveform.mean(dim=1)"
            )
            raise ModelError(f"a waveform is (batch, time), not {tuple(waveform.shape)}: {hint}")
        if waveform.shape[1] < self.least:
            raise ModelError(
                f"the clips have {waveform.shape[1]} samples, {self.short}; pad them to "
                f"{self.least} or more"
            )

    def _warn_of_empty_filters(self, way_out: str) -> None:
        if empty := int((self.filters == 0).all(dim=0).sum()):
            warnings.warn(
                f"{empty} of {self.n_mels} mel filters are empty, their rows are constant: "
                f"{way_out}",
                stacklevel=3,
            )


def check_band(
    *, f_min: float, f_max: float, sample_rate: int, highest: float | None = None
) -> None:
    """Reject a band that is empty or exceeds half the sample rate.

    Args:
        f_min: Lower edge in Hz.
        f_max: Upper edge in Hz, as given by the user.
        sample_rate: Sample rate in Hz.
        highest: Upper edge in Hz that `f_max` denotes, if different.

    Raises:
        ModelError: The band is invalid; the message gives its edges and their bounds.
    """
    nyquist = sample_rate / 2
    if not 0 <= f_min < (f_max if highest is None else highest) <= nyquist:
        raise ModelError(
            f"f_min={f_min} and f_max={f_max} Hz do not fit: 0 <= f_min < f_max <= "
            f"{nyquist:g} (half the sample rate)"
        )


def hann(win_length: int, n_fft: int = 0) -> Tensor:
    """Return a periodic Hann window, float32, zero-padded on both sides to `n_fft` samples."""
    missing = max(n_fft - win_length, 0)
    window = torch.hann_window(win_length, dtype=torch.float64)
    return functional.pad(window, (missing // 2, missing - missing // 2)).float()


@dataclass(frozen=True)
class FeatureSums:
    """Sums over the features of each clip, from which statistics of any selection follow.

    Attributes:
        count: (clips,) number of elements.
        total: (clips,) sum of the elements, float64.
        squares: (clips,) sum of their squares, float64.
    """

    count: np.ndarray
    total: np.ndarray
    squares: np.ndarray

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """Join the sums of several batches."""
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))

    @classmethod
    def empty(cls, num_clips: int) -> Self:
        """Return sums to be filled in by `put`."""
        return cls(np.empty(num_clips, np.int64), np.empty(num_clips), np.empty(num_clips))

    def put(self, part: slice, features: Tensor) -> None:
        """Fill in the sums of some clips from their features."""
        sums = feature_sums(features)
        for field in fields(self):
            getattr(self, field.name)[part] = getattr(sums, field.name)

    def statistics(self, indices: np.ndarray) -> tuple[float, float]:
        """Return mean and standard deviation over some clips; see `feature_statistics`."""
        sums = (self.count, self.total, self.squares)
        count, total, squares = (values[indices].sum() for values in sums)
        return _statistics(int(count), float(total), float(squares))


def feature_sums(features: Tensor) -> FeatureSums:
    """Sum the features of each clip of a batch (batch, channels, rows, frames) in float64."""
    rows = features.flatten(1).double()
    return FeatureSums(
        np.full(len(rows), rows.shape[1]),
        rows.sum(dim=1).cpu().numpy(),
        rows.square().sum(dim=1).cpu().numpy(),
    )


@torch.no_grad()
def feature_statistics(frontend: nn.Module, waveforms: Iterable[Tensor]) -> tuple[float, float]:
    """Compute mean and standard deviation of a front end's output, for `Chain.set_normalization`.

    They cover every element of the padded features, as in AST (which includes augmentation): short
    clips move the mean toward 0, the padding value.

    Args:
        frontend: The front end used in training.
        waveforms: Batches (batch, time) of the training clips, of any size.

    Returns:
        (mean, standard deviation), accumulated in float64 and rounded to 4 decimals to be
        independent of batch size and order.

    Raises:
        ModelError: There are no clips, or their features are constant.
    """
    parts = [feature_sums(frontend(waveform)) for waveform in waveforms]
    if not parts:
        raise ModelError("no clips to take feature statistics from")
    sums = FeatureSums.join(parts)
    return sums.statistics(np.arange(len(sums.count)))


def _statistics(count: int, total: float, squares: float) -> tuple[float, float]:
    mean = total / count
    deviation = round(math.sqrt(max(squares / count - mean * mean, 0.0)), 4)
    if not deviation > 0:
        raise ModelError(
            f"the features do not vary or are not finite (mean {mean:g}, deviation {deviation}): "
            "are the clips silent?"
        )
    return round(mean, 4), deviation
