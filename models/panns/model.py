"""PANNs: pretrained audio neural networks, arXiv 1912.10211 (TASLP 2020).

The authors' code is qiuqiangkong/audioset_tagging_cnn d2f4b8c (MIT); weights are Zenodo record
3987831, under the license stated there. Equal to the authors' models in values (a test holds
parity vectors), and different in:

- the spectrogram is the input, (batch, 1, mels, frames); front end and masking are links of the
  chain (`models.frontends.log_mel.LogMel`, `models.augment.Stripes`). The published parameter
  counts include the front end's filters (1.08 M at 32 kHz);
- no mixup. Theirs mixes pairs of a batch and their targets; here augmentation of a clip does not
  depend on its batch, and targets are not mixed;
- any number of mels: the authors' first norm is fixed to 64;
- logits come out, not probabilities.

CNN14 with decisions at the level of time steps scores every frame. A step is 32 frames long (320
ms); its scores are repeated for each of its frames. Clips are scored by the probabilities of the
steps: `clip_logits` are the logits of the combined probability, so that the sigmoid of both outputs
is what the authors' models return. The attention model's unused norm is not built.

Published weights expect log-mel features in decibel, 10 log10(max(power, 1e-10)), of audio at
32 kHz: a centered, reflected periodic Hann window, `n_fft` and `win_length` 1024, `hop_length` 320,
64 Slaney mels (area 1) from 50 to 14000 Hz, thus 1001 frames for ten seconds. The norm over mels
stands for the normalization, so the chain hands them the front end's output as it is.
"""

from __future__ import annotations

from typing import Literal

from torch import nn

from models.errors import ModelError
from models.layers.conv_blocks import conv_stages, residual_stage
from models.panns.blocks import Panns
from models.registry import register


@register(
    "model",
    variants={
        "cnn6": {"kernel_size": 5, "num_convs": 1},
        "cnn6_laptop": {"dims": (16, 32, 64, 128), "kernel_size": 5, "num_convs": 1},
        "cnn10": {},
        "cnn14": {"dims": (64, 128, 256, 512, 1024, 2048), "num_pools": 5},
        "cnn14_decision_level_max": {
            "dims": (64, 128, 256, 512, 1024, 2048),
            "num_pools": 5,
            "pooling": "max",
        },
        "cnn14_decision_level_avg": {
            "dims": (64, 128, 256, 512, 1024, 2048),
            "num_pools": 5,
            "pooling": "avg",
        },
        "cnn14_decision_level_att": {
            "dims": (64, 128, 256, 512, 1024, 2048),
            "num_pools": 5,
            "pooling": "att",
        },
    },
    fixed=("kernel_size", "num_convs", "num_pools", "pooling"),
)
class PannsCnn(Panns):
    """Stages of convolutions, the first of which halve the map.

    Variants:
        cnn6: CNN6: four 5x5 convolutions, 4.84 M parameters with 527 classes.
        cnn6_laptop: CNN6 for a laptop: 0.29 M parameters at 64 mels x 128 frames; not a published
            size. 81.9 M MACs a clip, with ten classes and the front end of `models.create_model`.
        cnn10: CNN10: four pairs of 3x3 convolutions, 5.22 M parameters with 527 classes.
        cnn14: CNN14: six pairs of 3x3 convolutions, 80.75 M parameters with 527 classes.
        cnn14_decision_level_max: CNN14 with scores of frames; a clip's probability is the maximum
            of its time steps.
        cnn14_decision_level_avg: CNN14 with scores of frames; a clip's probability is the mean of
            its time steps.
        cnn14_decision_level_att: CNN14 with scores of frames, weighted by attention over time:
            81.83 M parameters.
    """

    def __init__(
        self,
        num_channels: int,
        input_size: tuple[int, int],
        num_classes: int,
        *,
        dropout: float = 0.2,
        head_dropout: float = 0.5,
        dims: tuple[int, ...] = (64, 128, 256, 512),
        kernel_size: int = 3,
        num_convs: int = 2,
        num_pools: int = 4,
        pooling: Literal["embedding", "max", "avg", "att"] = "embedding",
    ) -> None:
        """Draw the weights as `Panns` does.

        Args:
            num_channels: channels of the spectrogram.
            input_size: (mels, frames); any number of frames that leaves one after the pools.
            num_classes: size of the logits.
            dropout: rate after every stage.
            head_dropout: rate before the linear layer; before the classifier too in models of
                frames.
            dims: widths of the stages.
            kernel_size: of the convolutions.
            num_convs: convolutions of a stage.
            num_pools: stages that halve the map.
            pooling: how clips are made of time steps, see `Panns`.

        Raises:
            ModelError: sizes that make no network, or a rate that is no probability.
        """
        super().__init__(
            num_channels,
            input_size,
            num_classes,
            stages=conv_stages(
                num_channels,
                dims,
                kernel_size=kernel_size,
                num_convs=num_convs,
                num_pools=num_pools,
            ),
            dim=dims[-1],
            step=2**num_pools,
            dropout=dropout,
            head_dropout=head_dropout,
            pooling=pooling,
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

    Shapes and errors are those of `models.panns.blocks.Panns`.

    Args:
        num_channels: channels of the spectrogram.
        input_size: (mels, frames).
        num_classes: size of the logits.
        dropout: rate after every stage.
        head_dropout: rate before the linear layer.
        block_dropout: rate inside the residual blocks.
        dims: widths of the four rows of residual blocks and of the last pair of convolutions; the
            first pair is as wide as the first row.
        depths: residual blocks of every row.
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
