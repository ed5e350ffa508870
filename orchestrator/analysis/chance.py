"""Whether arms beat chance; differences between arms at chance mean nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

# scipy ships no types.
from scipy.special import betaincinv  # pyright: ignore[reportMissingTypeStubs]

from orchestrator.analysis.recordings import OverRecordings
from orchestrator.analysis.rows import ArmSummary, Block, Measure
from orchestrator.metrics import METRICS, Metric
from orchestrator.metrics.chance import Chance, HeldOut, caution_text
from orchestrator.metrics.labels import TargetKind
from orchestrator.records import PlanRecord, TrialRecord
from orchestrator.stats import CONFIDENCE

ROUNDING = 1e-9
"""Part of a chance level that is no lead over it."""


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
        held_out = None if plan.trials else held_out_of(plan, None)
        chance = metric.chance(held_out) if metric.chance and held_out else None
        if chance is None:
            return None
        by_fold[0] = chance
    rules = dict.fromkeys(chance.rule for chance in by_fold.values())
    value = metric.scale * fmean(chance.value for chance in by_fold.values())
    return Chance(value=value, rule=" or ".join(rules))


@dataclass(frozen=True, kw_only=True)
class AgainstChance:
    """The arms of a study held against the chance level of a metric.

    Attributes:
        metric: The metric.
        chance: Its chance level, in its unit.
        at_chance: Arms that do not beat chance.
        num_arms: Number of arms with a value of the metric.
        by_clips: Arm -> number of clips, of arms judged by the exact binomial interval over clips.
        by_recordings: Arm -> number of recordings, of arms judged by the interval over recordings.
        by_values: Arms without any interval, whose values count.
    """

    metric: Metric
    chance: Chance
    at_chance: tuple[str, ...]
    num_arms: int
    by_clips: Mapping[str, int]
    by_recordings: Mapping[str, int]
    by_values: tuple[str, ...]

    @property
    def caution(self) -> str:
        """A sentence that names the arms that do not beat chance; empty if all do."""
        clips = {self.by_clips.get(arm, 0) for arm in self.at_chance}
        return caution_text(
            self.chance,
            self.at_chance,
            num_arms=self.num_arms,
            title=self.metric.title,
            unit=self.metric.unit,
            num_clips=clips.pop() if len(clips) == 1 else 0,
        )


def against_chance(
    plan: PlanRecord,
    records: Mapping[str, TrialRecord],
    arms: Sequence[ArmSummary],
    *,
    metric: Metric,
    scope: Callable[[Metric], OverRecordings | None] = lambda metric: None,
) -> AgainstChance | None:
    """Hold the measured arms against chance.

    Where the metric has no chance level, the declared one counts, or else the first of the catalog
    that has one: arms at chance stay so whatever a report shows. None if there is no such metric.

    An arm beats chance if its whole interval over seeds is better. Two seeds, or equal ones, have
    no such interval (`orchestrator.stats.mean_interval`). Then, for a share, the exact binomial
    interval over clips counts (Clopper and Pearson 1934): the seeds were scored on the same clips,
    so their mean varies over clips by no more than one of them. For other metrics the interval over
    recordings counts, or, without predictions, every seed must be better.

    Args:
        plan: The study as declared.
        records: Trial id -> record.
        arms: Its rows.
        metric: Metric that is shown.
        scope: Function from a metric to its intervals over recordings; None without predictions.
    """
    found = level_of_chance(plan, records, arms, metric=metric)
    if found is None:
        return None
    metric, chance = found
    measured = [arm for arm in arms if metric.key in arm.measures]
    by_clips: dict[str, int] = {}
    by_recordings: dict[str, int] = {}
    by_values: list[str] = []
    over = scope(metric)
    at_chance: list[str] = []
    for arm in measured:
        interval = arm.measures[metric.key].interval
        worst = interval.low if metric.sign > 0 else interval.high
        if worst is None or interval.is_flat:
            values = arm.measures[metric.key].values
            clips = _num_clips(arm, records, arm.measures[metric.key])
            level = over.level(arm.name, _by_seed(values)) if over and not metric.is_share else None
            if metric.is_share and clips:
                by_clips[arm.name] = clips
                worst = metric.scale * _binomial_low(interval.mean / metric.scale, clips)
            elif level is not None and level.low is not None and level.high is not None:
                by_recordings[arm.name] = level.n
                worst = level.low if metric.sign > 0 else level.high
            else:
                by_values.append(arm.name)
                worst = min(values.values(), key=lambda value: metric.sign * value)
        if metric.sign * (worst - chance.value) <= ROUNDING * abs(chance.value):
            at_chance.append(arm.name)
    return AgainstChance(
        metric=metric,
        chance=chance,
        at_chance=tuple(at_chance),
        num_arms=len(measured),
        by_clips=by_clips,
        by_recordings=by_recordings,
        by_values=tuple(by_values),
    )


def level_of_chance(
    plan: PlanRecord,
    records: Mapping[str, TrialRecord],
    arms: Sequence[ArmSummary],
    *,
    metric: Metric,
) -> tuple[Metric, Chance] | None:
    """Return the metric by which arms are held against chance, and its level; None without one."""
    measured = {key for arm in arms for key in arm.measures}
    others = [key for key in dict.fromkeys((plan.metric, *METRICS)) if key in measured]
    for one in (metric, *(METRICS[key] for key in others if key in METRICS)):
        chance = study_chance(plan, records, one)
        if chance is not None:
            return one, chance
    return None


def _by_seed(values: Mapping[Block, float]) -> dict[int, float]:
    """Return seed -> mean over its folds."""
    return {seed: fmean(v for (s, _), v in values.items() if s == seed) for seed, _ in values}


def _num_clips(arm: ArmSummary, records: Mapping[str, TrialRecord], measure: Measure) -> int:
    """Return the number of clips that each seed of an arm was scored on; 0 if unknown."""
    by_fold: dict[int, int] = {}
    for cell in arm.cells:
        if cell.id in records and cell.block in measure.values:
            clips = int(records[cell.id].data.get("num_val") or 0)
            by_fold[cell.fold] = min(clips, by_fold.get(cell.fold, clips))
    return sum(by_fold.values()) if all(by_fold.values()) else 0


def _binomial_low(share: float, clips: int) -> float:
    hits = math.floor(share * clips + 1e-6)
    return float(betaincinv(hits, clips - hits + 1, (1 - CONFIDENCE) / 2)) if hits else 0.0
