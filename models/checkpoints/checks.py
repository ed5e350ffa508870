"""What a state dict must be before a model is touched by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from models.errors import CheckpointError

_NUMBERS = frozenset(
    {
        *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
        *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
    }
)
_SHOWN = 8
LEAST_SHARE = 0.8
"""Of a model's body that a file must set, and of a file that a model must know.

Variants of one model differ in less: DATAR without its offset networks in a tenth.
"""


def check_tensors(state: Mapping[Any, Any], *, source: str) -> None:
    """Refuse what is no state dict of plain, finite tensors in memory.

    Raises:
        CheckpointError: names what is in the way.
    """
    if not all(isinstance(name, str) for name in state):
        raise CheckpointError(f"{source} holds no state dict: not all of its keys are names")
    if not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(
            f"{source} holds no state dict: not all of {list(state)[:_SHOWN]} are tensors"
        )
    for name, value in state.items():
        plain = value.layout is torch.strided and value.device.type != "meta"
        if not plain or value.dtype not in _NUMBERS:
            kind = str(value.dtype if plain else f"{value.layout} on {value.device}")
            raise CheckpointError(
                f"{source}: {name} is {kind.replace('torch.', '')}, which is no plain tensor of "
                "numbers; save the weights as float32"
            )
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise CheckpointError(
                f"{source}: {name} holds numbers that are not finite; its training failed, take "
                "another checkpoint"
            )


def check_coverage(*, fitting: int, body: int, unknown: int, held: int) -> str:
    """Say why a file is of another model although its shapes fit; empty if it is not.

    Families share some names, and sizes of one family many.

    Args:
        fitting: parameters of the model's body that the file sets.
        body: parameters of the body.
        unknown: entries of the file that the model does not know.
        held: entries of the file.
    """
    if fitting < LEAST_SHARE * body:
        return f"it sets {fitting} of {body} parameters"
    if unknown > (1 - LEAST_SHARE) * held:
        return f"the model knows {held - unknown} of its {held} parameters"
    return ""
