"""DATAR++: DATAR (arXiv 2312.16228) on DAT++, the extended deformable attention transformer.

DATAR's paper builds on the conference version of DAT (`models.datar.model`). DAT++ is its
extension, arXiv 2309.01430; the authors' code is LeapLabTHU/DAT 32173fc (Apache-2.0), weights under
the same license, ImageNet-1K top-1 83.9 (tiny), 84.6 (small), 84.9 (base). DATAR on DAT++ is
unpublished. Unlike DAT it has deformable attention in all stages, neighborhood attention instead of
windows, overlapping convolutions between stages, and depthwise convolutions before and in every
block. Numerically equal to DAT++ (tested with parity vectors). Differences:

- input of any number of channels and any size from 33 x 33 up (128 mels x 1024 frames), or resized;
  bias tables for the input's shape or the published one (`table_size`);
- neighborhood attention without the NATTEN extension, see `models.datar_pp.neighborhood`, at the
  cost of 0.39 G MACs of attention instead of 0.17 G (tiny, 224);
- `deformable=False` samples at the reference points and keeps the bias table, see `DatPp`.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from models.datar.checkpoint import fit_dat_parameter
from models.datar_pp.blocks import ConvMlp, ConvStem, HalvingConv, LocalBlock
from models.datar_pp.checkpoint import rename_dat_pp_state
from models.datar_pp.deformable import DeformableAttentionPp
from models.datar_pp.neighborhood import NeighborhoodAttention
from models.errors import ModelError
from models.layers.pyramid import Pyramid, drop_rates
from models.protocols import Fitted
from models.registry import register

_OFFSET_KERNELS = (9, 7, 5, 3)
_PATCH = 4


@register(
    "model",
    variants={
        "datar_pp_tiny": {},
        "datar_pp_small": {
            "groups": (1, 2, 3, 6),
            "drop_path_rate": 0.4,
            "dims": (96, 192, 384, 768),
        },
        "datar_pp_base": {
            "groups": (2, 4, 8, 16),
            "drop_path_rate": 0.7,
            "dims": (128, 256, 512, 1024),
        },
        "datar_pp_laptop": {
            "strides": (4, 2, 1, 1),
            "groups": (1, 1, 2, 4),
            "neighbourhood_size": 5,
            "dims": (16, 32, 64, 128),
            "depths": (2, 2, 2, 1),
            "head_dim": 16,
        },
    },
)
class DatPp(Pyramid):
    """Four stages of neighborhood and deformable attention, average pool, linear head.

    Variants:
        datar_pp_tiny: DATAR on DAT-T++: 23.96 M parameters with 3 channels, 1000 classes, 224 x
            224.
        datar_pp_small: DATAR on DAT-S++: 53.13 M parameters with 3 channels, 1000 classes, 224 x
            224.
        datar_pp_base: DATAR on DAT-B++: 93.69 M parameters with 3 channels, 1000 classes, 224 x
            224.
        datar_pp_laptop: DATAR++ for a laptop: 0.46 M parameters at 64 mels x 128 frames; not a
            published size. All kinds of blocks are in the same places as in the published sizes, so
            the same ablations apply, at 14.7 M MACs per clip (layers). The strides give 4 x 8 keys
            in each of the first three stages. Measured with ten classes and the front end of
            `models.create_model`.
    """

    stem: ConvStem

    def __init__(
        self,
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
    ) -> None:
        """Build the four stages.

        Args:
            num_channels: Number of channels of the input.
            input_size: (mels, frames) of the input, large enough for two keys on both axes in every
                stage: at least 33 with the published strides.
            num_classes: Number of classes.
            dims: Widths of the four stages.
            depths: Number of blocks in each stage. Neighborhood and deformable attention, which
                comes last, alternate in the first three stages; the fourth has only deformable
                attention.
            head_dim: Width of an attention head.
            groups: Number of offset groups in each stage.
            strides: Spacing of the keys in tokens in each stage.
            deformable: Whether keys move; if not, the model has no offset networks, samples at the
                reference points, and keeps the bias tables, as in DATAR on DAT. The authors' switch
                (`no_offs`) replaces sampling by average pooling and drops the bias too.
            relative_position_bias: Whether deformable attention has its bias tables.
            offset_range_factor: Maximum offset of a key in half cells of the key grid; a negative
                factor leaves offsets unbounded and clamps positions to the map.
            neighbourhood_size: Odd side of a neighborhood in tokens.
            drop_path_rate: Drop path rate of the last block, rising linearly from 0 at the first.
            table_size: (mels, frames) of the input whose maps size the bias tables, which are
                stretched to other inputs: (224, 224) keeps the published tables, as the authors do
                at 384; () sizes them for the input, and published tables are resized when loaded.
            resize: (mels, frames) to which the input is resized (bilinear); () does not resize.

        Raises:
            ModelError: The sizes do not fit together.
        """
        super().__init__(input_size, resize)
        size = self.resize or self.input_size
        _check_structure(
            dims, depths, head_dim, groups, strides, neighbourhood_size, drop_path_rate
        )
        _check_size(size, strides)
        _check_table(table_size)
        rates = drop_rates(drop_path_rate, depths)
        self.stem = ConvStem(num_channels, dims[0])
        self.stages = nn.ModuleList()
        self.downs = nn.ModuleList()
        for i, (dim, depth) in enumerate(zip(dims, depths, strict=True)):
            blocks = []
            for j in range(depth):
                if i == 3 or (depth - j) % 2:
                    attention: nn.Module = DeformableAttentionPp(
                        dim,
                        map_size=_map_size(size, i),
                        table_map_size=_map_size(table_size or size, i),
                        num_heads=dim // head_dim,
                        num_groups=groups[i],
                        kernel_size=_OFFSET_KERNELS[i],
                        stride=strides[i],
                        offset_range_factor=offset_range_factor,
                        deformable=deformable,
                        relative_position_bias=relative_position_bias,
                    )
                else:
                    attention = NeighborhoodAttention(
                        dim,
                        map_size=_map_size(size, i),
                        num_heads=dim // head_dim,
                        neighbourhood_size=neighbourhood_size,
                    )
                mlp = ConvMlp(dim, 4 * dim)
                blocks.append(LocalBlock(dim, attention=attention, mlp=mlp, drop_path=rates.pop(0)))
            self.stages.append(nn.Sequential(*blocks))
            if i < 3:
                self.downs.append(HalvingConv(dim, dims[i + 1], bias=False))
        self.norm = nn.LayerNorm(dims[-1])
        self.head = nn.Linear(dims[-1], num_classes)

    def rename_published(self, state: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
        """Convert a published DAT++ state to this model's names; None for anything else."""
        return rename_dat_pp_state(state, num_channels=self.stem.in_channels)

    def fit_parameter(
        self, name: str, value: Tensor, shape: torch.Size, **_: object
    ) -> Fitted | None:
        """Resize a published bias table to this model's; None if no rule applies."""
        return fit_dat_parameter(name, value, shape)


def _map_size(size: tuple[int, ...], stage: int) -> tuple[int, int]:
    """Return the size of a stage's map; the padded convolutions round up."""
    height, width = (-(-n // (_PATCH << stage)) for n in size)
    return height, width


def _check_size(size: tuple[int, ...], strides: tuple[int, ...]) -> None:
    least = max((_PATCH << i) * stride for i, stride in enumerate(strides)) + 1
    if len(size) == 2 and size[1] == 0:
        raise ModelError(
            "DATAR++ takes one number of frames, not as many as each clip has: set the front end's "
            f"frames to {least} or more, or the model's resize=(mels, frames)"
        )
    if len(size) != 2 or min(size) < least:
        nearest = tuple(max(n, least) for n in size)
        raise ModelError(
            f"DATAR++ cannot take an input of {tuple(size)} (mels, frames): with "
            f"strides={tuple(strides)} both are {least} or more, nearest {nearest}. Change the "
            f"front end's rows and frames, or set the model's resize={nearest}"
        )


def _check_table(table_size: tuple[int, ...]) -> None:
    if table_size and (len(table_size) != 2 or min(table_size) <= _PATCH << 3):
        raise ModelError(
            f"table_size={tuple(table_size)}: (mels, frames), both more than {_PATCH << 3}, for "
            "example (224, 224) for the published tables; or () for the input's size"
        )


def _check_structure(
    dims: tuple[int, ...],
    depths: tuple[int, ...],
    head_dim: int,
    groups: tuple[int, ...],
    strides: tuple[int, ...],
    neighbourhood_size: int,
    drop_path_rate: float,
) -> None:
    wrong = []
    if {len(dims), len(depths), len(groups), len(strides)} != {4} or min(depths) < 1:
        wrong.append(
            f"dims={dims}, depths={depths}, groups={groups}, strides={strides}: 4 of each, depths "
            "of 1 or more"
        )
    elif head_dim < 1 or any(dim < 1 or dim % head_dim for dim in dims):
        wrong.append(f"dims={dims} are multiples of head_dim={head_dim}, which is 1 or more")
    elif any(g < 1 or dim // head_dim % g for dim, g in zip(dims, groups, strict=True)):
        heads = tuple(dim // head_dim for dim in dims)
        wrong.append(f"groups={groups} divide the heads {heads}")
    if strides and min(strides) < 1:
        wrong.append(f"strides={strides} are 1 or more")
    if neighbourhood_size < 3 or neighbourhood_size % 2 == 0:
        wrong.append(f"neighbourhood_size={neighbourhood_size} is odd and 3 or more")
    if not 0 <= drop_path_rate < 1:
        wrong.append(f"drop_path_rate={drop_path_rate} is in [0, 1)")
    if wrong:
        raise ModelError("DATAR++ needs: " + "; ".join(wrong))
