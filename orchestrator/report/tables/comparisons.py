"""The tables of what was declared besides the contrasts with the baseline: others, and effects."""

from __future__ import annotations

from orchestrator.analysis.evidence import EffectEvidence
from orchestrator.analysis.summary import Summary
from orchestrator.report.tables.table import CALLED_MARK, Column, Table, spread
from orchestrator.report.wording.contrasts import unit_of_difference
from orchestrator.report.wording.numbers import align, p_text

TITLE = "Declared contrasts between other arms"


def other_contrasts_table(summary: Summary) -> Table | None:
    """Return a row per such contrast; None where each is against the baseline."""
    found = summary.other_contrasts
    if not found:
        return None
    several = summary.plan.num_declared > 1
    marks = [CALLED_MARK if c.called else "" for c in found]
    differences = [c.difference for c in found]
    columns: list[tuple[Column, list[str]]] = [
        (
            Column(key="contrast", title="contrast"),
            [f"{c.arm} − {c.reference}" for c in found],
        ),
        (Column(key="n", title="n"), align([str(d.n if d else 0) for d in differences])),
        (
            Column(key="difference", title="difference", unit=unit_of_difference(summary.metric)),
            spread([*differences], signed=True),
        ),
        (
            Column(key="p", title="p"),
            align([p_text(d.p_value if d else None) for d in differences]),
        ),
        (
            Column(key="adjusted_p", title="adjusted p"),
            align([p_text(c.adjusted_p) for c in found]),
        ),
    ]
    # The mark belongs to the p value that decides.
    kept = columns if several else columns[:-1]
    last, texts = kept[-1]
    kept[-1] = (last, align([t.strip() + m for t, m in zip(texts, marks, strict=True)]))
    return Table(
        columns=tuple(column for column, _ in kept),
        rows=tuple(zip(*(texts for _, texts in kept), strict=True)),
        baseline=-1,
        best=-1,
        notes=("Paired and tested as the differences from the baseline above.",),
    )


def effects_table(summary: Summary) -> Table | None:
    """Return a row per declared effect; None where none was declared."""
    effects = summary.effects
    if not effects:
        return None
    unit = unit_of_difference(summary.metric)
    columns: list[tuple[Column, list[str]]] = [
        (Column(key="effect", title="effect"), [effect.record.name for effect in effects]),
        (Column(key="n", title="n"), align([_count(effect) for effect in effects])),
        (
            Column(key="size", title="size", unit=unit),
            spread([effect.difference for effect in effects], signed=True),
        ),
        (
            Column(key="p", title="adjusted p" if summary.plan.num_declared > 1 else "p"),
            align([_p_cell(effect) for effect in effects]),
        ),
    ]
    return Table(
        columns=tuple(column for column, _ in columns),
        rows=tuple(zip(*(texts for _, texts in columns), strict=True)),
        baseline=-1,
        best=-1,
        notes=tuple(_effect_notes(summary)),
    )


def _count(effect: EffectEvidence) -> str:
    return str(effect.difference.n) if effect.difference else "0"


def _p_cell(effect: EffectEvidence) -> str:
    return p_text(effect.adjusted_p) + (CALLED_MARK if effect.called else "")


def _effect_notes(summary: Summary) -> list[str]:
    notes = [
        "Main effect: mean of the arms at its second level minus that at its first. Interaction: "
        "the difference of differences, above 0 where the second levels together give more than "
        "the sum of what each gives alone."
    ]
    records = [effect.record for effect in summary.effects]
    levels = {factor: pair for record in records for factor, pair in record.levels.items()}
    said = "; ".join(f"{factor}, {first} to {second}" for factor, (first, second) in levels.items())
    notes.append(f"Levels: {said}.")
    notes += [
        f"{record.name} cannot be told from {' or '.join(record.aliases)} in this fraction."
        for record in records
        if record.aliases
    ]
    return notes
