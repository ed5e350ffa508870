"""ERANN: residual networks for audio with wide strides over time, arXiv 2106.01621 (2022).

There is no code of the authors. The architecture is the paper's as a third-party port has it
(Matheuao/ERANNs 53af147, Keras); sizes are named ERANN-s-W, by the number of wide strides and the
factor of the widths. Parameters: 54.5 M with 527 classes for ERANN-1-6 and 37.9 M with 50 for
ERANN-2-5, which are the ratios to AST's that the paper prints (9.7 and 2.3 times smaller). What is
open, and how it is here:

- the spectrogram: 128 mels and windows of 31 ms every 8 ms are repeated by third parties
  (fabuloudy/audio_survey 4c684d1); here 1380 and 345 samples at 44.1 kHz, 128 frames a second,
  Slaney's mels of power from 50 Hz to half the rate, in decibels, normalised by the chain. A batch
  norm in front, of which the port speaks and which it has not, is not here either: the first block
  begins with one;
- the port pools by the mean alone and names the mean plus the maximum as the paper's, as here;
- padding of the kernels of 6 frames: 1 on both sides, a last incomplete stride is dropped;
- initial weights: PyTorch's.
"""

from __future__ import annotations

from models.erann.blocks import Erann
from models.registry import register


@register("model")
def erann_1_6(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    wide_strides: int = 1,
    widen: int = 6,
    depth: int = 4,
) -> Erann:
    """ERANN-1-6, the paper's best on AudioSet: 54.5 M parameters with 527 classes.

    Arguments, shapes and errors as in `models.erann.blocks.Erann`.
    """
    return Erann(
        num_channels,
        input_size,
        num_classes,
        wide_strides=wide_strides,
        widen=widen,
        depth=depth,
    )


@register("model")
def erann_2_5(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    wide_strides: int = 2,
    widen: int = 5,
    depth: int = 4,
) -> Erann:
    """ERANN-2-5, the paper's best on ESC-50: 37.9 M parameters with 50 classes.

    Arguments, shapes and errors as in `models.erann.blocks.Erann`.
    """
    return Erann(
        num_channels,
        input_size,
        num_classes,
        wide_strides=wide_strides,
        widen=widen,
        depth=depth,
    )


@register("model")
def erann_laptop(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    wide_strides: int = 0,
    widen: int = 1,
    depth: int = 1,
) -> Erann:
    """ERANN for a laptop: one block a stage, no wide stride; not a published size.

    Arguments, shapes and errors as in `models.erann.blocks.Erann`.
    """
    return Erann(
        num_channels,
        input_size,
        num_classes,
        wide_strides=wide_strides,
        widen=widen,
        depth=depth,
    )
