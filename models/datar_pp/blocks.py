"""DAT++, the extended deformable attention transformer, on spectrograms of almost any size.

Source: LeapLabTHU/DAT 32173fc (`models/dat.py`). Equal to it in values; a test holds parity
vectors.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from models.checkpoints.fitted import Fitted
from models.datar.checkpoint import fit_dat_parameter
from models.datar_pp.checkpoint import rename_dat_pp_state
from models.datar_pp.deformable import DeformableAttentionPp
from models.datar_pp.neighborhood import NeighbourhoodAttention
from models.errors import ModelError
from models.layers.local import ConvMlp, ConvStem, HalvingConv, LocalBlock
from models.layers.pyramid import Pyramid, drop_rates

_OFFSET_KERNELS = (9, 7, 5, 3)
_PATCH = 4


class DatPp(Pyramid):
    """Four stages of neighbourhood and deformable attention, average pool, linear head."""

    stem: ConvStem

    def __init__(
        self,
        num_channels: int,
        input_size: tuple[int, int],
        num_classes: int,
        *,
        dims: tuple[int, ...],
        depths: tuple[int, ...],
        head_dim: int,
        groups: tuple[int, ...],
        strides: tuple[int, ...],
        deformable: bool,
        relative_position_bias: bool,
        offset_range_factor: float,
        neighbourhood_size: int,
        drop_path_rate: float,
        table_size: tuple[int, ...],
        resize: tuple[int, ...],
    ) -> None:
        """Build the four stages.

        Args:
            num_channels: channels of the input.
            input_size: (mels, frames) of the input. Every size will do that leaves two keys on
                both axes in every stage: with the published strides, from 33 up.
            num_classes: size of the clip logits.
            dims: channels of the four stages.
            depths: blocks of the four stages. In the first three, neighbourhood and deformable
                attention alternate, and the latter comes last; the fourth has only the latter.
            head_dim: channels of an attention head.
            groups: offset groups of the four stages.
            strides: tokens between two keys, in the four stages.
            deformable: whether keys move; without it the model has no offset networks, samples at
                the reference points and keeps the bias tables, as in DATAR on DAT. The authors'
                switch (`no_offs`) puts average pooling in place of sampling and drops the bias
                with it; one switch here changes one thing.
            relative_position_bias: whether deformable attention has its bias tables.
            offset_range_factor: how many half cells of the key grid a key may move; a negative
                factor leaves the offsets unbounded and clamps the positions to the map.
            neighbourhood_size: side of a neighbourhood in tokens, odd.
            drop_path_rate: of the last block; it rises linearly from 0 at the first.
            table_size: (mels, frames) of the input for whose maps the bias tables are made. They
                are stretched to another input: with (224, 224) the published ones are taken as
                they are, as the authors do at 384. () makes them for the input, and the published
                ones are resized at loading.
            resize: (mels, frames) to which the input is resized (bilinear); () leaves it as it is.

        Raises:
            ModelError: sizes that do not fit together.
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
                    attention = NeighbourhoodAttention(
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
        """Give a published DAT++ state this model's names, or None if it is something else."""
        return rename_dat_pp_state(state, num_channels=self.stem.in_channels)

    def fit_parameter(
        self, name: str, value: Tensor, shape: torch.Size, **_: object
    ) -> Fitted | None:
        """Resize a published bias table to this model's; None where no rule applies."""
        return fit_dat_parameter(name, value, shape)


def _map_size(size: tuple[int, ...], stage: int) -> tuple[int, int]:
    """Size of a stage's map: the padded convolutions round up."""
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
