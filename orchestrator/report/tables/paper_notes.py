"""What is said of the studies in a paper's table: what they are, and whether they compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from models.zoo.paper_tables import PrintedTable
from orchestrator.analysis.datasets import known_dataset
from orchestrator.analysis.outcomes import Loader, no_predictions
from orchestrator.analysis.summary import Summary
from orchestrator.report.wording.footnotes import published_footnotes


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study that goes into a table.

    Attributes:
        summary: the join of its plan and records.
        predictions: reads a trial's predictions at the plan's epoch.
    """

    summary: Summary
    predictions: Loader = no_predictions

    @property
    def dataset(self) -> str:
        """The data set, named as papers' conditions name it."""
        return known_dataset(self.summary.plan)


def ensemble_note(study: Study) -> str:
    """Say what the ensembles of a study are."""
    arms = study.summary.arms
    counts = [len({c.seed for c in arm.cells if c.value is not None}) for arm in arms]
    some = (
        f"{min(counts)} to {max(counts)}" if len(set(counts)) > 1 else f"{max(counts, default=0)}"
    )
    return (
        f"Ensemble of this study: the mean of the class probabilities of an arm's {some} seeds, "
        "one number without an interval; its single models are of unaveraged weights."
    )


def content_of(study: Study) -> str:
    """Say what a study's numbers are of: data set, seeds, folds."""
    summary = study.summary
    seeds = len({cell.seed for cell in summary.cells})
    folds = len({cell.fold for cell in summary.cells})
    counted = [f"{seeds} seed{'s' if seeds != 1 else ''}"]
    counted += [f"{folds} folds"] if folds > 1 else []
    return ", ".join([study.dataset or "data not recorded", *counted])


def comparable(printed: PrintedTable, studies: Sequence[Study]) -> list[str]:
    """Say whether the printed rows may stand beside a study; arms are named where that differs."""
    theirs = [printed.dataset] if printed.dataset else [column.key for column in printed.columns]
    said = []
    for study in studies:
        notes = published_footnotes(study.summary.plan, study.summary.comparability)
        own = {mark: text for mark, text in notes.texts.items() if printed.source in text}
        if study.dataset not in theirs:
            here = study.dataset or "data that were not recorded"
            said.append(
                f"Printed rows are not comparable: {' or '.join(theirs)} there, {here} here."
            )
        for mark, text in own.items() if study.dataset in theirs else ():
            arms = ", ".join(arm for arm, other in notes.marks.items() if other == mark)
            said.append(f"{arms}: {text}" if len(own) > 1 else text)
        if study.dataset in theirs and not own:
            said.append("The data set is the same by name; other conditions were not checked.")
    return list(dict.fromkeys(said))
