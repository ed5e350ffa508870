"""A confusion matrix as a heat map."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.confusion import shares
from orchestrator.analysis.outcomes import class_name
from orchestrator.analysis.summary import Summary
from orchestrator.report.plots import svg

MOST_CLASSES = 30
LABEL_WIDTH = 120.0
LETTERED = 12
"""With at most so many classes the cells are wide enough for their numbers."""

FULLEST = 0.65
"""Opacity of a full cell: its number stays readable on it in light and dark."""


def confusion_plot(summary: Summary, arm: str, counts: NDArray[np.int64], *, colour: str) -> str:
    """Draw which classes (rows) are taken for which (columns), in percent of the row.

    Args:
        summary: the study, for the names.
        arm: whose matrix it is.
        counts: (classes, classes) clips, over all of its trials.
        colour: of a full cell.
    """
    percent = np.nan_to_num(shares(counts))
    size = len(counts)
    names = [class_name(summary, index) for index in range(size)]
    lettered = size <= LETTERED
    step = 32.0 if lettered else 17.0
    left = min(LABEL_WIDTH, max(map(len, names)) * svg.CHARACTER) + 8
    top = left + 18
    parts = [svg.text(4, 14, svg.clip(arm, left + size * step), kind="label")]
    for i, name in enumerate(names):
        said = svg.clip(name, LABEL_WIDTH)
        middle = step * (i + 0.5)
        parts.append(svg.text(left - 6, top + middle + 4, said, anchor="end", kind="tick"))
        at = f"translate({left + middle + 4:.1f} {top - 6:.1f}) rotate(-90)"
        parts.append(f'<g transform="{at}">{svg.text(0, 0, said, kind="tick")}</g>')
    for row in range(size):
        for column in np.flatnonzero(counts[row]):
            share = float(percent[row, column])
            x, y = left + step * column, top + step * row
            cell = [svg.cell(x, y, step - 1, colour=colour, opacity=FULLEST * share / 100)]
            if lettered:
                said = f"{share:.0f}" if share >= 0.5 else "<1"
                place = x + (step - 1) / 2, y + step / 2 + 4
                cell.append(svg.text(*place, said, anchor="middle"))
            title = f"{names[row]} taken for {names[column]}: {share:.3g} %"
            parts.append(svg.group(cell, title=title))
    edge = step * size
    for x1, y1, x2, y2 in (
        (left, top, left + edge, top),
        (left, top, left, top + edge),
        (left + edge, top, left + edge, top + edge),
        (left, top + edge, left + edge, top + edge),
    ):
        parts.append(svg.line(x1 - 0.5, y1 - 0.5, x2 - 0.5, y2 - 0.5, kind="grid"))
    right = float(np.trace(counts) / max(1, counts.sum()) * 100)
    label = (
        f"Confusion matrix of {arm}: {size} classes, {counts.sum()} clips over its trials, "
        f"{right:.1f} % on the diagonal"
    )
    return svg.figure(left + edge + 4, top + edge + 4, parts, label=label)
