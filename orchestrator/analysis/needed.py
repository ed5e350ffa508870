"""How many seeds each metric would need to find a comparison at the effect that was seen."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

from orchestrator.analysis.rows import Block
from orchestrator.metrics import METRICS
from orchestrator.records import PlanRecord
from orchestrator.stats import Needed, pairs_at_effect, weighted_sums

ByArm = Mapping[str, Mapping[Block, float]]
"""Arm -> block -> value."""


def whole_seeds(plan: PlanRecord, values: ByArm, weights: Mapping[str, float]) -> dict[int, float]:
    """Return seed -> weighted sum of every whole seed, its mean over the plan's folds.

    Args:
        plan: Plan that names the folds.
        values: Values of a metric.
        weights: Arm -> weight.
    """
    if not set[Block].intersection(*(set(values.get(arm, {})) for arm in weights)):
        return {}
    sums = weighted_sums(values, weights)
    folds = sorted({trial.fold for trial in plan.trials})
    return {
        seed: fmean(sums[seed, fold] for fold in folds)
        for seed in dict.fromkeys(seed for seed, _ in sums)
        if all((seed, fold) in sums for fold in folds)
    }


def seeds_needed(
    plan: PlanRecord, values: Mapping[str, ByArm], weights: Mapping[str, float]
) -> dict[str, Needed]:
    """Return metric -> seeds that find a comparison at the effect seen, the plan's metric first.

    Args:
        plan: Plan of the comparison.
        values: Metric -> values; metrics that no predictions give are left out.
        weights: Arm -> weight of the comparison.
    """
    computed = (key for key, metric in METRICS.items() if metric.compute is not None)
    needed: dict[str, Needed] = {}
    for key in dict.fromkeys((plan.metric, *computed)):
        seeds = whole_seeds(plan, values.get(key, {}), weights)
        found = pairs_at_effect(seeds.values(), num_contrasts=plan.num_declared) if seeds else None
        if found:
            needed[key] = found
    return needed
