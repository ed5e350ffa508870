"""Outcomes of held-out clips, read once per trial for all plots.

Only clips with one class each have an outcome: right or wrong, and the class that was guessed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.rows import Block
from orchestrator.analysis.summary import Summary
from orchestrator.metrics.classification import top_k_correct
from orchestrator.metrics.labels import TargetKind
from orchestrator.metrics.predictions import Loader, Predictions
from orchestrator.records import Status


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A trial's held-out clips, without logits to save memory.

    Attributes:
        clip_ids: (clips,) names in the pack.
        labels: (clips,) class indices.
        guesses: (clips,) class with the largest logit, the first in a tie.
        correct: (clips,) whether top-1 counts the clip as correct; ties do not count.
        num_classes: Number of classes in the logits.
    """

    clip_ids: tuple[str, ...]
    labels: NDArray[np.int64]
    guesses: NDArray[np.int64]
    correct: NDArray[np.bool_]
    num_classes: int


def no_predictions(trial_id: str) -> None:
    """Return None, as a loader without predictions."""


def remembering(load: Loader, *, max_bytes: int = 2**29) -> Loader:
    """Return a loader that reads a trial once, as long as all that it keeps fits into a size."""
    kept: dict[str, Predictions | None] = {}
    left = max_bytes

    def read(trial_id: str) -> Predictions | None:
        nonlocal left
        if trial_id in kept:
            return kept[trial_id]
        made = load(trial_id)
        frames = made.frames if made else None
        size = (made.logits.nbytes if made else 0) + (frames.logits.nbytes if frames else 0)
        if size <= left:
            kept[trial_id] = made
            left -= size
        return made

    return read


class Outcomes:
    """Outcomes by trial, each read once.

    Args:
        summary: The study.
        load: Function that reads predictions.

    Attributes:
        load: The same.
    """

    def __init__(self, summary: Summary, load: Loader):
        self._cells = {arm.name: arm.cells for arm in summary.arms}
        self.load = load
        self._known: dict[str, Outcome | None] = {}

    def of_arm(self, arm: str) -> dict[Block, Outcome]:
        """Return block -> outcome of an arm's finished trials that have predictions.

        Empty where clips have any number of classes.
        """
        outcomes = {
            cell.block: self._of(cell.id)
            for cell in self._cells.get(arm, ())
            if cell.status is Status.FINISHED
        }
        return {block: outcome for block, outcome in outcomes.items() if outcome is not None}

    def pairs(self, arm: str, reference: str) -> list[tuple[Block, Outcome, Outcome]]:
        """Return the common blocks of two arms, with the outcomes of both."""
        arms, references = self.of_arm(arm), self.of_arm(reference)
        return [(block, arms[block], references[block]) for block in arms if block in references]

    def _of(self, trial_id: str) -> Outcome | None:
        if trial_id not in self._known:
            made = self.load(trial_id)
            self._known[trial_id] = _outcome(made) if made else None
        return self._known[trial_id]


def class_name(summary: Summary, index: int) -> str:
    """Return a class's name in the pack, or its index."""
    names = summary.plan.dataset.get("class_names") or ()
    return str(names[index]) if index < len(names) else f"class {index}"


def _outcome(made: Predictions) -> Outcome | None:
    """Return a trial's outcomes; None where a clip is neither right nor wrong as a whole."""
    if made.kind is not TargetKind.SINGLE_LABEL:
        return None
    return Outcome(
        clip_ids=tuple(made.clip_ids),
        labels=made.labels,
        guesses=made.logits.argmax(axis=1).astype(np.int64),
        correct=top_k_correct(made.logits, made.labels, k=1),
        num_classes=made.logits.shape[1],
    )
