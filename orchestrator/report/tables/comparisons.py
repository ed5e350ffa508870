"""Tables of declared effects, and of contrasts between arms other than the baseline."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.analysis.evidence import Evidence
from orchestrator.analysis.summary import Summary
from orchestrator.report.tables.table import Column, Table, differences, p_cell, recordings_record
from orchestrator.report.wording.contrasts import unit_of_difference
from orchestrator.report.wording.numbers import align, p_text


def tables(summary: Summary) -> list[Table]:
    """Return the two tables, without empty ones."""
    return [table for make in (other_contrasts_table, effects_table) if (table := make(summary))]


def other_contrasts_table(summary: Summary) -> Table | None:
    """Return a row per such contrast; None if all contrasts are with the baseline."""
    contrasts = summary.other_contrasts
    if not contrasts:
        return None
    shown = [c.difference for c in contrasts]
    columns = [
        Column(
            key="contrast",
            title="contrast",
            texts=[f"{c.arm} − {c.reference}" for c in contrasts],
        ),
        _counts(contrasts),
        _sizes(contrasts, summary, title="difference"),
        Column(key="p", title="p", keep=5, texts=align([p_text(d and d.p_value) for d in shown])),
        _deciding(contrasts, summary),
    ]
    if summary.plan.num_declared == 1:
        del columns[-2]  # a single p value is not corrected
    return Table.of(
        columns,
        key="contrasts",
        title="Declared contrasts between other arms",
        notes=("Paired and tested as the differences from the baseline above.",),
        records=tuple(
            {"arm": c.arm, "reference": c.reference, "kind": "contrast"} | _record(c, summary)
            for c in contrasts
        ),
    )


def effects_table(summary: Summary) -> Table | None:
    """Return a row per declared effect; None without effects."""
    effects = summary.effects
    if not effects:
        return None
    return Table.of(
        [
            Column(key="effect", title="effect", texts=[e.record.name for e in effects]),
            _counts(effects),
            _sizes(effects, summary, title="size"),
            _deciding(effects, summary),
        ],
        key="effects",
        title="Declared effects",
        notes=tuple(_effect_notes(summary)),
        records=tuple(
            {"arm": effect.record.name, "kind": "effect"} | _record(effect, summary)
            for effect in effects
        ),
    )


def _record(evidence: Evidence, summary: Summary) -> dict[str, object]:
    """Return the numbers of a comparison, keyed by CSV column."""
    size = evidence.difference
    return {
        "n": size.n if size else 0,
        "metric": summary.metric.key,
        "unit": unit_of_difference(summary.metric),
        "difference": size.mean if size else None,
        "difference_low": size.low if size else None,
        "difference_high": size.high if size else None,
        "p": size.p_value if size else None,
        "adjusted_p": evidence.adjusted_p,
        "verdict": evidence.verdict,
    } | recordings_record(evidence)


def _counts(findings: Sequence[Evidence]) -> Column:
    sizes = [finding.difference for finding in findings]
    return Column(key="n", title="n", texts=align([str(d.n if d else 0) for d in sizes]))


def _sizes(findings: Sequence[Evidence], summary: Summary, *, title: str) -> Column:
    return Column(
        key=title,
        title=title,
        unit=unit_of_difference(summary.metric),
        texts=differences([f.difference for f in findings], [f.called for f in findings]),
    )


def _deciding(findings: Sequence[Evidence], summary: Summary) -> Column:
    """Return the column of deciding p values."""
    title = "adjusted p" if summary.plan.num_declared > 1 else "p"
    return Column(key="adjusted_p", title=title, texts=align([p_cell(f) for f in findings]))


def _effect_notes(summary: Summary) -> list[str]:
    notes = [
        "Main effect: mean of the arms at its second level minus that at its first. Interaction: "
        "the difference of differences, above 0 where the second levels together give more than "
        "the sum of what each gives alone."
    ]
    records = [effect.record for effect in summary.effects]
    levels = {factor: pair for record in records for factor, pair in record.levels.items()}
    listed = (f"{factor}, {first} to {second}" for factor, (first, second) in levels.items())
    notes.append(f"Levels: {'; '.join(listed)}.")
    notes += [
        f"{record.name} cannot be told from {' or '.join(record.aliases)} in this fraction."
        for record in records
        if record.aliases
    ]
    return notes
