"""Learning curves: a metric over the epochs, the mean over replicates with its interval."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.analysis.rows import Block, plan_interval
from orchestrator.analysis.summary import Summary
from orchestrator.metrics import Metric
from orchestrator.records import Status, TrialRecord
from orchestrator.stats import CrossedInterval


@dataclass(frozen=True, kw_only=True)
class Curve:
    """An arm's curve over its finished trials.

    Attributes:
        arm: Name of the arm.
        epochs: Epoch -> mean with interval, in the metric's unit.
        best_epoch: Median of the trials' best epochs; 0 if unknown.
    """

    arm: str
    epochs: Mapping[int, CrossedInterval]
    best_epoch: float


def curves(summary: Summary, records: Mapping[str, TrialRecord], metric: Metric) -> list[Curve]:
    """Return a curve per arm that has one, in the plan's order."""
    drawn: list[Curve] = []
    for arm in summary.arms:
        values: defaultdict[int, dict[Block, float]] = defaultdict(dict)
        best: list[int] = []
        for cell in arm.cells:
            if cell.status is not Status.FINISHED:
                continue
            record = records[cell.id]
            best += [record.best_epoch] if record.best_epoch else []
            for epoch in record.epochs:
                value = epoch.metrics.get(metric.key)
                if value is not None and math.isfinite(value):
                    values[epoch.epoch][cell.block] = value * metric.scale
        if values:
            means = {
                e: plan_interval(summary.plan, values[e], within=metric.shown_bounds)
                for e in sorted(values)
            }
            middle = statistics.median(best) if best else 0
            drawn.append(Curve(arm=arm.name, epochs=means, best_epoch=middle))
    return drawn
