"""What the front ends of keyword models share: frames, a cosine transform of log-mel energies."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.errors import ModelError
from models.frontends.common import check_band, check_clips
from models.precision import full_precision


class Cepstra(nn.Module):
    """Frames -> spectrum -> mel filters -> logarithm -> cosine transform.

    A subclass gives the arrays and says how a mel energy becomes a logarithm. Always float32,
    inside autocast too.
    """

    num_channels = 1
    rows_arguments = ("n_mfcc",)
    frames_arguments = ("num_frames",)
    padding_value = 0.0
    window: Tensor
    filters: Tensor
    cosines: Tensor

    def __init__(
        self,
        *,
        sample_rate: int,
        win_length: int,
        hop_length: int,
        n_mels: int,
        n_mfcc: int,
        num_frames: int,
        f_min: float,
        f_max: float,
    ) -> None:
        """Check the sizes and precompute the window."""
        super().__init__()
        if win_length < 2 or hop_length < 1 or num_frames < 0:
            raise ModelError(
                f"no spectrogram has win_length={win_length}, hop_length={hop_length}, "
                f"num_frames={num_frames}: a window takes 2 samples or more, a hop 1; num_frames "
                "is >= 0"
            )
        if not 1 <= n_mfcc <= n_mels:
            raise ModelError(f"n_mfcc={n_mfcc}, n_mels={n_mels}: 1 <= n_mfcc <= n_mels")
        check_band(f_min=f_min, f_max=f_max, sample_rate=sample_rate)
        self.sample_rate = sample_rate
        self.win_length = win_length
        self.hop_length = hop_length
        self.n_mels = n_mels
        self.n_mfcc = n_mfcc
        self.num_frames = num_frames
        window = torch.hann_window(win_length, dtype=torch.float64)
        self.register_buffer("window", window.float(), persistent=False)

    @property
    def output_size(self) -> tuple[int, int]:
        """Size of the output: (n_mfcc, num_frames); 0 frames stand for any number."""
        return self.n_mfcc, self.num_frames

    def forward(self, waveform: Tensor) -> Tensor:
        """Compute the features of a batch of clips of equal length.

        Args:
            waveform: (batch, time) in [-1, 1].

        Returns:
            (batch, 1, n_mfcc, frames) float32.

        Raises:
            ModelError: the shape is another, or the clips are shorter than one window.
        """
        short = f"fewer than one window of {self.win_length}"
        check_clips(waveform, least=self.win_length, short=short)
        with full_precision(waveform):
            features = self._features(self._placed(waveform.float()))
        return features.transpose(1, 2).unsqueeze(1).contiguous()

    def _placed(self, waveform: Tensor) -> Tensor:
        """Put the waveform where its first frame starts, as long as its frames reach."""
        raise NotImplementedError

    def _logarithm(self, spectrum: Tensor) -> Tensor:
        """(..., bins, 2) of real and imaginary parts -> (..., n_mels)."""
        raise NotImplementedError

    def _features(self, waveform: Tensor) -> Tensor:
        frames = waveform.unfold(1, self.win_length, self.hop_length) * self.window
        spectrum = torch.view_as_real(torch.fft.rfft(frames, n=self.n_fft))
        return self._logarithm(spectrum) @ self.cosines

    @property
    def n_fft(self) -> int:
        """Size of the Fourier transform in samples."""
        return self.win_length


def fit_length(waveform: Tensor, length: int) -> Tensor:
    """Fill (batch, time) up with zeros to a length in samples, or cut it."""
    return functional.pad(waveform, (0, length - waveform.shape[1]))


def cosine_transform(size: int, count: int, *, scale_first: float) -> Tensor:
    """Cosines of a type-II transform: (size, count) float32.

    Args:
        size: values that are transformed.
        count: coefficients that are kept.
        scale_first: further factor of the first coefficient; sqrt(1 / 2) makes it orthonormal.
    """
    place = (2 * torch.arange(size, dtype=torch.float64) + 1)[:, None]
    cosines = torch.cos(math.pi * place * torch.arange(count, dtype=torch.float64) / (2 * size))
    cosines *= math.sqrt(2 / size)
    cosines[:, 0] *= scale_first
    return cosines.float()
