"""HTS-AT: a hierarchical token-semantic audio transformer, arXiv 2202.00874.

The authors' code is RetroCirce/HTS-Audio-Transformer 2e29471 (MIT), weights under the same
licence. Equal to it in values (a test holds parity vectors), and different in:

- the front end is a component of its own (`models.frontends.log_mel.LogMel`), and so is masking
  (`models.augment.Stripes`): theirs masks after the batch norm, inside the model;
- no mixup. For AudioSet theirs adds to every clip the one at the mirrored place in the batch, the
  label unchanged. Here an augmentation is a function of the clip's own seed, so that batches and
  workers can be cut in any way, and a partner out of the batch would break that;
- logits instead of probabilities, frame outputs once per step instead of 32 times;
- no layer without use: theirs keeps a linear head of classes x classes beside the token-semantic
  one. With it and the frozen front end (1.08 M) the authors' counts are 31.33 M (30.24 M trained)
  for 527 classes, and 29.02 M without token semantics. The paper prints 31 M, rounded, and 28.8 M,
  which no count of the authors' own class gives (27.94 M without the front end);
- of their switches, those for repeating short clips are not here: repeat the waveform instead.

Clips up to 10.24 s (1024 frames) are stretched to 1024 frames (bicubic, not padded as the paper
has it). Longer ones, up to 2050 frames, are evaluated in crops; see `models.htsat.blocks`.
The forms of the paper are H (`token_semantic=False`), HC (the default) and HCP (HC that starts
from `swin_tiny_c24_patch4_window8_256.pth` by `models.load_pretrained`).
"""

from __future__ import annotations

from models.htsat.blocks import HtsAt
from models.registry import register


@register("model")
def htsat_tiny(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    token_semantic: bool = True,
    drop_path_rate: float = 0.1,
    image_size: int = 256,
    embed_dim: int = 96,
    depths: tuple[int, ...] = (2, 2, 6, 2),
    num_heads: tuple[int, ...] = (4, 8, 16, 32),
    window_size: int = 8,
) -> HtsAt:
    """HTS-AT on Swin-T/C24, the size of the paper: 30.0 M parameters with 527 classes.

    Arguments, shapes and errors as in `models.htsat.blocks.HtsAt`.
    """
    return HtsAt(
        num_channels,
        input_size,
        num_classes,
        token_semantic=token_semantic,
        drop_path_rate=drop_path_rate,
        image_size=image_size,
        embed_dim=embed_dim,
        depths=depths,
        num_heads=num_heads,
        window_size=window_size,
    )


@register("model")
def htsat_laptop(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    token_semantic: bool = True,
    drop_path_rate: float = 0.1,
    image_size: int = 128,
    embed_dim: int = 16,
    depths: tuple[int, ...] = (2, 2, 2, 2),
    num_heads: tuple[int, ...] = (1, 2, 4, 8),
    window_size: int = 4,
) -> HtsAt:
    """HTS-AT for a laptop: 64 mels x 256 frames in two chunks; not a published size.

    Windows shift and tokens merge where they do in the published size, so the same ablations can
    be asked. Five seconds fill the image with the front end of `models.create_model`.

    Arguments, shapes and errors as in `models.htsat.blocks.HtsAt`.
    """
    return HtsAt(
        num_channels,
        input_size,
        num_classes,
        token_semantic=token_semantic,
        drop_path_rate=drop_path_rate,
        image_size=image_size,
        embed_dim=embed_dim,
        depths=depths,
        num_heads=num_heads,
        window_size=window_size,
    )
