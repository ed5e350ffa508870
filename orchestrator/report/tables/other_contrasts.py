"""The table of declared contrasts whose reference is not the baseline, in every form."""

from __future__ import annotations

from orchestrator.analysis.summary import Summary
from orchestrator.report.tables.arms import CALLED_MARK, Column, Table, spread
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
