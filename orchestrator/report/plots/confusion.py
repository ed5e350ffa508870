"""Change of the confusion matrix from one arm to another, as a heat map."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from orchestrator.analysis.confusion import ConfusionChange, confusion_change
from orchestrator.analysis.outcomes import class_name
from orchestrator.report.plots import svg
from orchestrator.report.plots.panel import MAX_NAME, Axis, Panel, name_axis
from orchestrator.report.plots.plot import Plot, PlotData
from orchestrator.report.wording.numbers import number

MAX_CLASSES = 30
MAX_LETTERED = 12
"""Largest number of classes whose cells have room for numbers."""

FULLEST = 0.65
"""Opacity of the cell with the largest change, whose number stays readable in light and dark."""


def plots(data: PlotData) -> Iterator[Plot]:
    """Draw the first contrast, unless it changes nothing or has too many classes."""
    for contrast in data.summary.contrasts[:1]:
        change = confusion_change(data.summary, contrast, data.outcomes)
        if change is None or len(change.difference) > MAX_CLASSES:
            return
        yield Plot(
            section="classes",
            drawings=(str(confusion_panel(data, change)),),
            caption="Rows, true classes; columns, what they are taken for; "
            f"{contrast.arm} minus {contrast.reference} in points of the row's clips, mean over "
            f"the blocks that have both: in color where {contrast.arm} has more, gray where "
            f"{contrast.reference} has. On the diagonal more is better, elsewhere less.",
            layout="matrices",
        )


def confusion_panel(data: PlotData, change: ConfusionChange) -> Panel:
    """Draw true classes (rows) against predicted classes (columns)."""
    difference, size = change.difference, len(change.difference)
    names = [class_name(data.summary, index) for index in range(size)]
    lettered = size <= MAX_LETTERED
    step = 32 if lettered else 17
    left = min(MAX_NAME, max(map(len, names)) * svg.CHARACTER) + 8
    arm, reference = change.contrast.arm, change.contrast.reference
    panel = Panel(
        size * step,
        x=name_axis(names, room=0),
        y=Axis(
            low=size - 0.5,
            high=-0.5,
            ticks={float(i): svg.clip(name, MAX_NAME) for i, name in enumerate(names)},
        ),
        spoken=f"Change of the confusion matrix, {arm} minus {reference}: {size} classes; on the "
        f"diagonal {number(float(np.diag(difference).mean()), 1, signed=True)} points on average",
        title=f"{arm} − {reference}, points",
        width=left + size * step + 4,
        left=left,
        right=4,
    )
    low, high = -0.5, size - 0.5
    panel.line(((low, low), (high, low), (high, high), (low, high), (low, low)), kind="grid")
    largest = float(np.abs(difference).max())
    for row, column in np.argwhere(difference).tolist():
        points = float(difference[row, column])
        title = f"{names[row]} taken for {names[column]}: {number(points, 1, signed=True)} points"
        panel.box(
            (column - 0.48, row - 0.48),
            (column + 0.48, row + 0.48),
            kind="cell",
            color=data.styles[arm if points > 0 else reference].color,
            opacity=FULLEST * abs(points) / largest,
            title=title,
            words=number(points, 0 if abs(points) >= 0.95 else 1, signed=True) * lettered,
        )
    return panel
