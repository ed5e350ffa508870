"""A training state as flat tensors plus plain JSON, so that nothing is ever pickled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from models.chain import Chain
from models.checkpoints.load import LoadReport, differences, load_state
from models.checkpoints.read import read_checkpoint
from models.frozen import encoder_of
from orchestrator.errors import CheckpointError
from orchestrator.experiment.config import File
from orchestrator.records import experiment_id
from orchestrator.training.averaging import Averaging

OPTIMIZER = "optimizer."
AVERAGING = "averaging."


class Checkpoints(Protocol):
    """Where a training keeps its state between epochs."""

    def load(self, which: str) -> tuple[Mapping[str, Tensor], Mapping[str, Any]] | None:
        """Return the tensors and facts saved under `last` or `best`, or None."""
        ...

    def save(self, which: str, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Save both, in place of what was there."""
        ...


class NoCheckpoints:
    """Keeps nothing, for a training that is measured and not used."""

    def load(self, which: str) -> None:
        """Return None."""

    def save(self, which: str, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Drop both."""


@dataclass(frozen=True)
class Initial:
    """Weights to start from; a chain loads the backbone's.

    Attributes:
        state: Name -> tensor.
        source: Origin of the weights, for messages.
        trained_as: What they were trained as, if known; see `models.checkpoints.load`.
    """

    state: Mapping[str, Tensor]
    source: str
    trained_as: Mapping[str, Any] | None = None

    @classmethod
    def read(cls, file: File) -> Initial:
        """Read the file that an experiment was declared with.

        The bytes are read once, so the digest is that of what is loaded.

        Raises:
            CheckpointError: The file has changed since.
        """
        checkpoint = read_checkpoint(file.local)
        if f"sha256:{checkpoint.sha256}" != file.digest:
            raise CheckpointError(
                f"{file.path} is not the file that this experiment was declared with "
                f"({file.digest}); put that file back, or run the sweep again to declare this"
            )
        return cls(checkpoint.state, file.path, checkpoint.trained_as)

    def load(self, chain: Chain) -> LoadReport:
        """Load the weights into a chain's backbone, a frozen one's if its encoder is frozen.

        Raises:
            models.errors.CheckpointError: They do not fit this backbone.
        """
        encoder = encoder_of(chain)
        return load_state(
            encoder.chain if encoder else chain,
            self.state,
            source=self.source,
            take="backbone",
            trained_as=self.trained_as,
        )


def pack_state(
    model: nn.Module,
    optimizer: torch.optim.Optimizer | None,
    averaging: Averaging | None = None,
) -> dict[str, Tensor]:
    """Return copies on the CPU of everything that the next step depends on.

    Args:
        model: The chain, not wrapped.
        optimizer: Its optimizer; None leaves it out, for a state that no step follows.
        averaging: The average of its weights, left out in the same way.
    """
    tensors = dict(model.state_dict())
    if optimizer is not None:
        for index, values in optimizer.state_dict()["state"].items():
            for name, value in values.items():
                tensors[f"{OPTIMIZER}{index}.{name}"] = torch.as_tensor(value)
    copies = {name: value.detach().to("cpu", copy=True) for name, value in tensors.items()}
    if averaging is not None:
        copies |= {f"{AVERAGING}{name}": value for name, value in averaging.packed().items()}
    return copies


def unpack_state(
    tensors: Mapping[str, Tensor],
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    averaging: Averaging,
    *,
    device: torch.device,
) -> None:
    """Load a packed state; all must have been built the same way, the model on the device."""
    model.load_state_dict(model_state(tensors))
    averaging.unpack(
        {n.removeprefix(AVERAGING): t for n, t in tensors.items() if n.startswith(AVERAGING)},
        device,
    )
    state: dict[int, dict[str, Any]] = {}
    for name, value in tensors.items():
        if name.startswith(OPTIMIZER):
            index, _, key = name.removeprefix(OPTIMIZER).partition(".")
            state.setdefault(int(index), {})[key] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def model_state(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the chain's part of a packed state."""
    others = (OPTIMIZER, AVERAGING)
    return {name: value for name, value in tensors.items() if not name.startswith(others)}


def refuse_other(stored: Mapping[str, Any], wanted: Mapping[str, Any], *, where: str) -> None:
    """Refuse a checkpoint that was trained as another experiment.

    Args:
        stored: Canonical experiment in the checkpoint.
        wanted: Canonical experiment that it must match.
        where: Place of the wanted experiment, for the message.

    Raises:
        CheckpointError: Names every difference.
    """
    changed = differences(stored, wanted)
    if changed:
        listed = "; ".join(
            f"{path}: {a} in the checkpoint, {b} {where}" for path, (a, b) in changed.items()
        )
        raise CheckpointError(
            f"the checkpoint is of trial {experiment_id(stored)} and not of "
            f"{experiment_id(wanted)}: {listed}. "
            "Delete it and train the trial again, or put its own back"
        )
