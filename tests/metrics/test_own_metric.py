"""A metric is one entry, or a user's own function: trained by, stored, verified and reported."""

import dataclasses
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from orchestrator.analysis.summary import summarize
from orchestrator.design.factors import Arm, Contrast
from orchestrator.design.plan import Plan
from orchestrator.errors import ConfigError, PlanError
from orchestrator.execution.trial import TrialRun
from orchestrator.experiment.config import Runtime
from orchestrator.metrics import METRICS, Direction, Metric, metric
from orchestrator.metrics.catalog import load, reported_key, selection_key
from orchestrator.metrics.chance import Chance
from orchestrator.records import TrialRecord
from orchestrator.report.__main__ import main
from orchestrator.store import Store
from orchestrator.store.verification import loader, verify, verify_stored
from orchestrator.tracking.sweep_views import arm_numbers
from tests import own_parts, tiny
from tests.commands import run_command
from tests.store.test_verification import PLAN, fill

torch.set_num_threads(1)
KEY = "val/balanced_error"


def balanced_error(made) -> float:
    wrong = made.logits.argmax(axis=1) != made.labels
    return float(np.mean([wrong[made.labels == own].mean() for own in np.unique(made.labels)]))


OWN = Metric(
    KEY,
    "balanced error",
    Direction.MINIMIZE,
    scale=100.0,
    unit="%",
    bounds=(0.0, 1.0),
    chance=lambda held_out: Chance(value=1 - 1 / held_out.num_classes, rule="any constant guess"),
    compute=balanced_error,
)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Two arms that were trained, selected and judged by the added metric."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(METRICS, KEY, OWN)
        plan = Plan(
            name="own_metric",
            question="Which errs less?",
            base=tiny.experiment(epochs=4, selection="best"),
            arms=(Arm(name="base"), Arm(name="slow", changes={"optimizer.learning_rate": 1e-9})),
            contrasts=(Contrast("slow", "base"),),
            seeds=(0, 1),
            metric=KEY,
        )
        store = tiny.store_with_pack(tmp_path_factory.mktemp("store"), plan.base)
        for trial in plan.trials():
            experiment = trial.experiment
            TrialRun(store=store, trial_id=experiment.id, experiment=experiment).run()
        store.write_plan(plan.record())
        yield plan.record(), store


@pytest.fixture(autouse=True)
def named():
    """No metric of one test's is known to the next."""
    before = dict(METRICS)
    yield
    METRICS.clear()
    METRICS.update(before)


def report(store, *more: str) -> tuple[int, str]:
    out = io.StringIO()
    return main(["own_metric", "--store", store.uri, *more], out=out), out.getvalue()


def test_trial_stores_an_added_metric_and_selects_its_best_epoch_by_it(study):
    plan, store = study
    for record in store.read_records(trial.id for trial in plan.trials).values():
        chose = [epoch.metrics[selection_key(KEY)] for epoch in record.epochs]
        assert record.best_epoch == chose.index(min(chose)) + 1
        made = store.read_predictions(record.id, "best")
        scored = record.epochs[record.best_epoch - 1].metrics[KEY]
        assert made.scores()[KEY] == scored == balanced_error(made)


def test_report_shows_an_added_metric_in_its_unit_and_direction(study):
    _, store = study
    code, text = report(store)
    text = " ".join(text.split())
    assert code == 0 and "+3 points of balanced error" in text
    assert "balanced error: at the epoch that is best on validation clips, smaller is" in text
    assert "was chosen on 3 validation clips, which neither train nor are reported: 10 % of" in text
    assert "Chance: 66.7 %, any constant guess." in text and "left is better" in text
    # The arm that learns nothing has the larger number, and is said not to beat chance.
    assert "chance (66.7 %, any constant guess) in balanced error" in text and "slow" in text
    _, page = report(store, "--format", "html")
    assert "balanced error" in page
    _, form = report(store, "--format", "json")
    assert json.loads(form)["metric"]["key"] == KEY


def test_report_by_another_metric_shows_an_added_one_beside_it(study):
    _, store = study
    _, text = report(store, "--metric", "val/top1", "--format", "html")
    assert "balanced error" in text


def test_tracker_shows_an_added_metric_as_trials_store_it(study):
    plan, store = study
    records = store.read_records(trial.id for trial in plan.trials)
    numbers = arm_numbers(summarize(plan, records), "base", "base", records)
    stored = [
        records[trial.id].metrics_at("best")[KEY] for trial in plan.trials if trial.arm == "base"
    ]
    assert numbers[f"{KEY}/mean"] == pytest.approx(np.mean(stored))


def test_stored_value_of_an_added_metric_is_held_to_its_bounds_and_its_predictions(study):
    plan, store = study
    records = store.read_records(trial.id for trial in plan.trials)
    verify_stored(store, plan, records, remember=False)
    one = next(iter(records.values()))
    form = one.to_json()
    form["epochs"][0]["metrics"][KEY] = 55.0
    with pytest.raises(ValueError, match=f"{KEY} of epoch 1 is 55.0; it must be from 0 to 1"):
        TrialRecord.from_json(form)


def test_store_from_before_a_metric_was_added_is_believed_as_before(study, monkeypatch):
    plan, store = study
    later = dataclasses.replace(OWN, key="val/later", compute=lambda made: 0.5)
    monkeypatch.setitem(METRICS, later.key, later)
    records = store.read_records(trial.id for trial in plan.trials)
    verify_stored(store, plan, records, remember=False)
    assert report(store)[0] == 0


OWN_PARTS = "tests.own_parts"


def test_finished_study_is_reported_by_an_own_function_without_training_again(study):
    plan, store = study
    key = f"{OWN_PARTS}:true_margin"
    code, text = report(store, "--metric", key, "--format", "json")
    form = json.loads(text)
    assert code == 0 and form["metric"]["title"] == "margin of the true class"
    (base,) = (arm for arm in form["arms"] if arm["record"]["name"] == "base")
    stored = [
        own_parts.true_margin.compute(store.read_predictions(trial.id, "best"))
        for trial in plan.trials
        if trial.arm == "base"
    ]
    assert base["measures"][key]["interval"]["mean"] == pytest.approx(np.mean(stored), abs=1e-12)
    assert form["contrasts"][0]["difference"]["n"] == 2
    assert "margin of the true class" in report(store, "--metric", key)[1]
    for record in store.read_records(trial.id for trial in plan.trials).values():
        assert key not in record.metrics_at("best")


def test_metric_that_only_the_report_computes_is_in_no_epoch(study):
    plan, store = study
    slow = load(f"{OWN_PARTS}:slow_margin")
    made = store.read_predictions(plan.trials[0].id, "best")
    assert slow.key not in made.scores()
    assert report(store, "--metric", slow.key)[0] == 0
    with pytest.raises(ConfigError, match="computed by the report alone, and every epoch"):
        tiny.experiment(selection="best", selection_metric=slow.key)


def test_older_records_are_reported_by_a_catalogued_metric_that_they_lack(study, monkeypatch):
    _, store = study
    later = dataclasses.replace(OWN, key="val/later", title="later")
    monkeypatch.setitem(METRICS, later.key, later)
    _, by_later = report(store, "--metric", later.key, "--format", "json")
    _, by_own = report(store, "--metric", KEY, "--format", "json")
    values = [
        [arm["measures"][key]["interval"]["mean"] for arm in json.loads(form)["arms"]]
        for key, form in ((later.key, by_later), (KEY, by_own))
    ]
    assert values[0] == values[1]


def test_trial_computes_the_own_metrics_of_its_runtime_every_epoch(study, tmp_path):
    _, store = study
    key = f"{OWN_PARTS}:true_margin"
    experiment = tiny.experiment(epochs=2, seed=7)
    METRICS.pop(key, None)
    runtime = Runtime(own_metrics=(key,))
    record = TrialRun(
        store=store, trial_id=experiment.id, experiment=experiment, runtime=runtime
    ).run()
    assert record.status == "finished", record.error
    assert all(key in epoch.metrics for epoch in record.epochs)
    made = store.read_predictions(experiment.id, "last")
    assert record.epochs[-1].metrics[key] == own_parts.true_margin.compute(made)


def test_function_that_changed_since_training_is_scored_anew(study, monkeypatch):
    plan, store = study
    key = f"{OWN_PARTS}:true_margin"
    records = store.read_records(trial.id for trial in plan.trials)
    stale = {
        one: dataclasses.replace(
            record,
            epochs=tuple(
                dataclasses.replace(epoch, metrics={**epoch.metrics, key: 99.0})
                for epoch in record.epochs
            ),
        )
        for one, record in records.items()
    }
    load(key)
    made = loader(store, plan, records)
    verify(plan, stale, made)
    summary = summarize(plan, stale, metric=key, predictions=made)
    assert all(arm.measures[key].interval.mean < 99 for arm in summary.arms)


def test_own_metric_chooses_the_best_epoch_on_the_validation_clips(study):
    _, store = study
    key = f"{OWN_PARTS}:true_margin"
    assert reported_key(selection_key(key)) == key
    experiment = tiny.experiment(epochs=2, seed=8, selection="best", selection_metric=key)
    METRICS.pop(key)
    record = TrialRun(store=store, trial_id=experiment.id, experiment=experiment).run()
    assert record.status == "finished", record.error
    values = [epoch.metrics[selection_key(key)] for epoch in record.epochs]
    assert record.best_epoch == values.index(max(values)) + 1


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("val/topp1", r"did you mean 'val/top1'\? \(valid: .*\) One of your own is named module"),
        ("no_such:metric", "cannot be imported .*No module named 'no_such'"),
        (f"{OWN_PARTS}:no_such", "cannot be imported .*no attribute 'no_such'"),
        (f"{OWN_PARTS}:Sound", r"is a type; decorate a function of predictions with @orch"),
    ],
)
def test_metric_that_is_none_is_refused_with_the_way_out(study, key, problem, capsys):
    _, store = study
    with pytest.raises(ConfigError, match=problem):
        load(key)
    base = Plan(
        name="other",
        question="Which?",
        base=tiny.experiment(),
        arms=(Arm(name="base"), Arm(name="slow", changes={"optimizer.learning_rate": 1e-9})),
        contrasts=(Contrast("slow", "base"),),
        metric=key,
    )
    with pytest.raises(PlanError, match=problem):
        base.check()
    assert report(store, "--metric", key)[0] == 2
    assert re.search(problem, capsys.readouterr().err)


def test_own_function_that_fails_or_leaves_its_bounds_is_said(study, capsys):
    _, store = study
    assert report(store, "--metric", f"{OWN_PARTS}:failing")[0] == 2
    assert "failed on the predictions of" in (text := capsys.readouterr().err)
    assert "ValueError: no such class" in text
    assert report(store, "--metric", f"{OWN_PARTS}:unbounded")[0] == 2
    assert "returned 7, outside its bounds from 0 to 1" in capsys.readouterr().err


PLANTED = """
from pathlib import Path
from orchestrator.metrics import metric

Path("ran").touch()

@metric("planted", direction="max")
def planted(made):
    return 0.5
"""


@pytest.mark.parametrize("command", ["report", "sync", "store verify"])
def test_metric_that_only_the_store_names_is_not_run_unasked(command, tmp_path):
    """Whoever may write a plan into a store may not run code where it is read."""
    (tmp_path / "planted.py").write_text(PLANTED)
    fill(tmp_path / "store", dataclasses.replace(PLAN, metric="planted:planted"))
    room, *words = command.split()
    words = ["-m", f"orchestrator.{room}", *words, "tiny"]

    done = run_command(words, cwd=tmp_path)
    assert not (tmp_path / "ran").exists()
    if room != "store":  # which needs no metric's value
        assert done.returncode == 2 and "--own planted:planted" in done.stderr, (
            done.stdout + done.stderr
        )
    done = run_command([*words, "--own", "planted:planted"], cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "ran").exists()


SWEEP = """
from orchestrator import Arm, Contrast, Plan, cli
from tests import tiny

PLAN = Plan(
    name="by_own_metric",
    question="Which is surer?",
    base=tiny.experiment(epochs=2),
    arms=(Arm(name="base"), Arm(name="slow", changes={"optimizer.learning_rate": 1e-9})),
    contrasts=(Contrast("slow", "base"),),
    seeds=(0,),
    metric="sureness:sureness",
)
if __name__ == "__main__":
    cli.main(PLAN)
"""

OWN_MODULE = """
from orchestrator.metrics import metric

@metric("sureness", unit="nats")
def sureness(made):
    return float(made.logits.max(axis=1).mean())
"""


@pytest.mark.slow
def test_own_metric_travels_to_the_workers_of_a_sweep(tmp_path):
    (tmp_path / "sweep.py").write_text(SWEEP)
    (tmp_path / "sureness.py").write_text(OWN_MODULE)
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, tmp_path / "sweep.py", "--dataset", "synthetic", "--store", "store"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    store = Store.open(tmp_path / "store")
    (name,) = store.sweeps()
    plan = store.require_plan(name)
    records = store.read_records(trial.id for trial in plan.trials)
    assert len(records) == 2
    for record in records.values():
        assert all("sureness:sureness" in epoch.metrics for epoch in record.epochs)
        made = store.read_predictions(record.id, "last")
        expected = float(made.logits.max(axis=1).mean())
        assert record.epochs[-1].metrics["sureness:sureness"] == expected
    assert "sureness" in done.stdout


def test_direction_of_an_own_metric_is_one_of_two():
    with pytest.raises(
        ConfigError, match=r"unknown direction of a metric 'up' \(valid: max, min\)"
    ):
        metric("mine", direction="up")
