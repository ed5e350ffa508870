"""What decides the numbers (`Experiment`) and what only decides where they are made (`Runtime`).

An experiment is a frozen value. Its id is a hash of every field, never of the difference from
defaults, so that a changed default is a changed id. Only a field that did not exist before is left
out at the value that means "as before" (`ADDED`), so that what is stored keeps its id. Arguments
that a component does not state are filled in from its signature before anything is hashed. Files
enter by digest, not by path.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import socket
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from models import registry
from models.checkpoints.files import is_remote, weight_file
from models.errors import CheckpointError, ModelError
from models.own_source import own_source
from models.schema import coerce
from orchestrator.errors import ConfigError, unknown
from orchestrator.experiment.narrow import is_list, is_mapping
from orchestrator.metrics import METRICS
from orchestrator.metrics.keys import VAL_TOP1
from orchestrator.records import ID_LENGTH, experiment_id

REVISION = 1
"""Raised when a change of code alters numbers; part of every id."""

SEEDS = 2**63
"""Seeds are below; random generators take no more."""

MAX_COUNT = 10**9
"""Far above what can be meant: a typing error is not to be trained for years."""

RANGES: Mapping[str, tuple[float, float, str]] = {
    "epochs": (1, MAX_COUNT, f"it must be at least 1, and at most {MAX_COUNT}"),
    "batch_size": (1, MAX_COUNT, f"it must be at least 1, and at most {MAX_COUNT}"),
    "accumulation_steps": (1, MAX_COUNT, f"it must be at least 1, and at most {MAX_COUNT}"),
    "clip_norm": (0, 1e300, "it must be a finite norm, or 0 for no clipping"),
    "seed": (0, SEEDS - 1, "it must be at least 0, and below 2**63"),
    "fold": (0, MAX_COUNT, f"it must be at least 0, and at most {MAX_COUNT}"),
    "shuffled_labels": (0, 1, "it is a share, from 0 to 1"),
    "revision": (1, MAX_COUNT, f"it must be at least 1, and at most {MAX_COUNT}"),
}
"""Number of an experiment -> lowest and highest value, and both in words."""

ADDED: Mapping[str, Any] = {"shuffled_labels": 0.0, "selection_metric": VAL_TOP1}
"""Fields that came later -> the value at which an experiment is what it was without them."""


@dataclass(frozen=True)
class File:
    """A file that decides numbers: known by its digest, found by its path.

    Attributes:
        digest: `sha256:` and 64 hex digits.
        path: where the file is, on every host that trains; not part of any id. An address or a
            name of `models.zoo.weights` is fetched by every host for itself.
    """

    digest: str
    path: str = field(default="", compare=False)

    @classmethod
    def read(cls, path: str | Path) -> File:
        """Digest a file, fetched first where an address or a published name is given.

        Args:
            path: a path, `https://...`, or a name of `models.zoo.weights.WEIGHTS`.

        Raises:
            ConfigError: the file cannot be read or fetched.
        """
        try:
            local = weight_file(path)
            with open(local, "rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
        except CheckpointError as error:
            raise ConfigError(str(error)) from None
        except OSError as error:
            raise ConfigError(
                f"cannot read {str(path)!r} ({error.strerror}); give the path of an existing file"
            ) from None
        return cls(f"sha256:{digest}", str(path if is_remote(path) else Path(local).resolve()))

    @property
    def local(self) -> Path:
        """The file on this host; one that `path` names by address or name is in the cache."""
        return weight_file(self.path)


@dataclass(frozen=True, init=False)
class Component:
    """A registered part and its arguments, for example `Component("adaptor", strength=0.2)`.

    Attributes:
        name: a registered name, or `module:attribute` for a part of the user's own; its source
            is part of the id (`models.own_source`).
        arguments: the part's keyword arguments; what is not stated is filled in by `complete`.
    """

    name: str
    arguments: Mapping[str, Any]

    def __init__(self, name: str, /, **arguments: Any):
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "arguments", dict(arguments))

    def __hash__(self) -> int:
        return hash(json.dumps(canonical(self), sort_keys=True))

    def __str__(self) -> str:
        inner = ", ".join(f"{key}={value!r}" for key, value in self.arguments.items())
        return f"{self.name}({inner})"

    def replace(self, **arguments: Any) -> Component:
        """Return the component with some arguments changed."""
        return Component(self.name, **{**self.arguments, **arguments})


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Everything that decides the numbers of one trial, and nothing else.

    Attributes:
        dataset: the clips; its `fingerprint` argument pins the pack.
        frontend: waveform to features.
        augmentation: applied to training features only.
        transform: the input transform, for example DATAR's adaptor.
        model: the backbone with its head.
        loss: from logits and labels to one number per clip.
        optimizer: with the peak learning rate.
        schedule: the learning rate over the steps.
        initial: `scratch`, `trial` (the checkpoint of another trial, by id) or `checkpoint` (a
            file, by digest).
        epochs: passes over the training clips.
        batch_size: clips per optimizer step over all workers.
        accumulation_steps: equal parts in which a worker computes its share of a batch.
        clip_norm: largest gradient norm; 0 switches clipping off.
        precision: `bf16` is automatic mixed precision with float32 weights.
        selection: the epoch whose metrics the report reads.
        seed: decides initial weights, order, augmentation and dropout.
        fold: the fold (or official split) that is held out.
        shuffled_labels: share of the training clips whose labels are dealt out anew among
            themselves, for a control arm that must do harm.
        selection_metric: key of the metric by which an epoch is the `best`; a plan whose trials are
            read at their best epoch sets it to its own metric.
        revision: see `REVISION`.
    """

    dataset: Component
    frontend: Component
    augmentation: Component
    transform: Component
    model: Component
    loss: Component
    optimizer: Component
    schedule: Component
    initial: Component = Component("scratch")
    epochs: int
    batch_size: int
    accumulation_steps: int = 1
    clip_norm: float = 5.0
    precision: Literal["fp32", "bf16"] = "fp32"
    selection: Literal["last", "best"] = "last"
    seed: int = 0
    fold: int = 1
    shuffled_labels: float = 0.0
    selection_metric: str = VAL_TOP1
    revision: int = REVISION

    @property
    def id(self) -> str:
        """The first 16 hex digits of the SHA-256 of the completed experiment's canonical JSON."""
        return experiment_id(canonical(complete(self)))


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """Where and how trials run. Nothing here changes a number beyond float rounding.

    But for one: with several workers each draws its own dropout, drop path and triplets.

    Attributes:
        store: directory or file-system URI (`s3://...`) of records, checkpoints and packs.
        tracking_uri: MLflow's address; empty means SQLite inside the store.
        address: of a Ray cluster; empty starts one on this machine, `auto` joins the one here.
        num_workers: data-parallel workers of one trial; one runs inside the Tune worker itself.
        gpus_per_worker: may be a fraction, so that several trials share a card.
        cpus_per_worker: CPU threads of one worker.
        max_concurrent: trials at once; 0 means as many as the resources allow.
        retries: restarts of a trial whose worker died, before it counts as failed.
        data_root: the folder of the data set's own files.
    """

    store: str = "store"
    tracking_uri: str = ""
    address: str = ""
    num_workers: int = 1
    gpus_per_worker: float = 0.0
    cpus_per_worker: int = 1
    max_concurrent: int = 0
    retries: int = 3
    data_root: str = ""


INITIAL: Mapping[str, Mapping[str, Any]] = {
    "scratch": {},
    "trial": {"id": str},
    "checkpoint": {"file": File},
}
COMPONENTS = (*registry.KINDS, "initial")
HINTS = typing.get_type_hints(Experiment)
SCALARS = {name: kind for name, kind in HINTS.items() if kind is not Component}


def complete(experiment: Experiment) -> Experiment:
    """Fill in every argument that is not stated, and check all of them.

    Raises:
        ConfigError: names all mistakes at once.
    """
    completed, mistakes = check(experiment)
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    return completed


def canonical(value: Any) -> Any:
    """Return the plain JSON form that is hashed and stored.

    Raises:
        ConfigError: a value has no canonical form, for example a function or a NaN.
    """
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            if not math.isfinite(value):
                raise ConfigError(f"{value} cannot be part of an experiment; use a finite number")
            return value
        case File():
            return {"digest": value.digest}
        case Component():
            return {"name": value.name, "arguments": canonical(dict(value.arguments))}
        case _ if is_mapping(value):
            return {str(key): canonical(value[key]) for key in sorted(value)}
        case _ if is_list(value):
            return [canonical(item) for item in value]
        case _:
            pass
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        held = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        if isinstance(value, Experiment):
            held = {n: v for n, v in held.items() if n not in ADDED or v != ADDED[n]}
        return {name: canonical(item) for name, item in held.items()}
    raise ConfigError(
        f"{type(value).__name__} {value!r} cannot be part of an experiment; use numbers, strings, "
        "tuples, Component or File"
    )


def check(experiment: Experiment) -> tuple[Experiment, list[str]]:
    """Return the experiment with every argument filled in, and every mistake found in it."""
    mistakes: list[str] = []
    values: dict[str, Any] = {}
    for name in COMPONENTS:
        part = getattr(experiment, name)
        # Sweep files are not type-checked: a name may be anything.
        if isinstance(part, Component) and isinstance(part.name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            values[name] = _complete_component(name, part, mistakes)
        else:
            values[name] = part
            mistakes.append(
                f"{name} is {part!r}; it must be a Component, for example "
                f"Component({_example(name)!r})"
            )
    for name, kind in SCALARS.items():
        values[name], problem = coerce(getattr(experiment, name), kind)
        if not problem and name in RANGES:
            low, high, why = RANGES[name]
            if not low <= values[name] <= high:  # NaN is in no range
                problem = f"is {values[name]}; {why}"
        if problem:
            mistakes.append(f"{name} {problem}")
    chooses = values["selection_metric"]
    if isinstance(chooses, str) and chooses not in METRICS:
        mistakes.append(unknown("selection_metric", chooses, METRICS))
    return Experiment(**values), mistakes


def replicate_ids(experiment: Experiment, blocks: Sequence[tuple[int, int]]) -> list[str]:
    """Return the ids of a completed experiment at other folds and seeds, without building each.

    Args:
        experiment: a completed experiment.
        blocks: (fold, seed) of each.
    """
    data = canonical(experiment)
    texts = {
        name: json.dumps({name: data[name]}, sort_keys=True, separators=(",", ":"))[1:-1]
        for name in sorted(data)
    }
    names = list(texts)
    first, second = names.index("fold"), names.index("seed")
    before, between, after = (
        ",".join([*(texts[name] for name in part)])
        for part in (names[:first], names[first + 1 : second], names[second + 1 :])
    )
    begun: dict[int, Any] = {}
    ids: list[str] = []
    for fold, seed in blocks:
        if fold not in begun:
            begun[fold] = hashlib.sha256(f'{{{before},"fold":{fold},{between},"seed":'.encode())
        digest = begun[fold].copy()
        digest.update(f"{seed},{after}}}".encode())
        ids.append(digest.hexdigest()[:ID_LENGTH])
    return ids


def _example(kind: str) -> str:
    return "scratch" if kind == "initial" else next(iter(registry.names(kind)))


def _with_source(kind: str, component: Component, mistakes: list[str]) -> Component:
    """Pin a part of the user's own by the digest of its source, which decides numbers.

    One that is pinned already must be the same here: so a worker refuses another source than its
    driver's.
    """
    module, _, attribute = component.name.partition(":")
    if not all(map(str.isidentifier, [*module.split("."), attribute])):
        mistakes.append(
            f"{kind} {component.name!r}: a part of your own is named module:attribute, for "
            "example 'my_parts:Shift' or 'my_project.parts:Shift'"
        )
        return component
    try:
        digest = own_source(module).digest
    except ModelError as error:
        mistakes += [f"{kind} {component.name!r}: {line}" for line in str(error).splitlines()]
        return component
    pinned = component.arguments.get(registry.SOURCE, digest)
    if pinned != digest:
        mistakes.append(
            f"{kind} {component.name!r} was declared with source {pinned}, and {module!r} and what "
            f"it imports are {digest} on {socket.gethostname()}: bring the same files to every "
            "host, or run the sweep again to declare these"
        )
    for name, value in component.arguments.items():
        if problem := _not_canonical(value):
            mistakes.append(f"{kind}.{name} {problem}")
    return component.replace(**{registry.SOURCE: digest})


def _not_canonical(value: Any) -> str:
    """Say what keeps an argument from being part of an id; empty where nothing does."""
    try:
        canonical(value)
    except ConfigError as error:
        return f"is {value!r}: {error}"
    return ""


def _complete_component(kind: str, component: Component, mistakes: list[str]) -> Component:
    if ":" in component.name and kind != "initial":
        return _with_source(kind, component, mistakes)
    if kind == "initial":
        known: dict[str, Any] = dict(INITIAL)
        types_of = INITIAL.get(component.name, {})
        defaults: dict[str, Any] = {}
    else:
        known = dict(registry.catalog()[kind])
        entry = known.get(component.name)
        types_of = {name: a.type for name, a in entry.arguments.items()} if entry else {}
        defaults = (
            {n: a.default for n, a in entry.arguments.items() if not a.required} if entry else {}
        )
    if component.name not in known:
        mistakes.append(unknown(kind, component.name, known))
        return component
    arguments: dict[str, Any] = {}
    for name in component.arguments:
        if name not in types_of:
            mistakes.append(unknown(f"argument of {kind} {component.name!r}", name, types_of))
    for name, wanted in types_of.items():
        if name not in component.arguments and name not in defaults:
            mistakes.append(f"{kind} {component.name!r} needs the argument {name!r}")
            continue
        value = component.arguments.get(name, defaults.get(name))
        arguments[name], problem = coerce(value, wanted)
        if not problem and name in component.arguments:
            problem = _not_canonical(arguments[name])
        if problem:
            mistakes.append(f"{kind}.{name} {problem}")
    return Component(component.name, **arguments)
