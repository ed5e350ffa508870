"""What every front end for audio is: frames of a waveform, and features of each frame."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.errors import ModelError
from models.precision import full_precision


class AudioFrontend(nn.Module):
    """Cuts waveforms into frames and computes the features of each frame.

    A subclass says where the first frame starts (`_placed`) and what the features of a clip are
    (`_features`). Always float32, inside autocast too.
    """

    num_channels = 1
    rows_arguments: tuple[str, ...] = ("n_mels",)
    frames_arguments: tuple[str, ...] = ("num_frames",)
    padding_value: float = 0.0
    clip_by_clip = True
    """On a CPU one clip is computed after the other: its frames stay in the cache, by which Kaldi's
    filterbank takes half the time."""
    window: Tensor
    filters: Tensor

    def __init__(
        self,
        *,
        sample_rate: int,
        n_fft: int,
        win_length: int,
        hop_length: int,
        n_mels: int,
        num_frames: int,
        window: Callable[[], Tensor],
        filters: Callable[[], Tensor],
        least: int,
        short: str,
    ) -> None:
        """Check the sizes, and precompute window and filters.

        Args:
            sample_rate: in Hz.
            n_fft: size of the Fourier transform in samples.
            win_length: length of the window in samples.
            hop_length: samples between two frames.
            n_mels: rows of the output.
            num_frames: frames of the output; 0 gives as many as the clip has.
            window: makes what a frame is multiplied with, as long as a frame.
            filters: makes (bins, n_mels) weights.
            least: samples that a clip has at least.
            short: what fewer are, for the message.

        Raises:
            ModelError: no spectrogram has these sizes; names all of them and their bounds.
        """
        super().__init__()
        if not 2 <= win_length <= n_fft or hop_length < 1 or n_mels < 1 or num_frames < 0:
            raise ModelError(
                f"no spectrogram has n_fft={n_fft}, win_length={win_length}, "
                f"hop_length={hop_length}, n_mels={n_mels}, num_frames={num_frames}: "
                "2 <= win_length <= n_fft, hop_length and n_mels are >= 1, num_frames is >= 0"
            )
        self.sample_rate = sample_rate
        self.n_fft = n_fft
        self.win_length = win_length
        self.hop_length = hop_length
        self.n_mels = n_mels
        self.num_frames = num_frames
        self.output_size = (n_mels, num_frames)
        self.least = least
        self.short = short
        self.register_buffer("window", window(), persistent=False)
        self.register_buffer("filters", filters(), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Compute the features of a batch of clips of equal length.

        Args:
            waveform: (batch, time) in [-1, 1].

        Returns:
            (batch, 1, rows, frames) float32.

        Raises:
            ModelError: the shape is another, or the clips are too short.
        """
        self._check(waveform)
        with full_precision(waveform):
            waveform = self._placed(waveform.float())
            if self.clip_by_clip and waveform.is_cpu and not torch.compiler.is_compiling():
                features = torch.cat([self._features(clip) for clip in waveform.split(1)])
            else:
                features = self._features(waveform)
        features = features.transpose(1, 2).unsqueeze(1)
        missing = self.num_frames - features.shape[3]
        if self.num_frames and missing > 0:
            features = self._lengthened(features, missing)
        return features.contiguous()

    def _placed(self, waveform: Tensor) -> Tensor:
        """Put (batch, time) where the first frame starts."""
        return waveform

    def _features(self, waveform: Tensor) -> Tensor:
        """(batch, time) as `_placed` left it -> (batch, frames, rows), each clip by itself."""
        raise NotImplementedError

    def _lengthened(self, features: Tensor, missing: int) -> Tensor:
        """Append frames to (batch, 1, rows, frames)."""
        return functional.pad(features, (0, missing), value=self.padding_value)

    def _frames(self, waveform: Tensor) -> Tensor:
        """(batch, time) -> (batch, frames, length of the window), at most `num_frames`."""
        frames = waveform.unfold(1, len(self.window), self.hop_length)
        return frames[:, : self.num_frames] if self.num_frames else frames

    def _power(self, frames: Tensor) -> Tensor:
        """(batch, frames, length of the window) -> (batch, frames, bins)."""
        spectrum = torch.fft.rfft(frames * self.window, n=self.n_fft)
        return torch.view_as_real(spectrum).square().sum(dim=3)

    def _check(self, waveform: Tensor) -> None:
        if waveform.dim() != 2:
            hint = (
                "one clip is waveform[None]"
                if waveform.dim() < 2
                else "features (batch, channels, mels, frames) of your own go to "
                "chain.model(chain.transform(features)), or to a chain that is built with "
                "frontend=('features', {...}); channels of audio are averaged, waveform.mean(dim=1)"
            )
            raise ModelError(f"a waveform is (batch, time), not {tuple(waveform.shape)}: {hint}")
        if waveform.shape[1] < self.least:
            raise ModelError(
                f"the clips have {waveform.shape[1]} samples, {self.short}; pad them to "
                f"{self.least} or more"
            )

    def _warn_of_empty_filters(self, way_out: str) -> None:
        if empty := int((self.filters == 0).all(dim=0).sum()):
            warnings.warn(
                f"{empty} of {self.n_mels} mel filters are empty, their rows are constant: "
                f"{way_out}",
                stacklevel=3,
            )


def check_band(
    *, f_min: float, f_max: float, sample_rate: int, highest: float | None = None
) -> None:
    """Refuse a band that is empty or reaches above half the sample rate.

    Args:
        f_min: lower edge in Hz.
        f_max: upper edge in Hz, as it was given.
        sample_rate: in Hz.
        highest: what `f_max` stands for in Hz, where that is another number.

    Raises:
        ModelError: names the edges and their bounds.
    """
    nyquist = sample_rate / 2
    if not 0 <= f_min < (f_max if highest is None else highest) <= nyquist:
        raise ModelError(
            f"f_min={f_min} and f_max={f_max} Hz do not fit: 0 <= f_min < f_max <= "
            f"{nyquist:g} (half the sample rate)"
        )


def hann(win_length: int, n_fft: int = 0) -> Tensor:
    """Return a periodic Hann window, float32; zeros around it fill up `n_fft` samples."""
    missing = max(n_fft - win_length, 0)
    window = torch.hann_window(win_length, dtype=torch.float64)
    return functional.pad(window, (missing // 2, missing - missing // 2)).float()


@torch.no_grad()
def feature_statistics(frontend: nn.Module, waveforms: Iterable[Tensor]) -> tuple[float, float]:
    """Mean and standard deviation of a front end's output, for `Chain.set_normalization`.

    Taken over every element of the padded features, as the model sees them and as AST measures
    its own (there with augmentation, here without): a data set of short clips has a mean nearer
    to 0, the value of padding.

    Args:
        frontend: the front end that will be trained on.
        waveforms: batches (batch, time) of the training clips, any batch size.

    Returns:
        (mean, standard deviation), accumulated in float64 and rounded to 4 decimals, so that
        batch size and order do not change them.

    Raises:
        ModelError: there are no clips, or their features do not vary.
    """
    count, total, squares = 0, 0.0, 0.0
    for waveform in waveforms:
        features = frontend(waveform).double()
        count += features.numel()
        total += features.sum().item()
        squares += features.square().sum().item()
    if count == 0:
        raise ModelError("no clips to take feature statistics from")
    mean = total / count
    deviation = round(math.sqrt(max(squares / count - mean * mean, 0.0)), 4)
    if not deviation > 0:
        raise ModelError(
            f"the features do not vary or are not finite (mean {mean:g}, deviation {deviation}): "
            "are the clips silent?"
        )
    return round(mean, 4), deviation
