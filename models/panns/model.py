"""PANNs: pretrained audio neural networks, arXiv 1912.10211 (TASLP 2020).

The authors' code is qiuqiangkong/audioset_tagging_cnn d2f4b8c (MIT); weights are Zenodo record
3987831, under the licence stated there. Equal to the authors' models in values (a test holds
parity vectors), and different in:

- the spectrogram is the input, (batch, 1, mels, frames); front end and masking are links of the
  chain (`models.frontends.log_mel.LogMel`, `models.augment.Stripes`). The published parameter
  counts include the front end's filters (1.08 M at 32 kHz);
- no mixup. Theirs mixes pairs of a batch and their targets; here augmentation of a clip does not
  depend on its batch, and targets are not mixed;
- any number of mels: the authors' first norm is fixed to 64;
- logits come out, not probabilities.

The models that score frames are in `models.panns.frames`.

Published weights expect log-mel features in decibel, 10 log10(max(power, 1e-10)), of audio at
32 kHz: a centred, reflected periodic Hann window, `n_fft` and `win_length` 1024, `hop_length` 320,
64 Slaney mels (area 1) from 50 to 14000 Hz, thus 1001 frames for ten seconds. The norm over mels
stands for the normalisation, so the chain hands them the front end's output as it is.
"""

from __future__ import annotations

from torch import nn

from models.errors import ModelError
from models.layers.conv_blocks import conv_stages, residual_stage
from models.panns.blocks import Panns
from models.registry import register


@register("model")
def cnn6(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    dropout: float = 0.2,
    head_dropout: float = 0.5,
    dims: tuple[int, ...] = (64, 128, 256, 512),
) -> Panns:
    """CNN6: four 5x5 convolutions, 4.84 M parameters with 527 classes.

    Arguments, shapes and errors as in `models.panns.blocks.Panns`; `dims` are the stages' widths.
    """
    return Panns(
        num_channels,
        input_size,
        num_classes,
        stages=conv_stages(num_channels, dims, kernel_size=5, num_convs=1, num_pools=4),
        dim=dims[-1],
        step=16,
        dropout=dropout,
        head_dropout=head_dropout,
        pooling="embedding",
    )


@register("model")
def cnn10(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    dropout: float = 0.2,
    head_dropout: float = 0.5,
    dims: tuple[int, ...] = (64, 128, 256, 512),
) -> Panns:
    """CNN10: four pairs of 3x3 convolutions, 5.22 M parameters with 527 classes.

    Arguments, shapes and errors as in `models.panns.blocks.Panns`; `dims` are the stages' widths.
    """
    return Panns(
        num_channels,
        input_size,
        num_classes,
        stages=conv_stages(num_channels, dims, kernel_size=3, num_convs=2, num_pools=4),
        dim=dims[-1],
        step=16,
        dropout=dropout,
        head_dropout=head_dropout,
        pooling="embedding",
    )


@register("model")
def cnn14(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    dropout: float = 0.2,
    head_dropout: float = 0.5,
    dims: tuple[int, ...] = (64, 128, 256, 512, 1024, 2048),
) -> Panns:
    """CNN14: six pairs of 3x3 convolutions, 80.75 M parameters with 527 classes.

    Arguments, shapes and errors as in `models.panns.blocks.Panns`; `dims` are the stages' widths.
    """
    return Panns(
        num_channels,
        input_size,
        num_classes,
        stages=conv_stages(num_channels, dims, kernel_size=3, num_convs=2, num_pools=5),
        dim=dims[-1],
        step=32,
        dropout=dropout,
        head_dropout=head_dropout,
        pooling="embedding",
    )


@register("model")
def cnn6_laptop(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    dropout: float = 0.2,
    head_dropout: float = 0.5,
    dims: tuple[int, ...] = (16, 32, 64, 128),
) -> Panns:
    """CNN6 for a laptop: 0.29 M parameters at 64 mels x 128 frames; not a published size.

    81.9 M MACs a clip, with ten classes and the front end of `models.create_model`.

    Arguments, shapes and errors as in `models.panns.blocks.Panns`; `dims` are the stages' widths.
    """
    return Panns(
        num_channels,
        input_size,
        num_classes,
        stages=conv_stages(num_channels, dims, kernel_size=5, num_convs=1, num_pools=4),
        dim=dims[-1],
        step=16,
        dropout=dropout,
        head_dropout=head_dropout,
        pooling="embedding",
    )


@register("model")
def resnet38(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    dropout: float = 0.2,
    head_dropout: float = 0.5,
    block_dropout: float = 0.1,
    dims: tuple[int, ...] = (64, 128, 256, 512, 2048),
    depths: tuple[int, ...] = (3, 4, 6, 3),
) -> Panns:
    """ResNet38 of PANNs: 73.78 M parameters with 527 classes.

    `dims` are the widths of the four rows of residual blocks, as long as `depths` says, and of
    the last pair of convolutions; `block_dropout` is the rate inside the blocks. The other
    arguments, shapes and errors as in `models.panns.blocks.Panns`.
    """
    if len(dims) != 5 or len(depths) != 4:
        raise ModelError(f"dims={dims} and depths={depths}: give 5 dims and 4 depths")
    before = conv_stages(num_channels, dims[:1], kernel_size=3, num_convs=2, num_pools=1)
    rows = [
        residual_stage(dims[max(i - 1, 0)], dims[i], depth=depth, dropout=block_dropout)
        for i, depth in enumerate(depths)
    ]
    after = conv_stages(dims[3], dims[4:], kernel_size=3, num_convs=2, num_pools=0)
    return Panns(
        num_channels,
        input_size,
        num_classes,
        stages=[*before, nn.Sequential(*rows, nn.AvgPool2d(2)), *after],
        dim=dims[4],
        step=32,
        dropout=dropout,
        head_dropout=head_dropout,
        pooling="embedding",
    )
