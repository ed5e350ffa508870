"""Convert published VGGSound checkpoints to this project's names.

Format (hche11/VGGSound 9bbc749, `H.pth.tar` and `I.pth.tar`): a dict with `model_state_dict`, in
torchvision's names with the prefix `audnet.`.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from models.checkpoints.rename import share_channels
from models.errors import CheckpointError

_PREFIX = "audnet."
_OTHERS = {
    "fc": "head",
    "fc_": "head",
    "avgpool.conv": "vlad.assign",
    "avgpool": "vlad",
}
_STEM = "resnet.conv1.weight"


def rename_vggsound_state(
    state: Mapping[str, Tensor], *, num_channels: int, netvlad: bool
) -> dict[str, Tensor] | None:
    """Convert a published state to this project's names.

    Args:
        state: Value of `model_state_dict` in a published file.
        num_channels: Input channels of the model; see `share_channels`.
        netvlad: Whether the model pools by NetVLAD.

    Returns:
        name -> tensor, or None for a state of another format.

    Raises:
        CheckpointError: The file has the other pooling.
    """
    if f"{_PREFIX}conv1.weight" not in state or f"{_PREFIX}layer1.0.conv1.weight" not in state:
        return None
    found = f"{_PREFIX}avgpool.centroids" in state
    if found != netvlad:
        raise CheckpointError(
            f"it is of a model with pooling={'netvlad' if found else 'average'!r}; build that one"
        )
    renamed: dict[str, Tensor] = {}
    for name, value in state.items():
        layer, _, kind = name.removeprefix(_PREFIX).rpartition(".")
        ours = f"{_OTHERS.get(layer, f'resnet.{layer}')}.{kind}"
        renamed[ours if name.startswith(_PREFIX) else name] = value
    return renamed | {_STEM: share_channels(renamed[_STEM], num_channels)}
