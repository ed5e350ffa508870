"""What a report is made of: cells, rows, contrasts. Numbers are in the metric's unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from orchestrator.analysis.comparability import Footnotes
from orchestrator.metrics import Metric
from orchestrator.metrics.chance import Chance
from orchestrator.records import ArmRecord, EffectRecord, PlanRecord, Status
from orchestrator.stats import CrossedInterval, PairedDifference, Verdict

Block = tuple[int, int]
"""A block: (seed, fold)."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One planned trial.

    Attributes:
        id: of the experiment.
        arm: the row it stands in.
        seed: of the block.
        fold: of the block.
        status: missing where no record exists.
        reason: why it has no value; empty where it has one.
        value: the primary metric in its unit; None where the trial cannot be counted.
    """

    id: str
    arm: str
    seed: int
    fold: int
    status: Status
    reason: str
    value: float | None

    @property
    def block(self) -> Block:
        """The pair that it belongs to."""
        return self.seed, self.fold


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A metric over an arm's finished trials, in the metric's unit.

    Attributes:
        metric: which.
        values: of the single trials.
        interval: of their mean, over what counts as a replicate.
    """

    metric: Metric
    values: Mapping[Block, float]
    interval: CrossedInterval


@dataclass(frozen=True, kw_only=True)
class ArmCost:
    """What an arm took: medians over its finished trials, totals over all that have a record."""

    seconds: float
    set_up_s: float
    total_s: float
    peak_memory_mb: float
    num_params: int
    macs: int
    clips_per_s: float
    attempts: int
    num_trials: int
    devices: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ArmSummary:
    """A row of the table.

    Attributes:
        record: the arm as planned.
        cells: its planned trials, block by block.
        measures: metric key -> numbers; a metric that no finished trial has is not there.
        cost: None where no trial has a record.
        to_baseline: arm minus baseline, declared or not; None for the baseline itself and where
            no block has finished in both.
    """

    record: ArmRecord
    cells: tuple[Cell, ...]
    measures: Mapping[str, Measure]
    cost: ArmCost | None
    to_baseline: PairedDifference | None = None

    @property
    def name(self) -> str:
        """As the row says it."""
        return self.record.name

    def counted(self, key: str) -> tuple[int, int]:
        """Return how many replicates a metric's interval counts, and how many are planned."""
        measure = self.measures.get(key)
        if measure is None or not measure.interval.reason:
            return len(measure.values) if measure else 0, len(self.cells)
        by_seed = measure.interval.replicate == "seed"
        return measure.interval.n, len({c.seed if by_seed else c.fold for c in self.cells})


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that was declared, with its evidence in the metric's unit.

    Attributes:
        difference: per block, its mean, interval and test; None where nothing can be compared.
        adjusted_p: after Holm's correction over all that was declared.
        smallest_adjusted_p: the least that these numbers of blocks could have given.
        verdict: what the numbers allow to be said.
        sentence: the same in words.
    """

    difference: PairedDifference | None
    adjusted_p: float | None
    smallest_adjusted_p: float
    verdict: Verdict
    sentence: str


@dataclass(frozen=True, kw_only=True)
class ContrastSummary(Finding):
    """A declared contrast: an arm against a reference."""

    arm: str
    reference: str


@dataclass(frozen=True, kw_only=True)
class EffectSummary(Finding):
    """A declared main effect or interaction of a factorial design."""

    record: EffectRecord


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A sentence that answers the question, and what its numbers allow to be said."""

    verdict: Verdict
    text: str


@dataclass(frozen=True, kw_only=True)
class Summary:
    """All that the tables and the page show.

    Attributes:
        plan: as declared.
        metric: the primary metric.
        headline: whether all planned trials have been counted.
        complete: likewise.
        answers: what a reader should take away, most important first.
        arms: in the plan's order.
        contrasts: in the plan's order.
        cautions: sentences that bound what the numbers mean.
        footnotes: of the published numbers.
        effects: in the plan's order.
        chance: what the metric gives without listening, in its unit; None where unknown.
        at_chance: the arms that do not beat it.
        chance_sentence: the same in words; empty where all arms beat it.
        chosen_by: the metrics by which best epochs were chosen; none where the last are read.
    """

    plan: PlanRecord
    metric: Metric
    headline: str
    complete: bool
    answers: tuple[Answer, ...]
    arms: tuple[ArmSummary, ...]
    contrasts: tuple[ContrastSummary, ...]
    cautions: tuple[str, ...]
    footnotes: Footnotes = field(default_factory=Footnotes)
    effects: tuple[EffectSummary, ...] = ()
    chosen_by: tuple[str, ...] = ()
    chance: Chance | None = None
    at_chance: tuple[str, ...] = ()
    chance_sentence: str = ""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All that was declared: effects, then contrasts."""
        return (*self.effects, *self.contrasts)

    @property
    def other_contrasts(self) -> tuple[ContrastSummary, ...]:
        """The declared contrasts whose reference is not the baseline."""
        return tuple(c for c in self.contrasts if c.reference != self.plan.baseline)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Every planned trial, arm by arm."""
        return tuple(cell for arm in self.arms for cell in arm.cells)

    @property
    def gaps(self) -> tuple[Cell, ...]:
        """Every planned trial that has no value."""
        return tuple(cell for cell in self.cells if cell.value is None)

    @cached_property
    def pattern(self) -> str:
        """What the design shows as a whole, made once: a trend's permutations take a while."""
        from orchestrator.report.wording.trend import pattern_sentence  # which reads this module

        return pattern_sentence(self)

    def against_baseline(self, arm: str) -> ContrastSummary | None:
        """Return the declared contrast of an arm with the baseline; None where there is none."""
        baseline = self.plan.baseline
        own = (c for c in self.contrasts if c.arm == arm and c.reference == baseline)
        return next(own, None)
