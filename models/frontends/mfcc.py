"""Cepstral front ends of keyword models."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from models.errors import ModelError
from models.frontends.base import AudioFrontend, check_band, hann
from models.frontends.kaldi import kaldi_mel_filters
from models.frontends.log_mel import slaney_mel_filters
from models.registry import register

_TF_FLOOR = 1e-12


class Cepstra(AudioFrontend):
    """Frames -> spectrum -> mel filters -> logarithm -> cosine transform.

    A subclass defines the logarithm of mel energies.
    """

    rows_arguments = ("n_mfcc",)
    clip_by_clip = False
    cosines: Tensor

    def __init__(
        self,
        *,
        sample_rate: int,
        n_fft: int,
        win_length: int,
        hop_length: int,
        n_mels: int,
        n_mfcc: int,
        num_frames: int,
        f_min: float,
        f_max: float,
        mel_filters: Callable[..., Tensor],
        scale_first: float,
    ) -> None:
        """Check the sizes; precompute window, filters, and cosines."""
        if not 1 <= n_mfcc <= n_mels:
            raise ModelError(f"n_mfcc={n_mfcc}, n_mels={n_mels}: 1 <= n_mfcc <= n_mels")
        check_band(f_min=f_min, f_max=f_max, sample_rate=sample_rate)
        super().__init__(
            sample_rate=sample_rate,
            n_fft=n_fft,
            win_length=win_length,
            hop_length=hop_length,
            n_mels=n_mels,
            num_frames=num_frames,
            window=lambda: hann(win_length),
            filters=lambda: mel_filters(
                n_mels=n_mels, n_fft=n_fft, sample_rate=sample_rate, f_min=f_min, f_max=f_max
            ),
            least=win_length,
            short=f"fewer than one window of {win_length}",
        )
        self.output_size = (n_mfcc, num_frames)
        cosines = cosine_transform(n_mels, n_mfcc, scale_first=scale_first)
        self.register_buffer("cosines", cosines, persistent=False)

    def rows_hz(self) -> None:
        """Return None: a row is a coefficient, not a band."""

    def _logarithm(self, power: Tensor) -> Tensor:
        """(batch, frames, bins) -> (batch, frames, n_mels)."""
        raise NotImplementedError

    def _features(self, waveform: Tensor) -> Tensor:
        return self._logarithm(self._power(self._frames(waveform))) @ self.cosines

    def _filled(self, waveform: Tensor) -> Tensor:
        """Pad (batch, time) with silence, or cut it, to the length of `num_frames`."""
        if not self.num_frames:
            return waveform
        length = (self.num_frames - 1) * self.hop_length + self.win_length
        return functional.pad(waveform, (0, length - waveform.shape[1]))


@register("frontend")
class Mfcc(Cepstra):
    """Cepstra of magnitudes, as in the Keyword Transformer.

    Frames without padding, periodic Hann window, FFT of the next power of two, magnitudes,
    unnormalized triangles in HTK mel, log(max(x, 1e-12)), and sqrt(2 / n_mels) sum x cos(...), with
    the same factor for the first coefficient. One second gives 98 frames.

    Source: ARM-software/keyword-transformer 237e409 (`kws_streaming/layers/speech_features.py`,
    `feature_type="mfcc_tf"`), with its KWT settings.
    """

    is_pure = True

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
        """Precompute window, filters, and cosines.

        Args:
            sample_rate: Sample rate of the clips in Hz.
            win_length: Length of the window in samples.
            hop_length: Hop between frames in samples.
            n_mels: Number of mel filters.
            n_mfcc: Number of coefficients.
            f_min: Lower edge of the lowest filter in Hz.
            f_max: Upper edge of the highest filter in Hz.
            num_frames: Number of frames, by padding with silence or cutting; 0 keeps those of the
                clip.

        Raises:
            ModelError: The sizes or frequencies do not define features.
        """
        super().__init__(
            sample_rate=sample_rate,
            n_fft=1 << (win_length - 1).bit_length(),
            win_length=win_length,
            hop_length=hop_length,
            n_mels=n_mels,
            n_mfcc=n_mfcc,
            num_frames=num_frames,
            f_min=f_min,
            f_max=f_max,
            mel_filters=kaldi_mel_filters,
            scale_first=1.0,
        )

    def _placed(self, waveform: Tensor) -> Tensor:
        return self._filled(waveform)

    def _logarithm(self, power: Tensor) -> Tensor:
        return (power[..., :-1].sqrt() @ self.filters).clamp_min(_TF_FLOOR).log()


@register("frontend")
class HonkMfcc(Cepstra):
    """Cepstra of power, as in honk's Res-15.

    Reflection padding by half a window, periodic Hann window, power, Slaney mel filters of unit
    area, the logarithm of positive values, and the orthonormal cosine transform. A clip of N
    samples gives N // hop_length + 1 frames, one second 101.

    Source: castorini/honk c3aae75 (`utils/manage_audio.py`) with librosa's `melspectrogram` and
    `filters.dct`. librosa computes in float64, so filters with less than 1e-12 of the clip's power
    differ, as next to a pure tone.
    """

    is_pure = True

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
        """Precompute window, filters, and cosines.

        Args:
            sample_rate: Sample rate of the clips in Hz.
            win_length: Length of the window and of the Fourier transform in samples.
            hop_length: Hop between frames in samples.
            n_mels: Number of mel filters.
            n_mfcc: Number of coefficients.
            f_min: Lower edge of the lowest filter in Hz.
            f_max: Upper edge of the highest filter in Hz.
            num_frames: Number of frames, by padding with silence after the reflected end or
                cutting; 0 keeps those of the clip.

        Raises:
            ModelError: The sizes or frequencies do not define features.
        """
        super().__init__(
            sample_rate=sample_rate,
            n_fft=win_length,
            win_length=win_length,
            hop_length=hop_length,
            n_mels=n_mels,
            n_mfcc=n_mfcc,
            num_frames=num_frames,
            f_min=f_min,
            f_max=f_max,
            mel_filters=slaney_mel_filters,
            scale_first=math.sqrt(0.5),
        )

    def _placed(self, waveform: Tensor) -> Tensor:
        half = self.win_length // 2
        # Silence follows the reflection, so the clip's own frames do not depend on `num_frames`.
        return self._filled(functional.pad(waveform[:, None], (half, half), mode="reflect")[:, 0])

    def _logarithm(self, power: Tensor) -> Tensor:
        energy = power @ self.filters
        return torch.where(energy > 0, energy, 1.0).log()


def cosine_transform(size: int, count: int, *, scale_first: float) -> Tensor:
    """Return the cosines of a type-II transform: (size, count) float32.

    Args:
        size: Number of inputs.
        count: Number of coefficients.
        scale_first: Additional factor of the first coefficient; sqrt(1 / 2) makes it orthonormal.
    """
    place = (2 * torch.arange(size, dtype=torch.float64) + 1)[:, None]
    cosines = torch.cos(math.pi * place * torch.arange(count, dtype=torch.float64) / (2 * size))
    cosines *= math.sqrt(2 / size)
    cosines[:, 0] *= scale_first
    return cosines.float()
