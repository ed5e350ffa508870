"""PANNs that score every frame: CNN14 with decisions at the level of time steps.

Paper, code, weights and features as in `models.panns.model`. A step is 32 frames long (320 ms); its
scores are repeated for each of its frames. Clips are scored by the probabilities of the steps:
`clip_logits` are the logits of the combined probability, so that the sigmoid of both outputs is
what the authors' models return. The attention model's unused norm is not built.
"""

from __future__ import annotations

from models.layers.conv_blocks import conv_stages
from models.panns.blocks import Panns
from models.registry import register


@register("model")
def cnn14_decision_level_max(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    dropout: float = 0.2,
    head_dropout: float = 0.5,
    dims: tuple[int, ...] = (64, 128, 256, 512, 1024, 2048),
) -> Panns:
    """CNN14 with scores of frames; a clip's probability is the maximum of its time steps.

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
        pooling="max",
    )


@register("model")
def cnn14_decision_level_avg(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    dropout: float = 0.2,
    head_dropout: float = 0.5,
    dims: tuple[int, ...] = (64, 128, 256, 512, 1024, 2048),
) -> Panns:
    """CNN14 with scores of frames; a clip's probability is the mean of its time steps.

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
        pooling="avg",
    )


@register("model")
def cnn14_decision_level_att(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    dropout: float = 0.2,
    head_dropout: float = 0.5,
    dims: tuple[int, ...] = (64, 128, 256, 512, 1024, 2048),
) -> Panns:
    """CNN14 with scores of frames, weighted by attention over time: 81.83 M parameters.

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
        pooling="att",
    )
