"""The log-mel front end on clips that are repeated to a length, as HTS-AT hears short ones."""

from __future__ import annotations

from torch import Tensor

from models.errors import ModelError
from models.frontends.log_mel import LogMel
from models.registry import register


@register("frontend")
class RepeatedLogMel(LogMel):
    """`LogMel` of a clip that is repeated from its start until it fills a number of seconds.

    Longer clips are cut.

    Source: RetroCirce/HTS-Audio-Transformer 2e29471 (`data_generator.py`), which joins each clip of
    ESC-50 to itself and repeats those of Speech Commands to 10 s.
    """

    is_pure = True

    def __init__(
        self,
        *,
        seconds: float = 10.0,
        sample_rate: int = 32000,
        n_fft: int = 1024,
        win_length: int = 1024,
        hop_length: int = 320,
        n_mels: int = 64,
        f_min: float = 50.0,
        f_max: float = 14000.0,
        num_frames: int = 0,
    ) -> None:
        """Set the length; see `LogMel` for the rest.

        Args:
            seconds: Length to which a clip is repeated or cut.
            sample_rate: Sample rate of the clips in Hz.
            n_fft: Size of the Fourier transform in samples.
            win_length: Length of the window in samples.
            hop_length: Hop between frames in samples.
            n_mels: Number of mel filters.
            f_min: Lower edge of the lowest filter in Hz.
            f_max: Upper edge of the highest filter in Hz.
            num_frames: Number of frames; 0 takes those of the repeated clip.

        Raises:
            ModelError: The length is not above 0, or the rest defines no filterbank.
        """
        if not seconds > 0:
            raise ModelError(f"seconds={seconds}: clips are repeated to a length above 0")
        num_samples = round(seconds * sample_rate)
        super().__init__(
            sample_rate=sample_rate,
            n_fft=n_fft,
            win_length=win_length,
            hop_length=hop_length,
            n_mels=n_mels,
            f_min=f_min,
            f_max=f_max,
            num_frames=num_frames or num_samples // max(hop_length, 1) + 1,
        )
        self.num_samples = num_samples

    def forward(self, waveform: Tensor) -> Tensor:
        """Return (batch, 1, n_mels, frames) of a waveform (batch, time)."""
        if waveform.ndim == 2 and waveform.shape[1]:
            times = -(-self.num_samples // waveform.shape[1])
            waveform = waveform.repeat(1, times)[:, : self.num_samples]
        return super().forward(waveform)
