"""Join of a plan with its records: every number in a report, and every gap."""

from __future__ import annotations

import dataclasses
import functools
import statistics
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.analysis.chance import AgainstChance, against_chance, study_chance
from orchestrator.analysis.comparability import Comparability, published_comparability
from orchestrator.analysis.comparisons import Compared
from orchestrator.analysis.confounds import (
    ChosenOn,
    Conditions,
    chosen_by,
    chosen_on,
    conditions,
)
from orchestrator.analysis.evidence import ContrastEvidence, EffectEvidence, Evidence
from orchestrator.analysis.patterns import (
    Dose,
    DoseTrend,
    Grid,
    Interaction,
    dose_series,
    trend_over_doses,
    two_by_two_interaction,
    two_factor_grid,
)
from orchestrator.analysis.recordings import OverRecordings
from orchestrator.analysis.rows import (
    ArmCost,
    ArmSummary,
    Block,
    Cell,
    Measure,
    plan_interval,
    value_of,
    with_scores,
)
from orchestrator.analysis.search import SearchResults, search_results
from orchestrator.metrics import METRICS, Metric, lookup
from orchestrator.metrics.chance import Chance
from orchestrator.metrics.predictions import Loader
from orchestrator.records import (
    EARLIER_BEST,
    ArmRecord,
    PlanRecord,
    Status,
    TrialKey,
    TrialRecord,
    epoch_of,
)


@dataclass(frozen=True, kw_only=True)
class Summary:
    """All numbers of a study; `orchestrator.report.wording` puts them into words.

    Attributes:
        plan: The study as declared.
        metric: The primary metric.
        arms: Rows, in the plan's order.
        contrasts: Evidence of each contrast, in the plan's order.
        effects: Evidence of each effect, in the plan's order.
        conditions: Conditions of the trials.
        comparability: Arm -> whether its published number is comparable with its own.
        chosen_by: Metrics that chose the best epochs; empty if the last epochs are read.
        chosen_on: Clips that chose the best epochs, one entry per way of choosing.
        chance: Level that the metric reaches without listening, in its unit; None if unknown.
        against_chance: The arms held against chance, by this metric or another; None if unknown.
        search: What the search found; None for other studies.
        following: The study that goes on with arms of this one; None without one.
        mixed: Differences in code, data or epochs among all arms, which prevent a trend or an
            interaction of the whole design; empty without any, or if they are allowed.
    """

    plan: PlanRecord
    metric: Metric
    arms: tuple[ArmSummary, ...]
    contrasts: tuple[ContrastEvidence, ...]
    effects: tuple[EffectEvidence, ...]
    conditions: Conditions
    comparability: Mapping[str, Comparability]
    chosen_by: tuple[str, ...] = ()
    chosen_on: tuple[ChosenOn, ...] = ()
    chance: Chance | None = None
    against_chance: AgainstChance | None = None
    search: SearchResults | None = None
    following: Summary | None = None
    mixed: str = ""

    @property
    def compared(self) -> Summary | None:
        """The study whose differences are shown: of a search, that on fresh seeds, if there is."""
        return self if self.search is None else self.following

    @property
    def complete(self) -> bool:
        """Whether all planned trials are counted."""
        return bool(self.cells) and not self.gaps

    @property
    def findings(self) -> tuple[Evidence, ...]:
        """All declared findings: effects, then contrasts."""
        return (*self.effects, *self.contrasts)

    @property
    def other_contrasts(self) -> tuple[ContrastEvidence, ...]:
        """The declared contrasts whose reference is not the baseline."""
        return tuple(c for c in self.contrasts if c.reference != self.plan.baseline)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Every planned trial, arm by arm."""
        return tuple(cell for arm in self.arms for cell in arm.cells)

    @property
    def gaps(self) -> tuple[Cell, ...]:
        """Every planned trial that has no value; one that its search left early has an outcome."""
        pruned = self.pruned if self.search else ()
        return tuple(cell for cell in self.cells if cell.value is None and cell not in pruned)

    @property
    def pruned(self) -> tuple[Cell, ...]:
        """Every planned trial that a search left early."""
        return tuple(cell for cell in self.cells if cell.status is Status.PRUNED)

    @property
    def at_chance(self) -> tuple[str, ...]:
        """The arms that do not beat chance; empty if the level is unknown."""
        return self.against_chance.at_chance if self.against_chance else ()

    @property
    def num_measured(self) -> int:
        """Number of arms with a value of the primary metric."""
        return sum(self.metric.key in arm.measures for arm in self.arms)

    @property
    def best(self) -> tuple[str, float] | None:
        """The arm with the best mean, and that mean; None if no arm has one."""
        key, sign = self.metric.key, self.metric.sign
        means = {a.name: a.measures[key].interval.mean for a in self.arms if key in a.measures}
        if not means:
            return None
        name = max(means, key=lambda arm: sign * means[arm])
        return name, means[name]

    @property
    def doses(self) -> tuple[Dose, ...]:
        """The arms of a dose series; empty for other sweeps."""
        return dose_series(self.plan, self.arms, self.metric)

    @property
    def grid(self) -> Grid | None:
        """The design, if it is a full one of two factors."""
        return two_factor_grid(self.arms, self.metric)

    @functools.cached_property
    def interaction(self) -> Interaction | None:
        """The interaction of a 2 x 2 design, declared or not; None if the arms are `mixed`."""
        return None if self.mixed else two_by_two_interaction(self.plan, self.arms, self.metric)

    @functools.cached_property
    def trend(self) -> DoseTrend | None:
        """The trend of a dose series, None if the arms are `mixed`.

        It is cached because its permutations take a while.
        """
        return None if self.mixed else trend_over_doses(self.plan, self.arms, self.metric)

    def against_baseline(self, arm: str) -> ContrastEvidence | None:
        """Return the declared contrast of an arm with the baseline; None if there is none."""
        baseline = self.plan.baseline
        declared = (c for c in self.contrasts if c.arm == arm and c.reference == baseline)
        return next(declared, None)


def summarize(
    plan: PlanRecord,
    records: Mapping[str, TrialRecord],
    *,
    metric: str = "",
    mixed: bool = False,
    predictions: Loader | None = None,
    recordings: Mapping[str, str] | None = None,
    following: Summary | None = None,
) -> Summary:
    """Join a plan with the records of its trials.

    Args:
        plan: Study as declared before its first trial ran.
        records: Trial id -> record; a planned trial without one counts as missing.
        metric: Key that replaces the plan's metric.
        mixed: Compare even trials of different code, data or epochs.
        predictions: Function that reads a trial's predictions at the plan's epoch, from which a
            metric is computed that a trial lacks (see `with_scores`). With recordings, declared
            comparisons then have an interval over other recordings, too.
        recordings: Clip -> source recording.
        following: The study that goes on with arms of this one (`PlanRecord.followed_by`).

    Raises:
        ConfigError: No metric has that key.
    """
    chosen = lookup(metric or plan.metric)
    if predictions:
        keys = filter(None, (chosen.key, plan.tie_break_of(chosen.key)))
        records = with_scores(plan, records, keys, predictions)
    arms = summarize_arms(plan, records, metric=chosen)

    @functools.cache
    def scope(metric: Metric) -> OverRecordings | None:
        if not (predictions and recordings):
            return None
        return OverRecordings(plan, metric=metric, load=predictions, recordings=recordings)

    held = against_chance(plan, records, arms, metric=chosen, scope=scope)
    counted = Compared(
        plan=plan,
        records=records,
        metric=chosen,
        mixed=mixed,
        at_chance=held.at_chance if held else (),
    )
    arms = counted.with_differences(arms)
    contrasts, effects = counted.declared(arms)
    arms = counted.with_declared(arms, contrasts)
    if over := scope(chosen):
        contrasts, effects = (
            tuple(dataclasses.replace(f, over_recordings=over.extend(f)) for f in contrasts),
            tuple(dataclasses.replace(f, over_recordings=over.extend(f)) for f in effects),
        )
    return Summary(
        plan=plan,
        metric=chosen,
        arms=arms,
        contrasts=contrasts,
        effects=effects,
        conditions=conditions(plan, records, mixed=mixed),
        comparability=published_comparability(plan, records, chosen),
        chosen_by=chosen_by(plan, records),
        chosen_on=chosen_on(plan, records),
        chance=study_chance(plan, records, chosen),
        against_chance=held,
        search=search_results(plan, records),
        following=following,
        mixed=counted.mixed_among(arms),
    )


def summarize_arms(
    plan: PlanRecord,
    records: Mapping[str, TrialRecord],
    *,
    metric: Metric,
    only: Collection[str] | None = None,
) -> tuple[ArmSummary, ...]:
    """Return the uncompared rows of a plan, the only source of an arm's mean, interval and n.

    Args:
        plan: The study as declared.
        records: Trial id -> record.
        metric: The primary metric.
        only: Names of the wanted arms; None means all.
    """
    # A cell planned twice is one replicate.
    keys: defaultdict[str, dict[Block, TrialKey]] = defaultdict(dict)
    for key in plan.trials:
        keys[key.arm].setdefault((key.seed, key.fold), key)
    return tuple(
        _arm(arm, tuple(keys[arm.name].values()), records, plan=plan, metric=metric)
        for arm in plan.arms
        if only is None or arm.name in only
    )


def _arm(
    arm: ArmRecord,
    keys: Sequence[TrialKey],
    records: Mapping[str, TrialRecord],
    *,
    plan: PlanRecord,
    metric: Metric,
) -> ArmSummary:
    selection = plan.selection_of(arm.name)
    cells = tuple(_cell(key, records.get(key.id), selection, metric) for key in keys)
    recorded = [records[key.id] for key in keys if key.id in records]
    measures: dict[str, Measure] = {}
    computed = (key for key, other in METRICS.items() if other.compute is not None)
    for key in dict.fromkeys((metric.key, *computed)):
        values = {
            cell.block: METRICS[key].scale * value
            for cell in cells
            if cell.status is Status.FINISHED
            and (value := value_of(records[cell.id], selection, key)) is not None
        }
        if values:
            interval = plan_interval(plan, values, within=METRICS[key].shown_bounds)
            measures[key] = Measure(metric=METRICS[key], values=values, interval=interval)
    return ArmSummary(record=arm, cells=cells, measures=measures, cost=_cost(recorded))


def _cell(key: TrialKey, record: TrialRecord | None, selection: str, metric: Metric) -> Cell:
    status = record.status if record else Status.MISSING
    value = None
    if record is None:
        reason = "no record yet"
    elif status is Status.RUNNING:
        reason = f"running, {len(record.epochs)} epochs done"
    elif status is Status.PRUNED:
        reason = f"left by a search after {len(record.epochs)} epochs"
    elif status in (Status.FAILED, Status.DIVERGED):
        reason = record.error_line or "no error text"
    else:
        value = value_of(record, selection, metric.key)
        reason = ""
        if selection == EARLIER_BEST:
            reason = (
                "its epoch was chosen on the clips that it is scored on, by an earlier version; "
                "run the sweep again, which chooses it on validation clips, or state "
                "selection='best_on_test'"
            )
        elif value is None:
            reason = f"no finite {metric.key} at its {epoch_of(selection)} epoch"
    return Cell(
        **dataclasses.asdict(key),
        status=status,
        reason=reason,
        value=None if value is None else value * metric.scale,
    )


def _cost(records: list[TrialRecord]) -> ArmCost | None:
    if not records:
        return None
    done = [r.cost for r in records if r.status is Status.FINISHED] or [r.cost for r in records]
    return ArmCost(
        seconds=statistics.median(c.seconds for c in done),
        set_up_s=statistics.median(c.set_up_s for c in done),
        total_s=sum(r.cost.seconds for r in records),
        peak_memory_mb=max(c.peak_memory_mb for c in done),
        num_params=max(c.num_params for c in done),
        num_trained=max(c.num_trained for c in done),
        macs=max(c.macs for c in done),
        clips_per_s=statistics.median(c.clips_per_s for c in done),
        attempts=sum(r.cost.attempts for r in records),
        num_trials=len(records),
        devices=tuple(sorted({c.device for c in done})),
    )
