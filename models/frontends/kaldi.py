"""Kaldi's log-mel filterbank, batched on the device that trains."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.errors import ModelError
from models.frontends.common import check_band, check_clips, clip_by_clip
from models.precision import full_precision
from models.registry import register


@register("frontend")
class KaldiFbank(nn.Module):
    """Kaldi log-mel filterbank with the settings of AST, which DATAR takes over.

    Equal to `torchaudio.compliance.kaldi.fbank(htk_compat=True, use_energy=False,
    window_type="hanning", dither=0.0)` on the clip minus its mean, with zero rows appended or the
    tail cut to `num_frames`. A padding row is 0 before normalization, not the log of silence.

    Source: YuanGongND/ast 31088be (`src/dataloader.py`); torchaudio 2.11 `compliance/kaldi.py`.
    Always float32, inside autocast too.
    """

    num_channels = 1
    rows_arguments = ("n_mels",)
    frames_arguments = ("num_frames",)
    padding_value = 0.0
    window: Tensor
    filters: Tensor

    def __init__(
        self,
        *,
        sample_rate: int = 16000,
        n_mels: int = 128,
        num_frames: int = 1024,
        frame_length_ms: float = 25.0,
        frame_shift_ms: float = 10.0,
        f_min: float = 20.0,
        f_max: float = 0.0,
        preemphasis: float = 0.97,
    ) -> None:
        """Precompute the window and the filters.

        Args:
            sample_rate: the rate in Hz that the filterbank believes. DATAR gives 43000 for audio
                at 44100 Hz, by which ten seconds fill exactly 1024 frames.
            n_mels: number of mel filters.
            num_frames: length of the output; shorter clips are padded, longer ones cut.
            frame_length_ms: window length in milliseconds at `sample_rate`.
            frame_shift_ms: hop in milliseconds at `sample_rate`.
            f_min: lower edge of the first filter in Hz.
            f_max: upper edge of the last filter in Hz; 0 or less counts from the Nyquist rate.
            preemphasis: coefficient of the first-order high-pass within each frame.

        Raises:
            ModelError: sizes or frequencies that make no filterbank.
        """
        super().__init__()
        self.sample_rate = sample_rate
        self.n_mels = n_mels
        self.num_frames = num_frames
        self.preemphasis = preemphasis
        # The same float arithmetic and truncation as in torchaudio.
        self.win_length = int(sample_rate * frame_length_ms * 0.001)
        self.hop_length = int(sample_rate * frame_shift_ms * 0.001)
        if self.win_length < 2 or self.hop_length < 1 or num_frames < 1 or n_mels < 4:
            raise ModelError(
                f"no filterbank has frame_length_ms={frame_length_ms}, "
                f"frame_shift_ms={frame_shift_ms}, num_frames={num_frames}, n_mels={n_mels} at "
                f"{sample_rate} Hz; a window takes 2 samples or more, a shift 1, and there are at "
                "least 1 frame and 4 filters"
            )
        self.n_fft = 1 << (self.win_length - 1).bit_length()
        high = f_max if f_max > 0 else f_max + 0.5 * sample_rate
        check_band(f_min=f_min, f_max=f_max, sample_rate=sample_rate, highest=high)
        window = torch.hann_window(self.win_length, periodic=False)
        self.register_buffer("window", window, persistent=False)
        filters = kaldi_mel_filters(
            n_mels=n_mels, n_fft=self.n_fft, sample_rate=sample_rate, f_min=f_min, f_max=high
        )
        self.register_buffer("filters", filters, persistent=False)

    @property
    def output_size(self) -> tuple[int, int]:
        """Size of the output: (n_mels, num_frames)."""
        return self.n_mels, self.num_frames

    def forward(self, waveform: Tensor) -> Tensor:
        """Compute the features of a batch of clips of equal length.

        Args:
            waveform: (batch, time) in [-1, 1].

        Returns:
            (batch, 1, n_mels, num_frames) float32, natural logarithm of the filters' power.

        Raises:
            ModelError: the shape is another, or the clips are shorter than one window.
        """
        short = f"fewer than one window of {self.win_length}"
        check_clips(waveform, least=self.win_length, short=short)
        with full_precision(waveform):
            waveform = waveform.float()
            features = clip_by_clip(self._features, waveform)
        missing = self.num_frames - features.shape[1]
        if missing > 0:
            features = functional.pad(features, (0, 0, 0, missing))
        return features.transpose(1, 2).unsqueeze(1).contiguous()

    def _features(self, waveform: Tensor) -> Tensor:
        waveform = waveform - waveform.mean(dim=1, keepdim=True)
        frames = waveform.unfold(1, self.win_length, self.hop_length)[:, : self.num_frames]
        frames = frames - frames.mean(dim=2, keepdim=True)
        previous = torch.cat([frames[..., :1], frames[..., :-1]], dim=2)
        frames = (frames - self.preemphasis * previous) * self.window
        spectrum = torch.view_as_real(torch.fft.rfft(frames, n=self.n_fft))
        power = spectrum.square().sum(dim=3)
        energy = power[..., :-1] @ self.filters
        return energy.clamp_min(torch.finfo(torch.float32).eps).log()


def kaldi_mel_filters(
    *, n_mels: int, n_fft: int, sample_rate: int, f_min: float, f_max: float
) -> Tensor:
    """Triangles that are linear in mel (1127 ln(1 + f / 700)), as Kaldi builds them.

    The arithmetic is float32 in torchaudio's order: where a filter touches one bin with its foot,
    a rounding error in the weight would show in the logarithm.

    Returns:
        (n_fft / 2, n_mels) float32; the Nyquist bin is left out.
    """
    low, high = (1127.0 * math.log(1.0 + f / 700.0) for f in (f_min, f_max))
    step = (high - low) / (n_mels + 1)
    index = torch.arange(n_mels).unsqueeze(1)
    left = low + index * step
    center = low + (index + 1.0) * step
    right = low + (index + 2.0) * step
    hertz = (sample_rate / n_fft) * torch.arange(n_fft / 2)
    mel = (1127.0 * (1.0 + hertz / 700.0).log()).unsqueeze(0)
    rising = (mel - left) / (center - left)
    falling = (right - mel) / (right - center)
    return torch.minimum(rising, falling).clamp_min(0).T.contiguous()
