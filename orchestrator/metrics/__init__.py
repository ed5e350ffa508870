"""Metrics by key, each with its direction and unit; the functions import numpy alone."""

from orchestrator.metrics.catalog import METRICS, Direction, Metric, lookup

__all__ = ["METRICS", "Direction", "Metric", "lookup"]
