"""Aggregate arms over several data sets: normalized score and probability of improvement."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from orchestrator.analysis.chance import against_chance, study_chance
from orchestrator.analysis.confounds import mixed_code, mixed_in
from orchestrator.analysis.datasets import known_dataset, same_data
from orchestrator.analysis.rows import finished_trials, finished_values
from orchestrator.analysis.summary import summarize_arms
from orchestrator.errors import ConfigError
from orchestrator.metrics import METRICS, Metric, lookup
from orchestrator.metrics.chance import Chance, level_text
from orchestrator.records import PlanRecord, TrialRecord
from orchestrator.stats import (
    Aggregate,
    normalized_difference,
    normalized_score,
    probability_of_improvement,
)

Study = tuple[PlanRecord, Mapping[str, TrialRecord]]
Scores = dict[str, dict[Hashable, float]]
"""Data set -> seed -> value."""

MIN_SEEDS = 3
"""Minimum per arm and data set: two seeds give a single difference and no usable spread."""


@dataclass(frozen=True, kw_only=True)
class ArmAggregate:
    """An arm over several data sets.

    Attributes:
        arm: Name, the same in every sweep.
        mean: Score, 0 at chance and 1 at the best arm of each data set; data sets weigh the same.
        difference: Difference from the baseline's score, paired by seeds; None for the baseline.
        improvement: Probability that a run of the arm beats a run of the baseline; None for the
            baseline.
    """

    arm: str
    mean: Aggregate
    difference: Aggregate | None
    improvement: Aggregate | None


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Scale of the scores on a data set, in the metric's unit.

    Attributes:
        chance: Level that scores 0.
        best: Arm whose mean scores 1.
        mean: Mean of the best arm.
        num_seeds: Seeds that every arm has on the data set.
    """

    chance: Chance
    best: str
    mean: float
    num_seeds: int


@dataclass(frozen=True, kw_only=True)
class Aggregated:
    """Several sweeps as one.

    Attributes:
        sweeps: Data set -> sweep.
        metric: Declared metric of all sweeps.
        baseline: Declared baseline of all sweeps.
        arms: Aggregates, in the order of the first sweep.
        scales: Data set -> scale of its scores.
        left_out: Data set -> seeds that only some arms have, if any.
        by_fold: Whether a run is a seed's mean over several folds.
    """

    sweeps: Mapping[str, str]
    metric: Metric
    baseline: str
    arms: tuple[ArmAggregate, ...]
    scales: Mapping[str, Scale]
    left_out: Mapping[str, int]
    by_fold: bool


def aggregate(studies: Sequence[Study], *, mixed: bool = False) -> Aggregated:
    """Aggregate sweeps of the same arms on several data sets.

    A seed counts once: on several folds, as its mean over all of them. It counts only if all arms
    have it, because arms and scale are paired by seed.

    Args:
        studies: Plan and records of each sweep.
        mixed: Aggregate even trials of different code.

    Raises:
        ConfigError: The sweeps do not fit together; the message names every reason.
    """
    plans = [plan for plan, _ in studies]
    _check(studies, mixed=mixed)
    first, metric = plans[0], lookup(plans[0].metric)
    scores = {arm.name: _scores(arm.name, studies, metric) for arm in first.arms}
    lacking = [
        f"arm {arm!r} has {len(seeds)} complete seeds on {dataset}; an interval needs {MIN_SEEDS}"
        for arm, values in scores.items()
        for dataset, seeds in values.items()
        if len(seeds) < MIN_SEEDS
    ]
    shared = _shared(scores)
    lacking = lacking or [
        f"the arms have {len(seeds)} seeds in common on {dataset}; an interval needs {MIN_SEEDS}"
        for dataset, seeds in shared.items()
        if len(seeds) < MIN_SEEDS
    ]
    if lacking:
        raise ConfigError("\n".join(lacking))
    left_out = {
        dataset: len(lacking)
        for dataset, seeds in shared.items()
        if (lacking := {s for values in scores.values() for s in values[dataset]} - seeds)
    }
    scores = {
        arm: {d: {s: v for s, v in seeds.items() if s in shared[d]} for d, seeds in values.items()}
        for arm, values in scores.items()
    }
    scales = _scales(studies, scores, metric)
    chance = {dataset: scale.chance.value for dataset, scale in scales.items()}
    best = {dataset: scores[scale.best][dataset] for dataset, scale in scales.items()}
    baseline = scores[first.baseline]
    arms: list[ArmAggregate] = []
    for arm, values in scores.items():
        compared = arm != first.baseline
        arms.append(
            ArmAggregate(
                arm=arm,
                mean=normalized_score(values, best, chance=chance),
                difference=normalized_difference(values, baseline, best, chance=chance)
                if compared
                else None,
                improvement=probability_of_improvement(values, baseline, sign=metric.sign)
                if compared
                else None,
            )
        )
    return Aggregated(
        sweeps=dict(zip(_labels(plans), (plan.sweep for plan in plans), strict=True)),
        metric=metric,
        baseline=first.baseline,
        arms=tuple(arms),
        scales=scales,
        left_out=left_out,
        by_fold={len({trial.fold for trial in plan.trials}) for plan in plans} != {1},
    )


def _shared(scores: Mapping[str, Scores]) -> dict[str, set[Hashable]]:
    """Return data set -> seeds that all arms have."""
    arms = list(scores.values())
    return {d: set(arms[0][d]).intersection(*(values[d] for values in arms)) for d in arms[0]}


def _scales(
    studies: Sequence[Study], scores: Mapping[str, Scores], metric: Metric
) -> dict[str, Scale]:
    """Return the scale of the scores on each data set.

    Raises:
        ConfigError: Chance is unknown, or no arm beats it.
    """
    scales: dict[str, Scale] = {}
    mistakes: list[str] = []
    labels = _labels([plan for plan, _ in studies])
    for label, (plan, records) in zip(labels, studies, strict=True):
        chance = study_chance(plan, records, metric)
        if chance is None:
            mistakes.append(
                f"chance is not known on {label}: neither {plan.sweep} nor its trials recorded the "
                "classes, so its numbers have no scale; leave it out"
            )
            continue
        means = {arm: fmean(values[label].values()) for arm, values in scores.items()}
        best = max(means, key=lambda arm: metric.sign * means[arm])
        arms = summarize_arms(plan, records, metric=metric)
        held = against_chance(plan, records, arms, metric=metric)
        if held and best in held.at_chance:
            mistakes.append(
                f"no arm beats chance on {label} ({level_text(chance, unit=metric.unit)}; "
                f"the best is {best!r}), so its numbers have no scale; leave it out"
            )
        scales[label] = Scale(
            chance=chance, best=best, mean=means[best], num_seeds=len(scores[best][label])
        )
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    return scales


def _check(studies: Sequence[Study], *, mixed: bool) -> None:
    plans = [plan for plan, _ in studies]
    first = plans[0]
    mistakes: list[str] = []
    if len(plans) < 2:
        mistakes.append("an aggregate is over the sweeps of two data sets or more; name them")
    named: list[PlanRecord] = []
    for plan in plans:
        alike = [other for other in plans if same_data(plan, other)]
        if len(alike) > 1 and plan not in named:
            named += alike
            sweeps, name = ", ".join(p.sweep for p in alike), known_dataset(plan) or "unnamed"
            mistakes.append(
                f"{sweeps} are of one data set, {name}: its runs would count twice; give one"
            )
    arms = {arm.name for arm in first.arms}
    for plan in plans[1:]:
        names = {arm.name for arm in plan.arms}
        if names != arms:
            odd = ", ".join(sorted(names ^ arms))
            mistakes.append(f"{first.sweep} and {plan.sweep} differ in their arms: {odd}")
        for what in ("baseline", "metric", "selection"):
            expected, given = getattr(first, what), getattr(plan, what)
            if expected != given:
                mistakes.append(
                    f"{first.sweep} and {plan.sweep} differ in their {what}: {expected} and {given}"
                )
    metric = lookup(first.metric)
    if not metric.is_bounded:
        bounded = ", ".join(key for key, known in METRICS.items() if known.is_bounded)
        mistakes.append(
            f"{metric.key} has no scale that data sets share; those that have one are {bounded}"
        )
    if not mixed:
        mistakes += _mixed(studies)
    if mistakes:
        raise ConfigError("\n".join(mistakes))


def _mixed(studies: Sequence[Study]) -> list[str]:
    """Describe what is mixed in each sweep; sweeps may differ in packs and epochs, not in code."""
    mixed: list[str] = []
    finished: list[TrialRecord] = []
    for plan, records in studies:
        done = finished_trials(plan, records)
        finished += [record for _, record in done]
        if reasons := mixed_in(plan, records, [trial for trial, _ in done]):
            mixed.append(f"the trials of {plan.sweep} come from {reasons}")
    code = "" if mixed else mixed_code(finished)
    mixed += [f"the trials come from {code}"] if code else []
    return [f"{reason}; --allow-mixed aggregates them all the same" for reason in mixed]


def _labels(plans: Sequence[PlanRecord]) -> list[str]:
    """Name the data sets, adding the sweep to shared names."""
    names = [known_dataset(plan) for plan in plans]
    return [
        name if names.count(name) == 1 else f"{name} of {plan.sweep}"
        for name, plan in zip(names, plans, strict=True)
    ]


def _scores(arm: str, studies: Sequence[Study], metric: Metric) -> Scores:
    scores: Scores = {}
    labels = _labels([plan for plan, _ in studies])
    for label, (plan, records) in zip(labels, studies, strict=True):
        values = finished_values(plan, records, metric).get(arm, {})
        folds = sorted({trial.fold for trial in plan.trials})
        seeds = dict.fromkeys(seed for seed, _ in values)
        scores[label] = {
            seed: fmean(values[seed, fold] for fold in folds)
            for seed in seeds
            if all((seed, fold) in values for fold in folds)
        }
    return scores
