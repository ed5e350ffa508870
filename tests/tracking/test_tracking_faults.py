"""A real server behind a bad line: whatever goes wrong, each trial is shown once in the end."""

import http.client
import multiprocessing
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tracking_cases import make_plan, make_record, of_kind, snapshot, write_all

from orchestrator.errors import TrackingError
from orchestrator.store import Store
from orchestrator.tracking.live import LiveSync
from orchestrator.tracking.tracker import Tracker

pytestmark = pytest.mark.slow


class Line(ThreadingHTTPServer):
    """Passes requests on to a server, and spoils some of those that write.

    Attributes:
        fault: A status to answer with, seconds to wait, or "lost" for answers that never arrive.
        every: Spoil one request that writes in so many; 0 spoils none.
        spoiled: Number of spoiled requests.
    """

    def __init__(self, port: int, fault, every: int):
        super().__init__(("127.0.0.1", 0), _Request)
        self.port, self.fault, self.every = port, fault, every
        self.spoiled = self.written = 0
        self.uri = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Request(BaseHTTPRequestHandler):
    server: Line

    def _pass_on(self) -> None:
        line = self.server
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        line.written += self.command != "GET" and "search" not in self.path
        spoil = self.command != "GET" and line.every and line.written % line.every == 0
        line.spoiled += bool(spoil)
        if spoil and isinstance(line.fault, int):
            self.send_response(line.fault)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if spoil and isinstance(line.fault, float):
            time.sleep(line.fault)
        there = http.client.HTTPConnection("127.0.0.1", line.port, timeout=60)
        there.request(self.command, self.path, body, dict(self.headers))
        answer = there.getresponse()
        content = answer.read()
        if spoil and line.fault == "lost":
            self.connection.close()
            return
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.headers.get("Content-Type", "text/plain"))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on

    def log_message(self, *args) -> None:
        """Say nothing."""


def assert_shown_once(uri: str, plan) -> None:
    shown = snapshot(uri, plan.sweep)
    runs = [run for run in shown.values() if run["stage"] == "active"]
    trials = [run["tags"].get("orchestrator.trial_id") for run in runs]
    assert sorted(filter(None, trials)) == sorted(trial.id for trial in plan.trials)
    for run in of_kind(shown, "replicate").values():
        assert run["status"] == "FINISHED"
        assert [step for step, _, _ in run["history"]["val/top1"]] == [1, 2, 3]


@pytest.mark.parametrize("fault", [500, 429, 1.0, "lost"])
def test_every_third_request_that_goes_wrong_changes_nothing_in_the_end(fault, server, store):
    plan = make_plan(f"line-{fault}", arms=("base",), seeds=(0, 1))
    write_all(store, plan)
    line = Line(server.port, fault, every=3)
    try:
        live = LiveSync(plan, store=store, tracking_uri=line.uri, every_s=0.05).start()
        started = time.monotonic()
        live.stop(final=False, timeout_s=0)  # the sweep itself never waits for it
        assert time.monotonic() - started < 2
        for more in range(12):
            line.every = 3 + more  # the line gets better
            try:
                records = store.read_records(trial.id for trial in plan.trials)
                result = Tracker(line.uri, store=store).reconcile(plan, records, final=True)
            except TrackingError as error:
                assert "Nothing is lost" in str(error)
                continue
            if not result.failed and not result.uploaded:
                break
    finally:
        line.shutdown()
        line.server_close()
    assert line.spoiled
    assert_shown_once(server.uri, plan)


def test_server_that_is_too_slow_is_left_in_time_and_what_waits_is_said(server, store):
    plan = make_plan("slow", arms=("base",), seeds=(0, 1))
    records = write_all(store, plan)
    line = Line(server.port, 0.5, every=1)
    tracker = Tracker(line.uri, store=store)
    tracker.finish_within(4)
    started = time.monotonic()
    with pytest.raises(TrackingError, match=r"is too slow .* Nothing is lost: \d of 4 runs wait"):
        tracker.reconcile(plan, records, final=True)
    assert time.monotonic() - started < 10
    line.shutdown()
    line.server_close()
    assert Tracker(server.uri, store=store).reconcile(plan, records, final=True).uploaded
    assert_shown_once(server.uri, plan)


def reconcile(uri: str, place: str) -> None:
    store = Store.open(place)
    plan = store.require_plan("both")
    records = store.read_records(trial.id for trial in plan.trials)
    Tracker(uri, store=store).reconcile(plan, records, final=True)


def test_two_reconcilers_at_once_show_each_trial_once(server, store):
    plan = make_plan("both", arms=("base",), seeds=(0, 1, 2))
    write_all(store, plan)
    spawn = multiprocessing.get_context("spawn")
    both = [spawn.Process(target=reconcile, args=(server.uri, store.uri)) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join(120)
    assert [one.exitcode for one in both] == [0, 0]
    assert_shown_once(server.uri, plan)


def test_server_that_comes_back_empty_is_filled_again(server, store, empty_database):
    plan = make_plan("emptied", arms=("base",), seeds=(0, 1))
    store.write_plan(plan)
    first = plan.trials[0].id
    tracker = Tracker(server.uri, store=store)
    tracker.reconcile(plan, {first: make_record(first, epochs=2)}, final=False)
    server.kill()
    (server.folder / "server.db").write_bytes(empty_database.read_bytes())
    server.start()
    records = write_all(store, plan)
    for _ in range(3):
        with suppress(TrackingError):
            result = tracker.reconcile(plan, records, final=True)
            if not result.failed and not result.uploaded:
                break
    assert_shown_once(server.uri, plan)
