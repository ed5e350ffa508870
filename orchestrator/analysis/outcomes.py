"""What became of each held-out clip, read once per trial however many plots ask."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.rows import Block
from orchestrator.analysis.summary import Summary
from orchestrator.metrics.classification import top_k_correct
from orchestrator.metrics.predictions import Loader, Predictions
from orchestrator.records import Status


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A trial's held-out clips without their logits, which would fill the memory.

    Attributes:
        clip_ids: (clips,) names as in the pack.
        labels: (clips,) class indices.
        guesses: (clips,) the class with the largest logit, the first of equals.
        correct: (clips,) whether top-1 counts the clip; a tie does not.
        num_classes: number of classes that the logits have.
    """

    clip_ids: tuple[str, ...]
    labels: NDArray[np.int64]
    guesses: NDArray[np.int64]
    correct: NDArray[np.bool_]
    num_classes: int


def no_predictions(trial_id: str) -> None:
    """Load no predictions."""


class Outcomes:
    """Outcomes by trial, each read once.

    Args:
        summary: the study.
        load: reads predictions.
    """

    def __init__(self, summary: Summary, load: Loader):
        self._cells = {arm.name: arm.cells for arm in summary.arms}
        self._load = load
        self._known: dict[str, Outcome | None] = {}

    def of_arm(self, arm: str) -> dict[Block, Outcome]:
        """Return block -> outcome of an arm's finished trials that have predictions."""
        outcomes = {
            cell.block: self._of(cell.id)
            for cell in self._cells.get(arm, ())
            if cell.status is Status.FINISHED
        }
        return {block: outcome for block, outcome in outcomes.items() if outcome is not None}

    def pairs(self, arm: str, reference: str) -> list[tuple[Block, Outcome, Outcome]]:
        """Return the blocks that two arms have in common, with the outcomes of both."""
        arms, references = self.of_arm(arm), self.of_arm(reference)
        return [(block, arms[block], references[block]) for block in arms if block in references]

    def _of(self, trial_id: str) -> Outcome | None:
        if trial_id not in self._known:
            made = self._load(trial_id)
            self._known[trial_id] = _outcome(made) if made and len(made.labels) else None
        return self._known[trial_id]


def class_name(summary: Summary, index: int) -> str:
    """Return a class's name as the pack says it, or its index."""
    names = summary.plan.dataset.get("class_names") or ()
    return str(names[index]) if index < len(names) else f"class {index}"


def _outcome(made: Predictions) -> Outcome:
    return Outcome(
        clip_ids=tuple(made.clip_ids),
        labels=made.labels,
        guesses=made.logits.argmax(axis=1).astype(np.int64),
        correct=top_k_correct(made.logits, made.labels, k=1),
        num_classes=made.logits.shape[1],
    )
