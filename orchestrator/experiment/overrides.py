"""Override fields of an experiment by path, compare two experiments, read one back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from models import registry
from models.schema import coerce
from orchestrator.errors import ConfigError, unknown
from orchestrator.experiment.config import COMPONENTS, HINTS, Component, Experiment, File
from orchestrator.experiment.identity import (
    CompletedExperiment,
    canonical,
    complete,
    fill_in,
    no_component,
)
from orchestrator.experiment.narrow import is_list, is_mapping
from orchestrator.records import EARLIER_BEST

_FEW = 3


def override(experiment: Experiment, changes: Mapping[str, Any]) -> CompletedExperiment:
    """Change fields by path: `epochs`, `transform` (a whole component) or `model.deformable`.

    Args:
        experiment: Experiment to depart from.
        changes: Path -> value.

    Raises:
        ConfigError: A path does not exist or a value has the wrong type; names every mistake.
    """
    changed, mistakes = _override(experiment, changes)
    if mistakes:
        raise ConfigError("\n".join([*mistakes, *fill_in(changed)[1]]))
    return complete(changed)


def mistakes_of(experiment: Experiment, changes: Mapping[str, Any]) -> list[str]:
    """Return every mistake that `override` would raise."""
    changed, mistakes = _override(experiment, changes)
    return [*mistakes, *fill_in(changed)[1]]


def whole_parts(paths: Sequence[str]) -> list[str]:
    """Drop the paths of arguments whose component is replaced as a whole."""
    return [path for path in paths if path.partition(".")[0] not in paths or "." not in path]


def from_canonical(data: Mapping[str, Any]) -> Experiment:
    """Rebuild an experiment from its canonical form (the inverse of `canonical`)."""
    values: dict[str, Any] = dict(data)
    if values.get("selection") == EARLIER_BEST:
        values["selection"] = "best_on_test"
    for name in COMPONENTS:
        if name not in data:
            continue  # as before the field existed
        part = data[name]
        arguments = {
            key: File(value["digest"]) if _is_file(value) else _tuples(value)
            for key, value in part["arguments"].items()
        }
        values[name] = Component(part["name"], **arguments)
    return Experiment(**values)


def flatten(experiment: CompletedExperiment) -> dict[str, Any]:
    """Return path -> value of an experiment, with a component's name under its field."""
    flat: dict[str, Any] = {}
    for name in [f.name for f in dataclasses.fields(experiment)]:
        value = getattr(experiment, name)
        if isinstance(value, Component):
            flat[name] = value.name
            for key, argument in value.arguments.items():
                flat[f"{name}.{key}"] = canonical(argument)
        else:
            flat[name] = value
    return flat


def differences(one: Experiment, other: Experiment) -> dict[str, tuple[Any, Any]]:
    """Return path -> (value in one, value in other) wherever two experiments differ."""
    first, second = flatten(complete(one)), flatten(complete(other))
    paths = [*first, *(path for path in second if path not in first)]
    return {
        path: (first.get(path), second.get(path))
        for path in paths
        if first.get(path) != second.get(path)
    }


def departures(one: Experiment, other: Experiment) -> dict[str, str]:
    """Return path -> value in `other` as text wherever it differs from `one`, for a listing.

    A replaced component is written with all its arguments if they are few, otherwise with those
    that differ from its defaults.
    """
    other = complete(other)
    changed = differences(one, other)
    texts: dict[str, str] = {}
    for path in whole_parts(list(changed)):
        new = changed[path][1]
        if path in COMPONENTS:
            texts[path] = str(_in_short(path, getattr(other, path)))
        elif new is not None:
            texts[path] = repr(new)
    return texts


def _in_short(kind: str, component: Component) -> Component:
    if len(component.arguments) <= _FEW:
        return component
    entry = registry.catalog().get(kind, {}).get(component.name)
    stated = {
        name: value
        for name, value in component.arguments.items()
        if not entry or name not in entry.arguments or value != entry.arguments[name].default
    }
    return Component(component.name, **stated)


def _override(experiment: Experiment, changes: Mapping[str, Any]) -> tuple[Experiment, list[str]]:
    mistakes: list[str] = []
    values = dict(vars(experiment))
    # Whole components first, so that `model` and `model.depths` may stand in one level.
    for path in sorted(changes, key=lambda path: path.count(".")):
        head, _, argument = path.partition(".")
        value = changes[path]
        if head not in HINTS:
            mistakes.append(unknown("setting", path, HINTS))
        elif not argument:
            kind = Component if head in COMPONENTS else HINTS[head]
            value, problem = coerce(value, kind)
            if problem:
                is_part = kind is Component
                mistakes.append(no_component(path, value) if is_part else f"{path} {problem}")
            else:
                values[head] = value
        elif head not in COMPONENTS:
            mistakes.append(f"{path!r}: {head} has no arguments; write {head!r} alone")
        else:
            values[head] = values[head].replace(**{argument: value})
    return Experiment(**values), mistakes


def _is_file(value: Any) -> bool:
    return is_mapping(value) and set(value) == {"digest"}


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if is_list(value) else value
