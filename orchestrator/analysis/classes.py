"""Which classes a contrast changes most, from per-clip predictions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from orchestrator.analysis.evidence import ContrastEvidence
from orchestrator.analysis.forest import Line, untested_line
from orchestrator.analysis.outcomes import Outcomes, class_name
from orchestrator.analysis.rows import Block
from orchestrator.analysis.summary import Summary

MAX_LINES = 8


@dataclass(frozen=True, kw_only=True)
class ClassChanges:
    """The classes that a contrast changes most, largest first.

    Attributes:
        contrast: whose classes these are.
        lines: change of a class's recall in points, with its interval.
        num_classes: how many were looked at to find them.
    """

    contrast: ContrastEvidence
    lines: tuple[Line, ...]
    num_classes: int


def class_changes(
    summary: Summary, contrast: ContrastEvidence, outcomes: Outcomes
) -> ClassChanges | None:
    """Compare per-class recall, paired by block; None without predictions in a common block.

    Args:
        summary: the study.
        contrast: which two arms.
        outcomes: of its trials.
    """
    one = _recalls(contrast.arm, outcomes)
    other = _recalls(contrast.reference, outcomes)
    classes = sorted({c for recalls in one.values() for c in recalls})
    lines: list[Line] = []
    for index in classes:
        arm = {block: recalls[index] for block, recalls in one.items() if index in recalls}
        reference = {block: recalls[index] for block, recalls in other.items() if index in recalls}
        if not arm.keys() & reference.keys():
            continue
        label = class_name(summary, index)
        lines.append(untested_line(label, contrast.arm, arm, reference, plan=summary.plan))
    if not lines:
        return None
    lines.sort(key=lambda line: -abs(line.mean or 0.0))
    return ClassChanges(contrast=contrast, lines=tuple(lines[:MAX_LINES]), num_classes=len(lines))


def _recalls(arm: str, outcomes: Outcomes) -> dict[Block, dict[int, float]]:
    """Return block -> class -> recall in percent."""
    recalls: dict[Block, dict[int, float]] = {}
    for block, made in outcomes.of_arm(arm).items():
        totals = np.bincount(made.labels)
        hits = np.bincount(made.labels, weights=made.correct, minlength=len(totals))
        recalls[block] = {
            int(c): 100.0 * float(hits[c] / totals[c]) for c in np.flatnonzero(totals)
        }
    return recalls
