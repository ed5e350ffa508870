"""The evidence for what a study declared: numbers that `orchestrator.report` says in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.metrics import Metric
from orchestrator.records import EffectRecord
from orchestrator.stats import Equivalence, PairedDifference, Sequential, Verdict


@dataclass(frozen=True, kw_only=True)
class TrainedEpochs:
    """The epochs of compared arms that were not all trained for the same number.

    Attributes:
        by_arm: arm -> its numbers of epochs, ascending.
        declared: whether the plan declares different numbers.
    """

    by_arm: Mapping[str, tuple[int, ...]]
    declared: bool


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the trials show of a declared comparison, in the metric's unit.

    Attributes:
        sweep: name of the study.
        metric: metric to compare by.
        difference: per block, its mean, interval and test; None where nothing can be compared.
        adjusted_p: after correction over all that was declared, by Holm or by the rule of a study
            until decided.
        smallest_adjusted_p: the least that these numbers of blocks could have given.
        verdict: what the numbers allow one to say.
        num_declared: contrasts and effects that were declared.
        num_planned: planned replicates, or the most of a study until decided.
        decided: decision of a study until decided; None for any other.
        at_chance: whether none of the arms beats chance, so that nothing is ruled out.
        mixed: the codes, packs or epochs that keep the trials out of one comparison; empty where
            they are compared.
        epochs: epochs of the arms, where they are compared and differ in them.
        equivalence: against the declared margin; None where there is none or it does not apply.
    """

    sweep: str = ""
    metric: Metric
    difference: PairedDifference | None
    adjusted_p: float | None
    smallest_adjusted_p: float
    verdict: Verdict
    num_declared: int = 1
    num_planned: int | None = None
    decided: Sequential | None = None
    at_chance: bool = False
    mixed: str = ""
    epochs: TrainedEpochs | None = None
    equivalence: Equivalence | None = None

    @property
    def called(self) -> bool:
        """Whether the test calls the comparison one way or the other."""
        return self.verdict in (Verdict.BETTER, Verdict.WORSE)

    @property
    def turned(self) -> bool:
        """Whether the mean of all blocks by now contradicts a call, which is not taken back."""
        if self.decided is None or self.difference is None or not self.called:
            return False
        direction = 1 if self.verdict is Verdict.BETTER else -1
        return self.difference.mean * self.metric.sign * direction <= 0


@dataclass(frozen=True, kw_only=True)
class ContrastEvidence(Evidence):
    """A declared contrast: an arm against a reference."""

    arm: str
    reference: str


@dataclass(frozen=True, kw_only=True)
class EffectEvidence(Evidence):
    """A declared main effect or interaction of a factorial design.

    Attributes:
        record: the effect as declared.
        others: the factors of the design that it is averaged over.
    """

    record: EffectRecord
    others: tuple[str, ...] = ()
