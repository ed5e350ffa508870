"""The runs that a tracking server should show, as plain values: sweep > arms > replicates.

Nothing here talks to a server. A view is a pure function of the plan and the records, so that a
reconciler can compare it with what the server already shows.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

FORMAT = 4
"""Version of the views; an increment updates runs that an older version uploaded."""

TAG = "orchestrator."
NOTE_TAG = "mlflow.note.content"
RUN_PAGE = "(this run's page)"
"""Stands in a tag for the address of the run's page within the server's pages."""

PARENT_TAG = "mlflow.parentRunId"
MAX_KEY = 250
MAX_PARAM = 6000
MAX_TAG = 8000
MAX_DATASET_DIGEST = 36

Key = tuple[str, ...]
SWEEP: Key = ("sweep",)
"""`("sweep",)`, `("arm", name)` or `("replicate", arm, trial id)`."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One value of a metric; `step` is an epoch, an attempt or a number of replicates."""

    key: str
    value: float
    step: int
    timestamp_ms: int


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A trial's training data; `profile` is JSON text."""

    name: str
    digest: str
    source: str
    profile: str


@dataclass(frozen=True, kw_only=True)
class RunView:
    """One run as it should be shown.

    Attributes:
        key: Identity of the run; never changes.
        name: Name in the list of runs.
        parent: Key of the parent run.
        status: MLflow status: RUNNING, FINISHED, FAILED or KILLED.
        started_ms: Start since 1970, UTC; None if not known yet.
        ended_ms: End since 1970, UTC; None while it runs.
        tags: Tags without MLflow's parent tag.
        params: Parameters, which never change for one run.
        epochs: One tuple of points per epoch; append-only.
        summary: Points that are logged again at a later step or time when they change.
        dataset: Input of a replicate, once known.
        texts: Artifact name -> content.
    """

    key: Key
    name: str
    parent: Key | None = None
    status: str = "RUNNING"
    started_ms: int | None = None
    ended_ms: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    epochs: tuple[tuple[Point, ...], ...] = ()
    summary: tuple[Point, ...] = ()
    dataset: Dataset | None = None
    texts: Mapping[str, str] = field(default_factory=dict)

    def prefix_digest(self, count: int) -> str:
        """Digest the first epochs' results without times and speeds, which vary on repetition."""
        return digest(
            [
                [(point.key, point.value) for point in epoch if _is_result(point.key)]
                for epoch in self.epochs[:count]
            ]
        )


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A run that is rebuilt only if one of its inputs was replaced.

    Attributes:
        key: Key of the run.
        parent: Key of the parent run.
        inputs: Inputs of the view, compared by identity.
        build: Function that builds the view.
    """

    key: Key
    parent: Key | None = None
    inputs: tuple[object, ...]
    build: Callable[[], RunView]


def digest(value: Any) -> str:
    """Return 16 hex digits that change whenever the JSON form of `value` does."""
    text = json.dumps(value, sort_keys=True, default=_plain, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def view_digest(view: RunView, parent_id: str) -> str:
    """Digest everything that a view shows, and its parent."""
    return digest([FORMAT, parent_id, asdict(view)])


def flat_params(experiment: Mapping[str, Any]) -> dict[str, str]:
    """Return path -> text of an experiment's canonical form: `model`, `model.depths`, `seed`."""
    flat: dict[str, str] = {}
    for name, value in experiment.items():
        if isinstance(value, Mapping) and set(value) == {"name", "arguments"}:
            flat[name] = as_text(value["name"])
            for argument, inner in value["arguments"].items():
                flat[f"{name}.{argument}"] = as_text(inner)
        else:
            flat[name] = as_text(value)
    return as_params(flat)


def as_params(values: Mapping[str, Any]) -> dict[str, str]:
    """Return parameters with keys and values that MLflow accepts."""
    return {as_key(key): cut(as_text(value), MAX_PARAM) for key, value in values.items()}


def as_tags(values: Mapping[str, Any]) -> dict[str, str]:
    """Return tags with keys and values that MLflow accepts, without empty ones."""
    texts = {as_key(key): cut(as_text(value), MAX_TAG) for key, value in values.items()}
    return {key: text for key, text in texts.items() if text}


def as_key(name: str) -> str:
    """Return the nearest name that MLflow accepts for a metric, parameter or tag."""
    parts = re.sub(r"[^\w\-. /]", "_", name, flags=re.ASCII).split("/")
    kept = [part for part in parts if part not in ("", ".", "..")]
    return "/".join(kept)[:MAX_KEY] or "_"


def as_text(value: Any) -> str:
    """Return readable text: plain strings, short numbers, JSON for the rest."""
    match value:
        case str():
            return value
        case float():
            return f"{value:g}" if float(f"{value:g}") == value else repr(value)
        case bool() | None | int():
            return str(value)
        case {"digest": str(found)} if len(value) == 1:
            return found
    return json.dumps(value, default=_plain)


def cut(text: str, length: int) -> str:
    """Shorten a text with an ellipsis."""
    return text if len(text) <= length else text[: length - 1] + "…"


def to_ms(time: str | None) -> int | None:
    """Return milliseconds since 1970 of an ISO 8601 time, or None without a time."""
    if not time:
        return None
    try:
        return round(datetime.fromisoformat(time).timestamp() * 1000)
    except ValueError:
        return None


def from_ms(time_ms: int | None) -> str:
    """Return an ISO 8601 time in UTC, or an empty string without a time."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat() if time_ms else ""


def latest(times: Iterable[int | None]) -> int | None:
    """Return the latest known time."""
    return max((time for time in times if time is not None), default=None)


def earliest(times: Iterable[int | None]) -> int | None:
    """Return the earliest known time."""
    return min((time for time in times if time is not None), default=None)


def _is_result(key: str) -> bool:
    return not key.startswith(("time/", "throughput/", "memory/"))


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)
