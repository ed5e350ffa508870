"""Which classes a contrast changes most, from per-clip predictions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from orchestrator.metrics.classification import top_k_correct
from orchestrator.predictions import Predictions
from orchestrator.records import Status
from orchestrator.report.forest import Line
from orchestrator.report.rows import Block, ContrastSummary, Summary
from orchestrator.stats import paired_difference

Loader = Callable[[str], Predictions | None]
"""From a trial's id to its predictions at the plan's epoch; None where there are none."""

MOST = 8


@dataclass(frozen=True, kw_only=True)
class ClassChanges:
    """The classes that a contrast changes most, largest first.

    Attributes:
        contrast: whose classes these are.
        lines: change of a class's recall in points, with its interval.
        num_classes: how many were looked at to find them.
    """

    contrast: ContrastSummary
    lines: tuple[Line, ...]
    num_classes: int


def class_changes(summary: Summary, contrast: ContrastSummary, load: Loader) -> ClassChanges | None:
    """Compare per-class recall, paired by block; None without predictions in a common block.

    Args:
        summary: the study.
        contrast: which two arms.
        load: reads predictions.
    """
    one = _recalls(summary, contrast.arm, load)
    other = _recalls(summary, contrast.reference, load)
    classes = sorted({c for recalls in one.values() for c in recalls})
    lines = []
    for index in classes:
        arm = {block: recalls[index] for block, recalls in one.items() if index in recalls}
        reference = {block: recalls[index] for block, recalls in other.items() if index in recalls}
        if not arm.keys() & reference.keys():
            continue
        change = paired_difference(arm, reference)
        lines.append(
            Line(
                label=_class_name(summary, index),
                arm=contrast.arm,
                mean=change.mean,
                low=change.low,
                high=change.high,
                replicates=tuple(change.differences.values()),
                called=False,
            )
        )
    if not lines:
        return None
    lines.sort(key=lambda line: -abs(line.mean or 0.0))
    return ClassChanges(contrast=contrast, lines=tuple(lines[:MOST]), num_classes=len(lines))


def _recalls(summary: Summary, arm: str, load: Loader) -> dict[Block, dict[int, float]]:
    """Return block -> class -> recall in percent."""
    found = {}
    cells = next((a.cells for a in summary.arms if a.name == arm), ())
    for cell in cells:
        made = load(cell.id) if cell.status is Status.FINISHED else None
        if made is None or not len(made.labels):
            continue
        correct = top_k_correct(made.logits, made.labels, k=1)
        totals = np.bincount(made.labels)
        hits = np.bincount(made.labels, weights=correct, minlength=len(totals))
        found[cell.block] = {
            int(c): 100.0 * float(hits[c] / totals[c]) for c in np.flatnonzero(totals)
        }
    return found


def _class_name(summary: Summary, index: int) -> str:
    names = summary.plan.dataset.get("class_names") or ()
    return str(names[index]) if index < len(names) else f"class {index}"
