"""The MLflow view of a store. Importing this does not import mlflow."""

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
