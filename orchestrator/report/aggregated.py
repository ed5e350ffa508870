"""One number per arm over the sweeps of several data sets: IQM and probability of improvement."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from orchestrator.errors import ConfigError
from orchestrator.metrics import Metric, lookup
from orchestrator.metrics.keys import VAL_MAP, VAL_TOP1, VAL_TOP5
from orchestrator.records import PlanRecord, Status, TrialRecord
from orchestrator.report.known_data import known_dataset, same_data
from orchestrator.report.mixing import mixed_code, mixed_in
from orchestrator.report.values import finished_values
from orchestrator.stats import (
    Aggregate,
    interquartile_mean,
    interquartile_mean_difference,
    probability_of_improvement,
)

Study = tuple[PlanRecord, Mapping[str, TrialRecord]]
Scores = dict[str, dict[Hashable, float]]
"""Data set -> seed -> value."""

LEAST_SEEDS = 2

ON_A_SHARED_SCALE = (VAL_TOP1, VAL_TOP5, VAL_MAP)
"""Fractions of 1, on whatever data; a loss is in nats that depend on the number of classes."""


@dataclass(frozen=True, kw_only=True)
class ArmAggregate:
    """An arm over several data sets, in the metric's unit; the baseline is against nothing.

    Attributes:
        arm: name, the same in every sweep.
        mean: interquartile mean over all seeds of all data sets.
        difference: from that of the baseline, over the seeds that both have.
        improvement: probability that a run of the arm beats one of the baseline.
    """

    arm: str
    mean: Aggregate
    difference: Aggregate | None
    improvement: Aggregate | None


@dataclass(frozen=True, kw_only=True)
class Aggregated:
    """Several sweeps as one.

    Attributes:
        sweeps: data set -> sweep.
        metric: the declared one of all of them.
        baseline: likewise.
        arms: in the order of the first sweep.
        notes: what the numbers are, and what bounds them.
    """

    sweeps: Mapping[str, str]
    metric: Metric
    baseline: str
    arms: tuple[ArmAggregate, ...]
    notes: tuple[str, ...]


def aggregate(studies: Sequence[Study], *, mixed: bool = False) -> Aggregated:
    """Aggregate sweeps that ask the same of several data sets.

    A seed counts once: on several folds it is its mean over all of them.

    Args:
        studies: plan and records of each sweep.
        mixed: aggregate trials of different code all the same.

    Raises:
        ConfigError: the sweeps do not fit together; names every reason.
    """
    plans = [plan for plan, _ in studies]
    _check(studies, mixed=mixed)
    first, metric = plans[0], lookup(plans[0].metric)
    scores = {arm.name: _scores(arm.name, studies, metric) for arm in first.arms}
    lacking = [
        f"arm {arm!r} has {len(seeds)} complete seeds on {dataset}; an interval needs {LEAST_SEEDS}"
        for arm, own in scores.items()
        for dataset, seeds in own.items()
        if len(seeds) < LEAST_SEEDS
    ]
    baseline = scores[first.baseline]
    lacking = lacking or [
        f"arm {arm!r} and the baseline have {n} seeds in common on {dataset}; an interval needs "
        f"{LEAST_SEEDS}"
        for arm, own in scores.items()
        for dataset, seeds in own.items()
        if (n := len(seeds.keys() & baseline[dataset].keys())) < LEAST_SEEDS
    ]
    if lacking:
        raise ConfigError("\n".join(lacking))
    found = []
    for arm, own in scores.items():
        other = arm != first.baseline
        found.append(
            ArmAggregate(
                arm=arm,
                mean=interquartile_mean(own),
                difference=interquartile_mean_difference(own, baseline) if other else None,
                improvement=probability_of_improvement(own, baseline, sign=metric.sign)
                if other
                else None,
            )
        )
    return Aggregated(
        sweeps=dict(zip(_labels(plans), (plan.sweep for plan in plans), strict=True)),
        metric=metric,
        baseline=first.baseline,
        arms=tuple(found),
        notes=tuple(_notes(studies, found[0].mean)),
    )


def _check(studies: Sequence[Study], *, mixed: bool) -> None:
    plans = [plan for plan, _ in studies]
    first, mistakes = plans[0], []
    if len(plans) < 2:
        mistakes.append("an aggregate is over the sweeps of two data sets or more; name them")
    told: list[PlanRecord] = []
    for plan in plans:
        own = [other for other in plans if same_data(plan, other)]
        if len(own) > 1 and plan not in told:
            told += own
            sweeps, name = ", ".join(p.sweep for p in own), known_dataset(plan) or "unnamed"
            mistakes.append(
                f"{sweeps} are of one data set, {name}: its runs would count twice; give one"
            )
    arms = {arm.name for arm in first.arms}
    for plan in plans[1:]:
        theirs = {arm.name for arm in plan.arms}
        if theirs != arms:
            odd = ", ".join(sorted(theirs ^ arms))
            mistakes.append(f"{first.sweep} and {plan.sweep} differ in their arms: {odd}")
        for what in ("baseline", "metric", "selection"):
            one, other = getattr(first, what), getattr(plan, what)
            if one != other:
                mistakes.append(
                    f"{first.sweep} and {plan.sweep} differ in their {what}: {one} and {other}"
                )
    metric = lookup(first.metric)
    if metric.key not in ON_A_SHARED_SCALE:
        mistakes.append(
            f"{metric.key} has no scale that data sets share; those that have one are "
            f"{', '.join(ON_A_SHARED_SCALE)}"
        )
    if not mixed:
        mistakes += _mixed(studies)
    if mistakes:
        raise ConfigError("\n".join(mistakes))


def _mixed(studies: Sequence[Study]) -> list[str]:
    """Say what is mixed in each sweep; packs and epochs may differ between them, code may not."""
    said = []
    finished: list[TrialRecord] = []
    for plan, records in studies:
        done = [t for t in plan.trials if t.id in records]
        done = [t for t in done if records[t.id].status is Status.FINISHED]
        finished += [records[t.id] for t in done]
        if own := mixed_in(plan, records, done):
            said.append(f"the trials of {plan.sweep} come from {own}")
    code = "" if said else mixed_code(finished)
    said += [f"the trials come from {code}"] if code else []
    return [f"{one}; --mixed aggregates them all the same" for one in said]


def _labels(plans: Sequence[PlanRecord]) -> list[str]:
    """Name the data sets; those that share a name, by their sweep too."""
    names = [known_dataset(plan) for plan in plans]
    return [
        name if names.count(name) == 1 else f"{name} of {plan.sweep}"
        for name, plan in zip(names, plans, strict=True)
    ]


def _scores(arm: str, studies: Sequence[Study], metric: Metric) -> Scores:
    found: Scores = {}
    labels = _labels([plan for plan, _ in studies])
    for label, (plan, records) in zip(labels, studies, strict=True):
        values = finished_values(plan, records, metric).get(arm, {})
        folds = sorted({trial.fold for trial in plan.trials})
        seeds = dict.fromkeys(seed for seed, _ in values)
        found[label] = {
            seed: fmean(values[seed, fold] for fold in folds)
            for seed in seeds
            if all((seed, fold) in values for fold in folds)
        }
    return found


def _notes(studies: Sequence[Study], mean: Aggregate) -> list[str]:
    notes = [
        "IQM: mean of the middle half of all runs of all data sets. P(better): how likely a run of "
        "the arm beats one of the baseline, a tie counting half, averaged over data sets; 50 % is "
        "no difference (Agarwal et al. 2021).",
        f"95 % intervals: {mean.method} over seeds within each data set, an arm and the baseline "
        "drawn by the same seeds. They speak of other seeds on these data sets, not of other data "
        "sets, are not corrected for being several, and no test was declared.",
    ]
    folds = {len({trial.fold for trial in plan.trials}) for plan, _ in studies}
    if folds != {1}:
        notes.append("On several folds a run is a seed's mean over all of them.")
    return notes
