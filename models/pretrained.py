"""Checkpoints: one function for every family, which says what it took and what it left.

A model family joins by three members: `rename_published(state)` gives a published state the
model's own names, returns None if the state is none of the family's, or raises a
`CheckpointError` that says for which model it is; `fit_parameter(name, value, shape)` resizes a
parameter, or returns None; `head_parameters` names what depends on the
number of classes. A fourth, `unused_published`, may say why names that begin so are skipped. A
family without them loads its own checkpoints only.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from numpy._core import multiarray
from safetensors.torch import load_file
from torch import Tensor, nn

from models.errors import CheckpointError
from models.state_checks import check_coverage, check_tensors
from models.weight_files import weight_file
from models.weights import WEIGHTS

_SHOWN = 8
_STATES = ("model", "state_dict", "model_state", "model_state_dict")
_UNKNOWN = "the model has no such parameter"
_MISSHAPEN = (IndexError, KeyError, TypeError, RuntimeError, NotImplementedError)
# Authors save their sampler beside the weights (PANNs at 16 kHz): arrays and numbers of NumPy,
# under the names of either NumPy, are plain data.
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
class LoadReport:
    """What became of every parameter; names are the model's, or the file's where it has none.

    Attributes:
        taken: parameters and buffers set from the file, resized ones among them.
        resized: name -> the two shapes, of what was resized on the way.
        skipped: name -> reason, of what the file holds and the model did not take.
        missing: parameters of the model that the file does not set; they keep their values.
        remark: what a published file of `models.weights` asks for besides.
    """

    taken: tuple[str, ...]
    resized: Mapping[str, str] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    remark: str = ""

    def summary(self) -> str:
        """Say it in a few lines."""
        lines = [f"{len(self.taken)} parameters taken, {len(self.resized)} of them resized"]
        lines += _listed("resized", [f"{name} {how}" for name, how in self.resized.items()])
        lines += _listed("skipped", [f"{name}: {why}" for name, why in self.skipped.items()])
        lines += _listed("keeps its initial value", list(self.missing))
        lines += [f"besides: {self.remark}"] if self.remark else []
        return "\n".join(lines)


def load_pretrained(model: nn.Module, source: str | PathLike[str]) -> LoadReport:
    """Set a model's weights from a file; nothing changes if that fails.

    `load_pretrained(create_model("cnn14", num_classes=527), "cnn14_audioset")` fetches the
    authors' file once, checks and keeps it (see `models.weight_files`).

    Read are safetensors files and files of `torch.save` with tensors in dicts, alone or under
    `model`, `state_dict`, `model_state` or `model_state_dict`, with or without the prefix of a
    data-parallel wrapper. No code in a file is run. Published checkpoints of the model's family are
    renamed and resized (for DAT see `models.formats.dat`). In the project's own, shapes must agree.
    In both, the head may differ in the number of classes and then keeps its initial values. A file
    that sets less than four fifths of the other parameters, or holds more than a fifth that the
    model does not know, belongs to another model or size.

    Args:
        model: a model, or a chain: a chain's checkpoint goes to the whole chain, another one to
            the chain's model.
        source: the file's path, its address (`https://...`), or a name of
            `models.weights.WEIGHTS`.

    Returns:
        A report of what was taken, resized, skipped and missing.

    Raises:
        CheckpointError: the file cannot be read, is cut off, holds more than tensors, or does not
            belong to this model. A `DownloadError` says why it cannot be fetched.
    """
    report = _set_weights(model, read_state(weight_file(source)), source=str(source))
    known = WEIGHTS.get(source) if isinstance(source, str) else None
    return replace(report, remark=known.remark) if known else report


def load_state(model: nn.Module, state: Mapping[str, Tensor], *, source: str) -> LoadReport:
    """Set a model's weights from a state dict, by the rules of `load_pretrained`.

    Args:
        model: a model or a chain.
        state: name -> tensor.
        source: where it is from, for messages.

    Raises:
        CheckpointError: it does not belong to this model; nothing changes.
    """
    check_tensors(state, source=source)
    return _set_weights(model, state, source=source)


def _set_weights(model: nn.Module, state: Mapping[str, Tensor], *, source: str) -> LoadReport:
    """Set weights from tensors that have been checked."""
    target, outside = _aim(model, state)
    state = {name: value for name, value in state.items() if name not in outside}
    if outside and not hasattr(model, "frontend"):
        state = {name.removeprefix("model."): value for name, value in state.items()}
    rename = getattr(target, "rename_published", None)
    try:
        renamed = None if rename is None else rename(state)
    except CheckpointError as error:
        raise CheckpointError(f"{source} does not belong to this model: {error}") from error
    except _MISSHAPEN as error:
        raise _misshapen(source, error) from error
    published = renamed is not None
    if renamed is not None:
        state = renamed
    fit = getattr(target, "fit_parameter", None) if published else None
    heads = {
        prefix + name
        for prefix, module in (("", target), ("model.", getattr(target, "model", None)))
        for name in getattr(module, "head_parameters", ())
    }
    own = target.state_dict()
    chosen: dict[str, Tensor] = {}
    resized: dict[str, str] = {}
    skipped = dict(outside)
    unused = getattr(target, "unused_published", {}) if published else {}
    unfit = []
    for name, value in state.items():
        if name not in own:
            why = (reason for start, reason in unused.items() if name.startswith(start))
            skipped[name] = next(why, _UNKNOWN)
        elif value.shape == own[name].shape:
            chosen[name] = value
        elif name in heads and value.dim() == own[name].dim():
            skipped[name] = f"for {value.shape[0]} classes, the model has {own[name].shape[0]}"
        elif (fitted := _fitted(fit, name, value, own[name].shape, source)) is not None:
            chosen[name] = fitted
            resized[name] = _arrow(value, own[name])
        else:
            unfit.append(f"{name} {_arrow(value, own[name])}")
    body = own.keys() - heads
    fitting = body & chosen.keys()
    reason = check_coverage(
        fitting=len(fitting),
        body=len(body),
        unknown=sum(why == _UNKNOWN for why in skipped.values()),
        held=len(state),
    )
    if unfit or reason:
        if not fitting:
            reason = f"none of its {len(state)} names is known (first: {next(iter(state), None)!r})"
        if unfit:
            reason = f"these shapes differ (file -> model): {'; '.join(unfit[:_SHOWN])}"
            reason += f" and {len(unfit) - _SHOWN} more" if len(unfit) > _SHOWN else ""
        raise CheckpointError(
            f"{source} does not belong to this {type(target).__name__}: {reason}. Build the model "
            "in the size and with the input that the file was made for"
        )
    target.load_state_dict(chosen, strict=False)
    missing = tuple(name for name in own if name not in chosen)
    return LoadReport(tuple(sorted(chosen)), resized, skipped, missing)


def _fitted(fit: Any, name: str, value: Tensor, shape: torch.Size, source: str) -> Tensor | None:
    try:
        return None if fit is None else fit(name, value, shape)
    except _MISSHAPEN as error:
        raise _misshapen(source, error) from error


def _misshapen(source: str, error: Exception) -> CheckpointError:
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return CheckpointError(
        f"{source} has the names of a published checkpoint, but tensors of other shapes; take the "
        f"authors' own file ({first})"
    )


def read_state(path: Path) -> dict[str, Tensor]:
    """Read the state dict in a file without running any code in it; raises `CheckpointError`."""
    if "\0" in str(path):
        raise CheckpointError(f"{str(path)!r} is no path")
    if path.exists() and not path.is_file():
        raise CheckpointError(f"{path} is a folder or no plain file; give the checkpoint itself")
    try:
        with path.open("rb") as file:
            head = file.read(9)
        if not head:
            raise CheckpointError(f"{path} is empty; fetch it again")
        if head[8:] == b"{":
            content: Any = load_file(path)
        else:
            with torch.serialization.safe_globals(_PLAIN):
                content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no checkpoint {path}") from error
    except pickle.UnpicklingError as error:
        # PyTorch's own text tells users to run the code.
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
        zipfile.BadZipFile,
        safetensors.SafetensorError,
        UnicodeDecodeError,
    ) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CheckpointError(
            f"{path} cannot be read, it may be cut off; fetch it again ({first})"
        ) from error
    return _unwrap(content, path)


def _unwrap(content: Any, path: Path) -> dict[str, Tensor]:
    for key in _STATES:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content:
        raise CheckpointError(f"{path} holds no state dict but {type(content).__name__}")
    check_tensors(content, source=str(path))
    if all(name.startswith("module.") for name in content):
        return {name.removeprefix("module."): value for name, value in content.items()}
    return dict(content)


def _aim(model: nn.Module, state: Mapping[str, Tensor]) -> tuple[nn.Module, dict[str, str]]:
    """Choose between a chain and its model; also what in the file lies outside the choice."""
    of_chain = {"mean", "std"} <= state.keys()
    if hasattr(model, "frontend"):
        return (model if of_chain else model.get_submodule("model")), {}
    if of_chain:
        outside = [name for name in state if not name.startswith("model.")]
        return model, dict.fromkeys(outside, "belongs to the chain around the model")
    return model, {}


def _arrow(value: Tensor, own: Tensor) -> str:
    return " -> ".join("x".join(map(str, t.shape)) or "scalar" for t in (value, own))


def _listed(title: str, items: list[str]) -> list[str]:
    more = [f"... and {len(items) - _SHOWN} more"] if len(items) > _SHOWN else []
    return [f"{title}: {item}" for item in [*items[:_SHOWN], *more]]
