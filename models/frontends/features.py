"""A front end for ready-made features: images, or spectrograms of your own."""

from __future__ import annotations

from torch import Tensor, nn

from models.errors import ModelError
from models.registry import register


@register("frontend")
class Features(nn.Module):
    """Passes ready-made features on to the rest of the chain.

    ImageNet weights fit unchanged at the size of their model: three channels of 224 x 224 for DAT.
    """

    padding_value = 0.0
    rows_arguments = ("n_mels",)
    frames_arguments = ("num_frames",)

    def __init__(self, *, num_channels: int = 1, n_mels: int = 128, num_frames: int = 0) -> None:
        """Declare the size of the features.

        Args:
            num_channels: Number of channels, 3 for color images.
            n_mels: Number of rows: mel bins of a spectrogram or height of an image.
            num_frames: Number of columns: frames or width of an image; 0 accepts any number.

        Raises:
            ModelError: A size is not positive.
        """
        super().__init__()
        if min(num_channels, n_mels) < 1 or num_frames < 0:
            raise ModelError(
                f"num_channels={num_channels}, n_mels={n_mels}, num_frames={num_frames}: the first "
                "two are 1 or more, num_frames is >= 0"
            )
        self.num_channels = num_channels
        self.output_size = (n_mels, num_frames)

    def forward(self, features: Tensor) -> Tensor:
        """Check a batch of features.

        Args:
            features: (batch, num_channels, n_mels, num_frames), floating point.

        Returns:
            The features in float32.

        Raises:
            ModelError: The shape or dtype is wrong.
        """
        rows, frames = self.output_size
        wanted = (self.num_channels, rows, frames or features.shape[-1])
        if features.dim() != 4 or tuple(features.shape[1:]) != wanted:
            shape = f"(batch, {self.num_channels}, {rows}, {frames or 'frames'})"
            raise ModelError(
                f"the front end features takes {shape}, not {tuple(features.shape)}; a waveform "
                "(batch, time) goes to another front end, for example log_mel"
            )
        if not features.is_floating_point():
            raise ModelError(
                f"features of type {features.dtype} are no floating-point numbers; scale an image "
                "to [0, 1] first, for example by image / 255"
            )
        return features.float()
