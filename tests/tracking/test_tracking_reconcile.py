"""A server shows what the store holds: nested, once, and the same after a second time."""

import json
import re
from dataclasses import replace

import pytest
from tracking_cases import (
    make_plan,
    make_record,
    of_kind,
    snapshot,
    trial_id,
    write_all,
    write_predictions,
)

from orchestrator.analysis.summary import summarize
from orchestrator.errors import TrackingError
from orchestrator.records import EpochRecord, Status
from orchestrator.stats import mean_interval
from orchestrator.tracking.mlflow_server import Server
from orchestrator.tracking.places import default_uri
from orchestrator.tracking.sweep_views import drafts
from orchestrator.tracking.tracker import Tracker


def test_reconcile_nests_sweep_arms_and_replicates(store):
    from mlflow.tracking.client import MlflowClient

    plan = make_plan()
    records = write_all(store, plan)
    uri = default_uri(store)
    result = Tracker(uri, store=store).reconcile(plan, records, final=True)
    assert (result.uploaded, result.unchanged, result.failed) == (1 + 2 + 6, 0, 0)

    shown = snapshot(uri, "lambda")
    assert len(shown) == 9 and all(run["status"] == "FINISHED" for run in shown.values())
    (sweep,) = of_kind(shown, "sweep").values()
    note = sweep["tags"]["mlflow.note.content"]
    assert "Does the adaptor help?" in note
    assert "**more − base: not distinguishable**" in note and "p 0.5, n 3" in note
    experiment = MlflowClient(uri).get_experiment_by_name("lambda")
    assert experiment is not None and experiment.tags["mlflow.note.content"] == note
    page = f"#/experiments/{experiment.experiment_id}/runs/{sweep['id']}"
    assert f"[Report]({page}/artifacts/report/report.html)" in note
    arms = of_kind(shown, "arm")
    assert arms.keys() == {"base", "more"}
    for arm in arms.values():
        assert arm["tags"]["mlflow.parentRunId"] == sweep["id"]
    assert arms["more"]["params"]["strength"] == "1"
    assert arms["more"]["params"]["transform.strength"] == "0.1"
    assert arms["more"]["params"]["model"] == "datar_tiny"

    top1 = {s: records[trial_id("more", s)].epochs[-1].metrics["val/top1"] for s in (0, 1, 2)}
    base = {s: records[trial_id("base", s)].epochs[-1].metrics["val/top1"] for s in (0, 1, 2)}
    interval = mean_interval(top1.values())
    metrics = arms["more"]["metrics"]
    assert metrics["val/top1/mean"] == pytest.approx(interval.mean)
    assert metrics["val/top1/low"] == pytest.approx(interval.low)
    assert metrics["val/top1/high"] == pytest.approx(interval.high)
    assert metrics["val/top1/n"] == 3
    gap = sum(top1[s] - base[s] for s in (0, 1, 2)) / 3
    assert metrics["val/top1/difference"] == pytest.approx(gap)
    assert "val/top1/difference" not in arms["base"]["metrics"]
    (contrast,) = summarize(plan, records).contrasts
    assert contrast.difference is not None
    assert metrics["val/top1/p"] == contrast.difference.p_value == 0.5
    more = arms["more"]
    assert more["tags"]["orchestrator.verdict"] == "not distinguishable"
    assert more["tags"]["orchestrator.replicates"] == "3 of 3"
    assert "more − base: not distinguishable" in more["tags"]["mlflow.note.content"]
    assert more["params"]["whole_chain.macs"] == "1000000000"
    assert not {"replicates/planned", "cost/macs"} & metrics.keys()
    # MLflow's comparison opens on the metric that was stored first.
    assert next(iter(metrics)) == "val/top1/mean"
    curve = more["history"]
    assert [point[0] for point in curve["val/top1"]] == [1, 2, 3]
    assert curve["val/top1"][-1][2] == pytest.approx(interval.mean)
    assert curve["val/top1/epoch_low"][-1][2] == pytest.approx(interval.low)

    replicates = of_kind(shown, "replicate")
    assert len(replicates) == 6
    one = replicates["more · seed 1 · fold 1"]
    assert one["tags"]["mlflow.parentRunId"] == arms["more"]["id"]
    assert one["tags"]["orchestrator.trial_id"] == trial_id("more", 1)
    assert one["tags"]["mlflow.source.git.commit"] == "0123456789ab"
    assert one["params"]["model.depths"] == "[2, 2]" and one["params"]["seed"] == "1"
    assert [point[0] for point in one["history"]["val/top1"]] == [1, 2, 3]
    assert one["inputs"] == [("esc", "ab" * 18, [("mlflow.data.context", "training")])]
    assert one["metrics"]["cost/macs"] == 1e9 and one["metrics"]["final/val/top1"] == top1[1]
    assert one["end"] - one["start"] == 50 * 60 * 1000
    first = one["history"]["val/top1"][0]
    assert first[1] - one["start"] == 60_000, "an epoch is dated when it ended"
    assert (store.local_path / "mlartifacts" / sweep["id"] / "artifacts" / "plan.json").is_file()


def test_arm_of_a_dose_series_without_the_dose_has_it_as_a_number():
    plan = replace(make_plan(), dose="transform.strength", settings={"model": "datar_tiny"})
    none = replace(plan.arms[0], levels={"transform.strength": "no adaptor"})
    plan = replace(plan, arms=(none, *plan.arms[1:]))
    views = [draft.build() for draft in drafts(plan, {}, store="s", final=True)]
    assert [view.params.get("transform.strength") for view in views] == [None, "0", "0.1"]


def test_arms_of_an_older_version_are_replaced_and_keep_their_replicates(store):
    from mlflow.tracking.client import MlflowClient

    plan = make_plan(arms=("base",), seeds=(0,))
    records, uri = write_all(store, plan), default_uri(store)
    Tracker(uri, store=store).reconcile(plan, records, final=True)
    (old,) = of_kind(snapshot(uri, "lambda"), "arm").values()
    state = json.loads(old["tags"]["orchestrator.uploaded"])
    del state["format"]
    client = MlflowClient(uri)
    client.set_tag(old["id"], "orchestrator.uploaded", json.dumps({**state, "digest": "old"}))
    client.log_metric(old["id"], "replicates/planned", 1)
    Tracker(uri, store=store).reconcile(plan, records, final=True)
    shown = snapshot(uri, "lambda")
    (arm,) = of_kind(shown, "arm").values()
    (replicate,) = of_kind(shown, "replicate").values()
    assert arm["id"] != old["id"] and "replicates/planned" not in arm["metrics"]
    assert replicate["tags"]["mlflow.parentRunId"] == arm["id"]


def test_reconcile_twice_changes_nothing(store):
    plan = make_plan()
    records = write_all(store, plan)
    uri = default_uri(store)
    Tracker(uri, store=store).reconcile(plan, records, final=True)
    before = snapshot(uri, "lambda")
    again = Tracker(uri, store=store)
    for _ in range(2):
        result = again.reconcile(plan, store.read_records(records), final=True)
        assert (result.uploaded, result.unchanged, result.failed) == (0, 9, 0)
    assert snapshot(uri, "lambda") == before


def test_reconcile_uploads_only_new_epochs_and_new_trials(store):
    plan = make_plan(seeds=(0, 1))
    uri = default_uri(store)
    tracker = Tracker(uri, store=store)
    first = trial_id("base", 0)
    records = {first: make_record(first, epochs=1, status=Status.RUNNING)}
    assert tracker.reconcile(plan, records, final=False).uploaded == 4
    records[first] = make_record(first, epochs=2, status=Status.RUNNING)
    # Another process goes on: what is known comes from the server alone.
    tracker = Tracker(uri, store=store)
    assert tracker.reconcile(plan, records, final=False).uploaded == 1
    (live,) = of_kind(snapshot(uri, "lambda"), "replicate").values()
    assert live["status"] == "RUNNING"
    assert [point[0] for point in live["history"]["val/top1"]] == [1, 2]
    records = write_all(store, plan)
    tracker.reconcile(plan, records, final=True)
    shown = snapshot(uri, "lambda")
    done = of_kind(shown, "replicate")
    assert len(done) == 4 and len(shown) == 7
    same = done["base · seed 0 · fold 1"]
    assert same["id"] == live["id"] and same["status"] == "FINISHED"
    assert [point[0] for point in same["history"]["val/top1"]] == [1, 2, 3]


def test_reconcile_failed_then_finished_updates_the_same_run(store):
    plan = make_plan(arms=("base",), seeds=(0,))
    (trial,) = {one.id for one in plan.trials}
    uri = default_uri(store)
    tracker = Tracker(uri, store=store)
    failed = make_record(trial, epochs=2, status=Status.FAILED)
    tracker.reconcile(plan, {trial: failed}, final=True)
    (before,) = of_kind(snapshot(uri, "lambda"), "replicate").values()
    assert before["status"] == "FAILED"
    assert before["tags"]["orchestrator.error"] == "TrainingError: the loss is not finite"
    text = store.local_path / "mlartifacts" / before["id"] / "artifacts" / "error-attempt-1.txt"
    assert text.read_text() == failed.error
    (sweep,) = of_kind(snapshot(uri, "lambda"), "sweep").values()
    assert sweep["status"] == "FAILED"

    second = replace(failed.cost, attempts=2)
    # The resumed trial repeats epoch 2 from its checkpoint, which was of epoch 1.
    for epochs, status in ((1, Status.RUNNING), (2, Status.RUNNING), (3, Status.FINISHED)):
        record = replace(make_record(trial, epochs=epochs, status=status), cost=second)
        tracker.reconcile(plan, {trial: record}, final=status is Status.FINISHED)
    shown = snapshot(uri, "lambda")
    (after,) = of_kind(shown, "replicate").values()
    assert after["id"] == before["id"] and len(shown) == 3
    assert after["status"] == "FINISHED" and "orchestrator.error" not in after["tags"]
    assert [point[0] for point in after["history"]["val/top1"]] == [1, 2, 3]
    assert after["metrics"]["cost/attempts"] == 2


def test_reconcile_retrained_with_other_numbers_replaces_the_run(store):
    plan = make_plan(arms=("base",), seeds=(0,))
    (trial,) = {one.id for one in plan.trials}
    uri = default_uri(store)
    record = make_record(trial)
    Tracker(uri, store=store).reconcile(plan, {trial: record}, final=True)
    epochs = (EpochRecord(epoch=1, metrics={"val/top1": 0.9, "time/epoch_s": 1.0}),)
    other = replace(record, epochs=epochs, best_epoch=1)
    Tracker(uri, store=store).reconcile(plan, {trial: other}, final=True)
    (shown,) = of_kind(snapshot(uri, "lambda"), "replicate").values()
    assert [point[2] for point in shown["history"]["val/top1"]] == [0.9]


def test_reconcile_two_sweeps_show_a_shared_trial_in_both(store):
    one, two = make_plan("one"), make_plan("two", arms=("base", "other"))
    records = {**write_all(store, one), **write_all(store, two)}
    uri = default_uri(store)
    tracker = Tracker(uri, store=store)
    for plan in (one, two):
        assert tracker.reconcile(plan, records, final=True).uploaded == 9
    for sweep in ("one", "two"):
        ids = {
            run["tags"]["orchestrator.trial_id"]
            for run in of_kind(snapshot(uri, sweep), "replicate").values()
        }
        assert trial_id("base", 0) in ids and len(ids) == 6


def test_reconcile_one_trial_in_two_arms_is_shown_under_each(store):
    plan = make_plan(arms=("base", "dose 0"), seeds=(0,))
    trials = tuple(replace(trial, id=trial_id("base", 0)) for trial in plan.trials)
    plan = replace(plan, trials=trials)
    records = {trials[0].id: make_record(trials[0].id)}
    uri = default_uri(store)
    for _ in range(2):
        Tracker(uri, store=store).reconcile(plan, records, final=True)
    shown = of_kind(snapshot(uri, "lambda"), "replicate")
    assert shown.keys() == {"base · seed 0 · fold 1", "dose 0 · seed 0 · fold 1"}


def test_reconcile_changed_plan_renews_arms_and_keeps_replicates(store):
    plan = make_plan(arms=("base", "more", "most"))
    records = write_all(store, plan)
    uri = default_uri(store)
    Tracker(uri, store=store).reconcile(plan, records, final=True)
    before = of_kind(snapshot(uri, "lambda"), "replicate")
    fewer = make_plan(arms=("base", "more"))
    changed = replace(fewer, settings={**plan.settings, "epochs": 9})
    tracker = Tracker(uri, store=store)
    tracker.reconcile(changed, records, final=True)
    shown = snapshot(uri, "lambda")
    arms, after = of_kind(shown, "arm"), of_kind(shown, "replicate")
    assert arms["more"]["params"]["epochs"] == "9"
    assert {run["id"] for run in after.values()} == {run["id"] for run in before.values()}
    more = after["more · seed 0 · fold 1"]
    assert more["tags"]["mlflow.parentRunId"] == arms["more"]["id"]
    assert arms["most"]["tags"]["orchestrator.in_plan"] == "no"
    tracker.reconcile(plan, records, final=True)
    again = of_kind(snapshot(uri, "lambda"), "arm")
    assert {run["tags"]["orchestrator.in_plan"] for run in again.values()} == {"yes"}


def test_reconcile_after_a_crash_adopts_half_made_runs_and_removes_duplicates(store):
    from mlflow.entities import Metric
    from mlflow.tracking.client import MlflowClient

    plan = make_plan(arms=("base",), seeds=(0,))
    (trial,) = {one.id for one in plan.trials}
    records = {trial: make_record(trial)}
    uri = default_uri(store)
    client = MlflowClient(uri)
    experiment = client.create_experiment("lambda", str(store.local_path / "mlartifacts"))
    tags = {
        "orchestrator.kind": "replicate",
        "orchestrator.arm": "base",
        "orchestrator.trial_id": trial,
    }
    half, twin = (client.create_run(experiment, time, tags).info.run_id for time in (1, 2))
    start = 1767226200000
    client.log_batch(half, [Metric("val/top1", 0.2 + 0.1, start + 60_000, 1)])
    mine = client.create_run(experiment, tags={"by": "hand"}).info.run_id
    Tracker(uri, store=store).reconcile(plan, records, final=True)
    shown = snapshot(uri, "lambda")
    (replicate,) = of_kind(shown, "replicate").values()
    assert replicate["id"] == half and shown[twin]["stage"] == "deleted"
    assert shown[mine]["stage"] == "active" and shown[mine]["tags"]["by"] == "hand"
    top1 = records[trial].epochs[0].metrics["val/top1"]
    steps = [point[0] for point in replicate["history"]["val/top1"] if point[2] == top1]
    assert steps == [1], "a point that is sent twice is shown once"


def test_reconcile_long_runs_and_odd_values_stay_within_the_limits(store):
    plan = make_plan(arms=("base",), seeds=(0,))
    (trial,) = {one.id for one in plan.trials}
    metrics = {f"val/class {i}": i / 7 for i in range(20)} | {"val/ä//odd!": float("nan")}
    record = replace(
        make_record(trial),
        experiment={**{f"setting{i}": i for i in range(230)}, "long": "x" * 9000},
        epochs=tuple(EpochRecord(epoch=i + 1, metrics=metrics) for i in range(120)),
        best_epoch=1,
        provenance={f"package{i}": "1.0" for i in range(150)} | {"all": "y" * 9000},
    )
    uri = default_uri(store)
    result = Tracker(uri, store=store).reconcile(plan, {trial: record}, final=True)
    assert result.failed == 0, result.message
    (shown,) = of_kind(snapshot(uri, "lambda"), "replicate").values()
    assert len(shown["params"]) == 231 and len(shown["params"]["long"]) == 6000
    assert len(shown["history"]["val/class 3"]) == 120
    assert sum(key.startswith("provenance.") for key in shown["tags"]) == 151


def test_reconcile_interrupted_sweep_is_shown_as_killed_and_goes_on(store):
    plan = make_plan()
    records = write_all(store, plan)
    some = dict(list(records.items())[:4])
    uri = default_uri(store)
    Tracker(uri, store=store).reconcile(plan, some, final=True)
    (sweep,) = of_kind(snapshot(uri, "lambda"), "sweep").values()
    assert sweep["status"] == "KILLED" and sweep["metrics"]["replicates/finished"] == 4
    Tracker(uri, store=store).reconcile(plan, records, final=True)
    (again,) = of_kind(snapshot(uri, "lambda"), "sweep").values()
    assert again["id"] == sweep["id"] and again["status"] == "FINISHED"
    assert again["metrics"]["replicates/finished"] == 6


def test_report_files_are_uploaded_only_when_changed(store, tmp_path):
    plan = make_plan(arms=("base",), seeds=(0,))
    uri = default_uri(store)
    tracker = Tracker(uri, store=store)
    page, table = tmp_path / "report.html", tmp_path / "table.tex"
    page.write_text("one")
    table.write_text("t")
    with pytest.raises(TrackingError, match="not on"):
        tracker.log_report(plan, [page])
    tracker.reconcile(plan, {}, final=False)
    assert tracker.log_report(plan, [page, table]) == 2
    page.write_text("two")
    assert Tracker(uri, store=store).log_report(plan, [page, table]) == 1
    tracker.reconcile(plan, write_all(store, plan), final=True)
    assert Tracker(uri, store=store).log_report(plan, [page, table]) == 0
    (found,) = store.local_path.glob("mlartifacts/*/artifacts/report/report.html")
    assert found.read_text() == "two"


class Crash(BaseException):
    """Stands for SIGKILL: nothing catches it."""


WRITES = (
    *("create_run", "log", "log_dataset", "log_text", "log_file", "set_status", "describe"),
    *("delete_run", "delete_tag"),
)


def crash_after(monkeypatch, count: int) -> list[str]:
    """Let some write of the process be its last; returns the writes that it made."""
    made: list[str] = []

    def crashing(name: str):
        real = getattr(Server, name)

        def write(*arguments, **kwargs):
            result = real(*arguments, **kwargs)
            made.append(name)
            if len(made) == count:
                raise Crash
            return result

        return write

    for name in WRITES:
        monkeypatch.setattr(Server, name, crashing(name))
    return made


def without_ids(shown: dict, sweep: str) -> list:
    """What is shown, with names for ids and without the sweep's own name."""
    names = {run_id: run["name"].replace(sweep, "SWEEP") for run_id, run in shown.items()}
    runs = []
    for run in shown.values():
        tags = {
            key: re.sub(r"#/experiments/\d+/runs/\w+", "PAGE", names.get(value, value)).replace(
                sweep, "SWEEP"
            )
            for key, value in run["tags"].items()
            if key != "orchestrator.uploaded"  # covers the parent's id
        }
        curves = {key: run["history"].get(key) for key in ("val/top1", "val/loss")}
        kept = {key: run[key] for key in ("stage", "status", "params", "inputs", "metrics")}
        runs.append({**kept, "tags": tags, "curves": curves})
    return sorted(runs, key=lambda run: run["tags"]["orchestrator.kind"])


def test_reconcile_killed_at_any_request_ends_in_the_same_view(store, monkeypatch):
    uri = default_uri(store)
    trials = make_plan(arms=("base",), seeds=(0,)).trials
    failed = {t.id: make_record(t.id, epochs=2, status=Status.FAILED) for t in trials}
    done = {t.id: make_record(t.id) for t in trials}
    done = {trial: write_predictions(store, record) for trial, record in done.items()}

    def launch(sweep: str, crash: int) -> int:
        plan = make_plan(sweep, arms=("base",), seeds=(0,))
        with monkeypatch.context() as patch:
            made = crash_after(patch, crash)
            for records in (failed, done):
                try:
                    Tracker(uri, store=store).reconcile(plan, records, final=True)
                except Crash:
                    continue
        Tracker(uri, store=store).reconcile(plan, done, final=True)
        return len(made)

    requests = launch("undisturbed", 0)
    assert requests > 15
    wanted = without_ids(snapshot(uri, "undisturbed"), "undisturbed")
    for number in range(1, requests + 1):
        sweep = f"crash {number}"
        launch(sweep, number)
        assert without_ids(snapshot(uri, sweep), sweep) == wanted
