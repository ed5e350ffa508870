"""A real server that is killed, restarted, silent or absent costs nothing but freshness."""

import os
import socket
import subprocess
import sys
import time

import pytest
from tracking_cases import make_plan, make_record, of_kind, snapshot, write_all

from orchestrator import sync
from orchestrator.errors import TrackingError
from orchestrator.records import Status
from orchestrator.tracking.live import LiveSync
from orchestrator.tracking.places import default_uri, is_synced
from orchestrator.tracking.tracker import Tracker

SETTINGS = ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT")


def wait_for(condition, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition was not met in time"
        time.sleep(0.05)


def test_server_killed_in_the_middle_then_restarted_gets_the_backlog_once(server, store):
    plan = make_plan("outage")
    store.write_plan(plan)
    first, *rest = plan.trials
    store.write_record(make_record(first.id, epochs=1, status=Status.RUNNING))
    live = LiveSync(plan, store=store, tracking_uri=server.uri, every_s=0.1).start()
    try:
        wait_for(lambda: live.result is not None)
        server.kill()
        store.write_record(make_record(first.id))
        for trial in rest[:3]:
            store.write_record(make_record(trial.id))
        wait_for(lambda: "wait in the store" in live.problem)
        assert "python -m orchestrator.sync outage" in live.problem
        server.start()
        for trial in rest[3:]:
            store.write_record(make_record(trial.id))
    finally:
        result = live.stop(final=True, timeout_s=120)
    assert live.problem == "" and result is not None and result.failed == 0
    shown = snapshot(server.uri, "outage")
    assert len(of_kind(shown, "replicate")) == 6 and len(shown) == 9
    for run in of_kind(shown, "replicate").values():
        assert run["status"] == "FINISHED"
        assert [point[0] for point in run["history"]["val/top1"]] == [1, 2, 3]
    again = Tracker(server.uri, store=store)
    result = again.reconcile(plan, store.read_records(t.id for t in plan.trials), final=True)
    assert (result.uploaded, result.unchanged) == (0, 9)
    assert snapshot(server.uri, "outage") == shown


def test_server_serves_errors_reports_and_plan_as_artifacts(server, store, tmp_path, capfd):
    from mlflow.tracking.client import MlflowClient

    plan = make_plan("artifacts", arms=("base",), seeds=(0,))
    records = write_all(store, plan, status=Status.FAILED)
    tracker = Tracker(server.uri, store=store)
    tracker.reconcile(plan, records, final=True)
    assert capfd.readouterr() == ("", ""), "the terminal is the sweep's"
    report = tmp_path / "report.html"
    report.write_text("<p>report</p>")
    assert tracker.log_report(plan, [report]) == 1
    shown = snapshot(server.uri, "artifacts")
    client = MlflowClient(server.uri)
    (sweep,) = of_kind(shown, "sweep").values()
    (failed,) = of_kind(shown, "replicate").values()
    names = {one.path for one in client.list_artifacts(sweep["id"])}
    assert names == {"plan.json", "report"}
    names = {one.path for one in client.list_artifacts(failed["id"])}
    assert names == {"error-attempt-1.txt", "record.json"}


def test_server_refusing_connections_is_said_at_once_and_settings_stay(store, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv(SETTINGS[0], "1")
    monkeypatch.delenv(SETTINGS[1], raising=False)
    plan = make_plan()
    records = write_all(store, plan)
    started = time.monotonic()
    with pytest.raises(TrackingError) as caught:
        Tracker(uri, store=store).reconcile(plan, records, final=True)
    assert time.monotonic() - started < 12
    message = str(caught.value)
    assert "connection refused" in message and "\n" not in message
    assert "Nothing is lost: 9 of 9 runs wait in the store" in message
    assert os.environ[SETTINGS[0]] == "1" and SETTINGS[1] not in os.environ


def test_server_that_never_answers_is_given_up_soon(store):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(16)
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        plan = make_plan()
        started = time.monotonic()
        with pytest.raises(TrackingError, match="no answer in time"):
            Tracker(uri, store=store).reconcile(plan, {}, final=True)
        assert time.monotonic() - started < 12


@pytest.fixture
def read_only(tmp_path, empty_database):
    """A folder on a file system that cannot be written, with a database in it."""
    folder = tmp_path / "read-only"
    folder.mkdir()
    mounts = [
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)],
        ["mount", "-o", "remount,ro", str(folder)],
    ]
    if subprocess.run(mounts[0], capture_output=True).returncode:
        pytest.skip("mounting a file system needs root")
    try:
        (folder / "mlflow.db").write_bytes(empty_database.read_bytes())
        subprocess.run(mounts[1], check=True)
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_database_on_a_read_only_disk_is_given_up_at_once(read_only, store):
    assert_given_up(f"sqlite:///{read_only}/mlflow.db", "readonly database", store)
    assert_given_up(f"sqlite:///{read_only}/other.db", "unable to open database file", store)
    assert_given_up(f"sqlite:///{read_only}/sub/other.db", "Read-only file system", store)


def test_database_that_is_none_is_given_up_at_once(tmp_path, store):
    (tmp_path / "text.db").write_text("no database " * 100)
    assert_given_up(f"sqlite:///{tmp_path}/text.db", "file is not a database", store)
    assert_given_up(f"sqlite:///{tmp_path}", "unable to open database file", store)


def assert_given_up(uri, words, store):
    started = time.monotonic()
    with pytest.raises(TrackingError, match=words) as caught:
        Tracker(uri, store=store).reconcile(make_plan(), {}, final=True)
    assert time.monotonic() - started < 10
    assert "Nothing is lost" in str(caught.value)


def test_sync_command_against_nobody_exits_1_without_a_traceback(store, capsys):
    write_all(store, make_plan())
    arguments = ["--store", store.uri, "--tracking-uri", "http://127.0.0.1:9"]
    assert sync.main(arguments) == 1
    said = capsys.readouterr()
    assert "wait in the store" in said.err and "Traceback" not in said.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing", "--store", "{store}"], "did you mean"),
        (["--store", "{store}/absent"], "there is no store"),
        (["--store", "{store}", "--tracking-uri", "localhost:5000"], "http://localhost:5000"),
        (["--store", "{store}", "--tracking-uri", "mlruns"], "sqlite:///"),
    ],
)
def test_sync_command_users_mistake_exits_2(arguments, said, store, capsys):
    store.write_plan(make_plan("nothin"))
    assert sync.main([argument.format(store=store.uri) for argument in arguments]) == 2
    assert said in capsys.readouterr().err


def test_sync_command_uploads_every_sweep_to_the_default_place(store, capsys, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for name in ("one", "two"):
        write_all(store, make_plan(name, seeds=(0,)))
    assert sync.main(["--store", store.uri]) == 0
    assert capsys.readouterr().out.count("5 runs uploaded, 0 unchanged") == 2
    assert sync.main(["two", "--store", store.uri]) == 0
    assert "0 runs uploaded, 5 unchanged" in capsys.readouterr().out
    uri = default_uri(store)
    assert is_synced(make_plan("one", seeds=(0,)), store=store, tracking_uri=uri)


def test_sync_command_help_answers_without_importing_what_is_slow():
    code = (
        "import sys; from orchestrator import sync\n"
        "try: sync.main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'mlflow', 'torch', 'pyarrow', 'numpy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--tracking-uri" in done.stdout
