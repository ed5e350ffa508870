"""The log spectrogram of the VGGSound classifiers."""

from __future__ import annotations

import torch
from scipy.signal import get_window
from torch import Tensor

from models.errors import ModelError
from models.frontends.base import AudioFrontend
from models.registry import register

_FLOOR = 1e-7
_LEAST_DEVIATION = 1e-9


@register("frontend")
class LogSpectrogram(AudioFrontend):
    """Natural logarithm of the power spectral density, normalized per clip.

    Clips are repeated or cut to `seconds` and clamped to [-1, 1]. Equal to
    `scipy.signal.spectrogram(x, sample_rate, nperseg=n_fft, noverlap=n_fft - hop_length)`: frames
    without padding, each minus its mean, Tukey window (a quarter tapered), one-sided density; then
    log(x + 1e-7), standardized per clip.

    Source: hche11/VGGSound 9bbc749 (`datasets/dataloader.py`). The authors repeat a clip at most
    ten times, which leaves clips under a second shorter; here all have equal length. Silence
    becomes 0.
    """

    is_pure = True

    rows_arguments = ("n_fft", "f_max")
    frames_arguments = ("seconds", "hop_length")

    def __init__(
        self,
        *,
        sample_rate: int = 16000,
        seconds: float = 10.0,
        n_fft: int = 512,
        hop_length: int = 159,
        f_max: float = 8000.0,
    ) -> None:
        """Precompute the window.

        Args:
            sample_rate: Sample rate of the clips in Hz.
            seconds: Length in seconds to which clips are repeated or cut; 0 keeps their length.
            n_fft: Length of a frame and its Fourier transform in samples.
            hop_length: Hop between frames in samples.
            f_max: Highest frequency kept, in Hz.

        Raises:
            ModelError: The sizes do not define a spectrogram.
        """
        bins = min(int(f_max * n_fft / sample_rate), n_fft // 2) + 1 if sample_rate > 0 else 0
        num_samples = round(seconds * sample_rate)
        if n_fft < 4 or hop_length < 1 or bins < 2 or 0 < num_samples < n_fft or seconds < 0:
            raise ModelError(
                f"no spectrogram has sample_rate={sample_rate}, seconds={seconds}, n_fft={n_fft}, "
                f"hop_length={hop_length}, f_max={f_max}: a frame takes 4 samples or more, a hop "
                "1, f_max keeps 2 bins or more, and seconds are 0 or hold a frame"
            )
        window = torch.from_numpy(get_window(("tukey", 0.25), n_fft))
        sides = torch.full((n_fft // 2 + 1,), 2.0, dtype=torch.float64)
        sides[0] = 1.0
        if n_fft % 2 == 0:
            sides[-1] = 1.0  # like DC, the Nyquist bin has no mirror image
        scale = sides / (sample_rate * window.square().sum())
        super().__init__(
            sample_rate=sample_rate,
            n_fft=n_fft,
            win_length=n_fft,
            hop_length=hop_length,
            n_mels=bins,
            num_frames=max(num_samples - n_fft, -1) // hop_length + 1,
            window=window.float,
            filters=scale[:bins].float,
            least=1 if num_samples else n_fft,
            short="too few for a frame",
        )
        self.num_samples = num_samples

    def _placed(self, waveform: Tensor) -> Tensor:
        waveform = waveform.clamp(-1, 1)
        if not self.num_samples:
            return waveform
        times = -(-self.num_samples // waveform.shape[1])
        return waveform.repeat(1, times)[:, : self.num_samples]

    def _features(self, waveform: Tensor) -> Tensor:
        frames = self._frames(waveform)
        power = self._power(frames - frames.mean(dim=2, keepdim=True))[..., : self.n_mels]
        x = (power * self.filters + _FLOOR).log()
        # Relative to one of its values, so that a constant clip gives exactly 0.
        x = x - x[:, :1, :1]
        x = x - x.mean(dim=(1, 2), keepdim=True)
        deviation = x.square().mean(dim=(1, 2), keepdim=True).sqrt()
        return x / (deviation + _LEAST_DEVIATION)
