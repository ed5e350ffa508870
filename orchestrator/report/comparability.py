"""May a published number stand beside ours? Answered field by field from what both recorded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.metrics import Metric
from orchestrator.records import ArmRecord, PlanRecord, Status, TrialRecord
from orchestrator.report.known_data import dataset_name, known_dataset

MARKS = ("†", "‡", "§", "¶", "‖")


@dataclass(frozen=True, kw_only=True)
class Footnotes:
    """What stands below the table of the published numbers.

    Attributes:
        texts: mark -> text.
        marks: arm -> mark.
    """

    texts: Mapping[str, str] = field(default_factory=dict)
    marks: Mapping[str, str] = field(default_factory=dict)


def published_footnotes(
    plan: PlanRecord, records: Mapping[str, TrialRecord], metric: Metric
) -> Footnotes:
    """Return a footnote for every published number of a metric; equal ones share a mark.

    Args:
        plan: as declared.
        records: id -> record.
        metric: the one that the table shows.
    """
    texts: dict[str, str] = {}
    marks: dict[str, str] = {}
    for arm in plan.arms:
        if metric.key not in arm.published:
            continue
        said = _footnote(arm, plan, records)
        mark = next((m for m, text in texts.items() if text == said), _mark(len(texts)))
        texts[mark] = said
        marks[arm.name] = mark
    return Footnotes(texts=texts, marks=marks)


def differences_of(
    arm: ArmRecord, plan: PlanRecord, records: Mapping[str, TrialRecord]
) -> tuple[list[str], list[str]]:
    """Compare the conditions of an arm's published numbers with those of its trials.

    Args:
        arm: with conditions.
        plan: as declared.
        records: id -> record; clip counts are read from the arm's finished trials.

    Returns:
        What differs, each as `... there, ... here`; and what is not stated.
    """
    here = _here(arm, plan, records)
    there = arm.conditions
    differ, silent = [], []
    for name, title in _FIELDS.items():
        if name not in here:
            if name == "pretraining":
                silent.append(
                    f"what our checkpoint was trained on (theirs: {_say(there.get(name))})"
                )
            continue
        if name not in there:
            silent.append(title)
        elif _plain(there[name]) != _plain(here[name]):
            differ.append(f"{title} {_say(there[name])} there, {_say(here[name])} here")
        if name == "dataset" and differ:
            return differ, []  # everything else follows from other data
    return differ, silent


_FIELDS = {
    "dataset": "data",
    "num_classes": "classes",
    "num_train_clips": "training clips",
    "num_test_clips": "test clips",
    "num_folds": "folds averaged",
    "pretraining": "pretraining",
    "epochs": "epochs",
    "selection": "epoch scored",
    "sample_rate_hz": "sample rate in Hz",
    "averaged_checkpoints": "averaged checkpoints",
    "num_models": "models in the ensemble",
    "test_views": "views of a test clip",
}


def _footnote(arm: ArmRecord, plan: PlanRecord, records: Mapping[str, TrialRecord]) -> str:
    source = arm.source or plan.source
    said = f"Published: {source}." if source else "Published; no source was stated."
    if not arm.conditions:
        measured = f" Measured on {plan.conditions}." if plan.conditions else ""
        dataset = dataset_name(plan)
        here = f" Here: {dataset}." if dataset else ""
        return f"{said}{measured}{here} {_by_name(plan)}"
    differ, silent = differences_of(arm, plan, records)
    if differ:
        return f"{said} Not comparable: {'; '.join(differ)}."
    if silent:
        return f"{said} Comparable as far as it is stated; not stated: {', '.join(silent)}."
    return f"{said} Comparable: {', '.join(_FIELDS.values())} agree."


def _here(arm: ArmRecord, plan: PlanRecord, records: Mapping[str, TrialRecord]) -> dict[str, Any]:
    """Return what this study did, in the fields of `models.published.Conditions`."""

    def setting(path: str) -> Any:
        return arm.changes.get(path, plan.settings.get(path))

    own = [trial for trial in plan.trials if trial.arm == arm.name]
    finished = [
        records[t.id] for t in own if t.id in records and records[t.id].status is Status.FINISHED
    ]
    classes = plan.dataset.get("class_names") or ()
    here: dict[str, Any] = {
        "dataset": known_dataset(plan),
        "num_classes": len(classes) or None,
        "num_folds": len({trial.fold for trial in own}),
        "epochs": setting("epochs"),
        "selection": {"last": "last", "best": "best_on_test"}.get(plan.selection),
        "sample_rate_hz": setting("dataset.sample_rate"),
        "averaged_checkpoints": 1,
        "num_models": 1,
        "test_views": 1,
    }
    initial = setting("initial")
    if initial != "checkpoint":  # whose digest alone is known, not what it was trained on
        here["pretraining"] = [] if initial == "scratch" else ["a trial of this study"]
    for ours, theirs in (("num_train", "num_train_clips"), ("num_val", "num_test_clips")):
        counts = {record.data.get(ours) for record in finished}
        here[theirs] = counts.pop() if len(counts) == 1 else None
    return {name: value for name, value in here.items() if value is not None}


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(_plain, value))
    return re.sub(r"\.0$", "", re.sub(r"[^a-z0-9.,]", "", str(value).lower()))


def _say(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_say, value)) or "none"
    words = {"best_on_test": "the best on the test clips", "last": "the last"}
    words["best_on_validation"] = "the best on validation clips"
    return words.get(value, str(value))


def _mark(index: int) -> str:
    return MARKS[index % len(MARKS)] * (1 + index // len(MARKS))


def _by_name(plan: PlanRecord) -> str:
    """Say what can be said where the conditions are text alone."""
    dataset = dataset_name(plan)
    if not plan.conditions:
        return "Not comparable: the conditions of the published numbers were not stated."
    if not dataset:
        return "Not comparable: the data set used here is not recorded."
    num_classes = len(plan.dataset.get("class_names") or ())
    if not _names(dataset, plan.conditions, num_classes=num_classes):
        classes = f", {num_classes} classes," if num_classes else ""
        return f"Not comparable: other data ({dataset}{classes} here)."
    return "The data set is the same by name; other conditions were not checked."


def _names(dataset: str, conditions: str, *, num_classes: int) -> bool:
    """Say whether conditions name a data set: `esc` is named by `ESC-50` if it has 50 classes."""
    name = re.sub(r"[^a-z0-9]", "", dataset.lower())
    joined = re.sub(r"(?<=[a-z])[-_ ]?(?=\d)", "", conditions.lower())
    for word in re.findall(r"[a-z0-9]+", joined):
        rest = word.removeprefix(name) if word.startswith(name) else None
        if rest == "" or (rest and rest[0].isdigit()):
            number_is_classes = rest.isdigit() and num_classes
            if not number_is_classes or int(rest) == num_classes:
                return True
    return False
