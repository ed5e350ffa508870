"""Kaldi's log-mel filterbank."""

from __future__ import annotations

import torch
from torch import Tensor
from torchaudio.compliance.kaldi import get_mel_banks

from models.errors import ModelError
from models.frontends.base import AudioFrontend, check_band
from models.registry import register


@register("frontend")
class KaldiFbank(AudioFrontend):
    """Kaldi log-mel filterbank with the settings of AST, also used by DATAR.

    Equal to `torchaudio.compliance.kaldi.fbank(htk_compat=True, use_energy=False,
    window_type="hanning", dither=0.0)` on the clip minus its mean, zero-padded or cut to
    `num_frames`. Padding is 0 before normalization, not the log of silence.

    Source: YuanGongND/ast 31088be (`src/dataloader.py`); torchaudio 2.11 `compliance/kaldi.py`.
    """

    is_pure = True

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
            sample_rate: Nominal sample rate in Hz. DATAR sets 43000 for audio at 44100 Hz, so that
                ten seconds fill exactly 1024 frames.
            n_mels: Number of mel filters.
            num_frames: Number of frames; shorter clips are padded, longer ones cut.
            frame_length_ms: Length of the window in milliseconds at `sample_rate`.
            frame_shift_ms: Hop in milliseconds at `sample_rate`.
            f_min: Lower edge of the lowest filter in Hz.
            f_max: Upper edge of the highest filter in Hz; 0 or less is relative to the Nyquist
                frequency.
            preemphasis: Coefficient of the first-order high-pass filter within each frame.

        Raises:
            ModelError: The sizes or frequencies do not define a filterbank.
        """
        # Same float arithmetic and truncation as torchaudio.
        win_length = int(sample_rate * frame_length_ms * 0.001)
        hop_length = int(sample_rate * frame_shift_ms * 0.001)
        if win_length < 2 or hop_length < 1 or num_frames < 1 or n_mels < 4:
            raise ModelError(
                f"no filterbank has frame_length_ms={frame_length_ms}, "
                f"frame_shift_ms={frame_shift_ms}, num_frames={num_frames}, n_mels={n_mels} at "
                f"{sample_rate} Hz; a window takes 2 samples or more, a shift 1, and there are at "
                "least 1 frame and 4 filters"
            )
        n_fft = 1 << (win_length - 1).bit_length()
        high = f_max if f_max > 0 else f_max + 0.5 * sample_rate
        check_band(f_min=f_min, f_max=f_max, sample_rate=sample_rate, highest=high)
        super().__init__(
            sample_rate=sample_rate,
            n_fft=n_fft,
            win_length=win_length,
            hop_length=hop_length,
            n_mels=n_mels,
            num_frames=num_frames,
            window=lambda: torch.hann_window(win_length, periodic=False),
            filters=lambda: kaldi_mel_filters(
                n_mels=n_mels, n_fft=n_fft, sample_rate=sample_rate, f_min=f_min, f_max=high
            ),
            least=win_length,
            short=f"fewer than one window of {win_length}",
        )
        self.preemphasis = preemphasis

    def _features(self, waveform: Tensor) -> Tensor:
        waveform = waveform - waveform.mean(dim=1, keepdim=True)
        frames = self._frames(waveform)
        frames = frames - frames.mean(dim=2, keepdim=True)
        previous = torch.cat([frames[..., :1], frames[..., :-1]], dim=2)
        power = self._power(frames - self.preemphasis * previous)
        energy = power[..., :-1] @ self.filters
        return energy.clamp_min(torch.finfo(torch.float32).eps).log()


def kaldi_mel_filters(
    *, n_mels: int, n_fft: int, sample_rate: int, f_min: float, f_max: float
) -> Tensor:
    """Return Kaldi's filters, triangles in mel (1127 ln(1 + f / 700)).

    Returns:
        (n_fft / 2, n_mels) float32, without the Nyquist bin.

    Raises:
        ModelError: `n_mels` is less than 4.
    """
    if n_mels < 4:
        raise ModelError(f"n_mels={n_mels}: Kaldi's filters are 4 or more")
    banks, _ = get_mel_banks(
        n_mels,
        n_fft,
        float(sample_rate),
        f_min,
        f_max,
        vtln_low=100.0,
        vtln_high=-500.0,
        vtln_warp_factor=1.0,
    )
    return banks.T.contiguous()
