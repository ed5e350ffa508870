"""Whether arms beat chance; differences between arms at chance mean nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

# scipy ships no types.
from scipy.special import betaincinv  # pyright: ignore[reportMissingTypeStubs]

from orchestrator.analysis.rows import ArmSummary
from orchestrator.metrics import Metric
from orchestrator.metrics.chance import Chance, HeldOut
from orchestrator.metrics.labels import TargetKind
from orchestrator.records import PlanRecord, TrialRecord
from orchestrator.stats import CONFIDENCE


def held_out_of(plan: PlanRecord, record: TrialRecord | None) -> HeldOut | None:
    """Return what is known about a trial's held-out clips; None if the classes are unknown."""
    data: Mapping[str, Any] = record.data if record else {}
    size = data.get("num_classes") or len(plan.dataset.get("class_names") or ())
    if not isinstance(size, int) or size < 1:
        return None
    return HeldOut(
        num_classes=size,
        num_clips=int(data.get("num_val") or 0),
        counts=tuple(data.get("val_counts") or ()),
        kind=TargetKind(data.get("targets") or plan.dataset.get("targets") or "single_label"),
    )


def study_chance(
    plan: PlanRecord, records: Mapping[str, TrialRecord], metric: Metric
) -> Chance | None:
    """Return the chance level of a study in the metric's unit, averaged over its folds.

    If trials of a fold recorded different levels, the hardest to beat counts. None if the metric
    has no chance level, or neither a trial nor the plan recorded the classes.
    """
    by_fold: dict[int, Chance] = {}
    for trial in plan.trials:
        held_out = held_out_of(plan, records.get(trial.id))
        if metric.chance is None or held_out is None:
            continue
        chance = metric.chance(held_out)
        hardest = by_fold.get(trial.fold)
        if chance is None:
            continue
        if hardest is None or metric.sign * chance.value > metric.sign * hardest.value:
            by_fold[trial.fold] = chance
    if not by_fold:
        held_out = held_out_of(plan, None)
        chance = metric.chance(held_out) if metric.chance and held_out else None
        if chance is None:
            return None
        by_fold[0] = chance
    rules = dict.fromkeys(chance.rule for chance in by_fold.values())
    value = metric.scale * fmean(chance.value for chance in by_fold.values())
    return Chance(value=value, rule=" or ".join(rules))


def arms_at_chance(
    arms: Sequence[ArmSummary],
    records: Mapping[str, TrialRecord],
    *,
    metric: Metric,
    chance: Chance | None,
) -> tuple[str, ...]:
    """Return the measured arms that do not beat chance, in order.

    An arm beats chance if its whole interval is better. An arm trained once has no interval over
    replicates: for a share, the exact binomial interval over clips counts (Clopper and Pearson
    1934), for other metrics the number itself.
    """
    if chance is None:
        return ()
    return tuple(
        arm.name
        for arm in arms
        if metric.key in arm.measures
        and metric.sign * (_worst(arm, records, metric) - chance.value) <= 0
    )


def _worst(arm: ArmSummary, records: Mapping[str, TrialRecord], metric: Metric) -> float:
    """Return the worse end of an arm's interval, in the metric's unit."""
    interval = arm.measures[metric.key].interval
    end = interval.low if metric.sign > 0 else interval.high
    if end is not None:
        return end
    clips = [records[c.id].data.get("num_val") or 0 for c in arm.cells if c.id in records]
    if not metric.is_share or not clips or not min(clips):
        return interval.mean
    total = min(clips)
    hits = round(interval.mean / metric.scale * total)
    low = float(betaincinv(hits, total - hits + 1, (1 - CONFIDENCE) / 2)) if hits else 0.0
    return metric.scale * low
