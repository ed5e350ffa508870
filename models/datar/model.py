"""DATAR: audio event recognition with a deformable attention transformer, arXiv 2312.16228.

The backbone is the conference version of DAT (CVPR 2022, arXiv 2201.00520); the authors' code is
LeapLabTHU/DAT 797f187 (Apache-2.0), weights under the same license. DATAR's own code is not public.
Numerically equal to DAT (tested with parity vectors). Differences:

- input of any number of channels and any multiple of 32 (128 mels x 1024 frames), or resized; DAT
  takes square images;
- maps that windows do not divide are padded, see `models.datar.windows`;
- `deformable=False` samples at the reference points and keeps the bias table. The authors' switch
  for it does not run.

Counts (`python -m models --compare`) equal those of DAT's code. The DAT paper prints 4.6, 9.0 and
15.8 G for 4.56, 8.96 and 15.72 G with attention. The DATAR paper's 93.3 G matches no obvious
setting: DAT-T on 128 x 1024 has 12.8 G; resized to 1024 x 1024 it has 93.4 G, which the paper may
mean but does not state.

DATAR's adaptor is a separate input transform (`models.transforms.Adaptor`).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from models.datar.checkpoint import fit_dat_parameter, rename_dat_state
from models.datar.deformable import DeformableAttention
from models.datar.windows import WindowAttention
from models.errors import ModelError
from models.layers.blocks import Block, DownConv, Mlp
from models.layers.pyramid import Pyramid, drop_rates
from models.protocols import Fitted
from models.registry import register

_OFFSET_KERNELS = (9, 7, 5, 3)
_PATCH = 4
_STEP = 32


@register(
    "model",
    variants={
        "datar_tiny": {},
        "datar_small": {"drop_path_rate": 0.3, "depths": (2, 2, 18, 2)},
        "datar_base": {
            "groups": (4, 8),
            "drop_path_rate": 0.5,
            "dims": (128, 256, 512, 1024),
            "depths": (2, 2, 18, 2),
        },
        "datar_laptop": {
            "groups": (2, 4),
            "window_size": 4,
            "dims": (16, 32, 64, 128),
            "depths": (1, 1, 2, 2),
            "head_dim": 16,
        },
    },
)
class Dat(Pyramid):
    """Four stages of window and deformable attention, average pool, linear head.

    Variants:
        datar_tiny: DATAR on DAT-T: 28.3 M parameters with 3 channels and 1000 classes.
        datar_small: DATAR on DAT-S: 49.7 M parameters with 3 channels and 1000 classes.
        datar_base: DATAR on DAT-B: 87.9 M parameters with 3 channels and 1000 classes.
        datar_laptop: DATAR for a laptop: 0.56 M parameters at 64 mels x 128 frames; not a published
            size. Deformable attention is in the same places as in the published sizes, so the same
            ablations apply, at 10.9 M MACs per clip (layers). Measured with ten classes and the
            front end of `models.create_model`.
    """

    stem: DownConv

    def __init__(
        self,
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
    ) -> None:
        """Build the four stages.

        Args:
            num_channels: Number of channels of the input.
            input_size: (mels, frames) of the input.
            num_classes: Number of classes.
            dims: Widths of the four stages.
            depths: Number of blocks in each stage. Plain and shifted windows alternate in the first
                two stages; windows and deformable attention, which comes last, in the last two.
            head_dim: Width of an attention head.
            groups: Number of offset groups in the third and fourth stage.
            deformable: Whether keys move; if not, the model has no offset networks.
            relative_position_bias: Whether deformable attention has its bias table.
            offset_range_factor: Maximum offset of a key in half cells of the key grid.
            stride: Spacing of the keys in tokens; 2 keeps a quarter of the keys.
            window_size: Window size in tokens.
            drop_path_rate: Drop path rate of the last block, rising linearly from 0 at the first.
            resize: (mels, frames) to which the input is resized (bilinear), of any number of frames
                if `input_size` has 0; () does not resize.

        Raises:
            ModelError: The sizes do not fit together.
        """
        super().__init__(input_size, resize)
        size = self.resize or self.input_size
        _check_size(size)
        _check_structure(dims, depths, head_dim, groups, stride, window_size, drop_path_rate)
        rates = drop_rates(drop_path_rate, depths)
        self.stem = DownConv(num_channels, dims[0], size=_PATCH, bias=True)
        self.stages = nn.ModuleList()
        self.downs = nn.ModuleList()
        for i, (dim, depth) in enumerate(zip(dims, depths, strict=True)):
            map_size = (size[0] // (_PATCH << i), size[1] // (_PATCH << i))
            blocks = []
            for j in range(depth):
                if i >= 2 and (depth - j) % 2:
                    attention: nn.Module = DeformableAttention(
                        dim,
                        map_size=map_size,
                        num_heads=dim // head_dim,
                        num_groups=groups[i - 2],
                        kernel_size=_OFFSET_KERNELS[i],
                        stride=stride,
                        offset_range_factor=offset_range_factor,
                        deformable=deformable,
                        relative_position_bias=relative_position_bias,
                    )
                else:
                    attention = WindowAttention(
                        dim,
                        map_size=map_size,
                        num_heads=dim // head_dim,
                        window_size=window_size,
                        shifted=i < 2 and j % 2 == 1,
                    )
                blocks.append(
                    Block(dim, attention=attention, mlp=Mlp(dim, 4 * dim), drop_path=rates.pop(0))
                )
            self.stages.append(nn.Sequential(*blocks))
            if i < 3:
                self.downs.append(DownConv(dim, dims[i + 1], size=2, bias=False))
        self.norm = nn.LayerNorm(dims[-1])
        self.head = nn.Linear(dims[-1], num_classes)

    def rename_published(self, state: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
        """Convert a published DAT state to this model's names; None for anything else."""
        return rename_dat_state(state, num_channels=self.stem.conv.in_channels)

    def fit_parameter(
        self, name: str, value: Tensor, shape: torch.Size, **_: object
    ) -> Fitted | None:
        """Resize a published bias table to this model's maps; None if no rule applies."""
        return fit_dat_parameter(name, value, shape)


def _check_size(size: tuple[int, ...]) -> None:
    if len(size) == 2 and size[1] == 0:
        raise ModelError(
            "DATAR takes one number of frames, not as many as each clip has: set the front end's "
            f"frames to a multiple of {_STEP}, or the model's resize=(mels, frames)"
        )
    if len(size) != 2 or any(n < _STEP or n % _STEP for n in size):
        nearest = tuple(max(_STEP, round(n / _STEP) * _STEP) for n in size)
        raise ModelError(
            f"DATAR cannot take an input of {tuple(size)} (mels, frames): both are multiples of "
            f"{_STEP}, nearest {nearest}. Change the front end's rows and frames, or set "
            f"the model's resize={nearest}"
        )


def _check_structure(
    dims: tuple[int, ...],
    depths: tuple[int, ...],
    head_dim: int,
    groups: tuple[int, ...],
    stride: int,
    window_size: int,
    drop_path_rate: float,
) -> None:
    wrong = []
    if len(dims) != 4 or len(depths) != 4 or min(depths) < 1 or len(groups) != 2:
        wrong.append(f"dims={dims}, depths={depths}, groups={groups}: 4 dims, 4 depths, 2 groups")
    elif head_dim < 1 or any(dim < 1 or dim % head_dim for dim in dims):
        wrong.append(f"dims={dims} are multiples of head_dim={head_dim}, which is 1 or more")
    elif any(g < 1 or dim // head_dim % g for dim, g in zip(dims[2:], groups, strict=True)):
        heads = tuple(dim // head_dim for dim in dims[2:])
        wrong.append(f"groups={groups} divide the heads {heads} of the last two stages")
    if stride < 1:
        wrong.append(f"stride={stride} is 1 or more")
    if window_size < 2:
        wrong.append(f"window_size={window_size} is 2 or more")
    if not 0 <= drop_path_rate < 1:
        wrong.append(f"drop_path_rate={drop_path_rate} is in [0, 1)")
    if wrong:
        raise ModelError("DATAR needs: " + "; ".join(wrong))
