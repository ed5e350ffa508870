"""Where things lie in a store, and their JSON forms."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from orchestrator.errors import StoreError
from orchestrator.records import PlanRecord, TrialRecord

T = TypeVar("T")


def trial_folder(trial_id: str) -> str:
    """Return the folder of a trial."""
    return f"trials/{_safe('trial', trial_id)}"


def record_path(trial_id: str) -> str:
    """Return the path of a trial's record."""
    return f"{trial_folder(trial_id)}/record.json"


def predictions_path(trial_id: str, which: str) -> str:
    """Return the path of a trial's per-clip predictions."""
    return f"{trial_folder(trial_id)}/predictions-{which}.arrow"


def checkpoint_folder(trial_id: str) -> str:
    """Return the folder of a trial's checkpoints."""
    return f"{trial_folder(trial_id)}/checkpoints"


def sweep_folder(sweep: str) -> str:
    """Return the folder of a sweep."""
    return f"sweeps/{_safe('sweep', sweep)}"


def dump(form: Mapping[str, Any], *, indent: int | None = None) -> bytes:
    """Return JSON of a record's or a plan's stored form; NumPy scalars are allowed."""
    separators = (",", ":") if indent is None else None
    return json.dumps(form, indent=indent, separators=separators, default=_plain).encode()


def same_declaration(one: PlanRecord, other: PlanRecord) -> bool:
    """Whether two plans ask the same, whenever and by whichever command they were declared."""
    return json.loads(dump(one.asked)) == json.loads(dump(other.asked))


def parse_record(trial_id: str, data: bytes, *, where: str) -> TrialRecord:
    """Read a record.

    Raises:
        StoreError: it is damaged, newer than this version or of another trial.
    """
    record = _parse(TrialRecord.from_json, data, where)
    if record.id != trial_id:
        raise _damaged(where, f"it is of trial {record.id}")
    return record


def parse_plan(data: bytes, *, where: str) -> PlanRecord:
    """Read a plan.

    Raises:
        StoreError: it is damaged or newer than this version.
    """
    return _parse(PlanRecord.from_json, data, where)


def _parse(read: Callable[[dict[str, Any]], T], data: bytes, where: str) -> T:
    try:
        return read(json.loads(data))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(where, error) from error


def _damaged(where: str, reason: object) -> StoreError:
    return StoreError(
        f"{where} cannot be read ({reason}); put it back from a copy, or delete it and run the "
        "sweep again"
    )


def _safe(kind: str, name: str) -> str:
    if not name or "/" in name or name.startswith("."):
        raise StoreError(f"{name!r} cannot name a {kind}; use letters, digits, '-', '_' and '.'")
    return name


def _plain(value: Any) -> Any:
    if hasattr(value, "item"):
        return value.item()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} {value!r} cannot be stored as JSON")
