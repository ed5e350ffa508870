"""The join of a plan with its records: every number that a report shows, and every gap."""

from __future__ import annotations

import dataclasses
import statistics
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from orchestrator.analysis.chance import arms_at_chance, study_chance
from orchestrator.analysis.comparability import published_footnotes
from orchestrator.analysis.comparisons import Compared
from orchestrator.analysis.rows import (
    Answer,
    ArmCost,
    ArmSummary,
    Block,
    Cell,
    Finding,
    Measure,
    Summary,
)
from orchestrator.analysis.values import plan_interval, value_of
from orchestrator.metrics import METRICS, Metric, lookup
from orchestrator.metrics.chance import caution_text, level_text
from orchestrator.records import ArmRecord, PlanRecord, Status, TrialKey, TrialRecord
from orchestrator.report.wording import notes
from orchestrator.stats import Verdict

SECONDARY = ("val/top1", "val/top5", "val/map", "val/loss")


def summarise(
    plan: PlanRecord,
    records: Mapping[str, TrialRecord],
    *,
    metric: str = "",
    mixed: bool = False,
) -> Summary:
    """Join a plan with the records of its trials.

    Args:
        plan: as declared before its first trial ran.
        records: id -> record; a planned trial that is not there counts as missing.
        metric: another key than the plan's; the report then says that it was not declared.
        mixed: compare trials of different code, data or epochs all the same; the report
            then says so.

    Raises:
        ConfigError: no metric has that key.
    """
    chosen = lookup(metric or plan.metric)
    arms = summarise_arms(plan, records, metric=chosen)
    chance = study_chance(plan, records, chosen)
    at_chance = arms_at_chance(arms, records, metric=chosen, chance=chance)
    low = (
        caution_text(
            at_chance,
            num_arms=sum(chosen.key in arm.measures for arm in arms),
            level=level_text(chance, unit=chosen.unit),
            title=chosen.title,
        )
        if chance
        else ""
    )
    counted = Compared(plan=plan, records=records, metric=chosen, mixed=mixed, at_chance=at_chance)
    arms = counted.with_differences(arms)
    contrasts, effects = counted.declared(arms)
    cells = [cell for arm in arms for cell in arm.cells]
    return Summary(
        plan=plan,
        metric=chosen,
        headline=notes.headline([(cell.status, cell.value is not None) for cell in cells]),
        complete=bool(cells) and all(cell.value is not None for cell in cells),
        answers=_answers(
            low, notes.best_of(plan, chosen, _best(arms, chosen)), (*effects, *contrasts)
        ),
        arms=arms,
        contrasts=contrasts,
        cautions=(
            *notes.cautions(plan, records, chosen, mixed=mixed),
            *notes.reasons((*effects, *contrasts)),
        ),
        footnotes=published_footnotes(plan, records, chosen),
        effects=effects,
        chance=chance,
        at_chance=at_chance,
        chance_sentence=low,
        chosen_by=notes.chosen_by(plan, records),
    )


def summarise_arms(
    plan: PlanRecord,
    records: Mapping[str, TrialRecord],
    *,
    metric: Metric,
    only: Collection[str] | None = None,
) -> tuple[ArmSummary, ...]:
    """Return the rows of a plan, not yet compared: the one source of an arm's mean, interval and n.

    Args:
        plan: as declared.
        records: id -> record.
        metric: the primary metric.
        only: names of the arms that are wanted; None is all.
    """
    # A cell that is planned twice is one replicate.
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
    selection = plan.selection
    cells = tuple(_cell(key, records.get(key.id), selection, metric) for key in keys)
    found = [records[key.id] for key in keys if key.id in records]
    measures = {}
    for key in dict.fromkeys((metric.key, *SECONDARY)):
        values = {
            cell.block: METRICS[key].scale * value
            for cell in cells
            if cell.status is Status.FINISHED
            and (value := value_of(records[cell.id], selection, key)) is not None
        }
        if values:
            interval = plan_interval(plan, values)
            measures[key] = Measure(metric=METRICS[key], values=values, interval=interval)
    return ArmSummary(record=arm, cells=cells, measures=measures, cost=_cost(found))


def _cell(key: TrialKey, record: TrialRecord | None, selection: str, metric: Metric) -> Cell:
    status = record.status if record else Status.MISSING
    value = None
    if record is None:
        reason = "no record yet"
    elif status is Status.RUNNING:
        reason = f"running, {len(record.epochs)} epochs done"
    elif status is Status.FAILED:
        reason = notes.last_line(record.error) or "no error text"
    else:
        value = value_of(record, selection, metric.key)
        reason = "" if value is not None else f"no finite {metric.key} at its {selection} epoch"
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
        macs=max(c.macs for c in done),
        clips_per_s=statistics.median(c.clips_per_s for c in done),
        attempts=sum(r.cost.attempts for r in records),
        num_trials=len(records),
        devices=tuple(sorted({c.device for c in done})),
    )


def _answers(low: str, best_of: str, findings: Sequence[Finding]) -> tuple[Answer, ...]:
    """Return what is to be taken away; that arms do not beat chance comes first."""
    first = (Answer(verdict=Verdict.NOT_TESTED, text=low),) if low else ()
    if best_of:
        return (*first, Answer(verdict=Verdict.NOT_TESTED, text=best_of))
    return (*first, *(Answer(verdict=c.verdict, text=c.sentence) for c in findings))


def _best(arms: tuple[ArmSummary, ...], metric: Metric) -> tuple[str, float] | None:
    """Return the arm with the best mean and that mean."""
    means = {a.name: a.measures[metric.key].interval.mean for a in arms if metric.key in a.measures}
    if not means:
        return None
    name = max(means, key=lambda arm: metric.sign * means[arm])
    return name, means[name]
