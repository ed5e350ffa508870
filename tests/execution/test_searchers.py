"""What a search is told of a point: the clips that choose, not those that are reported."""

import dataclasses

import pytest
from rich.console import Console

from orchestrator.design.factors import Arm
from orchestrator.design.plan import Plan
from orchestrator.design.search_space import LogUniform, Search
from orchestrator.execution.progress import SweepProgress
from orchestrator.execution.searchers import Objective, TpeSearcher, trials_of
from orchestrator.records import EpochRecord, Status, TrialRecord
from orchestrator.store import Store
from tests import tiny


def record(**metrics) -> TrialRecord:
    by_epoch = (
        {key.replace("__", "/"): values[i] for key, values in metrics.items()} for i in (0, 1)
    )
    epochs = tuple(EpochRecord(epoch=i, metrics=made) for i, made in enumerate(by_epoch, start=1))
    return TrialRecord(
        id="a" * 16, status=Status.FINISHED, experiment={}, epochs=epochs, best_epoch=1
    )


RECORD = record(val__loss=(3.0, 4.0), selection__loss=(1.0, 2.0))


@pytest.mark.parametrize(
    ("selection", "value"), [("last", -4.0), ("best_on_test", -3.0), ("best_on_validation", -1.0)]
)
def test_objective_of_a_search_is_of_the_clips_that_choose(selection, value):
    objective = Objective(metric="val/loss", selection=selection)
    assert objective.value([RECORD, RECORD]) == value
    assert objective.value([RECORD, record()]) is None


def test_search_whose_space_was_narrowed_is_told_of_the_points_that_it_still_has(tmp_path):
    plan = Plan(name="s", question="?", base=tiny.experiment(), arms=(Arm(name="a"),), seeds=(0,))
    search = Search(plan=plan, space={"optimizer.learning_rate": LogUniform(1e-3, 1e-2)})
    points = [{"optimizer.learning_rate": rate} for rate in (0.002, 0.1)]
    points.append({"optimizer.weight_decay": 0.1})
    store = Store.open(tmp_path)
    for point in points:
        for trial in trials_of(search, point):
            store.write_record(dataclasses.replace(RECORD, id=trial.id))
    searcher = TpeSearcher(
        search,
        points,
        objective=Objective(metric="val/loss", selection="last"),
        store=store,
        progress=SweepProgress(Console(), []),
        on_point=lambda point: None,
    )
    assert [trial.params for trial in searcher._study.trials] == points[:1]
