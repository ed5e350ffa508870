"""Convert published DAT++ checkpoints to this project's names and shapes.

Format (LeapLabTHU/DAT 32173fc): a dict with `model`, a state dict of the names below and those
shared with DAT (`models.datar.checkpoint`). The model's `table_size` decides whether bias tables
are resized; those of another neighborhood size always are (bicubic).
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from models.datar.checkpoint import dat_form, rename_stages
from models.errors import CheckpointError

_NAMES = (
    (r"patch_proj\.0\.(\w+)", r"stem.first.conv.\1"),
    (r"patch_proj\.1\.norm\.(\w+)", r"stem.first.norm.\1"),
    (r"patch_proj\.3\.(\w+)", r"stem.second.conv.\1"),
    (r"patch_proj\.4\.norm\.(\w+)", r"stem.second.norm.\1"),
    (r"stages\.(\d)\.mlps\.(\d+)\.linear1\.0\.(\w+)", r"stages.\1.\2.mlp.up.\3"),
    (r"stages\.(\d)\.mlps\.(\d+)\.linear2\.0\.(\w+)", r"stages.\1.\2.mlp.down.\3"),
    (r"stages\.(\d)\.mlps\.(\d+)\.dwc\.(\w+)", r"stages.\1.\2.mlp.depthwise.\3"),
    (r"stages\.(\d)\.local_perception_units\.(\d+)\.(\w+)", r"stages.\1.\2.local.\3"),
    (r"stages\.(\d)\.attns\.(\d+)\.qkv\.(\w+)", r"stages.\1.\2.attention.qkv.\3"),
    (r"stages\.(\d)\.attns\.(\d+)\.proj\.(\w+)", r"stages.\1.\2.attention.out.\3"),
    (r"stages\.(\d)\.attns\.(\d+)\.rpb", r"stages.\1.\2.attention.bias_table"),
)


def rename_dat_pp_state(
    state: Mapping[str, Tensor], *, num_channels: int
) -> dict[str, Tensor] | None:
    """Convert a published state to this project's names and layer shapes.

    Args:
        state: Value of `model` in a published file.
        num_channels: Input channels of the model; see `rename_stages`.

    Returns:
        As in `models.datar.checkpoint.rename_stages`; None for a state of another format.

    Raises:
        CheckpointError: The weights are of DAT.
    """
    form = dat_form(state)
    if form == "DAT":
        raise CheckpointError(
            "it holds DAT weights and the model is built on DAT++; build datar_tiny, datar_small "
            "or datar_base for it, or take a file of DAT++ (dat_pp_tiny_in1k_224.pth)"
        )
    if form is None:
        return None
    return rename_stages(state, _NAMES, stem="stem.first.conv.weight", num_channels=num_channels)
