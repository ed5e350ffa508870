"""Costs of a study's arms, if they differ by more than noise."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.analysis.rows import ArmSummary
from orchestrator.analysis.summary import Summary
from orchestrator.records import Status, TrialRecord
from orchestrator.stats import CONFIDENCE, MeanInterval, mean_interval

MIN_RATIO = 1.05
"""Ratio of the largest to the smallest cost from which arms count as different."""


@dataclass(frozen=True, kw_only=True)
class CostPoint:
    """An arm in the plane of cost and metric.

    Attributes:
        arm: Name of the arm.
        cost: Geometric mean over its finished trials, in MACs or seconds.
        low: Lower end of the cost's 95 % interval; None if the cost is exact or has no interval.
        high: Upper end of the same interval.
        interval: Mean of the metric with its interval, in its unit.
    """

    arm: str
    cost: float
    low: float | None = None
    high: float | None = None
    interval: MeanInterval


def against_macs(summary: Summary) -> list[CostPoint]:
    """Return the arms with multiply-accumulates per clip; empty if they differ by under 5 %."""
    points = [
        CostPoint(
            arm=arm.name, cost=arm.cost.macs, interval=arm.measures[summary.metric.key].interval
        )
        for arm in _with_numbers(summary)
        if arm.cost and arm.cost.macs
    ]
    return points if _differ(points) else []


def against_seconds(summary: Summary, records: Mapping[str, TrialRecord]) -> list[CostPoint]:
    """Return the arms with device-seconds per trial; empty if they differ by under 5 % or by noise.

    Times are compared as logarithms. They differ by more than noise if the t intervals of two arms
    do not overlap, at 95 % for all arms together (Bonferroni), which needs two finished trials in
    each. Seconds on several kinds of device are not comparable, and the result is empty;
    `several_devices` names them.
    """
    if several_devices(summary, records):
        return []
    points: list[CostPoint] = []
    certain: list[MeanInterval] = []
    arms = _with_numbers(summary)
    for arm in arms:
        costs = [records[cell.id].cost for cell in arm.cells if cell.status is Status.FINISHED]
        logs = [math.log(c.seconds * c.num_workers) for c in costs if c.seconds > 0]
        if not logs:
            continue
        spread = mean_interval(logs)
        certain.append(mean_interval(logs, confidence=1 - (1 - CONFIDENCE) / len(arms)))
        points.append(
            CostPoint(
                arm=arm.name,
                cost=math.exp(spread.mean),
                low=None if spread.low is None else math.exp(spread.low),
                high=None if spread.high is None else math.exp(spread.high),
                interval=arm.measures[summary.metric.key].interval,
            )
        )
    lowest = min((item.high for item in certain if item.high is not None), default=math.inf)
    highest = max((item.low for item in certain if item.low is not None), default=-math.inf)
    return points if lowest < highest and _differ(points) else []


def several_devices(summary: Summary, records: Mapping[str, TrialRecord]) -> list[str]:
    """Return the kinds of device of the finished trials if there are several; else nothing."""
    cells = (cell for arm in _with_numbers(summary) for cell in arm.cells)
    devices = {records[c.id].cost.device for c in cells if c.status is Status.FINISHED}
    return sorted(devices) if len(devices) > 1 else []


def _differ(points: list[CostPoint]) -> bool:
    costs = [item.cost for item in points]
    return bool(costs) and max(costs) >= MIN_RATIO * min(costs)


def _with_numbers(summary: Summary) -> list[ArmSummary]:
    return [arm for arm in summary.arms if summary.metric.key in arm.measures]
