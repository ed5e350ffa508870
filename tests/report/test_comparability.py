"""Published numbers beside ours: comparable or not, and why."""

import pytest
from report_examples import make_plan, make_records

from models.published import published_results
from orchestrator.ablation import Arm
from orchestrator.literature import beside
from orchestrator.metrics import lookup
from orchestrator.records import ArmRecord
from orchestrator.report.comparability import differences_of, published_footnotes
from orchestrator.report.known_data import ESC10_CLASSES, ESC50_CLASSES

(AST,) = published_results("ast_base", metric="val/top1", dataset="esc50", form="AST-P")
TOP1 = lookup("val/top1")
ESC = {10: ESC10_CLASSES, 50: ESC50_CLASSES}
SAME = {
    "epochs": 25,
    "initial": "checkpoint",
    "dataset.sample_rate": 16000,
}


def plan_of(*, classes=50, settings=SAME, selection="best", folds=5, changes=None):
    arm = beside(Arm(name="AST"), AST)
    record = ArmRecord(
        name="AST",
        published=arm.published,
        conditions=arm.conditions,
        source=arm.source,
        changes=changes or {},
    )
    return make_plan(
        (record, ArmRecord(name="less")),
        folds=range(1, folds + 1),
        selection=selection,
        settings=settings,
        dataset={"name": "esc", "class_names": sorted(ESC[classes])},
    )


def said_of(plan):
    return published_footnotes(plan, {}, TOP1).texts["†"]


def test_arm_carries_the_paper_number_and_its_conditions():
    arm = beside(Arm(name="AST"), AST)
    assert arm.published == {"val/top1": 95.6}
    assert arm.conditions["pretraining"] == ("imagenet_1k", "audioset")
    assert "2104.01778" in arm.source


def test_results_of_several_sources_are_refused():
    (other,) = published_results("htsat_tiny", metric="val/top1", dataset="esc50", form="HCP")
    with pytest.raises(ValueError, match="one source"):
        beside(Arm(name="AST"), AST, other)
    with pytest.raises(ValueError, match="one source"):
        beside(Arm(name="AST"))


def test_other_data_is_the_one_reason():
    assert said_of(plan_of(classes=10)).endswith("Not comparable: data esc50 there, esc10 here.")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"settings": {**SAME, "epochs": 12}}, "epochs 25 there, 12 here"),
        ({"changes": {"epochs": "300"}}, "epochs 25 there, 300 here"),
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
    ],
)
def test_each_condition_that_differs_is_a_reason(changed, reason):
    assert f"Not comparable: {reason}." in said_of(plan_of(**changed))


def test_number_under_the_same_conditions_is_comparable_as_far_as_stated():
    said = said_of(plan_of())
    assert "Comparable as far as it is stated" in said and "what our checkpoint" in said


def test_clip_counts_are_read_from_the_trials_own_records():
    plan = plan_of()
    records = make_records(plan)
    for trial in plan.trials:
        records[trial.id].data.update(num_train=1598, num_val=400)
    differ, _ = differences_of(plan.arms[0], plan, records)
    assert differ == ["training clips 1600 there, 1598 here"]


def test_equal_footnotes_share_a_mark_and_others_get_their_own():
    arms = tuple(
        ArmRecord(name=name, published={"val/top1": 1.0}, source=source)
        for name, source in (("a", "one"), ("b", "one"), ("c", "two"))
    )
    found = published_footnotes(make_plan(arms), {}, TOP1)
    assert found.marks == {"a": "†", "b": "†", "c": "‡"}
    assert "two" in found.texts["‡"]
