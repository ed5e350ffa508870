"""In which stages a plan runs, derived from what the store holds."""

import dataclasses

import pytest

from orchestrator import recipes
from orchestrator.analysis.summary import summarize
from orchestrator.design.factors import Arm, Trial
from orchestrator.design.plan import Plan
from orchestrator.errors import PlanError
from orchestrator.execution.stages import Stage, Stages
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


def test_fixed_study_is_one_stage_of_what_is_missing(store):
    finish(store, PLAN.trials()[3])
    (stage,) = list(Stages(PLAN, store))
    assert [t.id for t in stage.trials] == [t.id for t in PLAN.trials() if t != PLAN.trials()[3]]


def test_finished_study_has_no_stage(store):
    for trial in PLAN.trials():
        finish(store, trial)
    stages = Stages(PLAN, store)
    assert list(stages) == [] and stages.missing() == [] and not stages.reason


def test_budget_ends_at_a_block_boundary_and_says_what_the_next_block_takes(store):
    stages = Stages(PLAN, store, budget_hours=5)
    seen = []
    for stage in stages:
        seen.append([(t.seed, t.arm) for t in stage.trials])
        train(store, stage)
    assert seen == [[(0, "a"), (0, "b")], [(1, "a"), (1, "b")]]
    assert "stopped before block 3 of 12" in stages.reason
    assert "about 2 device-hours, and 4 of 5 are spent" in stages.reason


def test_budget_counts_this_launch_alone_and_every_worker(store):
    train(store, next(iter(Stages(PLAN, store, budget_hours=1))))
    stages = Stages(PLAN, store, budget_hours=9, num_workers=2)
    seeds = []
    for stage in stages:
        seeds += [t.seed for t in stage.trials]
        train(store, stage)
    assert seeds == [1, 1, 2, 2]
    assert "8 of 9 are spent" in stages.reason


def test_budget_pays_for_one_block_at_least(store):
    stages = Stages(PLAN, store, budget_hours=0.001)
    for stage in stages:
        train(store, stage)
    assert "stopped before block 2" in stages.reason


def test_until_decided_ends_once_a_large_difference_is_called(store):
    stages = Stages(PLAN.until_decided(), store)
    sizes = []
    for stage in stages:
        sizes.append(len(stage.plan.blocks))
        assert stage.plan.cap == 12
        train(store, stage, gain=0.3)
    assert sizes[0] == 6 and sizes == list(range(6, sizes[-1] + 1)) and sizes[-1] < 12
    assert f"decided after {sizes[-1]} of at most 12 blocks" in stages.reason
    record = stages.plan.record()
    found = summarize(record, store.read_records(t.id for t in record.trials))
    (contrast,) = found.contrasts
    assert contrast.verdict is Verdict.BETTER and "alpha-spending" in str(contrast.difference)
    assert found.complete and "helps by" in finding_sentence(contrast)
    assert f"n {sizes[-1]} of 12" in finding_sentence(contrast)


def test_until_decided_without_a_difference_goes_to_the_cap(store):
    plan = PLAN.until_decided()
    stages = Stages(plan, store)
    for stage in stages:
        for trial in stage.trials:
            sign = 1 if trial.seed % 2 else -1
            finish(store, trial, top1=0.5 + (0.01 * sign if trial.arm == "b" else 0))
    assert len(stages.plan.blocks) == 12 and not stages.reason
    record = stages.plan.record()
    (contrast,) = summarize(record, store.read_records(t.id for t in record.trials)).contrasts
    assert contrast.verdict is Verdict.NOT_DISTINGUISHABLE


def test_until_decided_takes_the_same_stages_after_a_kill_at_any_trial(store, tmp_path):
    whole = Stages(PLAN.until_decided(), store)
    for stage in whole:
        train(store, stage, gain=0.3)
    for kept in range(0, 2 * len(whole.plan.blocks), 3):
        other = Store.open(tmp_path / str(kept))
        trained = []
        for trial in PLAN.trials()[:kept]:
            train(other, Stage(plan=PLAN, trials=(trial,)), gain=0.3)
        stages = Stages(PLAN.until_decided(), other)
        for stage in stages:
            trained += stage.trials
            train(other, stage, gain=0.3)
        assert stages.plan == whole.plan and stages.reason == whole.reason
        assert len(trained) == 2 * len(whole.plan.blocks) - kept


def test_until_decided_stops_at_a_block_that_is_not_whole(store):
    stages = Stages(PLAN.until_decided(), store)
    for stage in stages:
        train(store, dataclasses.replace(stage, trials=stage.trials[:-1]))
    assert "block 6 is not whole" in stages.reason


def test_until_decided_names_the_first_block_that_is_not_whole(store):
    stages = Stages(PLAN.until_decided(), store)
    for stage in stages:
        kept = [t for t in stage.trials if (t.seed, t.arm) not in ((1, "b"), (4, "a"))]
        train(store, dataclasses.replace(stage, trials=tuple(kept)))
    assert stages.reason.startswith("block 2 is not whole")


def test_report_of_a_study_on_its_way_says_undecided(store):
    stages = iter(Stages(PLAN.until_decided(), store))
    stage = next(stages)
    train(store, stage, gain=0.002)
    record = stage.plan.record()
    found = summarize(record, store.read_records(t.id for t in record.trials))
    (contrast,) = found.contrasts
    assert contrast.verdict is Verdict.UNDECIDED
    assert "b is not yet decided against a" in finding_sentence(contrast)
    assert any("Blocks were added until" in caution for caution in cautions(found))


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
