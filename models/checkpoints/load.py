"""Load checkpoints of every family, and report what was loaded and what was skipped.

A model family takes part by its declarations, `models.protocols.Backbone`; a model without any
loads only its own checkpoints.

A trial's checkpoint records what it was trained as: its safetensors metadata has under `TRAINED_AS`
a JSON object with `trial` (its id), `experiment` (with the links of the chain, each with `name` and
complete `arguments`), `num_classes`, `class_names`, `input_size` (rows and frames of the features),
`mean` and `std`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from os import PathLike
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from models.chain import Chain
from models.checkpoints.files import weight_file
from models.checkpoints.read import check_tensors, is_part, read_checkpoint
from models.errors import CheckpointError, ModelError
from models.protocols import Backbone, FitParameter, Fitted, built_as
from models.registry import CHAIN_PARTS
from models.zoo.cards import WEIGHTS

_SHOWN = 8
# Share of a model's body that a file must set, and of a file that a model must know. Variants of a
# model differ by less: DATAR without its offset networks by a tenth.
_LEAST_SHARE = 0.8
_WRAPPERS = ("module.", "_orig_mod.")
_HOLDERS = ("model.", "backbone.")
_COMPILED = "_orig_mod."
_UNKNOWN = "the model has no such parameter"
_MISSHAPEN = (IndexError, KeyError, TypeError, RuntimeError, NotImplementedError)
# Arguments that only affect training, not the meaning of the weights.
_TRAINING_ONLY = ("drop_path_rate", "dropout", "head_dropout", "norm_momentum")
_NOTHING = object()
_UNSET = {"mean": 0.0, "std": 0.5}  # a chain's statistics before any are set

Take = Literal["all", "backbone"]


@dataclass(frozen=True)
class LoadReport:
    """The outcome for every parameter, by its name in the model or, failing that, in the file.

    Attributes:
        taken: Parameters and buffers set from the file, including resized ones.
        resized: Name -> both shapes, of resized parameters.
        skipped: Name -> reason, of entries in the file that were not loaded.
        missing: Parameters of the model that the file does not set and that keep their values.
        remark: Further requirements of a published file.
        read_as: Name -> grid in which positions were read, and why.
        trained_as: What a chain's checkpoint was trained as, or that this is unknown; empty for
            other files.
    """

    taken: tuple[str, ...]
    resized: Mapping[str, str] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    remark: str = ""
    read_as: Mapping[str, str] = field(default_factory=dict)
    trained_as: str = ""

    def summary(self) -> str:
        """Return a summary in a few lines."""
        lines = [f"{len(self.taken)} parameters taken, {len(self.resized)} of them resized"]
        lines += [f"trained as: {self.trained_as}"] if self.trained_as else []
        lines += _listed("resized", [f"{name} {how}" for name, how in self.resized.items()])
        lines += _listed("read", [f"{name}: {how}" for name, how in self.read_as.items()])
        lines += _listed("skipped", [f"{name}: {why}" for name, why in self.skipped.items()])
        lines += _listed("keeps its initial value", list(self.missing))
        lines += [f"besides: {self.remark}"] if self.remark else []
        return "\n".join(lines)


def load_pretrained(
    model: nn.Module,
    source: str | PathLike[str],
    *,
    take: Take = "all",
    source_grid: tuple[int, int] | None = None,
) -> LoadReport:
    """Load a model's weights from a file; the model is unchanged if this fails.

    `load_pretrained(create_model("cnn14", num_classes=527), "cnn14_audioset")` downloads and checks
    the authors' file once (see `models.checkpoints.files`).

    Formats are safetensors and `torch.save` files with tensors in dicts, at the top level or under
    `model`, `state_dict`, `model_state` or `model_state_dict`. Names may have wrapper prefixes, in
    any nesting: `module.` (data parallel), `_orig_mod.` (compiled), `model.` or `backbone.` (a
    module that holds the model). No code in a file is run. Published checkpoints of the model's
    family are renamed and resized; in this project's own, shapes must match. In both, a head with
    another number of classes keeps its initial values. A file that sets less than four fifths of
    the other parameters, or more than a fifth of whose entries are unknown, belongs to another
    model or size.

    A trial's checkpoint records what it was trained as, and a chain that differs is refused: in a
    link or its arguments, in the classes, or in a normalization that was set. For the backbone
    alone, name and arguments must match, except those of the head and those that only affect
    training.

    Args:
        model: A model or a chain. A chain's checkpoint is loaded into the whole chain, any other
            into its model.
        source: A path, a URL (`https://...`), or a name in `models.zoo.cards.WEIGHTS`.
        take: `backbone` leaves the rest of a chain unchanged, to fine-tune another chain's model.
        source_grid: (rows, columns) of the patches in a file of AST or DeiT, if their number is
            ambiguous.

    Returns:
        A report of taken, resized, skipped and missing parameters.

    Raises:
        CheckpointError: The file cannot be read, is truncated, holds more than tensors, or belongs
            to another model; a `DownloadError` if it cannot be downloaded.
    """
    checkpoint = read_checkpoint(weight_file(source))
    report = _set_weights(
        model,
        checkpoint.state,
        source=str(source),
        take=take,
        trained_as=checkpoint.trained_as,
        source_grid=source_grid,
    )
    known = WEIGHTS.get(source) if isinstance(source, str) else None
    return replace(report, remark=known.remark) if known else report


def load_state(
    model: nn.Module,
    state: Mapping[str, Tensor],
    *,
    source: str,
    take: Take = "all",
    trained_as: Mapping[str, Any] | None = None,
    source_grid: tuple[int, int] | None = None,
) -> LoadReport:
    """Load a model's weights from a state dict, by the rules of `load_pretrained`.

    Args:
        model: A model or a chain.
        state: Name -> tensor; wrapper prefixes are removed as in a file.
        source: Origin of the state, for messages.
        take: See `load_pretrained`.
        trained_as: Record of what the state was trained as, `Checkpoint.trained_as`.
        source_grid: See `load_pretrained`.

    Raises:
        CheckpointError: The state belongs to another model; the weights are unchanged.
    """
    check_tensors(state, source=source)
    return _set_weights(
        model, state, source=source, take=take, trained_as=trained_as, source_grid=source_grid
    )


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Compare two experiments or the parts of two chains in plain JSON form.

    Returns:
        path, such as `transform.strength` -> both values as text; parts with different names are
        compared as a whole.
    """
    return {path: (_text(a), _text(b)) for path, a, b in _changed(one, other)}


def _changed(
    one: Mapping[str, Any], other: Mapping[str, Any], start: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    for key in dict.fromkeys([*one, *other]):
        ours, theirs = one.get(key, _NOTHING), other.get(key, _NOTHING)
        if ours == theirs:
            continue
        if is_part(ours) and is_part(theirs) and ours["name"] == theirs["name"]:
            yield from _changed(ours["arguments"], theirs["arguments"], f"{start}{key}.")
        else:
            yield f"{start}{key}", ours, theirs


def _text(value: Any) -> str:
    if value is _NOTHING or value is None:
        return "nothing that is stated"
    if is_part(value):
        inner = ", ".join(f"{key}={item!r}" for key, item in value["arguments"].items())
        return f"{value['name']}({inner})"
    return repr(value)


def _set_weights(
    model: nn.Module,
    state: Mapping[str, Tensor],
    *,
    source: str,
    take: Take,
    trained_as: Mapping[str, Any] | None,
    source_grid: tuple[int, int] | None,
) -> LoadReport:
    """Set weights from checked tensors."""
    if take not in get_args(Take):
        raise CheckpointError(f"take={take!r}: one of {', '.join(map(repr, get_args(Take)))}")
    children = dict(model.named_children())
    if children.keys() == {"_orig_mod"}:  # compiled
        model = children["_orig_mod"]
    state = _unwrapped(state, model, _WRAPPERS, source)
    target, outside = _aim(model, state, take)
    state = {name: value for name, value in state.items() if name not in outside}
    if outside:
        state = {name.removeprefix("model."): value for name, value in state.items()}
    state = _unwrapped(state, target, (*_WRAPPERS, *_HOLDERS), source)
    whole = isinstance(target, Chain)
    backbone = Backbone.of(target)
    of_chain = whole or bool(outside)
    if trained_as is not None:
        _check_trained_as(target, trained_as, source=source)
    try:
        renamed = backbone.rename_published(state)
    except CheckpointError as error:
        raise CheckpointError(f"{source} does not belong to this model: {error}") from error
    except _MISSHAPEN as error:
        raise _misshapen(source, error) from error
    published, original = renamed is not None, state
    if renamed is not None:
        state = renamed
    adapter = backbone if published else Backbone()
    grids = adapter.grid_parameters
    if source_grid is not None and not grids:
        raise CheckpointError(
            f"source_grid={tuple(source_grid)} is for published files of AST and DeiT; {source} is "
            f"none, or this {type(target).__name__} is not made of patches: leave it out"
        )
    parts = _backbones(target)
    heads = {prefix + name for prefix, part in parts.items() for name in part.head_parameters}
    support = {prefix + name for prefix, part in parts.items() for name in part.support_buffers}
    own = target.state_dict()
    chosen: dict[str, Tensor] = {}
    resized: dict[str, str] = {}
    read_as: dict[str, str] = {}
    skipped = dict(outside)
    unfit = []
    for name, value in state.items():
        if name in support:
            chosen[name] = value
        elif name not in own:
            unused = adapter.unused_published.items()
            why = (reason for start, reason in unused if name.startswith(start))
            skipped[name] = next(why, _UNKNOWN)
        elif value.shape == own[name].shape and name not in grids:
            chosen[name] = value
        elif name in heads and value.dim() == own[name].dim():
            skipped[name] = f"for {value.shape[0]} classes, the model has {own[name].shape[0]}"
        elif (
            fitted := _fitted(
                adapter.fit_parameter,
                name,
                value,
                own[name].shape,
                source=source,
                state=original,
                source_grid=source_grid,
            )
        ) is not None:
            chosen[name] = fitted.value
            if fitted.value is not value:
                how = f" ({fitted.how})" if fitted.how else ""
                resized[name] = f"{_arrow(value, own[name])}{how}"
            elif fitted.how:
                read_as[name] = fitted.how
        else:
            unfit.append(f"{name} {_arrow(value, own[name])}")
    if support & chosen.keys():
        _leave_foreign_clips(chosen, skipped, support, heads=heads, kept=take == "all")
        _check_clips(parts, chosen, source)
    body = own.keys() - heads - support
    fitting = body & chosen.keys()
    reason = _mismatch(
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
    if whole and trained_as is not None:
        model.class_names = tuple(trained_as["class_names"])  # type: ignore[assignment]
    return LoadReport(
        taken=tuple(sorted(chosen)),
        resized=resized,
        skipped=skipped,
        missing=tuple(name for name in own if name not in chosen and name not in support),
        read_as=read_as,
        trained_as=_origin(target, trained_as) if of_chain or trained_as else "",
    )


def _backbones(target: nn.Module) -> dict[str, Backbone]:
    """Read the declarations of a model and of a nested model: name prefix -> declarations."""
    inside = {f"{name}.": part for name, part in target.named_children() if name == "model"}
    return {prefix: Backbone.of(part) for prefix, part in ({"": target} | inside).items()}


def _leave_foreign_clips(
    chosen: dict[str, Tensor],
    skipped: dict[str, str],
    support: set[str],
    *,
    heads: set[str],
    kept: bool,
) -> None:
    """Skip a support set of another training or of other classes."""
    other_classes = heads & skipped.keys()
    for name in support & chosen.keys() if other_classes or not kept else ():
        del chosen[name]
        why = "of other classes" if other_classes else "of the training that is started from"
        skipped[name] = f"support set {why}"


def _check_clips(
    backbones: Mapping[str, Backbone], chosen: Mapping[str, Tensor], source: str
) -> None:
    for prefix, backbone in backbones.items():
        values = [chosen.get(prefix + name) for name in backbone.support_buffers]
        if backbone.check_support and any(value is not None for value in values):
            try:
                backbone.check_support(*values)
            except ModelError as error:
                raise CheckpointError(f"{source} does not belong to this model: {error}") from error


def _mismatch(*, fitting: int, body: int, unknown: int, held: int) -> str:
    """Say why a file with fitting shapes is of another model; empty if it is not.

    Families share some names, and sizes of one family share many. All arguments are counts: the
    file sets `fitting` of the body's `body` parameters, and `unknown` of its `held` entries are not
    in the model.
    """
    if fitting < _LEAST_SHARE * body:
        return f"it sets {fitting} of {body} parameters"
    if unknown > (1 - _LEAST_SHARE) * held:
        return f"the model knows {held - unknown} of its {held} parameters"
    return ""


def _unwrapped(
    state: Mapping[str, Tensor], model: nn.Module, prefixes: tuple[str, ...], source: str
) -> dict[str, Tensor]:
    """Remove prefixes that all names share and none of the model's names has."""
    own = model.state_dict().keys()
    names = {name: name for name in state}
    if not any(_COMPILED in name for name in own):  # a submodule may be compiled
        names = {name: name.replace(_COMPILED, "") for name in state}
    usable = [prefix for prefix in prefixes if not any(name.startswith(prefix) for name in own)]
    while names and (
        prefix := next(
            (p for p in usable if all(name.startswith(p) for name in names.values())), ""
        )
    ):
        names = {name: short.removeprefix(prefix) for name, short in names.items()}
    if len(set(names.values())) < len(names):
        raise CheckpointError(
            f"{source} holds some parameters twice, with and without the prefix of a wrapper; save "
            "the state dict of the module inside alone"
        )
    return {names[name]: value for name, value in state.items()}


def _check_trained_as(target: nn.Module, trained_as: Mapping[str, Any], *, source: str) -> None:
    """Refuse a chain or a backbone that differs from what the file was trained as."""
    theirs = trained_as["experiment"]
    if isinstance(target, Chain):
        ours: dict[str, Any] = {**target.parts, "num_classes": target.num_classes}
        found = {part: theirs[part] for part in CHAIN_PARTS}
        found["num_classes"] = trained_as["num_classes"]
        held = {"mean": target.mean.item(), "std": target.std.item()}
        if held != _UNSET:
            # In the precision of the file's tensors.
            rounded = {key: float(np.float32(trained_as[key])) for key in held}
            ours, found = {**ours, **held}, {**found, **rounded}
        what = "chain"
        way_out = (
            "build it as the file says (orchestrator.load_model does, from a store and a trial), "
            "or take its backbone alone to train on, with take='backbone'"
        )
    else:
        backbone, part = Backbone.of(target), built_as(target)
        if part is None:
            return  # built by hand: the report describes the file
        ours, found = {"model": part}, {"model": theirs["model"]}
        free = (*_TRAINING_ONLY, *backbone.head_arguments)
        if part["name"] == theirs["model"]["name"]:
            ours, found = ({"model": _without(side["model"], free)} for side in (ours, found))
        if backbone.grid_parameters:
            ours["input_size"] = list(backbone.input_size)
            found["input_size"] = trained_as.get("input_size", ours["input_size"])
        what = "model"
        way_out = "build the model as the file says, its head aside"
    wrong = [
        f"{path}: {a} in the file, {b} in the {what}"
        for path, (a, b) in differences(found, ours).items()
    ]
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise CheckpointError(
            f"{source} was trained as another {what}: {'; '.join(wrong[:_SHOWN])}{more}; {way_out}"
        )


def _without(part: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    arguments = {name: value for name, value in part["arguments"].items() if name not in names}
    return {"name": part["name"], "arguments": arguments}


def _origin(target: nn.Module, trained_as: Mapping[str, Any] | None) -> str:
    if trained_as is None:
        return (
            "the file does not say, so that strengths, front end and the like are not checked; "
            "compare the chain with the record of its trial"
        )
    model = _text(trained_as["experiment"]["model"])
    checked = isinstance(target, Chain) or built_as(target) is not None
    hint = "" if checked else "; this model does not say how it was built: compare them"
    return f"trial {trained_as['trial']}, {model}{hint}"


def _fitted(
    fit: FitParameter, name: str, value: Tensor, shape: torch.Size, *, source: str, **rest: Any
) -> Fitted | None:
    try:
        return fit(name, value, shape, **rest)
    except CheckpointError as error:
        raise CheckpointError(f"{source}: {error}") from error
    except _MISSHAPEN as error:
        raise _misshapen(source, error) from error


def _misshapen(source: str, error: Exception) -> CheckpointError:
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return CheckpointError(
        f"{source} has the names of a published checkpoint, but tensors of other shapes; take the "
        f"authors' own file ({first})"
    )


def _aim(
    model: nn.Module, state: Mapping[str, Tensor], take: Take
) -> tuple[nn.Module, dict[str, str]]:
    """Choose between a chain and its model; also return what the choice skips in the file."""
    of_chain = {"mean", "std"} <= state.keys()
    is_chain = isinstance(model, Chain)
    if is_chain and of_chain and take == "all":
        return model, {}
    outside = [name for name in state if not name.startswith("model.")] if of_chain else []
    target = model.model if is_chain else model
    return target, dict.fromkeys(outside, "belongs to the chain around the model")


def _arrow(value: Tensor, own: Tensor) -> str:
    return " -> ".join("x".join(map(str, t.shape)) or "scalar" for t in (value, own))


def _listed(title: str, items: list[str]) -> list[str]:
    more = [f"... and {len(items) - _SHOWN} more"] if len(items) > _SHOWN else []
    return [f"{title}: {item}" for item in [*items[:_SHOWN], *more]]
