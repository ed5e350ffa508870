"""ERANN: residual networks for audio with wide strides over time, arXiv 2106.01621 (2022).

The authors published no code. The architecture follows a third-party port (Matheuao/ERANNs 53af147,
Keras); sizes are named ERANN-s-W, by number of wide strides and width factor. Parameters are 54.5 M
with 527 classes for ERANN-1-6 and 37.9 M with 50 for ERANN-2-5, which matches the printed ratios to
AST (9.7 and 2.3 times smaller). Our choices where it is unspecified:

- spectrogram: third parties report 128 mels and windows of 31 ms every 8 ms (fabuloudy/audio_survey
  4c684d1); here 1380 and 345 samples at 44.1 kHz, 128 frames per second, Slaney mels of power from
  50 Hz to half the sample rate, in decibels, normalized by the chain. There is no batch norm in
  front, which the port mentions but does not have: the first block starts with one;
- pooling: mean plus maximum, which the port attributes to the paper but replaces by the mean;
- padding of 6-frame kernels: 1 on both sides; an incomplete last stride is dropped;
- initialization: PyTorch's.

B batch, C channels, F frequency (mels), T time (frames).
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional

from models.errors import ModelError
from models.output import Output
from models.registry import register

_DIMS = (8, 16, 32, 64, 128)
_FREQ_STRIDES = (1, 2, 2, 2, 2)
_SLOPE = 0.01
_MAX_WIDE = 3


@register(
    "model",
    variants={
        "erann_1_6": {},
        "erann_2_5": {"wide_strides": 2, "widen": 5},
        "erann_laptop": {"wide_strides": 0, "widen": 1, "depth": 1},
    },
)
class Erann(nn.Module):
    """Classifies spectrograms by mean and maximum of a residual network's map.

    Five stages reduce mels by 16, and frames by 16 times 2 to the number of wide strides.

    Variants:
        erann_1_6: ERANN-1-6, the paper's best on AudioSet: 54.5 M parameters with 527 classes.
        erann_2_5: ERANN-2-5, the paper's best on ESC-50: 37.9 M parameters with 50 classes.
        erann_laptop: ERANN for a laptop: one block per stage, no wide stride; not a published size.
    """

    head_parameters = ("head.weight", "head.bias")

    def __init__(
        self,
        num_channels: int,
        input_size: tuple[int, int],
        num_classes: int,
        *,
        wide_strides: int = 1,
        widen: int = 6,
        depth: int = 4,
    ) -> None:
        """Initialize as PyTorch does.

        Args:
            num_channels: Number of channels of the spectrogram.
            input_size: (mels, frames), with any number of frames.
            num_classes: Number of classes.
            wide_strides: Number of stages, 0 to 3 of the second to fourth, with a time stride of 4
                instead of 2 (s_m in the paper).
            widen: Factor of the widths 8, 16, 32, 64, 128 (W in the paper).
            depth: Number of blocks in each stage; 4 in the paper.

        Raises:
            ModelError: The sizes do not define a network, or nothing is left of the input.
        """
        super().__init__()
        if not 0 <= wide_strides <= _MAX_WIDE or min(widen, depth) < 1:
            raise ModelError(
                f"wide_strides={wide_strides}, widen={widen}, depth={depth}: wide strides are 0 to "
                f"{_MAX_WIDE}, the others at least 1"
            )
        strides = (1, *(4 if i < wide_strides else 2 for i in range(_MAX_WIDE)), 2)
        # Two rows remain, so that the norms can train on a single clip.
        self.least = (2 * math.prod(_FREQ_STRIDES), math.prod(strides))
        mels, frames = input_size
        if mels < self.least[0] or 0 < frames < self.least[1]:
            raise ModelError(
                f"(mels, frames) = {tuple(input_size)} leaves nothing: {self.least[0]} mels and "
                f"{self.least[1]} frames or more; change the front end's rows and frames"
            )
        dims = [widen * dim for dim in _DIMS]
        before = [num_channels, *dims]
        self.stages = nn.ModuleList(
            nn.Sequential(
                *(
                    ErannBlock(
                        dim if j else before[i],
                        dim,
                        freq_stride=1 if j else _FREQ_STRIDES[i],
                        time_stride=1 if j else strides[i],
                    )
                    for j in range(depth)
                )
            )
            for i, dim in enumerate(dims)
        )
        self.embed = nn.Linear(dims[-1], dims[-1])
        self.head = nn.Linear(dims[-1], num_classes)

    def forward(self, features: Tensor) -> Output:
        """Classify a batch of spectrograms.

        Args:
            features: (B, num_channels, mels, frames), normalized.

        Returns:
            `Output` with clip_logits (B, num_classes).

        Raises:
            ModelError: There are too few mels or frames.
        """
        size = features.shape[2:]
        if size[0] < self.least[0] or size[1] < self.least[1]:
            raise ModelError(
                f"the model takes {self.least[0]} mels and {self.least[1]} frames or more, not "
                f"{tuple(size)}; pad shorter clips, or set the front end's number of frames"
            )
        x = features
        for stage in self.stages:
            x = stage(x)
        x = x.flatten(2)
        x = x.mean(dim=2) + x.amax(dim=2)
        x = functional.leaky_relu(self.embed(x), _SLOPE)
        return Output(self.head(x), embedding=x)


class ErannBlock(nn.Module):
    """Norm, activation, and convolution, twice, around a shortcut.

    Kernels cover 6 and 5 frames with a stride of four frames, otherwise 3.
    """

    def __init__(self, in_dim: int, dim: int, *, freq_stride: int, time_stride: int) -> None:
        """Build the layers; the shortcut has a convolution if the shape changes."""
        super().__init__()
        wide = time_stride == 4
        stride = (freq_stride, time_stride)
        self.norm1 = nn.BatchNorm2d(in_dim)
        self.conv1 = nn.Conv2d(
            in_dim, dim, (3, 6 if wide else 3), stride=stride, padding=1, bias=False
        )
        self.norm2 = nn.BatchNorm2d(dim)
        self.conv2 = nn.Conv2d(
            dim, dim, (3, 5 if wide else 3), padding=(1, 2 if wide else 1), bias=False
        )
        self.shortcut = (
            nn.Conv2d(in_dim, dim, 1, stride=stride, bias=False)
            if in_dim != dim or stride != (1, 1)
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_dim, F, T) -> (B, dim, F / freq_stride, T / time_stride)."""
        y = self.conv1(functional.leaky_relu(self.norm1(x), _SLOPE))
        y = self.conv2(functional.leaky_relu(self.norm2(y), _SLOPE))
        if self.shortcut is not None:
            x = self.shortcut(x)[..., : y.shape[3]]
        return x + y
