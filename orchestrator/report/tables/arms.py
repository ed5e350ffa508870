"""The table in the paper's shape, as strings aligned on the decimal point."""

from __future__ import annotations

import math

from orchestrator.analysis.evidence import ContrastEvidence
from orchestrator.analysis.rows import ArmSummary
from orchestrator.analysis.summary import Summary
from orchestrator.metrics import METRICS
from orchestrator.metrics.chance import level_text
from orchestrator.report.tables.table import CALLED_MARK, Column, Table, spread
from orchestrator.report.wording.contrasts import unit_of_difference
from orchestrator.report.wording.footnotes import Footnotes, published_footnotes
from orchestrator.report.wording.notes import (
    epoch_words,
    interval_over,
    paired_over,
    tests_used,
    without_spread,
)
from orchestrator.report.wording.numbers import (
    NONE,
    align,
    duration,
    p_text,
    quantity,
)
from orchestrator.stats import ALPHA, CONFIDENCE, Verdict


def main_table(summary: Summary) -> Table:
    """Return the main table; columns that would be empty throughout are left out."""
    metric = summary.metric
    arms = summary.arms
    contrasts = [summary.against_baseline(arm.name) for arm in arms]
    measures = [arm.measures.get(metric.key) for arm in arms]
    unit = unit_of_difference(metric)
    costs = [arm.cost for arm in arms]
    footnotes = published_footnotes(summary.plan, summary.comparability)
    cells: list[tuple[Column, list[str]]] = [
        (Column(key="arm", title="arm"), [arm.name for arm in arms]),
        (
            Column(key="n", title="n"),
            align([_count(arm, metric.key) for arm in arms]),
        ),
        (
            Column(key="mean", title=metric.title, unit=metric.unit),
            spread([m.interval if m else None for m in measures]),
        ),
        (
            Column(key="difference", title="Δ baseline", unit=unit),
            spread([arm.to_baseline for arm in arms], signed=True),
        ),
        (
            Column(key="p", title="adjusted p" if summary.plan.num_declared > 1 else "p", keep=9),
            align([_p_cell(contrast) for contrast in contrasts]),
        ),
        (
            Column(key="published", title="published", unit=metric.unit, keep=7),
            align([_published(arm, summary, footnotes) for arm in arms]),
        ),
        (
            Column(key="params", title="params", keep=5),
            align([quantity(c.num_params if c else None) for c in costs]),
        ),
        (
            Column(key="macs", title="MACs", keep=4),
            align([quantity(c.macs if c else None) for c in costs]),
        ),
        (
            Column(key="seconds", title="trial time", keep=6),
            align([duration(c.seconds if c else None) for c in costs]),
        ),
        (
            Column(key="clips_per_s", title="clips/s", keep=3),
            align([quantity(c.clips_per_s if c else None) for c in costs]),
        ),
    ]
    kept = [
        (column, texts)
        for column, texts in cells
        if column.keep == 0 or any(text.strip(f" {NONE}") for text in texts)
    ]
    return Table(
        columns=tuple(column for column, _ in kept),
        rows=tuple(zip(*(texts for _, texts in kept), strict=True)) if arms else (),
        baseline=_baseline(summary),
        best=_best_called(summary),
        notes=tuple(_notes(summary, footnotes)),
    )


def secondary_table(summary: Summary) -> Table:
    """Return every other metric that the trials have, mean and interval per arm."""
    keys = dict.fromkeys(key for arm in summary.arms for key in arm.measures)
    columns = [Column(key="arm", title="arm")]
    texts = [[arm.name for arm in summary.arms]]
    for key in keys:
        if key == summary.metric.key:
            continue
        metric = METRICS[key]
        columns.append(Column(key=key, title=metric.title, unit=metric.unit))
        texts.append(
            spread([a.measures[key].interval if key in a.measures else None for a in summary.arms])
        )
    return Table(
        columns=tuple(columns),
        rows=tuple(zip(*texts, strict=True)) if len(columns) > 1 else (),
        baseline=_baseline(summary),
        best=-1,
        notes=("Not corrected for being several; the question was about the metric above.",),
    )


def replicates_of(summary: Summary) -> str:
    """Return what the replicates are, in the plural."""
    several_folds = len({cell.fold for cell in summary.cells}) > 1
    several_seeds = len({cell.seed for cell in summary.cells}) > 1
    if several_folds:
        return "seeds and folds" if several_seeds else "folds"
    return "seeds"


def declared_of(summary: Summary) -> str:
    """Return what was declared, in the plural."""
    kinds = (("contrasts", summary.contrasts), ("effects", summary.effects))
    return " and ".join(name for name, found in kinds if found)


def _baseline(summary: Summary) -> int:
    names = [arm.name for arm in summary.arms]
    return names.index(summary.plan.baseline) if summary.plan.baseline in names else -1


def _count(arm: ArmSummary, key: str) -> str:
    n, planned = arm.counted(key)
    return str(n) if n == planned else f"{n}/{planned}"


def _p_cell(contrast: ContrastEvidence | None) -> str:
    if contrast is None:
        return NONE
    return p_text(contrast.adjusted_p) + (CALLED_MARK if contrast.called else "")


def _published(arm: ArmSummary, summary: Summary, footnotes: Footnotes) -> str:
    value = arm.record.published.get(summary.metric.key)
    return NONE if value is None else f"{value:g}{footnotes.marks[arm.name]}"


def _best_called(summary: Summary) -> int:
    """Return the row of the best mean, if its difference from the baseline is called."""
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


def _notes(summary: Summary, footnotes: Footnotes) -> list[str]:
    over, notes = replicates_of(summary), []
    several = len({cell.block for cell in summary.cells}) > 1
    if several:
        notes.append(
            f"± is the half width of the {100 * CONFIDENCE:g} % {interval_over(summary)}; "
            f"Δ is paired over {paired_over(summary) or f'the same {over}'}."
        )
    elif summary.cells:
        notes.append("Every arm was trained once, so there is no interval.")
    trials = {len(arm.cells) for arm in summary.arms}
    if (
        notes
        and len(trials) == 1
        and trials != {arm.counted(summary.metric.key)[1] for arm in summary.arms}
    ):
        notes[-1] += f" n counts these means, of {trials.pop()} trials planned per arm."
    if said := without_spread(summary):
        notes.append(said)
    if summary.findings and several:
        correction = (
            f", Holm's correction over the declared {declared_of(summary)}"
            if summary.plan.num_declared > 1
            else ""
        )
        notes.append(
            f"p: two-sided paired {tests_used(summary)}{correction}; "
            f"{CALLED_MARK} at most {ALPHA:g}. {NONE}: not declared or not testable."
        )
    if summary.chance:
        notes.append(f"Chance: {level_text(summary.chance, unit=summary.metric.unit)}.")
    elif summary.metric.chance:
        notes.append("Chance is not known: neither plan nor trials recorded the classes.")
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
    return notes
