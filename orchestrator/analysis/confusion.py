"""Changes between arms in class recall, confusions and single clips, from per-clip predictions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.evidence import ContrastEvidence
from orchestrator.analysis.forest import Line, untested_line
from orchestrator.analysis.outcomes import Outcome, Outcomes, class_name
from orchestrator.analysis.rows import Block
from orchestrator.analysis.summary import Summary

MAX_CLASSES = 8
MAX_CELLS = 8


@dataclass(frozen=True, kw_only=True)
class ClassChanges:
    """Classes that a contrast changes most, largest change first.

    Attributes:
        contrast: The two arms that were compared.
        lines: Change of a class's recall in points, with its interval.
        num_classes: Number of examined classes.
    """

    contrast: ContrastEvidence
    lines: tuple[Line, ...]
    num_classes: int


@dataclass(frozen=True, kw_only=True)
class ConfusionChange:
    """Confusions that a contrast changes most, largest change first.

    Attributes:
        contrast: The two arms that were compared.
        lines: Change of the share of a class's clips classified as another class, in points.
        num_cells: Number of class pairs that either arm confused.
        difference: (classes, classes) change of the row-normalized matrix in points, mean over
            blocks.
    """

    contrast: ContrastEvidence
    lines: tuple[Line, ...]
    num_cells: int
    difference: NDArray[np.float64]


@dataclass(kw_only=True)
class Flips:
    """How often a clip changed from wrong to right, and back.

    Attributes:
        clip: Id of the clip.
        label: Class of the clip.
        pairs: Number of trial pairs that both held it out.
        gained: Number of changes from wrong to right.
        lost: Number of changes from right to wrong.
        mistaken: Wrong guesses of either arm in the pairs that flipped.
    """

    clip: str
    label: int
    pairs: int = 0
    gained: int = 0
    lost: int = 0
    mistaken: Counter[int] = field(default_factory=Counter[int])


def class_changes(
    summary: Summary, contrast: ContrastEvidence, outcomes: Outcomes
) -> ClassChanges | None:
    """Compare per-class recall, paired by block; None without predictions in a common block."""
    arm_recalls = _recalls(contrast.arm, outcomes)
    reference_recalls = _recalls(contrast.reference, outcomes)
    classes = sorted({c for recalls in arm_recalls.values() for c in recalls})
    lines: list[Line] = []
    for index in classes:
        arm = {block: recalls[index] for block, recalls in arm_recalls.items() if index in recalls}
        reference = {
            block: recalls[index]
            for block, recalls in reference_recalls.items()
            if index in recalls
        }
        if not arm.keys() & reference.keys():
            continue
        label = class_name(summary, index)
        lines.append(untested_line(label, contrast.arm, arm, reference, plan=summary.plan))
    if not lines:
        return None
    lines.sort(key=lambda line: -abs(line.mean or 0.0))
    return ClassChanges(contrast=contrast, lines=tuple(lines[:MAX_CLASSES]), num_classes=len(lines))


def confusion(outcome: Outcome, num_classes: int) -> NDArray[np.int64]:
    """Return the number of clips by true class (rows) and predicted class (columns)."""
    cells = outcome.labels * num_classes + outcome.guesses
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)


def shares(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return each row as percentages; NaN for a class without clips."""
    totals = counts.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return 100.0 * counts / totals


def confusion_change(
    summary: Summary, contrast: ContrastEvidence, outcomes: Outcomes
) -> ConfusionChange | None:
    """Compare row-normalized confusion matrices, paired by block.

    Returns:
        The off-diagonal cells with the largest mean change; None without confusions or without a
        block with predictions of both arms.
    """
    pairs = outcomes.pairs(contrast.arm, contrast.reference)
    if not pairs:
        return None
    size = _num_classes(o for _, *both in pairs for o in both)
    blocks = [block for block, _, _ in pairs]
    arm_shares = np.stack([shares(confusion(o, size)) for _, o, _ in pairs])
    reference_shares = np.stack([shares(confusion(o, size)) for _, _, o in pairs])
    seen = np.isfinite(arm_shares) & np.isfinite(reference_shares)
    count = seen.sum(axis=0)
    change = np.where(seen, arm_shares - reference_shares, 0.0).sum(axis=0) / np.maximum(count, 1)
    whole = change.round(9)
    np.fill_diagonal(change, 0.0)
    confused = (np.where(seen, arm_shares + reference_shares, 0.0) > 0).any(axis=0) & ~np.eye(
        size, dtype=bool
    )
    # Rounding keeps equal changes in the order of the classes.
    order = np.argsort(-np.abs(change.round(9)), axis=None, kind="stable")[:MAX_CELLS]
    lines: list[Line] = []
    for row, column in (divmod(int(cell), size) for cell in order):
        if not change[row, column]:
            continue
        label = f"{class_name(summary, row)} → {class_name(summary, column)}"
        arm_values = _values(arm_shares, seen, blocks, row, column)
        reference_values = _values(reference_shares, seen, blocks, row, column)
        lines.append(
            untested_line(label, contrast.arm, arm_values, reference_values, plan=summary.plan)
        )
    if not lines:
        return None
    return ConfusionChange(
        contrast=contrast,
        lines=tuple(lines),
        num_cells=int(confused.sum()),
        difference=whole,
    )


def flips(contrast: ContrastEvidence, outcomes: Outcomes) -> list[Flips]:
    """Count how often each clip held out by two arms flipped between right and wrong.

    Clips are ordered by the net number of flips, then by the total: a clip that flips equally often
    both ways reflects the seeds and not the arm.
    """
    tally: dict[str, Flips] = {}
    for _, outcome, reference in outcomes.pairs(contrast.arm, contrast.reference):
        sides = zip(reference.correct.tolist(), reference.guesses.tolist(), strict=True)
        before = dict(zip(reference.clip_ids, sides, strict=True))
        answers = zip(outcome.correct.tolist(), outcome.guesses.tolist(), strict=True)
        rows = zip(outcome.clip_ids, outcome.labels.tolist(), answers, strict=True)
        for clip, label, (right, guess) in rows:
            if clip in before:
                was_right, former = before[clip]
                counts = tally.setdefault(clip, Flips(clip=clip, label=label))
                counts.pairs += 1
                counts.gained += right and not was_right
                counts.lost += was_right and not right
                if right != was_right:
                    counts.mistaken[former if right else guess] += 1
    return sorted(
        tally.values(), key=lambda c: (-abs(c.gained - c.lost), -(c.gained + c.lost), c.clip)
    )


def _num_classes(outcomes: Iterable[Outcome]) -> int:
    return max((outcome.num_classes for outcome in outcomes), default=0)


def _values(
    stacked: NDArray[np.float64],
    seen: NDArray[np.bool_],
    blocks: list[Block],
    row: int,
    column: int,
) -> Mapping[Block, float]:
    return {
        block: float(stacked[i, row, column])
        for i, block in enumerate(blocks)
        if seen[i, row, column]
    }


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
