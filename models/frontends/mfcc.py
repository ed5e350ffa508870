"""Front ends of keyword models: cepstral coefficients, batched on the device that trains."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from models.frontends.cepstra import Cepstra, cosine_transform, fit_length
from models.frontends.kaldi import kaldi_mel_filters
from models.frontends.log_mel import slaney_mel_filters
from models.registry import register

_TF_FLOOR = 1e-12


@register("frontend")
class Mfcc(Cepstra):
    """Cepstra of magnitudes as the Keyword Transformer takes them.

    Frames without padding, periodic Hann window, a Fourier transform of the next power of two,
    magnitudes, triangles linear in HTK's mel without normalization, log(max(x, 1e-12)), and
    sqrt(2 / n_mels) sum x cos(...), the first coefficient by the same factor. One second gives 98
    frames.

    Source: ARM-software/keyword-transformer 237e409 (`kws_streaming/layers/speech_features.py`,
    `feature_type="mfcc_tf"`) with its settings for KWT.
    """

    def __init__(
        self,
        *,
        sample_rate: int = 16000,
        win_length: int = 480,
        hop_length: int = 160,
        n_mels: int = 80,
        n_mfcc: int = 40,
        f_min: float = 20.0,
        f_max: float = 7600.0,
        num_frames: int = 98,
    ) -> None:
        """Precompute window, filters and cosines.

        Args:
            sample_rate: rate of the clips in Hz.
            win_length: length of the window in samples.
            hop_length: samples between two frames.
            n_mels: number of mel filters.
            n_mfcc: coefficients that are kept of them.
            f_min: lower edge of the first filter in Hz.
            f_max: upper edge of the last filter in Hz.
            num_frames: length of the output: shorter clips are filled up with silence, longer ones
                cut. 0 gives as many frames as the clip has.

        Raises:
            ModelError: sizes or frequencies that make no features.
        """
        super().__init__(
            sample_rate=sample_rate,
            win_length=win_length,
            hop_length=hop_length,
            n_mels=n_mels,
            n_mfcc=n_mfcc,
            num_frames=num_frames,
            f_min=f_min,
            f_max=f_max,
        )
        filters = kaldi_mel_filters(
            n_mels=n_mels, n_fft=self.n_fft, sample_rate=sample_rate, f_min=f_min, f_max=f_max
        )
        self.register_buffer("filters", filters, persistent=False)
        cosines = cosine_transform(n_mels, n_mfcc, scale_first=1.0)
        self.register_buffer("cosines", cosines, persistent=False)

    @property
    def n_fft(self) -> int:
        """Size of the Fourier transform in samples."""
        return 1 << (self.win_length - 1).bit_length()

    def _placed(self, waveform: Tensor) -> Tensor:
        if not self.num_frames:
            return waveform
        return fit_length(waveform, (self.num_frames - 1) * self.hop_length + self.win_length)

    def _logarithm(self, spectrum: Tensor) -> Tensor:
        magnitude = spectrum[..., :-1, :].square().sum(dim=-1).sqrt()
        return (magnitude @ self.filters).clamp_min(_TF_FLOOR).log()


@register("frontend")
class HonkMfcc(Cepstra):
    """Cepstra of power as honk's Res-15 takes them.

    Half a window reflected on both sides, periodic Hann window, power, Slaney's mel filters of unit
    area, the logarithm where a power is above 0, and the orthonormal cosine transform. A clip of N
    samples gives N // hop_length + 1 frames, one second 101.

    Source: castorini/honk c3aae75 (`utils/manage_audio.py`), and librosa's `melspectrogram` and
    `filters.dct`, which it calls. librosa transforms in float64: filters that hold less than 1e-12
    of the clip's power, as beside a pure tone, differ.
    """

    def __init__(
        self,
        *,
        sample_rate: int = 16000,
        win_length: int = 480,
        hop_length: int = 160,
        n_mels: int = 40,
        n_mfcc: int = 40,
        f_min: float = 20.0,
        f_max: float = 4000.0,
        num_frames: int = 0,
    ) -> None:
        """Precompute window, filters and cosines.

        Args:
            sample_rate: rate of the clips in Hz.
            win_length: length of the window and of the Fourier transform in samples.
            hop_length: samples between two frames.
            n_mels: number of mel filters.
            n_mfcc: coefficients that are kept of them.
            f_min: lower edge of the first filter in Hz.
            f_max: upper edge of the last filter in Hz.
            num_frames: 0 gives as many frames as the clip has; otherwise shorter clips are filled
                up with silence behind their reflected end, and longer ones cut.

        Raises:
            ModelError: sizes or frequencies that make no features.
        """
        super().__init__(
            sample_rate=sample_rate,
            win_length=win_length,
            hop_length=hop_length,
            n_mels=n_mels,
            n_mfcc=n_mfcc,
            num_frames=num_frames,
            f_min=f_min,
            f_max=f_max,
        )
        filters = slaney_mel_filters(
            n_mels=n_mels, n_fft=win_length, sample_rate=sample_rate, f_min=f_min, f_max=f_max
        )
        self.register_buffer("filters", filters, persistent=False)
        cosines = cosine_transform(n_mels, n_mfcc, scale_first=math.sqrt(0.5))
        self.register_buffer("cosines", cosines, persistent=False)

    def _placed(self, waveform: Tensor) -> Tensor:
        half = self.win_length // 2
        padded = functional.pad(waveform[:, None], (half, half), mode="reflect")[:, 0]
        if not self.num_frames:
            return padded
        # Silence follows the reflection: the clip's own frames do not depend on `num_frames`.
        return fit_length(padded, (self.num_frames - 1) * self.hop_length + self.win_length)

    def _logarithm(self, spectrum: Tensor) -> Tensor:
        energy = spectrum.square().sum(dim=-1) @ self.filters
        return torch.where(energy > 0, energy, 1.0).log()
