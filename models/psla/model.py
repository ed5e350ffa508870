"""PSLA: pretraining, sampling, labeling and aggregation, arXiv 2102.01243 (TASLP 2021).

The authors' code is YuanGongND/psla 76aedd1 (BSD-3-Clause), weights under the same licence. The
model, an EfficientNet with attention pooling, is equal to theirs in values (a test holds parity
vectors), and different in:

- logits come out, the log-odds of their probabilities; see
  `models.psla.pooling.weighted_log_odds`;
- any number of mels: theirs reads one row of 128 / 32, this the mean of all rows;
- the first weights of the trunk are timm's rule (as in the EfficientNet paper), theirs PyTorch's;
  both start from ImageNet in the paper's best form (`models.load_pretrained(chain,
  "efficientnet_b2_imagenet")`), where the stem for one channel is drawn anew;
- sampling, mixup, label enhancement and weight averaging belong to the recipe and not to the model.

Published weights expect AST's filterbank (`models.frontends.kaldi.KaldiFbank`) with 1056 frames of
audio at 16 kHz, normalised by its deviation and not twice that: `Chain.set_normalisation(-4.6476,
2.28495)`. The trunk's strided convolutions are padded for an image of 260 x 260 (B0: 224), which on
a spectrogram is another network than timm's `tf_efficientnet_b2`.
"""

from __future__ import annotations

from models.psla.pooling import Psla
from models.registry import register


@register("model")
def psla_b0(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    num_heads: int = 4,
    drop_path_rate: float = 0.2,
    norm_momentum: float = 0.01,
    width: float = 1.0,
    depth: float = 1.0,
    image_size: int = 224,
) -> Psla:
    """PSLA on EfficientNet-B0: 9.41 M parameters with 527 classes.

    Arguments, shapes and errors as in `models.psla.pooling.Psla`.
    """
    return Psla(
        num_channels,
        input_size,
        num_classes,
        num_heads=num_heads,
        drop_path_rate=drop_path_rate,
        norm_momentum=norm_momentum,
        width=width,
        depth=depth,
        image_size=image_size,
    )


@register("model")
def psla_b2(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    num_heads: int = 4,
    drop_path_rate: float = 0.2,
    norm_momentum: float = 0.01,
    width: float = 1.1,
    depth: float = 1.2,
    image_size: int = 260,
) -> Psla:
    """PSLA on EfficientNet-B2, the size of the paper: 13.64 M parameters with 527 classes.

    Arguments, shapes and errors as in `models.psla.pooling.Psla`.
    """
    return Psla(
        num_channels,
        input_size,
        num_classes,
        num_heads=num_heads,
        drop_path_rate=drop_path_rate,
        norm_momentum=norm_momentum,
        width=width,
        depth=depth,
        image_size=image_size,
    )


@register("model")
def psla_laptop(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    num_heads: int = 4,
    drop_path_rate: float = 0.2,
    norm_momentum: float = 0.1,
    width: float = 0.5,
    depth: float = 0.5,
    image_size: int = 260,
) -> Psla:
    """PSLA for a laptop, for 64 mels x 128 frames; not a published size.

    Batch norms follow the batches faster: a short training takes few steps.

    Arguments, shapes and errors as in `models.psla.pooling.Psla`.
    """
    return Psla(
        num_channels,
        input_size,
        num_classes,
        num_heads=num_heads,
        drop_path_rate=drop_path_rate,
        norm_momentum=norm_momentum,
        width=width,
        depth=depth,
        image_size=image_size,
    )
