"""KWT, the Keyword Transformer: self-attention over the frames of a word, arXiv 2104.00769.

The authors' code is ARM-software/keyword-transformer 237e409 (Apache-2.0, TensorFlow). Equal to
its models in values (a test holds parity vectors), and different in:

- the features, as all of this project, are normalised by the chain; theirs are not. Weights of
  theirs want `chain.set_normalisation(0.0, 0.5)`, which changes nothing;
- of their domains of attention the paper's best is here, time. No distillation from a teacher;
- their weights are TensorFlow checkpoints, which are not read here.

The input is `models.frontends.mfcc.Mfcc`: one second at 16 kHz makes 98 frames of 40 coefficients.
Counts are with twelve classes: 607,308, 2,394,252 and 5,360,844. The table in their read-me gives
other widths of the perceptrons (128 and 256) than the commands that trained them; its own counts
belong to those here.
"""

from __future__ import annotations

from models.kwt.blocks import Kwt
from models.registry import register


@register("model")
def kwt_1(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    dim: int = 64,
    depth: int = 12,
    num_heads: int = 1,
    mlp_dim: int = 256,
    dropout: float = 0.0,
) -> Kwt:
    """KWT-1: 0.607 M parameters with 12 classes.

    Arguments, shapes and errors as in `models.kwt.blocks.Kwt`.
    """
    return Kwt(
        num_channels,
        input_size,
        num_classes,
        dim=dim,
        depth=depth,
        num_heads=num_heads,
        mlp_dim=mlp_dim,
        dropout=dropout,
    )


@register("model")
def kwt_2(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    dim: int = 128,
    depth: int = 12,
    num_heads: int = 2,
    mlp_dim: int = 512,
    dropout: float = 0.0,
) -> Kwt:
    """KWT-2: 2.394 M parameters with 12 classes.

    Arguments, shapes and errors as in `models.kwt.blocks.Kwt`.
    """
    return Kwt(
        num_channels,
        input_size,
        num_classes,
        dim=dim,
        depth=depth,
        num_heads=num_heads,
        mlp_dim=mlp_dim,
        dropout=dropout,
    )


@register("model")
def kwt_3(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    dim: int = 192,
    depth: int = 12,
    num_heads: int = 3,
    mlp_dim: int = 768,
    dropout: float = 0.0,
) -> Kwt:
    """KWT-3: 5.361 M parameters with 12 classes.

    Arguments, shapes and errors as in `models.kwt.blocks.Kwt`.
    """
    return Kwt(
        num_channels,
        input_size,
        num_classes,
        dim=dim,
        depth=depth,
        num_heads=num_heads,
        mlp_dim=mlp_dim,
        dropout=dropout,
    )


@register("model")
def kwt_laptop(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    dim: int = 64,
    depth: int = 4,
    num_heads: int = 1,
    mlp_dim: int = 256,
    dropout: float = 0.0,
) -> Kwt:
    """KWT for a laptop: KWT-1 with a third of its blocks; not a published size.

    With `models.create_model`, 128 frames that are 40 ms apart, for clips of five seconds.

    Arguments, shapes and errors as in `models.kwt.blocks.Kwt`.
    """
    return Kwt(
        num_channels,
        input_size,
        num_classes,
        dim=dim,
        depth=depth,
        num_heads=num_heads,
        mlp_dim=mlp_dim,
        dropout=dropout,
    )
