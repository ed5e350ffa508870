"""What the front ends share: checks of sizes and clips, and the order of the work on a CPU."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from models.errors import ModelError


def check_sizes(
    *, n_fft: int, win_length: int, hop_length: int, n_mels: int, num_frames: int
) -> None:
    """Refuse sizes of which no mel spectrogram can be made.

    Raises:
        ModelError: names all of them and their bounds.
    """
    if not 2 <= win_length <= n_fft or hop_length < 1 or n_mels < 1 or num_frames < 0:
        raise ModelError(
            f"no spectrogram has n_fft={n_fft}, win_length={win_length}, "
            f"hop_length={hop_length}, n_mels={n_mels}, num_frames={num_frames}: "
            "2 <= win_length <= n_fft, hop_length and n_mels are >= 1, num_frames is >= 0"
        )


def check_band(
    *, f_min: float, f_max: float, sample_rate: int, highest: float | None = None
) -> None:
    """Refuse a band that is empty or reaches above half the sample rate.

    Args:
        f_min: lower edge in Hz.
        f_max: upper edge in Hz, as it was given.
        sample_rate: in Hz.
        highest: what `f_max` stands for in Hz, where that is another number.

    Raises:
        ModelError: names the edges and their bounds.
    """
    nyquist = sample_rate / 2
    if not 0 <= f_min < (f_max if highest is None else highest) <= nyquist:
        raise ModelError(
            f"f_min={f_min} and f_max={f_max} Hz do not fit: 0 <= f_min < f_max <= "
            f"{nyquist:g} (half the sample rate)"
        )


def check_clips(waveform: Tensor, *, least: int = 0, short: str = "") -> None:
    """Refuse what is no batch of clips, or clips that are too short.

    Args:
        waveform: (batch, time).
        least: samples that a clip has at least; 0 leaves the length to the caller.
        short: what fewer are, for the message.

    Raises:
        ModelError: says the shape, or the length to pad to.
    """
    if waveform.dim() != 2:
        hint = (
            "one clip is waveform[None]"
            if waveform.dim() < 2
            else "features (batch, channels, mels, frames) of your own go to "
            "chain.model(chain.transform(features)), or to a chain that is built with "
            "frontend=('features', {...}); channels of audio are averaged, waveform.mean(dim=1)"
        )
        raise ModelError(f"a waveform is (batch, time), not {tuple(waveform.shape)}: {hint}")
    if waveform.shape[1] < least:
        raise ModelError(
            f"the clips have {waveform.shape[1]} samples, {short}; pad them to {least} or more"
        )


def centered_hann(n_fft: int, win_length: int) -> Tensor:
    """Return a periodic Hann window in the middle of `n_fft` samples, zeros around: float32."""
    before = (n_fft - win_length) // 2
    window = torch.hann_window(win_length, dtype=torch.float64)
    return functional.pad(window, (before, n_fft - win_length - before)).float()


def clip_by_clip(compute: Callable[[Tensor], Tensor], waveform: Tensor) -> Tensor:
    """Compute features of a batch, on a CPU one clip after the other.

    The frames of one clip stay in the cache: Kaldi's filterbank takes half the time by that.

    Args:
        compute: from (batch, time) to features, each clip by itself.
        waveform: (batch, time).
    """
    if waveform.is_cpu and not torch.compiler.is_compiling():
        return torch.cat([compute(clip) for clip in waveform.split(1)])
    return compute(waveform)
