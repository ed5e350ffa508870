"""DATAR++: DATAR (arXiv 2312.16228) on DAT++, the extended deformable attention transformer.

DATAR's paper builds on the conference version of DAT (`models.datar.model`). DAT++ is its
extension,
arXiv 2309.01430; the authors' code is LeapLabTHU/DAT 32173fc (Apache-2.0), weights under the same
licence, ImageNet-1K top-1 83.9 (tiny), 84.6 (small), 84.9 (base). Nobody has published DATAR on
it. Against DAT it has deformable attention in all stages, neighbourhood attention in place of
windows, overlapping convolutions between the stages, and depthwise convolutions before and in
every block. Equal to it in values (a test holds parity vectors), and different in:

- input of any channels and any size from 33 x 33 up, taken as it is (128 mels x 1024 frames), or
  resized; bias tables of the input's own shape, or of the published one (`table_size`);
- neighbourhood attention needs no extension (the authors run NATTEN), see
  `models.datar_pp.neighborhood`; for that, 0.39 G MACs of attention in place of 0.17 G (tiny, 224);
- `deformable=False` samples at the reference points and keeps the bias table, see
  `models.datar_pp.blocks`.
"""

from __future__ import annotations

from models.datar_pp.blocks import DatPp
from models.registry import register


@register("model")
def datar_pp_tiny(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    deformable: bool = True,
    relative_position_bias: bool = True,
    offset_range_factor: float = -1.0,
    strides: tuple[int, ...] = (8, 4, 2, 1),
    groups: tuple[int, ...] = (1, 2, 4, 8),
    neighbourhood_size: int = 7,
    drop_path_rate: float = 0.2,
    dims: tuple[int, ...] = (64, 128, 256, 512),
    depths: tuple[int, ...] = (2, 4, 18, 2),
    head_dim: int = 32,
    table_size: tuple[int, ...] = (),
    resize: tuple[int, ...] = (),
) -> DatPp:
    """DATAR on DAT-T++: 23.96 M parameters with 3 channels, 1000 classes, 224 x 224.

    Arguments, shapes and errors as in `models.datar_pp.blocks.DatPp`.
    """
    return DatPp(
        num_channels,
        input_size,
        num_classes,
        dims=dims,
        depths=depths,
        head_dim=head_dim,
        groups=groups,
        strides=strides,
        deformable=deformable,
        relative_position_bias=relative_position_bias,
        offset_range_factor=offset_range_factor,
        neighbourhood_size=neighbourhood_size,
        drop_path_rate=drop_path_rate,
        table_size=table_size,
        resize=resize,
    )


@register("model")
def datar_pp_small(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    deformable: bool = True,
    relative_position_bias: bool = True,
    offset_range_factor: float = -1.0,
    strides: tuple[int, ...] = (8, 4, 2, 1),
    groups: tuple[int, ...] = (1, 2, 3, 6),
    neighbourhood_size: int = 7,
    drop_path_rate: float = 0.4,
    dims: tuple[int, ...] = (96, 192, 384, 768),
    depths: tuple[int, ...] = (2, 4, 18, 2),
    head_dim: int = 32,
    table_size: tuple[int, ...] = (),
    resize: tuple[int, ...] = (),
) -> DatPp:
    """DATAR on DAT-S++: 53.13 M parameters with 3 channels, 1000 classes, 224 x 224.

    Arguments, shapes and errors as in `models.datar_pp.blocks.DatPp`.
    """
    return DatPp(
        num_channels,
        input_size,
        num_classes,
        dims=dims,
        depths=depths,
        head_dim=head_dim,
        groups=groups,
        strides=strides,
        deformable=deformable,
        relative_position_bias=relative_position_bias,
        offset_range_factor=offset_range_factor,
        neighbourhood_size=neighbourhood_size,
        drop_path_rate=drop_path_rate,
        table_size=table_size,
        resize=resize,
    )


@register("model")
def datar_pp_base(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    deformable: bool = True,
    relative_position_bias: bool = True,
    offset_range_factor: float = -1.0,
    strides: tuple[int, ...] = (8, 4, 2, 1),
    groups: tuple[int, ...] = (2, 4, 8, 16),
    neighbourhood_size: int = 7,
    drop_path_rate: float = 0.7,
    dims: tuple[int, ...] = (128, 256, 512, 1024),
    depths: tuple[int, ...] = (2, 4, 18, 2),
    head_dim: int = 32,
    table_size: tuple[int, ...] = (),
    resize: tuple[int, ...] = (),
) -> DatPp:
    """DATAR on DAT-B++: 93.69 M parameters with 3 channels, 1000 classes, 224 x 224.

    Arguments, shapes and errors as in `models.datar_pp.blocks.DatPp`.
    """
    return DatPp(
        num_channels,
        input_size,
        num_classes,
        dims=dims,
        depths=depths,
        head_dim=head_dim,
        groups=groups,
        strides=strides,
        deformable=deformable,
        relative_position_bias=relative_position_bias,
        offset_range_factor=offset_range_factor,
        neighbourhood_size=neighbourhood_size,
        drop_path_rate=drop_path_rate,
        table_size=table_size,
        resize=resize,
    )


@register("model")
def datar_pp_laptop(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    deformable: bool = True,
    relative_position_bias: bool = True,
    offset_range_factor: float = -1.0,
    strides: tuple[int, ...] = (4, 2, 1, 1),
    groups: tuple[int, ...] = (1, 1, 2, 4),
    neighbourhood_size: int = 5,
    drop_path_rate: float = 0.2,
    dims: tuple[int, ...] = (16, 32, 64, 128),
    depths: tuple[int, ...] = (2, 2, 2, 1),
    head_dim: int = 16,
    table_size: tuple[int, ...] = (),
    resize: tuple[int, ...] = (),
) -> DatPp:
    """DATAR++ for a laptop: 0.46 M parameters at 64 mels x 128 frames; not a published size.

    Every kind of block stands where it stands in the published sizes, so the same ablations can be
    asked, at 14.7 M MACs a clip (layers). The strides leave 4 x 8 keys in each of the first three
    stages. Measured with ten classes and the front end of `models.create_model`.

    Arguments, shapes and errors as in `models.datar_pp.blocks.DatPp`.
    """
    return DatPp(
        num_channels,
        input_size,
        num_classes,
        dims=dims,
        depths=depths,
        head_dim=head_dim,
        groups=groups,
        strides=strides,
        deformable=deformable,
        relative_position_bias=relative_position_bias,
        offset_range_factor=offset_range_factor,
        neighbourhood_size=neighbourhood_size,
        drop_path_rate=drop_path_rate,
        table_size=table_size,
        resize=resize,
    )
