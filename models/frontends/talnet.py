"""The filterbank front end of TALNet, batched on the device that trains."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.errors import ModelError
from models.frontends.common import check_band, check_clips, check_sizes, clip_by_clip
from models.frontends.log_mel import slaney_mel_filters
from models.precision import full_precision
from models.registry import register

_FLOOR = 1e-10


@register("frontend")
class TalnetFbank(nn.Module):
    """Log-mel of magnitudes in decibels, at most so many below the clip's loudest place.

    Zeros for half a window on both sides, periodic Hann window, a Fourier transform four times as
    long, magnitudes, Slaney's mel filters of unit area, 10 log10(max(magnitude, 1e-10)), then the
    floor of `top_db` below the maximum of the clip. A clip of N samples gives N // hop_length
    frames, ten seconds 400.

    Source: what the author says in MaigoAkisame/cmu-thesis issue 4: librosa's `stft`,
    `melspectrogram` and `power_to_db`, the latter of magnitudes. The Fourier transform is in
    float64, as in librosa: 80 dB of magnitudes reach below the rounding of float32. The rest is
    float32, inside autocast too.
    """

    num_channels = 1
    rows_arguments = ("n_mels",)
    frames_arguments = ("num_frames",)
    padding_value = 10 * math.log10(_FLOOR)
    window: Tensor
    filters: Tensor

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
            sample_rate: rate of the clips in Hz.
            n_fft: size of the Fourier transform in samples.
            win_length: length of the window in samples.
            hop_length: samples between two frames.
            n_mels: number of mel filters.
            f_min: lower edge of the first filter in Hz.
            f_max: upper edge of the last filter in Hz.
            top_db: range in decibels below the clip's maximum.
            num_frames: 0 gives as many frames as the clip has; otherwise shorter clips are filled
                up with silence and longer ones cut.

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
        if not top_db > 0:
            raise ModelError(f"top_db={top_db}: the range in decibels is > 0")
        self.sample_rate = sample_rate
        self.n_fft = n_fft
        self.win_length = win_length
        self.hop_length = hop_length
        self.n_mels = n_mels
        self.top_db = top_db
        self.num_frames = num_frames
        window = torch.hann_window(win_length, dtype=torch.float64)
        self.register_buffer("window", window, persistent=False)
        filters = slaney_mel_filters(
            n_mels=n_mels, n_fft=n_fft, sample_rate=sample_rate, f_min=f_min, f_max=f_max
        )
        self.register_buffer("filters", filters, persistent=False)

    @property
    def output_size(self) -> tuple[int, int]:
        """Size of the output: (n_mels, num_frames); 0 frames stand for any number."""
        return self.n_mels, self.num_frames

    def forward(self, waveform: Tensor) -> Tensor:
        """Compute the features of a batch of clips of equal length.

        Args:
            waveform: (batch, time) in [-1, 1].

        Returns:
            (batch, 1, n_mels, frames) float32 in decibels.

        Raises:
            ModelError: the shape is another, or the clips are shorter than one hop.
        """
        short = f"fewer than one hop of {self.hop_length}"
        check_clips(waveform, least=self.hop_length, short=short)
        with full_precision(waveform):
            waveform = waveform.float()
            frames = self.num_frames or waveform.shape[1] // self.hop_length
            before = self.win_length // 2
            total = (frames - 1) * self.hop_length + self.win_length
            # Cuts where it is negative.
            waveform = functional.pad(waveform, (before, total - before - waveform.shape[1]))
            features = clip_by_clip(self._features, waveform)
        return features.transpose(1, 2).unsqueeze(1).contiguous()

    def _features(self, waveform: Tensor) -> Tensor:
        frames = waveform.double().unfold(1, self.win_length, self.hop_length) * self.window
        spectrum = torch.view_as_real(torch.fft.rfft(frames, n=self.n_fft))
        magnitude = spectrum.square().sum(dim=3).sqrt().float() @ self.filters
        decibels = 10 * magnitude.clamp_min(_FLOOR).log10()
        return torch.maximum(decibels, decibels.amax(dim=(1, 2), keepdim=True) - self.top_db)
