"""What a search is told of a point: the clips that choose, not those that are reported."""

import dataclasses

import optuna
import pytest
from rich.console import Console

from orchestrator.analysis.search import Objective, objective_of
from orchestrator.design.factors import Arm
from orchestrator.design.plan import Plan
from orchestrator.design.search_space import Choice, LogUniform, Search
from orchestrator.execution.progress import SweepProgress
from orchestrator.execution.searchers import (
    PointSearcher,
    importances,
    journal_path,
    trials_of,
)
from orchestrator.execution.tune import run_search, run_trials
from orchestrator.experiment.config import Runtime
from orchestrator.records import EpochRecord, Status, TrialRecord
from orchestrator.store import Store
from tests import tiny
from tests.execution.test_packing import ray_of


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
    ("selection", "value"), [("last", 4.0), ("best_on_test", 3.0), ("best_on_validation", 1.0)]
)
def test_objective_of_a_search_is_of_the_clips_that_choose(selection, value):
    objective = Objective(metric="val/loss", selection=selection)
    assert objective.values([RECORD, RECORD]) == (value,)
    assert objective.values([RECORD, record()]) is None


def searcher_of(search: Search, points, store: Store) -> PointSearcher:
    return PointSearcher(
        search,
        points,
        objective=Objective(metric="val/loss", selection="last"),
        store=store,
        progress=SweepProgress(Console(), []),
        on_point=lambda point: None,
    )


def test_search_whose_space_was_narrowed_is_told_of_the_points_that_it_still_has(tmp_path):
    plan = Plan(name="s", question="?", base=tiny.experiment(), arms=(Arm(name="a"),), seeds=(0,))
    search = Search(plan=plan, space={"optimizer.learning_rate": LogUniform(1e-3, 1e-2)})
    points = [{"optimizer.learning_rate": rate} for rate in (0.002, 0.1)]
    points.append({"optimizer.weight_decay": 0.1})
    store = Store.open(tmp_path)
    for point in points:
        for trial in trials_of(search, point):
            store.write_record(dataclasses.replace(RECORD, id=trial.id))
    searcher = searcher_of(search, points, store)
    assert [trial.params for trial in searcher._study.trials] == points[:1]


def search_of(base, **changes) -> Search:
    plan = Plan(
        name="s",
        question="?",
        base=base,
        arms=(Arm(name="control"),),
        seeds=(0, 1),
        metric="val/loss",
    )
    settings = {"plan": plan, "space": {"optimizer.learning_rate": LogUniform(1e-5, 1e-1)}}
    return Search(**{**settings, **changes})


def test_points_without_an_outcome_are_suggested_again_before_new_ones(tmp_path):
    search, store = (
        search_of(tiny.experiment(), num_points=5, pruner="median"),
        Store.open(tmp_path),
    )
    points = [{"optimizer.learning_rate": rate} for rate in (1e-4, 2e-4, 3e-4, 4e-4)]
    states = [(Status.FINISHED, Status.FINISHED), (Status.PRUNED, Status.PRUNED)]
    states += [(Status.FINISHED, Status.FAILED), (Status.FINISHED, Status.RUNNING)]
    for point, of_point in zip(points, states, strict=True):
        for trial, status in zip(trials_of(search, point), of_point, strict=True):
            store.write_record(dataclasses.replace(RECORD, id=trial.id, status=status))

    def suggested(search: Search) -> list[str]:
        searcher = searcher_of(search, points, store)
        count = searcher.num_left
        found = [searcher.suggest(str(number)) for number in range(count + 1)]
        assert found.pop() == PointSearcher.FINISHED
        return [one["trials"][0].arm for one in found]

    *again, new = suggested(search)
    rate = "optimizer.learning_rate={}".format
    assert again == [rate(0.0003), rate(0.0004)]
    assert new not in map(search.arm, points)
    # A search that prunes nothing goes on with what another left.
    whole = dataclasses.replace(search, pruner="")
    assert suggested(whole)[:-1] == [rate(0.0002), rate(0.0003), rate(0.0004)]


@pytest.mark.slow
def test_search_leaves_trials_early_and_another_sweep_goes_on_with_them(tmp_path):
    base = tiny.experiment(epochs=3)
    search, store = (
        search_of(base, num_points=6, pruner="asha"),
        tiny.store_with_pack(tmp_path, base),
    )
    points: list[dict[str, float]] = []
    with ray_of(num_cpus=2), SweepProgress(Console(), []) as progress:
        for _ in range(2):  # the second time there is nothing left to do
            run_search(
                search,
                points,
                runtime=Runtime(),
                store=store,
                progress=progress,
                on_point=points.append,
            )
            trials = [trials_of(search, point) for point in points]
            records = [store.read_records(t.id for t in of_point) for of_point in trials]
            assert len(points) == 6 and all(len(of_point) == 2 for of_point in records)
            assert {r.cost.attempts for of_point in records for r in of_point.values()} == {1}
        states = [[record.status for record in of_point.values()] for of_point in records]
        assert [Status.FINISHED] * 2 in states
        left = next(i for i, of_point in enumerate(states) if Status.PRUNED in of_point)
        first = next(t for t in trials[left] if records[left][t.id].status is Status.PRUNED)
        before = records[left][first.id]
        assert 1 <= len(before.epochs) < 3 and before.provenance["ended_at"]
        after = [record.status for record in records[left].values()]
        assert after[after.index(Status.PRUNED) :] == [Status.PRUNED] * after.count(Status.PRUNED)
        with SweepProgress(Console(), [first]) as other:
            run_trials([first], runtime=Runtime(), store=store, progress=other)
    whole = store.read_record(first.id)
    assert (whole.status, len(whole.epochs), whole.cost.attempts) == (Status.FINISHED, 3, 2)
    assert whole.epochs[: len(before.epochs)] == before.epochs


def test_study_with_costs_is_copied_for_optuna_dashboard_and_says_what_matters(tmp_path):
    base = tiny.experiment()
    space = {"optimizer.learning_rate": LogUniform(1e-5, 1e-1), "batch_size": Choice((4, 5))}
    search = search_of(base, space=space, costs=("macs",), num_points=9)
    store = Store.open(tmp_path)
    points = [
        {"optimizer.learning_rate": round(10.0**-power, 6), "batch_size": size}
        for power in (1, 2, 3, 4)
        for size in (4, 5)
    ]
    for number, point in enumerate(points):
        for trial in trials_of(search, point):
            made = record(val__loss=(3.0, float(number)), selection__loss=(1.0, 1.0))
            cost = dataclasses.replace(made.cost, macs=100 + point["batch_size"])
            store.write_record(dataclasses.replace(made, id=trial.id, cost=cost))
    searcher = PointSearcher(
        search,
        points,
        objective=objective_of(search),
        store=store,
        progress=SweepProgress(Console(), []),
        on_point=points.append,
    )
    new = searcher.suggest("new")
    searcher.on_trial_complete("new", {"objective": (0.5, 104.0), "status": "finished"})
    backend = optuna.storages.journal.JournalFileBackend(str(journal_path(store, "s")))
    storage = optuna.storages.JournalStorage(backend)
    study = optuna.load_study(study_name="s", storage=storage)
    assert [trial.user_attrs["arm"] for trial in study.trials] == [
        search.arm(point).name for point in points
    ]
    assert study.trials[-1].user_attrs["trials"] == [trial.id for trial in new["trials"]]
    assert [direction.name for direction in study.directions] == ["MINIMIZE", "MINIMIZE"]
    assert sorted(trial.number for trial in study.best_trials) == [0]
    shares = importances(search, points[:8], store)
    assert shares.keys() == space.keys() and sum(shares.values()) == pytest.approx(1)
    assert importances(search, points[:7], store) == {}
