"""Confusion matrices as heat maps, one per arm."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.confusion import arm_confusions, shares
from orchestrator.analysis.outcomes import class_name
from orchestrator.report.plots import svg
from orchestrator.report.plots.panel import MAX_NAME, Axis, Panel, name_axis
from orchestrator.report.plots.plot import Plot, PlotData

MAX_CLASSES, MAX_ARMS = 30, 12
MAX_LETTERED = 12
"""Largest number of classes whose cells have room for numbers."""

FULLEST = 0.65
"""Opacity of a full cell, which keeps its number readable in light and dark mode."""


def plots(data: PlotData) -> Iterator[Plot]:
    """Draw the matrix of every arm if any two arms can be compared by clips."""
    summary, outcomes = data.summary, data.outcomes
    if not any(outcomes.pairs(c.arm, c.reference) for c in summary.contrasts):
        return
    found = arm_confusions(summary, outcomes, max_classes=MAX_CLASSES, max_arms=MAX_ARMS)
    if not found:
        return
    which = "every arm" if len(found) == len(summary.arms) else f"the first {len(found)} arms"
    yield Plot(
        section="classes",
        drawings=tuple(str(confusion_panel(data, arm, found[arm])) for arm in found),
        caption="Rows, true classes; columns, what they are taken for; percent of the row over "
        "all finished trials of the arm.",
        folded=f"Confusion matrix of {which}",
        layout="matrices",
    )


def confusion_panel(data: PlotData, arm: str, counts: NDArray[np.int64]) -> Panel:
    """Draw true classes (rows) against predicted classes (columns), in percent of the row.

    Args:
        data: Numbers of the study, for names and colors.
        arm: Arm of the matrix.
        counts: (classes, classes) number of clips over all trials of the arm.
    """
    percent, size = np.nan_to_num(shares(counts)), len(counts)
    names = [class_name(data.summary, index) for index in range(size)]
    lettered = size <= MAX_LETTERED
    step = 32 if lettered else 17
    left = min(MAX_NAME, max(map(len, names)) * svg.CHARACTER) + 8
    right = float(np.trace(counts) / max(1, counts.sum()) * 100)
    rows = {float(i): svg.clip(name, MAX_NAME) for i, name in enumerate(names)}
    panel = Panel(
        size * step,
        x=name_axis(names, room=0),
        y=Axis(low=size - 0.5, high=-0.5, ticks=rows),
        spoken=f"Confusion matrix of {arm}: {size} classes, {counts.sum()} clips over its trials, "
        f"{right:.1f} % on the diagonal",
        title=arm,
        width=left + size * step + 4,
        left=left,
        right=4,
    )
    low, high = -0.5, size - 0.5
    panel.line(((low, low), (high, low), (high, high), (low, high), (low, low)), kind="grid")
    for row, column in np.argwhere(counts).tolist():
        share = float(percent[row, column])
        panel.box(
            (column - 0.48, row - 0.48),
            (column + 0.48, row + 0.48),
            kind="cell",
            color=data.styles[arm].color,
            opacity=FULLEST * share / 100,
            title=f"{names[row]} taken for {names[column]}: {share:.3g} %",
            words=(f"{share:.0f}" if share >= 0.5 else "<1") if lettered else "",
        )
    return panel
