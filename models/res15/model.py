"""Res-15 of honk: a residual network for keywords, arXiv 1710.10361 (ICASSP 2018).

The authors' code is castorini/honk c3aae75 (MIT). Equal to its model in values (a test holds parity
vectors), and different in:

- maps are (coefficients, frames), theirs the other way round;
- the features, as all of this project, are normalised by the chain; theirs are not. Weights of
  theirs want `chain.set_normalisation(0.0, 0.5)`, which changes nothing;
- clips of any length. The input is `models.frontends.mfcc.HonkMfcc`: one second at 16 kHz makes 101
  frames of 40 coefficients.

The 97.0 that HTS-AT's table gives to "RES-15" are of the same network trained by a triplet loss,
see `models.res15.triplet`. The encoders that were published with it load into `res15` too; the
classifier then keeps its initial weights.
"""

from __future__ import annotations

from models.registry import register
from models.res15.blocks import Res15


@register("model")
def res15(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    dim: int = 45,
    depth: int = 13,
    pool: tuple[int, ...] = (),
) -> Res15:
    """Res-15: fifteen layers of 45 maps, 0.237 M parameters and a classifier.

    Arguments, shapes and errors as in `models.res15.blocks.Res15`.
    """
    return Res15(num_channels, input_size, num_classes, dim=dim, depth=depth, pool=pool)


@register("model")
def res15_laptop(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    dim: int = 24,
    depth: int = 13,
    pool: tuple[int, ...] = (2, 2),
) -> Res15:
    """Res-15 for a laptop: half the width on a map pooled as in honk's Res-26; no published size.

    Arguments, shapes and errors as in `models.res15.blocks.Res15`.
    """
    return Res15(num_channels, input_size, num_classes, dim=dim, depth=depth, pool=pool)
