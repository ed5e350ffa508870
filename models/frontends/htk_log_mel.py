"""The log-mel front end of Auditory SlowFast."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from models.frontends.base import AudioFrontend, check_band, hann
from models.frontends.log_mel import triangles
from models.registry import register

_FLOOR = 1e-6


@register("frontend")
class HtkLogMel(AudioFrontend):
    """Log-mel spectrogram of magnitudes on the HTK mel scale, as in Auditory SlowFast.

    Pads with n_fft / 2 zeros on both sides, centers a periodic Hann window in `n_fft`, and takes
    magnitudes (not power), triangles of height 1 equally spaced in 2595 log10(1 + f / 700), and
    log(x + 1e-6). A clip of N samples gives N // hop_length + 1 frames.

    Equal to `librosa.stft(pad_mode="constant")` and `librosa.filters.mel(htk=True, norm=None)` in
    ekazakos/auditory-slow-fast 6af3fd7 (`slowfast/datasets/audio_loader_vggsound.py`; for
    EPIC-KITCHENS 24000 Hz, win_length 240, hop_length 120, f_max 12000).
    """

    is_pure = True

    padding_value = math.log(_FLOOR)

    def __init__(
        self,
        *,
        sample_rate: int = 16000,
        n_fft: int = 2048,
        win_length: int = 320,
        hop_length: int = 160,
        n_mels: int = 128,
        f_min: float = 0.0,
        f_max: float = 8000.0,
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
            f_max: Upper edge of the highest filter in Hz, at most half the sample rate.
            num_frames: Number of frames, by repeating the last frame or cutting; 0 keeps those of
                the clip.

        Raises:
            ModelError: The sizes or frequencies do not define a filterbank.
        """
        check_band(f_min=f_min, f_max=f_max, sample_rate=sample_rate)
        super().__init__(
            sample_rate=sample_rate,
            n_fft=n_fft,
            win_length=win_length,
            hop_length=hop_length,
            n_mels=n_mels,
            num_frames=num_frames,
            window=lambda: hann(win_length, n_fft),
            filters=lambda: htk_mel_filters(
                n_mels=n_mels, n_fft=n_fft, sample_rate=sample_rate, f_min=f_min, f_max=f_max
            ),
            least=1,
            short="too few for a frame",
        )
        self._warn_of_empty_filters("lower n_mels or raise n_fft")

    def _placed(self, waveform: Tensor) -> Tensor:
        return functional.pad(waveform, (self.n_fft // 2, self.n_fft // 2))

    def _lengthened(self, features: Tensor, missing: int) -> Tensor:
        return functional.pad(features, (0, missing, 0, 0), mode="replicate")

    def _features(self, waveform: Tensor) -> Tensor:
        magnitude = torch.fft.rfft(self._frames(waveform) * self.window).abs()
        return (magnitude @ self.filters + _FLOOR).log()


def htk_mel_filters(
    *, n_mels: int, n_fft: int, sample_rate: int, f_min: float, f_max: float
) -> Tensor:
    """Triangles of height 1 over frequency, corners equally spaced in 2595 log10(1 + f / 700).

    Returns:
        (n_fft // 2 + 1, n_mels) float32.
    """
    low, high = (2595 * math.log10(1 + f / 700) for f in (f_min, f_max))
    mel = torch.linspace(low, high, n_mels + 2, dtype=torch.float64)
    corners = 700 * (10 ** (mel / 2595) - 1)
    return triangles(corners, n_fft=n_fft, sample_rate=sample_rate).float()
