"""Footnotes of published numbers: their source, and whether they are comparable with ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.analysis.comparability import Comparability, Difference, Unstated
from orchestrator.analysis.datasets import dataset_name, known_dataset
from orchestrator.records import ArmRecord, PlanRecord

MARKS = ("†", "‡", "§", "¶", "‖")
_TITLES = {
    "dataset": "data",
    "training_subset": "part trained on",
    "num_classes": "classes",
    "num_train_clips": "training clips",
    "num_test_clips": "test clips",
    "num_folds": "folds averaged",
    "protocol": "protocol",
    "pretraining": "pretraining",
    "epochs": "epochs",
    "selection": "epoch scored",
    "sample_rate_hz": "sample rate in Hz",
    "averaged_checkpoints": "averaged checkpoints",
    "num_models": "models in the ensemble",
    "test_views": "views of a test clip",
}
_UNKNOWN_HERE = {"pretraining": "what our checkpoint was trained on"}
_WORDS = {
    "last": "the last",
    "best_on_test": "the best on the test clips",
    "best_on_validation": "the best on validation clips",
    "official_split": "the official split",
    "own_split": "a split of the authors' own",
    "folds": "cross-validation over the official folds",
    "one_fold": "one of the official folds held out",
    "zero_shot": "no training on these data",
}


@dataclass(frozen=True, kw_only=True)
class Footnotes:
    """Notes below the table about published numbers.

    Attributes:
        texts: Mark -> text.
        marks: Arm -> mark.
    """

    texts: Mapping[str, str] = field(default_factory=dict)
    marks: Mapping[str, str] = field(default_factory=dict)


def published_footnotes(plan: PlanRecord, comparability: Mapping[str, Comparability]) -> Footnotes:
    """Return a footnote for every shown published number; equal footnotes share a mark."""
    texts: dict[str, str] = {}
    marks: dict[str, str] = {}
    for arm in plan.arms:
        if arm.name not in comparability:
            continue
        footnote = _footnote(arm, plan, comparability[arm.name])
        mark = next((m for m, text in texts.items() if text == footnote), _mark(len(texts)))
        texts[mark] = footnote
        marks[arm.name] = mark
    return Footnotes(texts=texts, marks=marks)


def difference_words(difference: Difference) -> str:
    """Return a difference as `... there, ... here`."""
    return (
        f"{_TITLES[difference.name]} {_say(difference.there)} there, {_say(difference.here)} here"
    )


def unstated_words(unstated: Unstated) -> str:
    """Name the unknown condition, with the published value if it is unknown here."""
    title = _TITLES[unstated.name]
    if not unstated.published:
        return title
    return f"{_UNKNOWN_HERE.get(unstated.name, f'{title} here')} (theirs: {_say(unstated.there)})"


def _footnote(arm: ArmRecord, plan: PlanRecord, comparability: Comparability) -> str:
    source = arm.source or plan.source
    text = f"Published: {source}." if source else "Published; no source was stated."
    if not comparability.by_field:
        measured = f" Measured on {plan.conditions}." if plan.conditions else ""
        dataset = known_dataset(plan)
        here = f" Here: {dataset}." if dataset else ""
        return f"{text}{measured}{here} {_by_name(plan, comparability)}"
    if comparability.differ:
        return f"{text} Not comparable: {'; '.join(map(difference_words, comparability.differ))}."
    if comparability.unstated:
        listed = ", ".join(map(unstated_words, comparability.unstated))
        return f"{text} Comparable as far as it is stated; not stated: {listed}."
    return f"{text} Comparable: {', '.join(_TITLES.values())} agree."


def _by_name(plan: PlanRecord, comparability: Comparability) -> str:
    """Describe the comparability if the conditions are only text."""
    dataset = known_dataset(plan)
    if not plan.conditions:
        return "Not comparable: the conditions of the published numbers were not stated."
    if not dataset:
        return "Not comparable: the data set used here is not recorded."
    if not comparability.names_dataset:
        num_classes = len(plan.dataset.get("class_names") or ())
        named = dataset != dataset_name(plan)  # already named by its classes
        classes = f", {num_classes} classes," if num_classes and not named else ""
        return f"Not comparable: other data ({dataset}{classes} here)."
    return "The data set is the same by name; other conditions were not checked."


def _say(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_say, value)) or "none"
    return _WORDS.get(value, str(value))


def _mark(index: int) -> str:
    return MARKS[index % len(MARKS)] * (1 + index // len(MARKS))
