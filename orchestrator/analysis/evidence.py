"""Evidence for a study's declarations: numbers that `orchestrator.report` puts into words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from orchestrator.metrics import Metric
from orchestrator.records import EffectRecord
from orchestrator.stats import (
    ALPHA,
    Equivalence,
    MeanInterval,
    PairedDifference,
    RecordingsInterval,
    Sequential,
    Verdict,
)

AnInterval = TypeVar("AnInterval", bound=MeanInterval)


def possible(interval: AnInterval, *, metric: Metric, weights: Iterable[float]) -> AnInterval:
    """Return the interval of a weighted sum of arms, ending where the metric's bounds end it.

    Args:
        interval: Interval in the metric's unit.
        metric: Metric of the arms.
        weights: Weights of the arms, which add up to 0.
    """
    low, high = metric.shown_bounds
    most = (high - low) * sum(map(abs, weights)) / 2
    if interval.low is None or interval.high is None:
        return interval
    return replace(interval, low=max(interval.low, -most), high=min(interval.high, most))


@dataclass(frozen=True, kw_only=True)
class TrainedEpochs:
    """Epochs of compared arms with different numbers of epochs.

    Attributes:
        by_arm: Arm -> its numbers of epochs, ascending.
        declared: Whether the plan declares different numbers.
    """

    by_arm: Mapping[str, tuple[int, ...]]
    declared: bool


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Evidence for a declared comparison, in the metric's unit.

    Attributes:
        sweep: Name of the study.
        metric: Metric to compare by.
        difference: Paired difference with mean, interval and test; None if nothing can be compared.
        adjusted_p: P value corrected over all declared comparisons, by joint sign flips or by the
            rule of a study until decided.
        adjusted_error: Standard error of a sampled adjusted p; 0 if exact.
        smallest_adjusted_p: Bound below which no signs of these pairs, of which some may be tied,
            bring the adjusted p; at most `ALPHA` is necessary for a call, not sufficient.
        verdict: Conclusion that the numbers allow.
        num_declared: Number of declared contrasts and effects.
        num_planned: Planned replicates, or the cap of a study until decided.
        decided: Decision of a study until decided; None for other studies.
        at_chance: Whether no arm beats chance, so that nothing is ruled out.
        mixed: Codes, packs or epochs that make the trials incomparable; empty if they are compared.
        epochs: Epochs of the compared arms, if they differ.
        equivalence: Test against the declared margin; None if there is no margin or it does not
            apply.
        tie_break: Metric that breaks ties of the compared one; None without one.
        with_ties: Adjusted p by the compared metric alone; None if no other breaks its ties.
        over_recordings: Mean with its interval over other seeds and other recordings; None without
            predictions or recordings of all trials.
    """

    sweep: str = ""
    metric: Metric
    difference: PairedDifference | None
    adjusted_p: float | None
    smallest_adjusted_p: float
    adjusted_error: float = 0.0
    verdict: Verdict
    num_declared: int = 1
    num_planned: int | None = None
    decided: Sequential | None = None
    at_chance: bool = False
    mixed: str = ""
    epochs: TrainedEpochs | None = None
    equivalence: Equivalence | None = None
    over_recordings: RecordingsInterval | None = None
    tie_break: Metric | None = None
    with_ties: float | None = None

    @property
    def tie_break_decides(self) -> bool:
        """Whether the compared metric alone would have come to another call."""
        if self.with_ties is None or self.tie_break is None:
            return False
        return self.called != (self.with_ties <= ALPHA)

    @property
    def called(self) -> bool:
        """Whether the test calls the comparison in either direction."""
        return self.verdict in (Verdict.BETTER, Verdict.WORSE)

    @property
    def turned(self) -> bool:
        """Whether the current mean contradicts an earlier call, which stands."""
        if self.decided is None or self.difference is None or not self.called:
            return False
        direction = 1 if self.verdict is Verdict.BETTER else -1
        return self.difference.direction * self.metric.sign * direction <= 0


@dataclass(frozen=True, kw_only=True)
class ContrastEvidence(Evidence):
    """A declared contrast: an arm against a reference."""

    arm: str
    reference: str

    @property
    def weights(self) -> Mapping[str, float]:
        """Arm -> weight of the difference."""
        return {self.arm: 1.0, self.reference: -1.0}


@dataclass(frozen=True, kw_only=True)
class EffectEvidence(Evidence):
    """A declared main effect or interaction of a factorial design.

    Attributes:
        record: Effect as declared.
        others: Factors of the design that the effect is averaged over.
    """

    record: EffectRecord
    others: tuple[str, ...] = ()

    @property
    def weights(self) -> Mapping[str, float]:
        """Arm -> weight of the difference."""
        return self.record.weights
