"""The filterbank front end of TALNet."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from models.errors import ModelError
from models.frontends.base import AudioFrontend, check_band
from models.frontends.log_mel import slaney_mel_filters
from models.registry import register

_FLOOR = 1e-10


@register("frontend")
class TalnetFbank(AudioFrontend):
    """Log-mel spectrogram of magnitudes in decibels, limited to `top_db` below the clip's maximum.

    Zero padding by half a window, periodic Hann window, FFT four times as long, magnitudes, Slaney
    mel filters of unit area, 10 log10(max(magnitude, 1e-10)), then the `top_db` floor. A clip of N
    samples gives N // hop_length frames, ten seconds 400.

    Source: MaigoAkisame/cmu-thesis issue 4, where the author names librosa's `stft`,
    `melspectrogram`, and `power_to_db` on magnitudes. The FFT is in float64, as in librosa: 80 dB
    of magnitudes exceed float32 precision.
    """

    is_pure = True

    padding_value = 10 * math.log10(_FLOOR)

    def __init__(
        self,
        *,
        sample_rate: int = 16000,
        n_fft: int = 4096,
        win_length: int = 1024,
        hop_length: int = 400,
        n_mels: int = 64,
        f_min: float = 0.0,
        f_max: float = 8000.0,
        top_db: float = 80.0,
        num_frames: int = 0,
    ) -> None:
        """Precompute the window and the filters.

        Args:
            sample_rate: Sample rate of the clips in Hz.
            n_fft: Size of the Fourier transform in samples.
            win_length: Length of the window in samples.
            hop_length: Hop between frames in samples.
            n_mels: Number of mel filters.
            f_min: Lower edge of the lowest filter in Hz.
            f_max: Upper edge of the highest filter in Hz.
            top_db: Dynamic range in decibels below the clip's maximum.
            num_frames: Number of frames, by padding with silence or cutting; 0 keeps those of the
                clip.

        Raises:
            ModelError: The sizes or frequencies do not define a filterbank.
        """
        check_band(f_min=f_min, f_max=f_max, sample_rate=sample_rate)
        if not top_db > 0:
            raise ModelError(f"top_db={top_db}: the range in decibels is > 0")
        super().__init__(
            sample_rate=sample_rate,
            n_fft=n_fft,
            win_length=win_length,
            hop_length=hop_length,
            n_mels=n_mels,
            num_frames=num_frames,
            window=lambda: torch.hann_window(win_length, dtype=torch.float64),
            filters=lambda: slaney_mel_filters(
                n_mels=n_mels, n_fft=n_fft, sample_rate=sample_rate, f_min=f_min, f_max=f_max
            ),
            least=hop_length,
            short=f"fewer than one hop of {hop_length}",
        )
        self.top_db = top_db

    def _placed(self, waveform: Tensor) -> Tensor:
        frames = self.num_frames or waveform.shape[1] // self.hop_length
        before = self.win_length // 2
        total = (frames - 1) * self.hop_length + self.win_length
        # Negative padding cuts.
        return functional.pad(waveform, (before, total - before - waveform.shape[1]))

    def _features(self, waveform: Tensor) -> Tensor:
        power = self._power(self._frames(waveform.double()))
        magnitude = power.sqrt().float() @ self.filters
        decibels = 10 * magnitude.clamp_min(_FLOOR).log10()
        return torch.maximum(decibels, decibels.amax(dim=(1, 2), keepdim=True) - self.top_db)
