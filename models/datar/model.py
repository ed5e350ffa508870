"""DATAR: audio event recognition with a deformable attention transformer, arXiv 2312.16228.

Its backbone is DAT in the version of the conference paper (CVPR 2022, arXiv 2201.00520); the
authors' code is LeapLabTHU/DAT 797f187 (Apache-2.0), weights under the same licence. No code of
DATAR itself is public. Equal to DAT in values (a test holds parity vectors), and different in:

- input of any channels and any size in steps of 32, taken as it is (128 mels x 1024 frames), or
  resized; DAT takes square images;
- windows that do not divide the map are padded, see `models.layers.windows`;
- `deformable=False` samples at the reference points and keeps the bias table. The authors' own
  switch for it does not run.

Counts (`python -m models --compare`): equal to the authors' code of DAT. The DAT paper prints 4.6,
9.0 and 15.8 G for what is 4.56, 8.96 and 15.72 G with attention. The 93.3 G of the DATAR paper
belong to no plain setting: DAT-T on 128 x 1024 has 12.8 G; resized to 1024 x 1024 it has 93.4 G,
which the paper may mean, and does not say.

DATAR's adaptor is an input transform of its own (`models.transforms.Adaptor`).
"""

from __future__ import annotations

from models.datar.blocks import Dat
from models.registry import register


@register("model")
def datar_tiny(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    deformable: bool = True,
    relative_position_bias: bool = True,
    offset_range_factor: float = 2.0,
    stride: int = 1,
    groups: tuple[int, ...] = (3, 6),
    window_size: int = 7,
    drop_path_rate: float = 0.2,
    dims: tuple[int, ...] = (96, 192, 384, 768),
    depths: tuple[int, ...] = (2, 2, 6, 2),
    head_dim: int = 32,
    resize: tuple[int, ...] = (),
) -> Dat:
    """DATAR on DAT-T: 28.3 M parameters with 3 channels and 1000 classes.

    Arguments, shapes and errors as in `models.datar.blocks.Dat`.
    """
    return Dat(
        num_channels,
        input_size,
        num_classes,
        dims=dims,
        depths=depths,
        head_dim=head_dim,
        groups=groups,
        deformable=deformable,
        relative_position_bias=relative_position_bias,
        offset_range_factor=offset_range_factor,
        stride=stride,
        window_size=window_size,
        drop_path_rate=drop_path_rate,
        resize=resize,
    )


@register("model")
def datar_small(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    deformable: bool = True,
    relative_position_bias: bool = True,
    offset_range_factor: float = 2.0,
    stride: int = 1,
    groups: tuple[int, ...] = (3, 6),
    window_size: int = 7,
    drop_path_rate: float = 0.3,
    dims: tuple[int, ...] = (96, 192, 384, 768),
    depths: tuple[int, ...] = (2, 2, 18, 2),
    head_dim: int = 32,
    resize: tuple[int, ...] = (),
) -> Dat:
    """DATAR on DAT-S: 49.7 M parameters with 3 channels and 1000 classes.

    Arguments, shapes and errors as in `models.datar.blocks.Dat`.
    """
    return Dat(
        num_channels,
        input_size,
        num_classes,
        dims=dims,
        depths=depths,
        head_dim=head_dim,
        groups=groups,
        deformable=deformable,
        relative_position_bias=relative_position_bias,
        offset_range_factor=offset_range_factor,
        stride=stride,
        window_size=window_size,
        drop_path_rate=drop_path_rate,
        resize=resize,
    )


@register("model")
def datar_base(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    deformable: bool = True,
    relative_position_bias: bool = True,
    offset_range_factor: float = 2.0,
    stride: int = 1,
    groups: tuple[int, ...] = (4, 8),
    window_size: int = 7,
    drop_path_rate: float = 0.5,
    dims: tuple[int, ...] = (128, 256, 512, 1024),
    depths: tuple[int, ...] = (2, 2, 18, 2),
    head_dim: int = 32,
    resize: tuple[int, ...] = (),
) -> Dat:
    """DATAR on DAT-B: 87.9 M parameters with 3 channels and 1000 classes.

    Arguments, shapes and errors as in `models.datar.blocks.Dat`.
    """
    return Dat(
        num_channels,
        input_size,
        num_classes,
        dims=dims,
        depths=depths,
        head_dim=head_dim,
        groups=groups,
        deformable=deformable,
        relative_position_bias=relative_position_bias,
        offset_range_factor=offset_range_factor,
        stride=stride,
        window_size=window_size,
        drop_path_rate=drop_path_rate,
        resize=resize,
    )


@register("model")
def datar_laptop(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    deformable: bool = True,
    relative_position_bias: bool = True,
    offset_range_factor: float = 2.0,
    stride: int = 1,
    groups: tuple[int, ...] = (2, 4),
    window_size: int = 4,
    drop_path_rate: float = 0.2,
    dims: tuple[int, ...] = (16, 32, 64, 128),
    depths: tuple[int, ...] = (1, 1, 2, 2),
    head_dim: int = 16,
    resize: tuple[int, ...] = (),
) -> Dat:
    """DATAR for a laptop: 0.56 M parameters at 64 mels x 128 frames; not a published size.

    Deformable attention stands where it stands in the published sizes, so the same ablations can
    be asked, at 10.9 M MACs a clip (layers). Measured with ten classes and the front end of
    `models.create_model`.

    Arguments, shapes and errors as in `models.datar.blocks.Dat`.
    """
    return Dat(
        num_channels,
        input_size,
        num_classes,
        dims=dims,
        depths=depths,
        head_dim=head_dim,
        groups=groups,
        deformable=deformable,
        relative_position_bias=relative_position_bias,
        offset_range_factor=offset_range_factor,
        stride=stride,
        window_size=window_size,
        drop_path_rate=drop_path_rate,
        resize=resize,
    )
