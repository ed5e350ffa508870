"""Whether a published number is comparable with ours, field by field from what both recorded."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.analysis.datasets import is_esc, known_dataset
from orchestrator.analysis.rows import finished_trials
from orchestrator.experiment.narrow import is_list
from orchestrator.metrics import Metric
from orchestrator.records import EARLIER_BEST, ArmRecord, PlanRecord, TrialKey, TrialRecord
from orchestrator.stats import replicates_of

FIELDS = (
    "dataset",
    "training_subset",
    "num_classes",
    "num_train_clips",
    "num_test_clips",
    "num_folds",
    "protocol",
    "pretraining",
    "epochs",
    "selection",
    "sample_rate_hz",
    "averaged_checkpoints",
    "num_models",
    "test_views",
)
"""Conditions to compare, in order, named as in `models.card.Conditions`."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A condition in which the published numbers and a study differ.

    Attributes:
        name: A name of `FIELDS`.
        there: Published value.
        here: The study's value.
    """

    name: str
    there: Any
    here: Any


@dataclass(frozen=True, kw_only=True)
class Unstated:
    """A condition unknown for the published numbers or for a study.

    Attributes:
        name: A name of `FIELDS`.
        published: Whether it was published but is unknown here.
        there: Published value.
    """

    name: str
    published: bool
    there: Any = None


@dataclass(frozen=True, kw_only=True)
class Comparability:
    """Whether an arm's published number is comparable with its own.

    Attributes:
        by_field: Whether conditions were published field by field.
        differ: Conditions that differ.
        unstated: Conditions unknown for either side.
        names_dataset: Whether text-only conditions name the study's data set.
    """

    by_field: bool
    differ: tuple[Difference, ...] = ()
    unstated: tuple[Unstated, ...] = ()
    names_dataset: bool = False


def published_comparability(
    plan: PlanRecord, records: Mapping[str, TrialRecord], metric: Metric
) -> dict[str, Comparability]:
    """Return arm -> comparability for arms with a published number of a metric."""
    by_arm: dict[str, Comparability] = {}
    for arm in plan.arms:
        if metric.key not in arm.published:
            continue
        if arm.conditions:
            differ, unstated = differences_of(arm, plan, records)
            by_arm[arm.name] = Comparability(by_field=True, differ=differ, unstated=unstated)
        else:
            by_arm[arm.name] = Comparability(by_field=False, names_dataset=_names_dataset(plan))
    return by_arm


def differences_of(
    arm: ArmRecord, plan: PlanRecord, records: Mapping[str, TrialRecord]
) -> tuple[tuple[Difference, ...], tuple[Unstated, ...]]:
    """Compare the conditions of an arm's published numbers with those of its trials.

    Args:
        arm: Arm whose published numbers have conditions.
        plan: Study as declared.
        records: Trial id -> record; folds, epochs and clip counts come from the arm's finished
            trials.

    Returns:
        The differences, and the conditions unknown for either side.
    """
    here = _here(arm, plan, records)
    there = arm.conditions
    differ: list[Difference] = []
    unstated: list[Unstated] = []
    for name in FIELDS:
        stated = there.get(name)
        if name == "training_subset":
            if stated is None:
                continue  # no named part of the data means all of it
        elif name not in there:
            unstated.append(Unstated(name=name, published=False))
            continue
        if name not in here:
            unstated.append(Unstated(name=name, published=True, there=stated))
        elif _plain(stated) != _plain(here[name]) and not _counted(name, there, here):
            differ.append(Difference(name=name, there=stated, here=here[name]))
        if name == "dataset" and differ:
            return tuple(differ), ()  # everything else follows from different data
    return tuple(differ), tuple(unstated)


def _names_dataset(plan: PlanRecord) -> bool:
    """Return whether text-only conditions name a plan's data set."""
    dataset, num_classes = known_dataset(plan), len(plan.dataset.get("class_names") or ())
    return bool(dataset) and _names(dataset, plan.conditions, num_classes=num_classes)


def _here(arm: ArmRecord, plan: PlanRecord, records: Mapping[str, TrialRecord]) -> dict[str, Any]:
    """Return this study's conditions in the fields of `models.card.Conditions`."""

    def setting(path: str) -> Any:
        return arm.changes.get(path, plan.settings.get(path))

    selection = plan.selection_of(arm.name)
    finished = [(t, record) for t, record in finished_trials(plan, records) if t.arm == arm.name]
    classes = plan.dataset.get("class_names") or ()
    num_folds = _folds_averaged(plan, finished)
    here: dict[str, Any] = {
        "dataset": known_dataset(plan) or "not recorded",
        "num_classes": len(classes) or None,
        "num_folds": num_folds,
        "selection": "best_on_test" if selection == EARLIER_BEST else selection,
        "sample_rate_hz": setting("dataset.sample_rate"),
        "averaged_checkpoints": 1,
        "num_models": 1,
        "test_views": len(shifts) if is_list(shifts := setting("test_shifts_s")) else 1,
    }
    initial = setting("initial")
    if initial != "checkpoint":  # only its digest is known, not its training data
        here["pretraining"] = [] if initial == "scratch" else ["a trial of this study"]
    if is_esc(plan):  # the only layout known to have the official folds
        here["protocol"] = None if num_folds is None else "folds" if num_folds > 1 else "one_fold"
        here["training_subset"] = "full"
    for recorded, published in (("num_train", "num_train_clips"), ("num_val", "num_test_clips")):
        here[published] = _one_or_all([record.data.get(recorded) for _, record in finished])
    here["epochs"] = _one_or_all([r.epochs[-1].epoch if r.epochs else None for _, r in finished])
    return {name: value for name, value in here.items() if value is not None}


def _folds_averaged(
    plan: PlanRecord, finished: Sequence[tuple[TrialKey, TrialRecord]]
) -> int | None:
    """Count the folds in an arm's mean, which excludes incomplete folds."""
    if not finished:
        return None
    blocks = {(trial.seed, trial.fold): 0.0 for trial, _ in finished}
    replicates = replicates_of(blocks)
    return (
        len(replicates.values)
        if replicates.replicate == "fold"
        else len({fold for _, fold in blocks})
    )


def _one_or_all(values: Sequence[int | None]) -> int | list[int] | None:
    """Return the common value of all trials, or a list of values; None if any is missing."""
    known = sorted({value for value in values if value is not None})
    if not known or None in values:
        return None
    return known[0] if len(known) == 1 else known


def _counted(name: str, there: Mapping[str, Any], here: Mapping[str, Any]) -> bool:
    """Return whether the number of folds already implies that this is no cross-validation."""
    one_of_several = (there.get("protocol"), here.get("protocol")) == ("folds", "one_fold")
    return name == "protocol" and one_of_several and "num_folds" in there


def _plain(value: Any) -> str:
    if is_list(value):
        return ",".join(map(_plain, value))
    return re.sub(r"\.0$", "", re.sub(r"[^a-z0-9.,]", "", str(value).lower()))


def _names(dataset: str, conditions: str, *, num_classes: int) -> bool:
    """Return whether conditions name a data set, with or without its number of classes."""
    name = re.sub(r"[^a-z0-9]", "", dataset.lower())
    joined = re.sub(r"(?<=[a-z])[-_ ]?(?=\d)", "", conditions.lower())
    for word in re.findall(r"[a-z0-9]+", joined):
        rest = word.removeprefix(name) if word.startswith(name) else None
        if rest == "" or (rest and rest[0].isdigit()):
            number_is_classes = rest.isdigit() and num_classes
            if not number_is_classes or int(rest) == num_classes:
                return True
    return False
