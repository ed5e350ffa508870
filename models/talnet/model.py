"""TALNet: tagging and localisation of sound events, arXiv 1810.09050 (ICASSP 2019).

The authors' code is MaigoAkisame/cmu-thesis 7578dda (MIT, Python 2); the weights lie on a host of
the university, whose licence is the repository's. Equal to the authors' model in values (a test
holds parity vectors), and different in:

- the input is normalised by a norm over mels without weights, whose running statistics stand for
  those that the authors store beside their features, which are in an archive of 341 GB. Whoever
  has `normalizer.pkl` sets them by `set_input_statistics`;
- logits come out, not probabilities; theirs are cut at 1e-7 and 1 - 1e-7;
- of their poolings over frames the one of the published model is here, linear softmax;
- max pooling shares the gradient of equal neighbours.

Published weights expect `models.frontends.talnet.TalnetFbank` at 16 kHz: ten seconds are 400
frames. A step of scores stands for four of them, 100 ms.
"""

from __future__ import annotations

from models.registry import register
from models.talnet.blocks import TalNet


@register("model")
def talnet(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    dims: tuple[int, ...] = (32, 64, 128, 256, 512),
    hidden_dim: int = 512,
    dropout: float = 0.0,
) -> TalNet:
    """TALNet: ten 3x3 convolutions and a GRU, 9.98 M parameters with 527 classes.

    Arguments, shapes and errors as in `models.talnet.blocks.TalNet`.
    """
    return TalNet(
        num_channels,
        input_size,
        num_classes,
        dims=dims,
        hidden_dim=hidden_dim,
        dropout=dropout,
    )


@register("model")
def talnet_laptop(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    dims: tuple[int, ...] = (8, 16, 32, 64, 128),
    hidden_dim: int = 64,
    dropout: float = 0.0,
) -> TalNet:
    """TALNet for a laptop: a quarter of the widths at half the frame rate; not a published size.

    Arguments, shapes and errors as in `models.talnet.blocks.TalNet`.
    """
    return TalNet(
        num_channels,
        input_size,
        num_classes,
        dims=dims,
        hidden_dim=hidden_dim,
        dropout=dropout,
    )
