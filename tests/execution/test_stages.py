"""In which stages a plan runs, derived from what the store holds."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator import recipes
from orchestrator.analysis.summary import summarize
from orchestrator.design.factors import Arm, Trial
from orchestrator.design.plan import Plan
from orchestrator.errors import PlanError
from orchestrator.execution.stages import Ended, Stage, missing_trials, stages
from orchestrator.experiment.config import Component
from orchestrator.records import Cost, EpochRecord, Status, TrialRecord
from orchestrator.report.wording.findings import finding_sentence
from orchestrator.report.wording.notes import cautions
from orchestrator.stats import Verdict
from orchestrator.store import Store

PLAN = Plan(
    name="p",
    question="?",
    base=recipes.datar_laptop(),
    arms=(Arm(name="a"), Arm(name="b", changes={"epochs": 2})),
    seeds=tuple(range(12)),
)


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path)


def finish(store: Store, trial: Trial, *, top1: float = 0.5, seconds: float = 3600.0) -> None:
    store.write_record(
        TrialRecord(
            id=trial.id,
            status=Status.FINISHED,
            experiment={},
            epochs=(EpochRecord(epoch=1, metrics={"val/top1": top1}),),
            cost=Cost(seconds=seconds),
            provenance={"code": "one"},
        )
    )


def train(store: Store, stage: Stage, *, gain: float = 0.0, seconds: float = 3600.0) -> None:
    for trial in stage.trials:
        noise = 0.01 * (trial.seed % 3)
        finish(store, trial, top1=0.5 + (gain + noise if trial.arm == "b" else 0), seconds=seconds)


def follow(
    plan: Plan, store: Store, train: Callable[[Stage], None], **limits: Any
) -> tuple[list[Stage], Ended]:
    """Train every stage of a plan; return the stages and how they end."""
    done: list[Stage] = []
    for step in stages(plan, store, **limits):
        if isinstance(step, Ended):
            return done, step
        train(step)
        done.append(step)
    raise AssertionError("no end")


def test_fixed_study_is_one_stage_of_what_is_missing(store):
    finish(store, PLAN.trials()[3])
    stage, end = stages(PLAN, store)
    assert isinstance(stage, Stage) and end == Ended(plan=PLAN)
    assert [t.id for t in stage.trials] == [t.id for t in PLAN.trials() if t != PLAN.trials()[3]]


def test_teachers_are_trained_before_their_students(store):
    by = {name: Component("soft", teacher=f"arm:{name}") for name in ("a", "b")}
    plan = dataclasses.replace(
        PLAN,
        arms=(
            Arm(name="c", changes={"distillation": by["b"]}),
            Arm(name="b", changes={"distillation": by["a"]}),
            *PLAN.arms[:1],
            Arm(name="alone", changes={"epochs": 2}),
        ),
        seeds=(0, 1),
    )

    def waves(**limits) -> list[set[str]]:
        place = Store.open(store.local_path / f"store{len(limits)}")
        done, _ = follow(plan, place, lambda stage: train(place, stage), **limits)
        return [{trial.arm for trial in stage.trials} for stage in done]

    order = [{"a", "alone"}, {"b"}, {"c"}]
    assert waves() == order
    assert waves(budget_hours=100.0) == order * 2
    # What is stored need not be waited for.
    for trial in plan.trials():
        if trial.arm != "c":
            finish(store, trial)
    left, _ = follow(plan, store, lambda stage: train(store, stage))
    assert [{t.arm for t in stage.trials} for stage in left] == [{"c"}]


def test_finished_study_has_no_stage(store):
    for trial in PLAN.trials():
        finish(store, trial)
    assert list(stages(PLAN, store)) == [Ended(plan=PLAN)]
    assert missing_trials(PLAN.trials(), store) == []


def test_budget_ends_at_a_block_boundary_and_says_what_the_next_block_takes(store):
    done, end = follow(PLAN, store, lambda stage: train(store, stage), budget_hours=5)
    seen = [[(t.seed, t.arm) for t in stage.trials] for stage in done]
    assert seen == [[(0, "a"), (0, "b")], [(1, "a"), (1, "b")]]
    assert "stopped before block 3 of 12" in end.reason
    assert "about 2 device-hours, and 4 of 5 are spent" in end.reason


def test_budget_counts_this_launch_alone_and_every_worker(store):
    train(store, next(stages(PLAN, store, budget_hours=1)))
    limits = {"budget_hours": 9, "num_workers": 2}
    done, end = follow(PLAN, store, lambda stage: train(store, stage), **limits)
    assert [t.seed for stage in done for t in stage.trials] == [1, 1, 2, 2]
    assert "8 of 9 are spent" in end.reason


def test_budget_pays_for_one_block_at_least(store):
    _, end = follow(PLAN, store, lambda stage: train(store, stage), budget_hours=0.001)
    assert "stopped before block 2" in end.reason


def test_until_decided_ends_once_a_large_difference_is_called(store):
    done, end = follow(PLAN.until_decided(), store, lambda stage: train(store, stage, gain=0.3))
    sizes = [len(stage.plan.blocks) for stage in done]
    assert {stage.plan.cap for stage in done} == {12}
    assert sizes[0] == 6 and sizes == list(range(6, sizes[-1] + 1)) and sizes[-1] < 12
    assert f"decided after {sizes[-1]} of at most 12 blocks" in end.reason
    record = end.plan.record()
    found = summarize(record, store.read_records(t.id for t in record.trials))
    (contrast,) = found.contrasts
    assert contrast.verdict is Verdict.BETTER and "alpha-spending" in str(contrast.difference)
    assert found.complete and "helps by" in finding_sentence(contrast)
    assert f"n {sizes[-1]} of 12" in finding_sentence(contrast)


def test_until_decided_without_a_difference_goes_to_the_cap(store):
    def balance(stage: Stage) -> None:
        for trial in stage.trials:
            sign = 1 if trial.seed % 2 else -1
            finish(store, trial, top1=0.5 + (0.01 * sign if trial.arm == "b" else 0))

    _, end = follow(PLAN.until_decided(), store, balance)
    assert len(end.plan.blocks) == 12 and not end.reason
    record = end.plan.record()
    (contrast,) = summarize(record, store.read_records(t.id for t in record.trials)).contrasts
    assert contrast.verdict is Verdict.NOT_DISTINGUISHABLE


def test_until_decided_takes_the_same_stages_after_a_kill_at_any_trial(store, tmp_path):
    plan = PLAN.until_decided()
    _, whole = follow(plan, store, lambda stage: train(store, stage, gain=0.3))
    for kept in range(0, 2 * len(whole.plan.blocks), 3):
        other = Store.open(tmp_path / str(kept))
        for trial in PLAN.trials()[:kept]:
            train(other, Stage(plan=PLAN, trials=(trial,)), gain=0.3)
        done, end = follow(plan, other, lambda stage, to=other: train(to, stage, gain=0.3))
        assert end == whole
        assert sum(len(stage.trials) for stage in done) == 2 * len(whole.plan.blocks) - kept


def test_until_decided_stops_at_a_block_that_is_not_whole(store):
    def leave_one_out(stage: Stage) -> None:
        train(store, dataclasses.replace(stage, trials=stage.trials[:-1]))

    _, end = follow(PLAN.until_decided(), store, leave_one_out)
    assert "block 6 is not whole" in end.reason


def test_until_decided_names_the_first_block_that_is_not_whole(store):
    def leave_two_out(stage: Stage) -> None:
        kept = [t for t in stage.trials if (t.seed, t.arm) not in ((1, "b"), (4, "a"))]
        train(store, dataclasses.replace(stage, trials=tuple(kept)))

    _, end = follow(PLAN.until_decided(), store, leave_two_out)
    assert end.reason.startswith("block 2 is not whole")


def test_report_of_a_study_on_its_way_says_undecided(store):
    stage = next(stages(PLAN.until_decided(), store))
    train(store, stage, gain=0.002)
    record = stage.plan.record()
    found = summarize(record, store.read_records(t.id for t in record.trials))
    (contrast,) = found.contrasts
    assert contrast.verdict is Verdict.UNDECIDED
    assert "b is not yet decided against a" in finding_sentence(contrast)
    assert any("Blocks are added until" in caution for caution in cautions(found))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": (0, 1, 2)}, "3 blocks can never call one of 1 contrasts; give --seeds 6"),
        ({"contrasts": ()}, "declares no contrast"),
        ({"folds": (1, 2)}, "hold out one with --folds"),
    ],
)
def test_until_decided_refuses_what_it_cannot_decide(changes, message):
    with pytest.raises(PlanError, match=message):
        dataclasses.replace(PLAN, **changes).until_decided().check()
