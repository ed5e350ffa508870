"""A front end for features that are there already: images, or spectrograms of your own."""

from __future__ import annotations

from torch import Tensor, nn

from models.errors import ModelError
from models.registry import register


@register("frontend")
class Features(nn.Module):
    """Hands ready features to the rest of the chain, which is then called with them.

    With the sizes of an image model, weights from ImageNet fit as they are: three channels of
    224 x 224 for DAT.
    """

    padding_value = 0.0
    rows_arguments = ("n_mels",)
    frames_arguments = ("num_frames",)

    def __init__(self, *, num_channels: int = 1, n_mels: int = 128, num_frames: int = 0) -> None:
        """State the size of the features.

        Args:
            num_channels: channels, 3 for color images.
            n_mels: rows: mel bins of a spectrogram, height of an image.
            num_frames: columns: frames, width of an image; 0 takes any number.

        Raises:
            ModelError: a size is not positive.
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
            The same in float32.

        Raises:
            ModelError: the shape or the type is another.
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
