"""Paths of a store, and the JSON forms of its records.

Records and plans carry the digest of their own content as their first entry: `digest`, the SHA-256
of the compact JSON of everything else, in file order. This detects a number edited by hand and
ignores white space. Forms of schema 1 have no digest and are read without.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from orchestrator.errors import StoreError
from orchestrator.records import TRIAL_ID, NewerSchema, PlanRecord, TrialRecord, experiment_id

T = TypeVar("T", TrialRecord, PlanRecord)

_HEAD = re.compile(rb'\{"digest":"([0-9a-f]{64})",')


def trial_folder(trial_id: str) -> str:
    """Return the folder of a trial."""
    return f"trials/{_safe('trial', trial_id)}"


def record_path(trial_id: str) -> str:
    """Return the path of a trial's record."""
    return f"{trial_folder(trial_id)}/record.json"


def predictions_path(trial_id: str, which: str) -> str:
    """Return the path of a trial's per-clip predictions."""
    return f"{trial_folder(trial_id)}/predictions-{which}.arrow"


def pack_predictions_path(trial_id: str, which: str, digest: str) -> str:
    """Return the path of a trial's predictions of a whole pack, of a file with a digest."""
    return f"{trial_folder(trial_id)}/predictions-{which}-pack-{digest}.arrow"


def checkpoint_folder(trial_id: str) -> str:
    """Return the folder of a trial's checkpoints."""
    return f"{trial_folder(trial_id)}/checkpoints"


def attempts_folder(trial_id: str) -> str:
    """Return the folder of a trial's leases and attempts."""
    return f"{trial_folder(trial_id)}/attempts"


def sweep_folder(sweep: str) -> str:
    """Return the folder of a sweep."""
    return f"sweeps/{_safe('sweep', sweep)}"


def digest_of(data: bytes) -> str:
    """Return the 64 hex digits of a file's SHA-256."""
    return hashlib.sha256(data).hexdigest()


def dump(record: TrialRecord | PlanRecord, *, indent: int | None = None) -> bytes:
    """Return the stored JSON of a record or plan, with its digest; NumPy scalars are allowed."""
    content = _compact(record.to_json())
    if indent is None:
        return b'{"digest":"%s",%s' % (digest_of(content).encode(), content[1:])
    form = {"digest": digest_of(content), **json.loads(content)}
    return json.dumps(form, indent=indent).encode()


def copy(record: TrialRecord | PlanRecord, *, indent: int | None = None) -> bytes:
    """Return `dump`, but without a digest if the record was read from a form without.

    A copy must not vouch for what the store cannot.
    """
    if record.has_digest:
        return dump(record, indent=indent)
    content = _compact({**record.to_json(), "schema": 1})
    return content if indent is None else json.dumps(json.loads(content), indent=indent).encode()


def same_declaration(one: PlanRecord, other: PlanRecord) -> bool:
    """Whether two plans declare the same, regardless of time and command."""
    return json.loads(_compact(one.asked)) == json.loads(_compact(other.asked))


def parse_record(trial_id: str, data: bytes, *, where: str) -> TrialRecord:
    """Read a record.

    Raises:
        StoreError: It is damaged, edited, of another trial or newer than this version.
    """
    record = _parse(TrialRecord, data, where, of=f"the record of trial {trial_id}")
    if record.id != trial_id:
        raise _damaged(where, f"it is of trial {record.id}")
    if TRIAL_ID.fullmatch(trial_id) and (record.experiment or not record.has_digest):
        id_ = experiment_id(record.experiment)
        if id_ != trial_id:
            raise _damaged(where, f"its experiment is that of trial {id_}, not of {trial_id}")
    return record


def parse_plan(data: bytes, *, where: str) -> PlanRecord:
    """Read a plan.

    Raises:
        StoreError: It is damaged, edited or newer than this version.
    """
    return _parse(PlanRecord, data, where, of="the plan")


def parse_points(data: bytes, *, where: str) -> list[dict[str, Any]]:
    """Read the points of a search.

    Raises:
        StoreError: They are no list of mappings.
    """
    try:
        points = json.loads(data)
        if not isinstance(points, list) or not all(isinstance(point, dict) for point in points):
            raise ValueError("it must be a list of JSON objects")
    except (ValueError, RecursionError) as error:
        raise _damaged(where, error) from error
    return points


class NewerVersion(StoreError):
    """A stored form that a newer version of this package wrote; it is not damaged."""


def _parse(kind: type[T], data: bytes, where: str, *, of: str) -> T:
    try:
        form, has_digest = _checked(data, of)
        record = kind.from_json(form)
        if form.get("schema", 1) > 1 and not has_digest:
            raise ValueError(f"{of} has lost the digest that it was written with")
    except NewerSchema as error:
        raise NewerVersion(f"{where} cannot be read ({error})") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(where, error) from error
    return record if has_digest else dataclasses.replace(record, has_digest=False)


def _checked(data: bytes, of: str) -> tuple[dict[str, Any], bool]:
    """Return a stored form without its digest, and whether there was one.

    Raises:
        ValueError: It is not a JSON object, or its content does not match its digest.
    """
    head = _HEAD.match(data)
    if head:  # as the store writes it: these very bytes were digested
        content = hashlib.sha256(b"{")
        content.update(memoryview(data)[head.end() :])
        if content.hexdigest() == head[1].decode():
            return json.loads(b"{" + data[head.end() :]), True
    form = json.loads(data)
    if not isinstance(form, dict):
        raise ValueError(f"{of} must be a JSON object")
    if "digest" not in form:
        return form, False
    stated = form.pop("digest")
    computed = digest_of(_compact(form))
    if stated != computed:
        raise ValueError(
            f"{of} was edited or damaged after it was written: its content has the digest "
            f"{computed[:12]}..., and it says {str(stated)[:12]}..."
        )
    return form, True


def _compact(form: Mapping[str, Any]) -> bytes:
    return json.dumps(form, separators=(",", ":"), default=_plain).encode()


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
