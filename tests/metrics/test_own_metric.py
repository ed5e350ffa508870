"""A metric is one entry: added to `METRICS`, it is trained by, stored, verified and reported."""

import dataclasses
import io
import json

import numpy as np
import pytest
import torch

from orchestrator.design.factors import Arm, Contrast
from orchestrator.design.plan import Plan
from orchestrator.execution.trial import TrialRun
from orchestrator.metrics import METRICS, Direction, Metric
from orchestrator.metrics.catalog import selection_key
from orchestrator.metrics.chance import Chance
from orchestrator.records import TrialRecord
from orchestrator.report.__main__ import main
from orchestrator.store.verification import verify_stored
from orchestrator.tracking.sweep_views import arm_numbers
from tests import tiny

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
    numbers = arm_numbers(plan, "base", "base", records)
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
