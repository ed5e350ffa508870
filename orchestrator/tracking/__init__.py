"""The MLflow view of a store. Importing this imports neither mlflow nor anything else slow."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.tracking.links import read_links
    from orchestrator.tracking.live import LiveSync, SweepSync
    from orchestrator.tracking.places import default_uri, is_synced, mark_synced, resolve_uri
    from orchestrator.tracking.summary import arm_numbers
    from orchestrator.tracking.tracker import SyncResult, Tracker

__all__ = [
    "LiveSync",
    "SweepSync",
    "SyncResult",
    "Tracker",
    "arm_numbers",
    "default_uri",
    "is_synced",
    "mark_synced",
    "read_links",
    "resolve_uri",
]

_HOME = {
    "LiveSync": "live",
    "SweepSync": "live",
    "SyncResult": "tracker",
    "Tracker": "tracker",
    "arm_numbers": "summary",
    "default_uri": "places",
    "is_synced": "places",
    "mark_synced": "places",
    "read_links": "links",
    "resolve_uri": "places",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
