"""The main table with a row per arm, and the table of secondary metrics."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from orchestrator.analysis.rows import ArmSummary
from orchestrator.analysis.summary import Summary
from orchestrator.metrics import METRICS, Metric
from orchestrator.report.tables.table import (
    CALLED_MARK,
    Column,
    Table,
    differences,
    listed_places,
    p_cell,
    recordings_record,
    spread,
)
from orchestrator.report.wording.contrasts import unit_of_difference
from orchestrator.report.wording.footnotes import Footnotes, published_footnotes
from orchestrator.report.wording.notes import (
    chance_note,
    correction_used,
    difference_interval,
    epoch_words,
    fast_sentence,
    interval_over,
    paired_over,
    post_sentence,
    spread_notes,
    tests_used,
    ties_broken,
    without_interval,
)
from orchestrator.report.wording.numbers import (
    NONE,
    align,
    durations,
    quantity,
    rates,
)
from orchestrator.report.wording.search import tuned
from orchestrator.stats import ALPHA, CONFIDENCE, MIN_REPLICATES, Verdict


def tables(summary: Summary) -> list[Table]:
    """Return only the main table; the page shows the secondary one folded.

    That of a search follows the result on fresh seeds.
    """
    table = main_table(summary)
    if summary.following is None:
        return [table]
    if summary.search is None:
        return [_at_shared(table, summary.following), *_at_own(summary.following)]
    title = "Every point of the search, whose scores are optimistic"
    notes = (f"{title}.", *table.notes)
    return [
        _confirmed(summary.following),
        dataclasses.replace(table, key="searched", title=title, notes=notes),
    ]


def _at_shared(table: Table, following: Summary) -> Table:
    """Return the main table of a study whose arms were also tuned one by one."""
    if following.plan.tuned is None:
        return table
    first = f"The arms at the {following.plan.tuned.path} that they share."
    return dataclasses.replace(table, notes=(first, *table.notes))


def _at_own(following: Summary) -> list[Table]:
    """Return the main table of the arms at settings of their own; none without."""
    if following.plan.tuned is None:
        return []
    table = main_table(following)
    return [
        dataclasses.replace(
            table,
            key="tuned",
            title=f"The arms at their own {following.plan.tuned.path}",
            records=tuple({**record, "kind": "tuned"} for record in table.records),
        )
    ]


def _confirmed(confirmed: Summary) -> Table:
    """Return the main table of the confirmation, which is the result of a search."""
    table = main_table(confirmed)
    return dataclasses.replace(
        table,
        notes=(
            f"The result: the best points on fresh seeds, {confirmed.plan.sweep}.",
            *table.notes,
        ),
        records=tuple({**record, "kind": "confirmed"} for record in table.records),
    )


def main_table(summary: Summary) -> Table:
    """Return the main table without empty columns."""

    def counts(column: Sequence[float | None]) -> list[str]:
        return [quantity(value) for value in column]

    metric, arms = summary.metric, summary.arms
    levels = [a.measures[metric.key].interval for a in arms if metric.key in a.measures]
    contrasts = [summary.against_baseline(arm.name) for arm in arms]
    footnotes = published_footnotes(summary.plan, summary.comparability)
    columns = [
        Column(key="arm", title="arm", texts=[arm.name for arm in arms]),
        Column(key="n", title="n", texts=align([_count(arm, metric.key) for arm in arms])),
        _measured(metric, arms, key="mean"),
        Column(
            key="difference",
            title="Δ baseline",
            unit=unit_of_difference(metric),
            texts=differences(
                [arm.to_baseline for arm in arms],
                [contrast is not None and contrast.called for contrast in contrasts],
                least=listed_places(levels, metric),
            ),
        ),
        Column(
            key="p",
            title="adjusted p" if summary.plan.num_declared > 1 else "p",
            keep=9,
            texts=align([p_cell(contrast) for contrast in contrasts]),
        ),
        Column(
            key="published",
            title="published",
            unit=metric.unit,
            keep=7,
            texts=align(_published(summary, footnotes)),
        ),
    ]
    for key, title, keep, write in (
        ("num_params", "params", 5, counts),
        *([("num_trained", "trained", 5, counts)] if _frozen(summary) else []),
        ("macs", "MACs", 4, counts),
        ("seconds", "trial time", 6, durations),
        ("clips_per_s", "clips/s", 3, rates),
    ):
        texts = align(write([getattr(arm.cost, key) if arm.cost else None for arm in arms]))
        columns.append(Column(key=key, title=title, keep=keep, texts=texts))
    return Table.of(
        [c for c in columns if c.keep == 0 or any(text.strip(f" {NONE}") for text in c.texts)],
        baseline=_baseline(summary),
        best=_best_called(summary),
        notes=tuple(_notes(summary, footnotes)),
        records=tuple(_record(arm, summary) for arm in arms),
    )


def secondary_table(summary: Summary) -> Table:
    """Return mean and interval per arm of every other metric."""
    arms = summary.arms
    keys = dict.fromkeys(key for arm in arms for key in arm.measures if key != summary.metric.key)
    names = Column(key="arm", title="arm", texts=[arm.name for arm in arms] if keys else ())
    return Table.of(
        [names, *(_measured(METRICS[key], arms) for key in keys)],
        baseline=_baseline(summary),
        notes=(
            "Not corrected for being several; the question was about the metric above.",
            *spread_notes(
                arm.measures[key].interval for arm in arms for key in keys if key in arm.measures
            ),
        ),
    )


def _measured(metric: Metric, arms: Sequence[ArmSummary], key: str = "") -> Column:
    """Return the column of a metric's means and intervals."""
    measures = [arm.measures.get(metric.key) for arm in arms]
    return Column(
        key=key or metric.key,
        title=metric.title,
        unit=metric.unit,
        texts=spread([measure.interval if measure else None for measure in measures], metric),
    )


def _replicates(summary: Summary) -> str:
    """Return the plural noun for the replicates."""
    several_folds = len({cell.fold for cell in summary.cells}) > 1
    several_seeds = len({cell.seed for cell in summary.cells}) > 1
    if several_folds:
        return "seeds and folds" if several_seeds else "folds"
    return "seeds"


def _declared(summary: Summary) -> str:
    """Return the plural noun for the declared comparisons."""
    kinds = (("contrasts", summary.contrasts), ("effects", summary.effects))
    return " and ".join(name for name, declared in kinds if declared)


def _baseline(summary: Summary) -> int:
    names = [arm.name for arm in summary.arms]
    return names.index(summary.plan.baseline) if summary.plan.baseline in names else -1


def _frozen(summary: Summary) -> bool:
    """Whether an arm trains a part of its parameters, and their numbers are known."""
    costs = [arm.cost for arm in summary.arms if arm.cost]
    known = any(cost.num_trained for cost in costs)
    return known and any(cost.num_trained != cost.num_params for cost in costs)


def _record(arm: ArmSummary, summary: Summary) -> dict[str, object]:
    """Return the numbers of an arm in the metric's unit, keyed by CSV column."""
    key, chance = summary.metric.key, summary.chance
    measure, delta, cost = arm.measures.get(key), arm.to_baseline, arm.cost
    n, planned = arm.counted(key)
    record: dict[str, object] = {
        "arm": arm.name,
        "kind": "arm",
        "n": n,
        "planned": planned,
        "metric": key,
        "unit": summary.metric.unit,
        "published": arm.record.published.get(key),
        "trials": len(measure.values) if measure else 0,
        "trials_planned": len(arm.cells),
        "chance": chance.value if chance else None,
    }
    if measure:
        mean = measure.interval
        record |= {"mean": mean.mean, "low": mean.low, "high": mean.high}
        held = summary.against_chance
        if held and held.metric.key in arm.measures:
            record["beats_chance"] = arm.name not in held.at_chance
    if delta:
        record |= {
            "reference": summary.plan.baseline,
            "difference": delta.mean,
            "difference_low": delta.low,
            "difference_high": delta.high,
        }
    if contrast := summary.against_baseline(arm.name):
        record |= {"adjusted_p": contrast.adjusted_p, "verdict": contrast.verdict}
        record["p"] = contrast.difference.p_value if contrast.difference else None
        record |= recordings_record(contrast)
    if summary.conditions.num_fast:
        record["trials_fast"] = summary.conditions.fast_by_arm[arm.name]
    if cost:
        record |= {"params": cost.num_params, "macs": cost.macs}
        if _frozen(summary):
            record["trained_params"] = cost.num_trained
        record |= {"median_s": cost.seconds, "clips_per_s": cost.clips_per_s}
    return record


def _count(arm: ArmSummary, key: str) -> str:
    n, planned = arm.counted(key)
    return str(n) if n == planned else f"{n}/{planned}"


def _published(summary: Summary, footnotes: Footnotes) -> list[str]:
    """Write the published numbers as printed; a whole one has the fewest decimals of the others.

    The 97.0 of a paper is stored as 97.
    """
    values = {arm.name: arm.record.published.get(summary.metric.key) for arm in summary.arms}
    texts = {arm: f"{value:g}" for arm, value in values.items() if value is not None}
    places = [len(text.partition(".")[2]) for text in texts.values() if "." in text]
    for arm, text in texts.items():
        if text.isdigit() and places:
            text = f"{text}.{'0' * min(places)}"
        texts[arm] = f"{text}{footnotes.marks[arm]}"
    return [texts.get(arm, NONE) for arm in values]


def _best_called(summary: Summary) -> int:
    """Return the row of the best mean if its difference from the baseline is called."""
    key, sign = summary.metric.key, summary.metric.sign
    means = [
        sign * arm.measures[key].interval.mean if key in arm.measures else -math.inf
        for arm in summary.arms
    ]
    if not means:
        return -1
    best = means.index(max(means))
    contrast = summary.against_baseline(summary.arms[best].name)
    return best if contrast and contrast.verdict is Verdict.BETTER else -1


def _values_kept(summary: Summary) -> str:
    """Say what an interval holds, and what a round bracket means if there is one."""
    ends = [
        (finding.difference.low, finding.difference.high)
        for finding in summary.findings
        if finding.called and finding.difference
    ]
    open_at_0 = "; a round bracket leaves 0 out" if any(0.0 in pair for pair in ends) else ""
    return f": what its test does not reject{open_at_0}" if summary.findings else ""


def _notes(summary: Summary, footnotes: Footnotes) -> list[str]:
    over, notes = _replicates(summary), [*filter(None, [tuned(summary)])]
    several = len({cell.block for cell in summary.cells}) > 1
    key = summary.metric.key
    levels = [arm.measures[key].interval for arm in summary.arms if key in arm.measures]
    if several:
        half_widths = ""
        if not levels or any(level.n >= MIN_REPLICATES for level in levels):
            half_widths = f"± is the half width of the {100 * CONFIDENCE:g} % "
            half_widths += f"{interval_over(summary)}. "
        notes.append(
            f"{half_widths}Δ is paired over {paired_over(summary) or f'the same {over}'}, with its "
            f"{100 * CONFIDENCE:g} % {difference_interval(summary)}{_values_kept(summary)}."
        )
    elif summary.cells:
        notes.append("Every arm was trained once, so there is no interval.")
    trials = {len(arm.cells) for arm in summary.arms}
    planned = {arm.counted(key)[1] for arm in summary.arms}
    if notes and len(trials) == 1 and trials != planned:
        notes[-1] += f" n counts these means, of {trials.pop()} trials planned per arm."
    notes += spread_notes(levels)
    if missing := without_interval(summary):
        notes.append(missing)
    if summary.findings and several:
        correction = ""
        if summary.plan.num_declared > 1:
            correction = f", {correction_used(summary)} over the declared {_declared(summary)}"
        notes.append(
            f"p: two-sided paired {tests_used(summary)}{correction}; "
            f"{CALLED_MARK} at most {ALPHA:g}. {NONE}: not declared or not testable."
            f"{ties_broken(summary)}"
        )
    if chance := chance_note(summary):
        notes.append(chance)
    notes += [f"{mark} {text}" for mark, text in footnotes.texts.items()]
    if any(arm.cost and arm.cost.macs for arm in summary.arms):
        notes.append(
            "MACs: of one clip through the whole chain, mel filters included; convolutions and "
            "linear layers."
        )
    notes.append(
        f"{summary.metric.title}: at {epoch_words(summary)}, "
        f"{'larger' if summary.metric.sign > 0 else 'smaller'} is better."
    )
    if post := post_sentence(summary):
        notes.append(post)
    if fast := fast_sentence(summary):
        notes.append(fast)
    return notes
