"""Published numbers beside ours: comparable or not, and why."""

import dataclasses

import pytest
from report_examples import make_plan, make_record

from models.zoo.cards import published_results
from orchestrator.analysis.comparability import differences_of, published_comparability
from orchestrator.analysis.datasets import ESC10_CLASSES, ESC50_CLASSES
from orchestrator.design.factors import Arm
from orchestrator.design.published import with_published
from orchestrator.metrics import lookup
from orchestrator.records import ArmRecord
from orchestrator.report.wording.footnotes import (
    difference_words,
    published_footnotes,
    unstated_words,
)

(AST,) = published_results("ast_base", metric="val/top1", dataset="esc50", form="AST-P")
TOP1 = lookup("val/top1")
SAME = {"epochs": 25, "initial": "checkpoint", "dataset.sample_rate": 16000}


def plan_of(
    *, classes=ESC50_CLASSES, settings=SAME, selection="best", folds=5, stated=None, unstated=()
):
    """A plan on ESC beside AST's number, whose conditions may be stated otherwise or not at all."""
    arm = with_published(Arm(name="AST"), AST)
    conditions = {k: v for k, v in arm.conditions.items() if k not in unstated}
    record = ArmRecord(
        name="AST",
        published=arm.published,
        conditions={**conditions, **(stated or {})},
        source=arm.source,
    )
    return make_plan(
        (record, ArmRecord(name="less")),
        folds=range(1, folds + 1),
        selection=selection,
        settings=settings,
        dataset={"name": "esc", "class_names": sorted(classes)},
    )


def records_of(plan, *, epochs=25, num_train=1600, folds=range(1, 6)):
    """Finished trials of some folds, each having seen these many clips for these many epochs."""
    made = {k.id: make_record(k.id, epochs=epochs) for k in plan.trials if k.fold in folds}
    for record in made.values():
        record.data.update(num_train=num_train, num_val=400)
    return made


def footnotes_of(plan, records):
    return published_footnotes(plan, published_comparability(plan, records, TOP1))


def said_of(plan, **recorded):
    return footnotes_of(plan, records_of(plan, **recorded)).texts["†"]


def test_arm_carries_the_paper_number_and_its_conditions():
    arm = with_published(Arm(name="AST"), AST)
    assert arm.published == {"val/top1": 95.6}
    assert arm.conditions["pretraining"] == ("imagenet_1k", "audioset")
    assert "2104.01778" in arm.source


def test_results_of_several_sources_are_refused():
    (other,) = published_results("htsat_tiny", metric="val/top1", dataset="esc50", form="HCP")
    with pytest.raises(ValueError, match="one source"):
        with_published(Arm(name="AST"), AST, other)
    with pytest.raises(ValueError, match="one source"):
        with_published(Arm(name="AST"))


def test_other_data_is_the_one_reason():
    said = said_of(plan_of(classes=ESC10_CLASSES))
    assert said.endswith("Not comparable: data esc50 there, esc10 here.")


def test_fifty_other_classes_are_not_esc50():
    said = said_of(plan_of(classes=[f"bird {i}" for i in range(50)]))
    assert said.endswith("data esc50 there, esc layout with 50 classes here.")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (
            {"settings": {**SAME, "initial": "scratch"}},
            "pretraining imagenet_1k, audioset there, none here",
        ),
        ({"selection": "last"}, "epoch scored the best on the test clips there, the last here"),
        ({"folds": 1}, "folds averaged 5 there, 1 here"),
        (
            {"settings": {**SAME, "dataset.sample_rate": 44100}},
            "sample rate in Hz 16000 there, 44100 here",
        ),
        (
            {"stated": {"protocol": "zero_shot"}},
            "protocol no training on these data there, cross-validation over the official folds "
            "here",
        ),
        (
            {"folds": 1, "unstated": ("num_folds",)},
            "protocol cross-validation over the official folds there, one of the official folds "
            "held out here",
        ),
        ({"stated": {"training_subset": "half"}}, "part trained on half there, full here"),
        (
            {"settings": {**SAME, "test_shifts_s": [0.0, 0.1]}, "stated": {"test_views": 1}},
            "views of a test clip 1 there, 2 here",
        ),
    ],
)
def test_each_condition_that_differs_is_a_reason(changed, reason):
    assert f"Not comparable: {reason}." in said_of(plan_of(**changed))


@pytest.mark.parametrize(
    ("recorded", "reason"),
    [
        ({"epochs": 12}, "epochs 25 there, 12 here"),
        ({"num_train": 1598}, "training clips 1600 there, 1598 here"),
        ({"folds": (1,)}, "folds averaged 5 there, 1 here"),
        ({"folds": (1, 2, 3)}, "folds averaged 5 there, 3 here"),
    ],
)
def test_what_the_trials_recorded_counts_and_not_what_was_planned(recorded, reason):
    assert f"Not comparable: {reason}." in said_of(plan_of(), **recorded)


def test_trials_of_several_epochs_differ_from_each():
    plan = plan_of()
    records = records_of(plan)
    first = plan.trials[0].id
    records[first] = dataclasses.replace(records[first], epochs=records[first].epochs[:3])
    differ, _ = differences_of(plan.arms[0], plan, records)
    assert list(map(difference_words, differ)) == ["epochs 25 there, 3, 25 here"]


def test_number_under_the_same_conditions_is_comparable_as_far_as_stated():
    said = said_of(plan_of())
    assert said.endswith(
        "Comparable as far as it is stated; not stated: what our checkpoint was trained on "
        "(theirs: imagenet_1k, audioset)."
    )
    scratch = plan_of(settings={**SAME, "initial": "scratch"}, stated={"pretraining": []})
    assert "Comparable: data" in said_of(scratch) and "protocol" in said_of(scratch)


def test_what_our_side_does_not_record_is_never_said_to_agree():
    plan = plan_of(
        settings={**SAME, "initial": "scratch"}, stated={"pretraining": [], "dataset": "mine"}
    )
    plan = dataclasses.replace(plan, dataset={**plan.dataset, "name": "mine"})
    said = said_of(plan)
    assert "protocol here (theirs: cross-validation over the official folds)" in said
    _, unstated = differences_of(plan.arms[0], plan, {})
    unknown = set(map(unstated_words, unstated))
    assert {"training clips here (theirs: 1600)", "epochs here (theirs: 25)"} < unknown


def test_equal_footnotes_share_a_mark_and_others_get_their_own():
    arms = tuple(
        ArmRecord(name=name, published={"val/top1": 1.0}, source=source)
        for name, source in (("a", "one"), ("b", "one"), ("c", "two"))
    )
    found = footnotes_of(make_plan(arms), {})
    assert found.marks == {"a": "†", "b": "†", "c": "‡"}
    assert "two" in found.texts["‡"]
