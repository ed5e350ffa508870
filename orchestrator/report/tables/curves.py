"""The table of the numbers behind learning curves."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.analysis.curves import Curve
from orchestrator.metrics import Metric
from orchestrator.report.tables.table import Column, Table, spread
from orchestrator.stats import CONFIDENCE

MAX_ROWS = 50


def curve_table(found: Sequence[Curve], metric: Metric) -> Table:
    """Return the numbers behind the panels: epochs down, arms across."""
    epochs = sorted({epoch for curve in found for epoch in curve.epochs})
    stride = -(-len(epochs) // MAX_ROWS) or 1
    chosen = sorted({*epochs[::stride], *epochs[-1:]})
    texts = [spread([curve.epochs.get(epoch) for epoch in chosen]) for curve in found]
    methods = dict.fromkeys(i.interval_method for curve in found for i in curve.epochs.values())
    over = " or ".join(methods) or "t interval"
    notes = [f"{metric.title}: mean ± half width of the {100 * CONFIDENCE:g} % {over}."]
    if stride > 1:
        notes.append(f"Every {stride}. epoch and the last.")
    return Table(
        columns=(
            Column(key="epoch", title="epoch"),
            *(Column(key=curve.arm, title=curve.arm, unit=metric.unit) for curve in found),
        ),
        rows=tuple(zip(map(str, chosen), *texts, strict=True)),
        baseline=-1,
        best=-1,
        notes=tuple(notes),
    )
