"""Classes and confusions that a contrast changes most."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.analysis.confusion import class_changes, confusion_change
from orchestrator.report.plots.forest import forest
from orchestrator.report.plots.plot import Plot, PlotData
from orchestrator.report.wording.notes import interval_over

MAX_CONTRASTS = 4


def plots(data: PlotData) -> Iterator[Plot]:
    """Draw the recalls that the first contrasts change most, and the confusions of the first."""
    summary, folded = data.summary, False
    bars = f"bars, 95 % {interval_over(summary)}"
    for contrast in summary.contrasts[:MAX_CONTRASTS]:
        changes = class_changes(summary, contrast, data.outcomes)
        if changes is None:
            continue
        minus = f"{contrast.arm} minus {contrast.reference}"
        title = f"change of recall, {minus}"
        yield Plot(
            section="classes",
            drawings=(forest(changes.lines, data.styles, title, "points", sign=1),),
            caption=f"The {len(changes.lines)} classes with the largest change of recall among "
            f"{changes.num_classes}, {minus}; {bars}. They were chosen by looking, so the "
            "intervals are not corrected: take them as a hint where to look.",
            folded=f"{contrast.arm} against {contrast.reference}" if folded else "",
        )
        folded = True
    for contrast in summary.contrasts[:1]:
        changes = confusion_change(summary, contrast, data.outcomes)
        if changes is None:
            continue
        minus = f"{contrast.arm} minus {contrast.reference}"
        title = f"change of the share of a class's clips taken for another, {minus}"
        yield Plot(
            section="classes",
            title="Which class is taken for which",
            drawings=(forest(changes.lines, data.styles, title, "points", sign=-1),),
            caption=f"The {len(changes.lines)} confusions with the largest change among "
            f"{changes.num_cells} pairs of classes that either arm confuses, {minus}, in points "
            f"of the true class's clips; {bars}, not corrected: chosen by looking.",
        )
