"""Metrics by key, each with its direction and unit; the functions import numpy alone."""

from orchestrator.metrics.catalog import METRICS, USUAL, Direction, Metric, lookup
from orchestrator.metrics.targets import Event, Label, TargetKind, Targets

__all__ = [
    "METRICS",
    "USUAL",
    "Direction",
    "Event",
    "Label",
    "Metric",
    "TargetKind",
    "Targets",
    "lookup",
]
