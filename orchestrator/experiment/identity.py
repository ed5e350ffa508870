"""A completed experiment, its canonical form and its id.

An id is a hash of every field, never of the difference from defaults, so a changed default is a
changed id. Only a field that did not exist before is left out at the value that means "as before"
(`ADDED`), so that stored trials keep their ids. Arguments that a component does not state are
filled in from its signature before hashing. Files enter by digest, not by path.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import math
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from models import registry
from models.errors import ModelError
from models.own_source import own_source
from models.schema import MAX_BITS, coerce
from orchestrator.errors import ConfigError, shown, unknown
from orchestrator.experiment.config import (
    ADDED,
    COMPONENTS,
    INITIAL,
    RANGES,
    SCALARS,
    Component,
    Experiment,
    File,
)
from orchestrator.experiment.narrow import is_list, is_mapping
from orchestrator.metrics.catalog import METRICS, mistake_of
from orchestrator.records import ID_LENGTH, TEACHER_ARM, TRIAL_ID, experiment_id


@dataclass(frozen=True, kw_only=True)
class CompletedExperiment(Experiment):
    """An experiment that states every argument, each of them valid.

    The constructor, and so `dataclasses.replace`, fills in what is not stated and raises a
    `ConfigError` that names every mistake. A copy or a pickle is not checked again.
    """

    def __post_init__(self) -> None:
        """Fill in what is not stated."""
        values, mistakes = fill_in(self)
        if mistakes:
            raise ConfigError("\n".join(mistakes))
        self.__dict__.update(values)

    @property
    def id(self) -> str:
        """The first 16 hex digits of the SHA-256 of the canonical JSON."""
        return experiment_id(canonical(self))

    def at(self, *, fold: int, seed: int, teacher: str = "") -> CompletedExperiment:
        """Return the experiment at another fold and seed, without checking the rest again.

        Args:
            fold: The other fold.
            seed: The other seed.
            teacher: Id of the trial that takes the place of its teacher; empty keeps it.
        """
        other = copy.copy(self)
        other.__dict__.update(fold=fold, seed=seed)
        if teacher:
            other.__dict__["distillation"] = self.distillation.replace(teacher=teacher)
        return other

    @property
    def teacher_arm(self) -> str:
        """The arm of the plan that is its teacher; empty if it has none, or a trial by id."""
        teacher = str(self.distillation.arguments.get("teacher", ""))
        return teacher.removeprefix(TEACHER_ARM) if teacher.startswith(TEACHER_ARM) else ""


def complete(experiment: Experiment) -> CompletedExperiment:
    """Fill in every argument that is not stated, and check all of them.

    Raises:
        ConfigError: Names every mistake at once.
    """
    if isinstance(experiment, CompletedExperiment):
        return experiment
    return CompletedExperiment(**vars(experiment))


def canonical(value: Any) -> Any:
    """Return the plain JSON form that is hashed and stored.

    Raises:
        ConfigError: A value has no canonical form, for example a function or a NaN.
    """
    match value:
        case int() if value.bit_length() > MAX_BITS:
            raise ConfigError(
                f"a whole number of {value.bit_length()} bits cannot be part of an experiment; "
                f"use {MAX_BITS} at most"
            )
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
        "tuples, Component, File or AudioFolder"
    )


def fill_in(experiment: Experiment) -> tuple[dict[str, Any], list[str]]:
    """Return the fields with every argument filled in, and every mistake found in them."""
    mistakes: list[str] = []
    values: dict[str, Any] = {}
    for name in COMPONENTS:
        part = getattr(experiment, name)
        # Sweep files are not type-checked: a name may be anything.
        if isinstance(part, Component) and isinstance(part.name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            values[name] = _complete_component(name, part, mistakes)
        else:
            values[name] = part
            mistakes.append(no_component(name, part))
    for name, kind in SCALARS.items():
        values[name], problem = coerce(getattr(experiment, name), kind)
        if not problem and name in RANGES:
            low, high, why = RANGES[name]
            if not low <= values[name] <= high:  # NaN is in no range
                problem = f"is {values[name]}; {why}"
        if problem:
            mistakes.append(f"{name} {problem}")
    if values["selection"] == "best":
        values["selection"] = "best_on_validation"  # "best" chose on test clips in old records
    chooses = values["selection_metric"]
    if isinstance(chooses, str):
        if problem := mistake_of(chooses, what="selection_metric"):
            mistakes.append(problem)
        elif METRICS[chooses].at_report:
            mistakes.append(
                f"selection_metric {chooses} is computed by the report alone, and every epoch "
                'needs it to choose the best; give another, or selection="last"'
            )
    return values, [
        *mistakes,
        *_mistakes_of_frozen(values),
        *_mistakes_of_teacher(values),
        *_mistakes_of_shifts(values),
    ]


def _mistakes_of_shifts(values: dict[str, Any]) -> list[str]:
    shifts = values["test_shifts_s"]
    if not is_list(shifts) or not all(isinstance(by, float) for by in shifts):
        return []  # said already
    if values["frozen"] and shifts != ADDED["test_shifts_s"]:
        return [
            "test_shifts_s shifts what a frozen model takes, and its embeddings are computed once; "
            "leave it out in this arm: test_shifts_s=(0.0,)"
        ]
    if shifts and len(set(shifts)) == len(shifts) and all(map(math.isfinite, shifts)):
        return []
    return [
        f"test_shifts_s is {shifts}; it must be one or more shifts in seconds, each once, for "
        "example (0.0, -0.05, 0.05)"
    ]


def _mistakes_of_teacher(values: dict[str, Any]) -> list[str]:
    part = values["distillation"]
    teacher = part.arguments.get("teacher") if isinstance(part, Component) else None
    named = isinstance(teacher, str) and teacher.startswith(TEACHER_ARM) and teacher != TEACHER_ARM
    if not isinstance(teacher, str) or named or TRIAL_ID.fullmatch(teacher):
        return []
    return [
        f"distillation.teacher is {teacher!r}; it must be the id of a trial, {ID_LENGTH} hex "
        f"digits, or an arm of the plan, {TEACHER_ARM + 'NAME'!r}"
    ]


def _mistakes_of_frozen(values: dict[str, Any]) -> list[str]:
    """Return why an encoder cannot be frozen, or why a head has nothing to stand on."""
    if not values["frozen"]:
        if values["head"] == ADDED["head"]:
            return []
        return [
            f"head is {values['head']!r}, and the model has a head of its own; heads are for "
            "embeddings of a frozen model: frozen=True"
        ]
    return [
        f"{kind} {part.name!r} changes what a frozen model takes in every epoch, and its "
        f'embeddings are computed once; leave it out in this arm: {kind}=Component("none")'
        for kind in ("waveform_augmentation", "augmentation", "mixup")
        if isinstance(part := values[kind], Component) and part.name != "none"
    ]


def replicate_ids(experiment: CompletedExperiment, blocks: Sequence[tuple[int, int]]) -> list[str]:
    """Return the ids of an experiment at other (fold, seed) blocks, without building each."""
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


def no_component(name: str, given: object) -> str:
    """Say that a part is no Component; a known name that was given is the example."""
    known = ("scratch", "checkpoint") if name == "initial" else tuple(registry.names(name))
    example = given if given in known else known[0]
    return f"{name} is {shown(given)}; it must be a Component, for example Component({example!r})"


def _with_source(kind: str, component: Component, mistakes: list[str]) -> Component:
    """Pin a user's own part by the digest of its source, which decides numbers.

    A part that is already pinned must match: a worker thus refuses source that differs from the
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
    """Return why an argument cannot be part of an id; empty if it can."""
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
        if kind == "initial":
            mistakes.append(unknown(kind, component.name, known))
        else:
            mistakes.append(registry.unknown_name(kind, component.name))
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
