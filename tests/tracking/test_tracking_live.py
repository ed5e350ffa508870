"""The thread beside a sweep, the note that all is shown, and the choice of an address."""

import re
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from tracking_cases import make_plan, make_record, of_kind, snapshot, write_all

from orchestrator.errors import ConfigError, TrackingError
from orchestrator.records import Status
from orchestrator.store import Store
from orchestrator.tracking.live import LiveSync
from orchestrator.tracking.places import default_uri, is_synced, resolve_uri
from orchestrator.tracking.tracker import Tracker


def wait_for(condition, timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition was not met in time"
        time.sleep(0.05)


def test_live_sync_shows_epochs_as_they_come_and_notes_the_end(store):
    plan = make_plan(arms=("base",), seeds=(0,))
    (trial,) = {one.id for one in plan.trials}
    store.write_plan(plan)
    uri = default_uri(store)
    live = LiveSync(plan, store=store, tracking_uri=uri, every_s=0.05).start()
    for epochs in (1, 2):
        before = live.result
        store.write_record(make_record(trial, epochs=epochs, status=Status.RUNNING))
        wait_for(lambda before=before: live.result is not before and live.result.uploaded)
        (run,) = of_kind(snapshot(uri, plan.sweep), "replicate").values()
        assert run["status"] == "RUNNING" and len(run["history"]["val/top1"]) == epochs
    assert not is_synced(plan, store=store, tracking_uri=uri)
    store.write_record(make_record(trial))
    result = live.stop(final=True)
    assert result is not None and live.problem == ""
    (run,) = of_kind(snapshot(uri, plan.sweep), "replicate").values()
    assert run["status"] == "FINISHED" and len(run["history"]["val/top1"]) == 3
    assert is_synced(plan, store=store, tracking_uri=uri)


def test_second_identical_launch_does_not_import_mlflow(store):
    plan = make_plan()
    write_all(store, plan)
    uri = default_uri(store)
    LiveSync(plan, store=store, tracking_uri=uri).start().stop()
    code = (
        "import sys\n"
        "from orchestrator.store import Store\n"
        "from orchestrator.tracking.live import LiveSync\n"
        "store = Store.open(sys.argv[1])\n"
        "plan = store.read_plan('lambda')\n"
        "live = LiveSync(plan, store=store, tracking_uri=sys.argv[2], every_s=0.05).start()\n"
        "assert live.stop().message == 'lambda: shown already', live.problem\n"
        "assert 'mlflow' not in sys.modules"
    )
    command = [sys.executable, "-c", code, store.uri, uri]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_is_synced_notices_new_records_new_plans_and_a_lost_database(store):
    plan = make_plan(arms=("base",), seeds=(0,))
    records = write_all(store, plan)
    uri = default_uri(store)
    live = LiveSync(plan, store=store, tracking_uri=uri).start()
    live.stop()
    stored = store.read_plan(plan.sweep)
    assert is_synced(stored, store=store, tracking_uri=uri)
    assert is_synced(replace(stored, declared_at="later"), store=store, tracking_uri=uri)
    assert not is_synced(stored, store=store, tracking_uri="http://elsewhere")
    assert not is_synced(replace(stored, question="?"), store=store, tracking_uri=uri)
    (record,) = records.values()
    store.write_record(replace(record, best_epoch=1))
    assert not is_synced(stored, store=store, tracking_uri=uri)
    LiveSync(plan, store=store, tracking_uri=uri).start().stop()
    assert is_synced(stored, store=store, tracking_uri=uri)
    (store.local_path / "mlflow.db").unlink()
    assert not is_synced(stored, store=store, tracking_uri=uri)


def test_live_sync_never_raises_into_the_sweep(store):
    plan = make_plan(arms=("base",), seeds=(0,))
    store.write_plan(plan)
    store.files.write(f"trials/{plan.trials[0].id}/record.json", b"{")
    live = LiveSync(plan, store=store, tracking_uri=default_uri(store)).start()
    assert live.stop() is None
    assert "record.json cannot be read" in live.problem


def test_live_sync_stopped_early_says_how_to_finish(store, monkeypatch):
    plan = make_plan()
    write_all(store, plan)
    monkeypatch.setattr(Tracker, "reconcile", lambda *_, **__: time.sleep(1))
    live = LiveSync(plan, store=store, tracking_uri=default_uri(store)).start()
    assert live.stop(timeout_s=0.1) is None
    assert "python -m orchestrator.sync lambda" in live.problem


def test_reconcile_of_unchanged_records_does_not_ask_the_server(store, monkeypatch):
    plan = make_plan()
    records = write_all(store, plan)
    tracker = Tracker(default_uri(store), store=store)
    tracker.reconcile(plan, records, final=False)
    monkeypatch.setattr(tracker, "_connect", lambda: pytest.fail("the server was asked"))
    assert tracker.reconcile(plan, records, final=False).unchanged == 9


def test_uri_of_the_flag_goes_before_the_environment_and_the_store(store):
    environment = {"MLFLOW_TRACKING_URI": "http://environment:5000"}
    assert resolve_uri("http://flag:1", environment, store) == "http://flag:1"
    assert resolve_uri("", environment, store) == "http://environment:5000"
    assert resolve_uri("", {}, store) == f"sqlite:///{store.local_path}/mlflow.db"
    with pytest.raises(ConfigError, match="write 'http://host:5000'"):
        resolve_uri("host:5000", {}, store)


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("http://", "names no host"),
        ("http://:5000", "names no host"),
        ("http://host:port", "names no host, or no port"),
        ("http://host:70000", "no port from 1 to 65535"),
        ("http://[::1:5000", "names no host"),
        ("https://a host:5000", "'https://HOST:PORT'"),
        ("sqlite://mlflow.db", "'sqlite:///FILE'"),
        ("sqlite:///", "names no file"),
        ("sqlite:///:memory:", "names no file"),
    ],
)
def test_uri_that_is_malformed_is_refused_with_the_right_form(uri, words, store):
    with pytest.raises(ConfigError, match=re.escape(words)):
        resolve_uri(uri, {}, store)


@pytest.mark.parametrize("uri", ["http://host", "https://me:secret@[::1]:5000/base", "databricks"])
def test_uri_of_a_server_is_taken_as_it_is(uri, store):
    assert resolve_uri(uri, {}, store) == uri


def test_remote_store_without_an_address_asks_for_one():
    store = Store.open("memory://tracking/store")
    assert default_uri(store) == ""
    with pytest.raises(TrackingError, match="--tracking-uri"):
        Tracker("", store=store).reconcile(make_plan(), {}, final=True)
