"""May a published number stand beside ours? Answered field by field from what both recorded."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.analysis.datasets import dataset_name, is_esc, known_dataset
from orchestrator.metrics import Metric
from orchestrator.records import ArmRecord, PlanRecord, Status, TrialKey, TrialRecord
from orchestrator.stats import replicates_of

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
        records: id -> record; folds, epochs and clip counts are those of the arm's finished trials.

    Returns:
        What differs, each as `... there, ... here`; and what is not known of one of the two.
    """
    here = _here(arm, plan, records)
    there = arm.conditions
    differ, silent = [], []
    for name, title in _FIELDS.items():
        stated = there.get(name)
        if name == "training_subset":
            if stated is None:
                continue  # no part of the data is named, so that it is all of them
        elif name not in there:
            silent.append(title)
            continue
        if name not in here:
            ours = _UNKNOWN_HERE.get(name, f"{title} here")
            silent.append(f"{ours} (theirs: {_say(stated)})")
        elif _plain(stated) != _plain(here[name]) and not _counted(name, there, here):
            differ.append(f"{title} {_say(stated)} there, {_say(here[name])} here")
        if name == "dataset" and differ:
            return differ, []  # everything else follows from other data
    return differ, silent


_FIELDS = {
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


def _footnote(arm: ArmRecord, plan: PlanRecord, records: Mapping[str, TrialRecord]) -> str:
    source = arm.source or plan.source
    said = f"Published: {source}." if source else "Published; no source was stated."
    if not arm.conditions:
        measured = f" Measured on {plan.conditions}." if plan.conditions else ""
        dataset = known_dataset(plan)
        here = f" Here: {dataset}." if dataset else ""
        return f"{said}{measured}{here} {_by_name(plan)}"
    differ, silent = differences_of(arm, plan, records)
    if differ:
        return f"{said} Not comparable: {'; '.join(differ)}."
    if silent:
        return f"{said} Comparable as far as it is stated; not stated: {', '.join(silent)}."
    return f"{said} Comparable: {', '.join(_FIELDS.values())} agree."


def _here(arm: ArmRecord, plan: PlanRecord, records: Mapping[str, TrialRecord]) -> dict[str, Any]:
    """Return what this study did, in the fields of `models.zoo.published.Conditions`."""

    def setting(path: str) -> Any:
        return arm.changes.get(path, plan.settings.get(path))

    finished = [
        (trial, records[trial.id])
        for trial in plan.trials
        if trial.arm == arm.name
        and trial.id in records
        and records[trial.id].status is Status.FINISHED
    ]
    classes = plan.dataset.get("class_names") or ()
    num_folds = _folds_averaged(plan, finished)
    here: dict[str, Any] = {
        "dataset": known_dataset(plan) or "not recorded",
        "num_classes": len(classes) or None,
        "num_folds": num_folds,
        "selection": {"last": "last", "best": "best_on_test"}.get(plan.selection),
        "sample_rate_hz": setting("dataset.sample_rate"),
        "averaged_checkpoints": 1,
        "num_models": 1,
        "test_views": 1,
    }
    initial = setting("initial")
    if initial != "checkpoint":  # whose digest alone is known, not what it was trained on
        here["pretraining"] = [] if initial == "scratch" else ["a trial of this study"]
    if is_esc(plan):  # the one layout whose folds are known to be the official ones
        here["protocol"] = None if num_folds is None else "folds" if num_folds > 1 else "one_fold"
        here["training_subset"] = "full"
    for ours, theirs in (("num_train", "num_train_clips"), ("num_val", "num_test_clips")):
        here[theirs] = _one_or_all([record.data.get(ours) for _, record in finished])
    here["epochs"] = _one_or_all([r.epochs[-1].epoch if r.epochs else None for _, r in finished])
    return {name: value for name, value in here.items() if value is not None}


def _folds_averaged(
    plan: PlanRecord, finished: Sequence[tuple[TrialKey, TrialRecord]]
) -> int | None:
    """Count the folds that an arm's mean is over, incomplete ones left out as in that mean."""
    if not finished:
        return None
    blocks = {(trial.seed, trial.fold): 0.0 for trial, _ in finished}
    found = replicates_of(blocks, num_contrasts=plan.num_declared)
    return len(found.values) if found.replicate == "fold" else len({fold for _, fold in blocks})


def _one_or_all(values: Sequence[int | None]) -> int | list[int] | None:
    """Return the value of all trials, or their several ones; None where one did not record it."""
    known = sorted({value for value in values if value is not None})
    if not known or None in values:
        return None
    return known[0] if len(known) == 1 else known


def _counted(name: str, there: Mapping[str, Any], here: Mapping[str, Any]) -> bool:
    """Say whether the number of folds has said already that one fold is no cross-validation."""
    asked = (there.get("protocol"), here.get("protocol")) == ("folds", "one_fold")
    return name == "protocol" and asked and "num_folds" in there


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(_plain, value))
    return re.sub(r"\.0$", "", re.sub(r"[^a-z0-9.,]", "", str(value).lower()))


def _say(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_say, value)) or "none"
    return _WORDS.get(value, str(value))


def _mark(index: int) -> str:
    return MARKS[index % len(MARKS)] * (1 + index // len(MARKS))


def _by_name(plan: PlanRecord) -> str:
    """Say what can be said where the conditions are text alone."""
    dataset = known_dataset(plan)
    if not plan.conditions:
        return "Not comparable: the conditions of the published numbers were not stated."
    if not dataset:
        return "Not comparable: the data set used here is not recorded."
    num_classes = len(plan.dataset.get("class_names") or ())
    if not _names(dataset, plan.conditions, num_classes=num_classes):
        named = dataset != dataset_name(plan)  # by its classes already
        classes = f", {num_classes} classes," if num_classes and not named else ""
        return f"Not comparable: other data ({dataset}{classes} here)."
    return "The data set is the same by name; other conditions were not checked."


def _names(dataset: str, conditions: str, *, num_classes: int) -> bool:
    """Say whether conditions name a data set, with its number of classes or without."""
    name = re.sub(r"[^a-z0-9]", "", dataset.lower())
    joined = re.sub(r"(?<=[a-z])[-_ ]?(?=\d)", "", conditions.lower())
    for word in re.findall(r"[a-z0-9]+", joined):
        rest = word.removeprefix(name) if word.startswith(name) else None
        if rest == "" or (rest and rest[0].isdigit()):
            number_is_classes = rest.isdigit() and num_classes
            if not number_is_classes or int(rest) == num_classes:
                return True
    return False
