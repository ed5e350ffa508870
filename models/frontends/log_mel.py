"""The log-mel front end of PANNs and HTS-AT."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from models.errors import ModelError
from models.frontends.base import AudioFrontend, hann
from models.registry import register

_FLOOR = 1e-10
# Slaney's mel scale: linear up to 1000 Hz, then 27 steps per factor of 6.4.
_HERTZ_PER_MEL = 200 / 3
_BREAK_HERTZ = 1000.0
_BREAK_MEL = _BREAK_HERTZ / _HERTZ_PER_MEL
_LOG_STEP = math.log(6.4) / 27


@register("frontend")
class LogMel(AudioFrontend):
    """Log-mel spectrogram in decibels with the settings of PANNs and HTS-AT.

    Reflection padding by n_fft / 2, periodic Hann window, power, Slaney mel filters of unit area,
    10 log10(max(power, 1e-10)). A clip of N samples gives N // hop_length + 1 frames, ten seconds
    1001.

    Source: torchlibrosa 0.1.0 (`Spectrogram`, `LogmelFilterBank` with top_db=None), as in both
    papers' code (RetroCirce/HTS-Audio-Transformer 2e29471, qiuqiangkong/audioset_tagging_cnn
    d2f4b8c). They convolve with the Fourier matrix, this uses an FFT: equal up to rounding. Models
    of these families normalize internally (`normalizes_input`, see `models.chain.Chain`).
    """

    is_pure = True

    padding_value = 10 * math.log10(_FLOOR)

    def __init__(
        self,
        *,
        sample_rate: int = 32000,
        n_fft: int = 1024,
        win_length: int = 1024,
        hop_length: int = 320,
        n_mels: int = 64,
        f_min: float = 50.0,
        f_max: float = 14000.0,
        num_frames: int = 0,
    ) -> None:
        """Precompute the window and the filters.

        Args:
            sample_rate: Sample rate of the clips in Hz.
            n_fft: Size of the Fourier transform in samples.
            win_length: Length of the window in samples, centered in `n_fft`.
            hop_length: Hop between frames in samples.
            n_mels: Number of mel filters.
            f_min: Lower edge of the lowest filter in Hz.
            f_max: Upper edge of the highest filter in Hz. Above half the sample rate the highest
                filters are empty and their rows constant, as in the published HTS-AT for 16000 Hz;
                this warns.
            num_frames: Number of frames, by padding with silence (-100 dB) or cutting; 0 keeps
                those of the clip. HTS-AT and PANNs accept any length.

        Raises:
            ModelError: The sizes or frequencies do not define a filterbank.
        """
        nyquist = sample_rate / 2
        if not 0 <= f_min < min(f_max, nyquist):
            raise ModelError(
                f"f_min={f_min} and f_max={f_max} Hz do not fit: 0 <= f_min < f_max, and f_min is "
                f"below {nyquist:g} (half the sample rate)"
            )
        half = n_fft // 2
        super().__init__(
            sample_rate=sample_rate,
            n_fft=n_fft,
            win_length=win_length,
            hop_length=hop_length,
            n_mels=n_mels,
            num_frames=num_frames,
            window=lambda: hann(win_length, n_fft),
            filters=lambda: slaney_mel_filters(
                n_mels=n_mels, n_fft=n_fft, sample_rate=sample_rate, f_min=f_min, f_max=f_max
            ),
            least=half + 1,
            short=f"too few to be reflected by {half}",
        )
        self._warn_of_empty_filters(
            f"lower f_max ({f_max:g} Hz, half the sample rate is {nyquist:g}) or n_mels, or raise "
            "n_fft"
        )

    def _placed(self, waveform: Tensor) -> Tensor:
        half = self.n_fft // 2
        return functional.pad(waveform[:, None], (half, half), mode="reflect")[:, 0]

    def _features(self, waveform: Tensor) -> Tensor:
        power = self._power(self._frames(waveform)) @ self.filters
        return 10 * power.clamp_min(_FLOOR).log10()


def slaney_mel_filters(
    *, n_mels: int, n_fft: int, sample_rate: int, f_min: float, f_max: float
) -> Tensor:
    """Return triangular filters with corners equally spaced in Slaney's mel, of unit area in Hz.

    Equal to `librosa.filters.mel` with its defaults (htk=False, norm="slaney").

    Returns:
        (n_fft // 2 + 1, n_mels) float32.
    """
    low, high = _mel(f_min), _mel(f_max)
    mel = torch.linspace(low, high, n_mels + 2, dtype=torch.float64)
    corners = torch.where(
        mel < _BREAK_MEL,
        mel * _HERTZ_PER_MEL,
        _BREAK_HERTZ * torch.exp(_LOG_STEP * (mel - _BREAK_MEL)),
    )
    areas = 2 / (corners[2:] - corners[:-2])
    return (triangles(corners, n_fft=n_fft, sample_rate=sample_rate) * areas).float()


def triangles(corners: Tensor, *, n_fft: int, sample_rate: int) -> Tensor:
    """Return triangular filters of height 1, each over three consecutive corners, linear in Hz.

    Args:
        corners: (filters + 2,) float64 in Hz.
        n_fft: Size of the Fourier transform in samples.
        sample_rate: Sample rate in Hz.

    Returns:
        (n_fft // 2 + 1, filters) float64.
    """
    hertz = torch.arange(n_fft // 2 + 1, dtype=torch.float64)[:, None] * sample_rate / n_fft
    left, center, right = corners[:-2], corners[1:-1], corners[2:]
    rising = (hertz - left) / (center - left)
    falling = (right - hertz) / (right - center)
    return torch.minimum(rising, falling).clamp_min(0)


def _mel(hertz: float) -> float:
    if hertz < _BREAK_HERTZ:
        return hertz / _HERTZ_PER_MEL
    return _BREAK_MEL + math.log(hertz / _BREAK_HERTZ) / _LOG_STEP
