"""A training state as flat tensors plus plain JSON, so that nothing is ever pickled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

OPTIMIZER = "optimizer."


class Checkpoints(Protocol):
    """Where a training keeps its state between epochs."""

    def load(self, which: str) -> tuple[Mapping[str, Tensor], Mapping[str, Any]] | None:
        """Return the tensors and facts saved under `last` or `best`, or None."""
        ...

    def save(self, which: str, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Keep them, in place of what was there."""
        ...


@dataclass(frozen=True)
class Initial:
    """Weights to start from: name -> tensor, and where they are from."""

    state: Mapping[str, Tensor]
    source: str


def pack_state(model: nn.Module, optimizer: torch.optim.Optimizer | None) -> dict[str, Tensor]:
    """Return copies on the CPU of everything that the next step depends on.

    Args:
        model: the chain, not wrapped.
        optimizer: its optimizer; None leaves it out, for a checkpoint that is not resumed.
    """
    tensors = dict(model.state_dict())
    if optimizer is not None:
        for index, values in optimizer.state_dict()["state"].items():
            for name, value in values.items():
                tensors[f"{OPTIMIZER}{index}.{name}"] = torch.as_tensor(value)
    return {name: value.detach().cpu().clone() for name, value in tensors.items()}


def unpack_state(
    tensors: Mapping[str, Tensor], model: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Put a packed state back; the model and optimizer must have been built the same way."""
    model.load_state_dict(model_state(tensors))
    state: dict[int, dict[str, Any]] = {}
    for name, value in tensors.items():
        if name.startswith(OPTIMIZER):
            index, _, key = name.removeprefix(OPTIMIZER).partition(".")
            state.setdefault(int(index), {})[key] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def model_state(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the chain's part of a packed state."""
    return {name: value for name, value in tensors.items() if not name.startswith(OPTIMIZER)}


def backbone_state(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the backbone's part of a packed state, which another chain may start from."""
    prefix = "model."
    return {n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix)}
