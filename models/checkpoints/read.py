"""Read a file of weights once, without running any code in it."""

from __future__ import annotations

import hashlib
import io
import json
import math
import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from numpy._core import multiarray
from safetensors.torch import load as load_safetensors
from torch import Tensor

from models.errors import CheckpointError
from models.registry import CHAIN_PARTS, TRAINED_AS

_SHOWN = 8
_NUMBERS = frozenset(
    {
        *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
        *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
    }
)
_STATES = ("model", "state_dict", "model_state", "model_state_dict")
# Authors save their sampler with the weights (PANNs at 16 kHz): NumPy arrays and numbers,
# under the module names of NumPy 1 or 2, are plain data.
_PLAIN: list[Any] = [
    *(
        (getattr(multiarray, name), f"numpy.{core}.multiarray.{name}")
        for name in ("_reconstruct", "scalar")
        for core in ("core", "_core")
    ),
    np.ndarray,
    np.dtype,
    *(type(np.dtype(code)) for code in "?bBhHiIlLqQefd"),
]


@dataclass(frozen=True)
class Checkpoint:
    """The contents of a file.

    Attributes:
        state: Name -> tensor.
        trained_as: What a trial's checkpoint was trained as (see `models.checkpoints.load`); None
            for any other file.
        sha256: 64 hex digits of the bytes that were read.
    """

    state: Mapping[str, Tensor]
    trained_as: Mapping[str, Any] | None
    sha256: str


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a file once, so that the digest matches, without running any code in it.

    Raises:
        CheckpointError: The file cannot be read, is truncated, or holds more than tensors.
    """
    if "\0" in str(path):
        raise CheckpointError(f"{str(path)!r} is no path")
    if path.exists() and not path.is_file():
        raise CheckpointError(f"{path} is a folder or no plain file; give the checkpoint itself")
    trained_as = None
    try:
        data = path.read_bytes()
        if not data:
            raise CheckpointError(f"{path} is empty; fetch it again")
        if data[8:9] == b"{":
            content: Any = load_safetensors(data)
            trained_as = trained_as_in(data, source=str(path))
        else:
            with torch.serialization.safe_globals(_PLAIN):
                content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no checkpoint {path}") from error
    except pickle.UnpicklingError as error:
        # PyTorch's message tells users to run the code.
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        found = f" (it names {named[1]})" if named else ""
        raise CheckpointError(
            f"{path} is no checkpoint, or holds more than tensors{found}, and nothing in it was "
            "run. If you trust its source, save its state dict alone as safetensors elsewhere and "
            "load that"
        ) from None
    except (
        OSError,
        EOFError,
        RuntimeError,
        KeyError,
        IndexError,
        AttributeError,
        TypeError,
        ValueError,
        zipfile.BadZipFile,
        safetensors.SafetensorError,
    ) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CheckpointError(
            f"{path} cannot be read, it may be cut off; fetch it again ({first})"
        ) from error
    state = _state_in(content, path)
    return Checkpoint(state, trained_as, hashlib.sha256(data).hexdigest())


def check_tensors(state: Mapping[Any, Any], *, source: str) -> None:
    """Refuse anything but a state dict of plain, finite tensors in memory.

    Raises:
        CheckpointError: An entry is not acceptable; the message names it.
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


def trained_as_in(data: bytes, *, source: str) -> dict[str, Any] | None:
    """Return what a safetensors file records that it was trained as; None if nothing.

    Args:
        data: Content of the file.
        source: Origin of the file, for messages.

    Raises:
        CheckpointError: The record is damaged.
    """
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    text = header.get("__metadata__", {}).get(TRAINED_AS)
    if text is None:
        return None
    try:
        said = json.loads(text)
        parts = [said["experiment"][part] for part in CHAIN_PARTS]
        numbers = [said[name] for name in ("num_classes", "mean", "std")]
        whole = (
            all(map(is_part, parts))
            and all(isinstance(n, int | float) and math.isfinite(n) for n in numbers)
            and isinstance(said["trial"], str)
            and all(isinstance(name, str) for name in said["class_names"])
        )
    except (ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        raise CheckpointError(
            f"{source}: its metadata {TRAINED_AS!r} is damaged, so that it does not say what it "
            "was trained as; take the checkpoint from its store again"
        )
    return said


def _state_in(content: Any, path: Path) -> dict[str, Tensor]:
    for key in _STATES:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content:
        raise CheckpointError(f"{path} holds no state dict but {type(content).__name__}")
    check_tensors(content, source=str(path))
    return dict(content)


def is_part(value: Any) -> bool:
    """Whether a value is a link of a chain in plain JSON: its name and arguments."""
    return (
        isinstance(value, Mapping)
        and isinstance(value.get("name"), str)
        and isinstance(value.get("arguments"), Mapping)
    )
