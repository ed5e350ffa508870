"""Comparisons of a study: every arm with the baseline, declared contrasts and effects.

All of a study's are one family: joint sign flips judge it, or the rule of a study until decided.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.analysis.confounds import mixed_in, trained_epochs
from orchestrator.analysis.evidence import ContrastEvidence, EffectEvidence, possible
from orchestrator.analysis.rows import ArmSummary, Block, finished_values, plan_test
from orchestrator.metrics import Metric, lookup
from orchestrator.records import ContrastRecord, EffectRecord, PlanRecord, TrialRecord
from orchestrator.stats import (
    ALPHA,
    REPEATED_INTERVAL,
    SIMULTANEOUS,
    Decision,
    Equivalence,
    Judged,
    PairedDifference,
    Sequential,
    Verdict,
    agreeing_ends,
    break_ties,
    decide,
    equivalence,
    judge,
    repeated_interval,
    unbroken_ends,
    verdict,
    weighted_sums,
)

RESOLUTION = 1e-5
"""Part of a value below which a difference breaks no tie: losses are means of float32 numbers."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Compares arms of a plan by a metric.

    Attributes:
        plan: The study as declared.
        records: Trial id -> record.
        metric: Metric to compare by.
        mixed: Whether one comparison may mix trials of different code, data or epochs.
        at_chance: Arms that do not beat chance; a difference between two of them means nothing.
    """

    plan: PlanRecord
    records: Mapping[str, TrialRecord]
    metric: Metric
    mixed: bool
    at_chance: Collection[str] = ()

    def with_differences(self, arms: tuple[ArmSummary, ...]) -> tuple[ArmSummary, ...]:
        """Return the arms, each with its difference from the baseline."""
        reference = next((arm for arm in arms if arm.name == self.plan.baseline), None)
        return tuple(
            arm
            if reference is None or arm is reference
            else dataclasses.replace(
                arm,
                to_baseline=self.difference(arm, reference),
                mixed=self.mixed_among([arm, reference]),
            )
            for arm in arms
        )

    def with_declared(
        self, arms: tuple[ArmSummary, ...], contrasts: Sequence[ContrastEvidence]
    ) -> tuple[ArmSummary, ...]:
        """Return the arms, with the intervals of the declared contrasts with the baseline."""
        differences = {
            arm.name: possible(arm.to_baseline, metric=self.metric, weights=(1, -1))
            for arm in arms
            if arm.to_baseline
        }
        differences |= {c.arm: c.difference for c in contrasts if c.reference == self.plan.baseline}
        return tuple(
            dataclasses.replace(arm, to_baseline=differences.get(arm.name)) for arm in arms
        )

    def declared(
        self, arms: tuple[ArmSummary, ...]
    ) -> tuple[tuple[ContrastEvidence, ...], tuple[EffectEvidence, ...]]:
        """Return the declared contrasts and effects, tested and corrected together."""
        by_name = {arm.name: arm for arm in arms}
        contrasts, effects = self.plan.contrasts, self.plan.effects
        compared = [[by_name[c.arm], by_name[c.reference]] for c in contrasts]
        differences = [self._of_contrast(*pair) for pair in compared]
        compared += [[by_name[arm] for arm in effect.weights] for effect in effects]
        differences += [self._sum([(by_name[a], w) for a, w in e.weights.items()]) for e in effects]
        weights = [(1.0, -1.0) for _ in contrasts]
        weights += [tuple(effect.weights.values()) for effect in effects]
        names = [*map(_name_of, contrasts), *(effect.name for effect in effects)]
        judged = self._judged(names, compared, differences, weights)
        return (
            tuple(
                ContrastEvidence(**evidence, arm=c.arm, reference=c.reference)
                for c, evidence in zip(contrasts, judged, strict=False)
            ),
            tuple(
                self._effect(effect, of, evidence)
                for effect, of, evidence in zip(
                    effects, compared[len(contrasts) :], judged[len(contrasts) :], strict=True
                )
            ),
        )

    def _judged(
        self,
        names: Sequence[str],
        compared: Sequence[Sequence[ArmSummary]],
        differences: Sequence[PairedDifference | None],
        weights: Sequence[tuple[float, ...]],
    ) -> list[dict[str, Any]]:
        """Return fields of `Evidence` per comparison, corrected for the whole family."""
        decided: Mapping[str, Sequential] = {}
        tied: Mapping[str, Sequential] = {}
        if self.plan.cap:
            decided = decisions(self.plan, self.records, metric=self.metric)
            if self._tie_break:
                tied = decisions(self.plan, self.records, metric=self.metric, tie_break=False)
        judged: list[dict[str, Any]] = []
        for name, arms, found, own in zip(
            names, compared, judge(differences), weights, strict=True
        ):
            difference, call = found.difference, Verdict.NOT_TESTED
            if difference is not None and name in decided:
                found = self._until_decided(difference, decided[name], tied.get(name))
                difference, call = found.difference, Verdict[decided[name].decision.name]
            elif difference is not None:
                call = verdict(difference, found.adjusted_p, sign=self.metric.sign)
            if difference is not None:
                difference = possible(difference, metric=self.metric, weights=own)
            judged.append(
                {
                    "sweep": self.plan.sweep,
                    "metric": self.metric,
                    "difference": difference,
                    "adjusted_p": found.adjusted_p,
                    "adjusted_error": found.adjusted_error,
                    "smallest_adjusted_p": found.smallest_adjusted_p,
                    "verdict": call,
                    "num_declared": self.plan.num_declared,
                    "decided": decided.get(name),
                    "num_planned": self._num_planned(arms, difference),
                    "at_chance": self._at_chance(arms),
                    "mixed": self.mixed_among(arms),
                    "epochs": trained_epochs(self.plan, self.records, arms) if difference else None,
                    "equivalence": self._equivalence(arms, difference),
                    "tie_break": self._tie_break,
                    "with_ties": found.with_ties,
                }
            )
        return judged

    def _until_decided(
        self, difference: PairedDifference, decided: Sequential, tied: Sequential | None
    ) -> Judged:
        """Judge by the rule of a study until decided, on the blocks that it has looked at."""
        looked = list(difference.tested.values())[: decided.n]
        low = high = None
        if looked:
            alpha = ALPHA / self.plan.num_declared
            ends = repeated_interval(looked, cap=decided.cap, alpha=alpha)
            if ends[0] is not None:
                first = dict(list(difference.differences.items())[: decided.n])
                ends = unbroken_ends(*ends, first, difference.ordered)
            low, high = agreeing_ends(
                *ends,
                mean=self.metric.sign * (1.0 if decided.decision is Decision.BETTER else -1.0),
                called=decided.decision in (Decision.BETTER, Decision.WORSE),
            )
        several = SIMULTANEOUS * (self.plan.num_declared > 1)
        return Judged(
            difference=dataclasses.replace(
                difference,
                low=low,
                high=high,
                interval_method=several + REPEATED_INTERVAL,
                p_value=decided.p_value,
                test_method=decided.method,
            ),
            adjusted_p=decided.adjusted_p,
            adjusted_error=0.0,
            smallest_adjusted_p=0.0,
            with_ties=tied.adjusted_p if tied and difference.ordered else None,
        )

    def _effect(
        self, declared: EffectRecord, arms: Sequence[ArmSummary], evidence: dict[str, Any]
    ) -> EffectEvidence:
        levels = [arm.record.levels for arm in arms]
        others = tuple(
            factor
            for factor in dict.fromkeys(f for at in levels for f in at)
            if factor not in declared.factors and len({at.get(factor) for at in levels}) > 1
        )
        if len(declared.factors) > 1:  # the margin applies to a difference of two levels
            evidence = evidence | {"equivalence": None}
        return EffectEvidence(**evidence, record=declared, others=others)

    def _of_contrast(self, arm: ArmSummary, reference: ArmSummary) -> PairedDifference | None:
        is_baseline = reference.name == self.plan.baseline
        return arm.to_baseline if is_baseline else self.difference(arm, reference)

    def difference(self, arm: ArmSummary, reference: ArmSummary) -> PairedDifference | None:
        """Return arm minus reference; None without a common block or if not comparable."""
        return self._sum([(arm, 1.0), (reference, -1.0)])

    def _sum(self, weights: Sequence[tuple[ArmSummary, float]]) -> PairedDifference | None:
        """Test a weighted sum of arms within blocks; None if it cannot be computed."""
        arms = [arm for arm, _ in weights]
        values = {arm.name: _values(arm, self.metric) for arm in arms}
        if not set[Block].intersection(*map(set, values.values())) or self.mixed_among(arms):
            return None
        named = {arm.name: weight for arm, weight in weights}
        sums = weighted_sums(values, named)
        second: dict[Block, float] | None = None
        if self._tie_break:
            others = {arm.name: _values(arm, self._tie_break) for arm in arms}
            second = _oriented(others, named, self.metric, self._tie_break)
        return plan_test(self.plan, sums, tie_break=second)

    @property
    def _tie_break(self) -> Metric | None:
        key = self.plan.tie_break_of(self.metric.key)
        return lookup(key) if key else None

    def mixed_among(self, arms: Sequence[ArmSummary]) -> str:
        """Describe differences in code, data or epochs that prevent a comparison."""
        if self.mixed:
            return ""
        counted = [cell for arm in arms for cell in arm.cells if cell.value is not None]
        return mixed_in(self.plan, self.records, counted)

    def _at_chance(self, arms: Sequence[ArmSummary]) -> bool:
        return all(arm.name in self.at_chance for arm in arms)

    def _equivalence(
        self, arms: Sequence[ArmSummary], difference: PairedDifference | None
    ) -> Equivalence | None:
        """Test against the declared margin, except until decided or among arms at chance."""
        margin = self.plan.margin_of(self.metric.key)
        if (
            not margin
            or self.plan.cap
            or self._at_chance(arms)
            or difference is None
            or difference.n < 2
        ):
            return None
        return equivalence(
            difference.differences.values(),
            margin=margin,
            sign=self.metric.sign,
            test_per_train=difference.test_per_train,
        )

    def _num_planned(self, arms: Sequence[ArmSummary], difference: PairedDifference | None) -> int:
        """Count the planned replicates of a comparison in the unit of its difference."""
        if self.plan.cap:
            return self.plan.cap
        blocks = set[Block].intersection(*({cell.block for cell in arm.cells} for arm in arms))
        by_fold = difference is not None and difference.replicate == "fold"
        return len({fold if by_fold else seed for seed, fold in blocks})


def _values(arm: ArmSummary, metric: Metric) -> Mapping[Block, float]:
    return arm.measures[metric.key].values if metric.key in arm.measures else {}


def _oriented(
    values: Mapping[str, Mapping[Block, float]],
    weights: Mapping[str, float],
    metric: Metric,
    tie_break: Metric,
) -> dict[Block, float]:
    """Return weighted sums of the metric that breaks ties, with the sign of the compared one.

    Sums that rounding may have made are left out, so that arms of equal numbers stay tied.
    """
    if not set[Block].intersection(*(set(values.get(arm, {})) for arm in weights)):
        return {}
    sign = metric.sign * tie_break.sign
    return {
        block: sign * total
        for block, total in weighted_sums(values, weights).items()
        if abs(total) > RESOLUTION * max(abs(values[arm][block]) for arm in weights)
    }


def decisions(
    plan: PlanRecord,
    records: Mapping[str, TrialRecord],
    *,
    metric: Metric | None = None,
    tie_break: bool = True,
) -> dict[str, Sequential]:
    """Decide declared contrasts and effects of a plan with a cap.

    Blocks count in declared order up to the first in which an arm has no value.

    Args:
        plan: Study with a cap.
        records: Trial id -> record.
        metric: Metric to decide by; None uses the declared one.
        tie_break: Whether the plan's second metric breaks ties.

    Returns:
        Name of the contrast (`arm − reference`) or effect -> decision, in the plan's order;
        differences are in the metric's unit.
    """
    metric = metric or lookup(plan.metric)
    values = finished_values(plan, records, metric)
    blocks = list(dict.fromkeys((trial.seed, trial.fold) for trial in plan.trials))
    arms = {name for c in plan.contrasts for name in (c.arm, c.reference)}
    arms |= {name for effect in plan.effects for name in effect.weights}
    whole: list[Block] = []
    for block in blocks:
        if any(block not in values.get(arm, {}) for arm in arms):
            break
        whole.append(block)
    second = plan.tie_break_of(metric.key) if tie_break else ""
    others = finished_values(plan, records, lookup(second)) if second else {}
    declared = {_name_of(c): {c.arm: 1.0, c.reference: -1.0} for c in plan.contrasts}
    differences: dict[str, list[float]] = {}
    for name, weights in (declared | {e.name: e.weights for e in plan.effects}).items():
        sums = weighted_sums(values, weights) if whole else {}
        if second and whole:
            oriented = _oriented(others, weights, metric, lookup(second))
            sums = break_ties({block: sums[block] for block in whole}, oriented)
        differences[name] = [sums[block] for block in whole]
    return decide(differences, cap=plan.cap, sign=metric.sign)


def _name_of(contrast: ContrastRecord) -> str:
    return f"{contrast.arm} \N{MINUS SIGN} {contrast.reference}"
