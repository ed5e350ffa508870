"""The log-mel front end of Auditory SlowFast, batched on the device that trains."""

from __future__ import annotations

import math
import warnings

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.errors import ModelError
from models.frontends.common import (
    centered_hann,
    check_band,
    check_clips,
    check_sizes,
    clip_by_clip,
)
from models.frontends.log_mel import triangles
from models.precision import full_precision
from models.registry import register

_FLOOR = 1e-6


@register("frontend")
class HtkLogMel(nn.Module):
    """Log-mel spectrogram of magnitudes with HTK's mel scale, as Auditory SlowFast takes it.

    Half a Fourier transform of zeros on both sides, a periodic Hann window in the middle of
    `n_fft`, magnitudes and not power, triangles of height 1 equally spaced in 2595 log10(1 + f /
    700), log(x + 1e-6). A clip of N samples gives N // hop_length + 1 frames.

    Equal to `librosa.stft(pad_mode="constant")` and `librosa.filters.mel(htk=True, norm=None)` in
    ekazakos/auditory-slow-fast 6af3fd7 (`slowfast/datasets/audio_loader_vggsound.py`; for
    EPIC-KITCHENS 24000 Hz, win_length 240, hop_length 120, f_max 12000). Always float32, inside
    autocast too.
    """

    num_channels = 1
    rows_arguments = ("n_mels",)
    frames_arguments = ("num_frames",)
    padding_value = math.log(_FLOOR)
    window: Tensor
    filters: Tensor

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
            sample_rate: rate of the clips in Hz.
            n_fft: size of the Fourier transform in samples.
            win_length: length of the window in samples, in the middle of `n_fft`.
            hop_length: samples between two frames.
            n_mels: number of mel filters.
            f_min: lower edge of the first filter in Hz.
            f_max: upper edge of the last filter in Hz, at most half the sample rate.
            num_frames: 0 gives as many frames as the clip has; otherwise shorter clips are
                lengthened by their last frame and longer ones cut.

        Raises:
            ModelError: sizes or frequencies that make no filterbank.
        """
        super().__init__()
        check_sizes(
            n_fft=n_fft,
            win_length=win_length,
            hop_length=hop_length,
            n_mels=n_mels,
            num_frames=num_frames,
        )
        check_band(f_min=f_min, f_max=f_max, sample_rate=sample_rate)
        self.sample_rate = sample_rate
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.n_mels = n_mels
        self.num_frames = num_frames
        window = centered_hann(n_fft, win_length)
        self.register_buffer("window", window, persistent=False)
        low, high = (2595 * math.log10(1 + f / 700) for f in (f_min, f_max))
        mel = torch.linspace(low, high, n_mels + 2, dtype=torch.float64)
        corners = 700 * (10 ** (mel / 2595) - 1)
        filters = triangles(corners, n_fft=n_fft, sample_rate=sample_rate).float()
        self.register_buffer("filters", filters, persistent=False)
        if empty := int((filters == 0).all(dim=0).sum()):
            warnings.warn(
                f"{empty} of {n_mels} mel filters are empty, their rows are constant: lower n_mels "
                "or raise n_fft",
                stacklevel=2,
            )

    @property
    def output_size(self) -> tuple[int, int]:
        """Size of the output: (n_mels, num_frames); 0 frames stand for any number."""
        return self.n_mels, self.num_frames

    def forward(self, waveform: Tensor) -> Tensor:
        """Compute the features of a batch of clips of equal length.

        Args:
            waveform: (batch, time) in [-1, 1].

        Returns:
            (batch, 1, n_mels, frames) float32, natural logarithm of the filters' magnitude.

        Raises:
            ModelError: the shape is another, or the clips are empty.
        """
        check_clips(waveform)
        if waveform.shape[1] < 1:
            raise ModelError("the clips have no samples; pad them to 1 or more")
        with full_precision(waveform):
            waveform = waveform.float()
            features = clip_by_clip(self._features, waveform)
        features = features.transpose(1, 2).unsqueeze(1)
        missing = self.num_frames - features.shape[3]
        if self.num_frames and missing > 0:
            features = functional.pad(features, (0, missing, 0, 0), mode="replicate")
        return features.contiguous()

    def _features(self, waveform: Tensor) -> Tensor:
        half = self.n_fft // 2
        frames = functional.pad(waveform, (half, half)).unfold(1, self.n_fft, self.hop_length)
        if self.num_frames:
            frames = frames[:, : self.num_frames]
        magnitude = torch.fft.rfft(frames * self.window).abs()
        return (magnitude @ self.filters + _FLOOR).log()
