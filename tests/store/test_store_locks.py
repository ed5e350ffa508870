"""Two launches never hold one trial, and a dead holder frees it."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch

from orchestrator.execution.trial import TrialRun
from orchestrator.metrics.predictions import Predictions
from orchestrator.metrics.targets import Targets
from orchestrator.records import Status, TrialRecord
from orchestrator.store import LockHeld, Superseded
from orchestrator.store.locks import Holder, lease
from tests import tiny

HOLDER = """
import sys, time
from orchestrator.store import Store
with Store.open(sys.argv[1]).lock("t", owner="sweep one"):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(store):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, store.uri], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_lock_held_elsewhere_says_by_whom(store, holder):
    with pytest.raises(LockHeld, match="sweep one") as caught, store.try_lock("t", owner="two"):
        pass
    assert caught.value.holder.pid == holder.pid
    assert caught.value.holder.host == Holder.here("").host
    with store.try_lock("another", owner="two"):
        pass


def test_lock_of_a_killed_process_is_free_at_once(store, holder):
    told: list[Holder] = []
    acquired = threading.Event()

    def wait_for_it() -> None:
        with store.lock("t", owner="two", timeout_s=30, on_wait=told.append):
            acquired.set()

    waiter = threading.Thread(target=wait_for_it)
    waiter.start()
    deadline = time.monotonic() + 10
    while not told and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not acquired.is_set()
    os.kill(holder.pid, signal.SIGKILL)
    assert acquired.wait(5)
    waiter.join()
    assert [one.pid for one in told] == [holder.pid]


def test_lock_waits_no_longer_than_its_timeout(any_store):
    with any_store.lock("t", owner="one"):
        started = time.monotonic()
        with pytest.raises(LockHeld), any_store.lock("t", owner="two", timeout_s=0.3):
            pass
        assert 0.3 <= time.monotonic() - started < 3
    with any_store.try_lock("t", owner="two"):
        pass


def test_lock_is_freed_when_the_work_raises(store):
    with pytest.raises(RuntimeError), store.lock("t", owner="one"):
        raise RuntimeError
    with store.try_lock("t", owner="two"):
        pass


SHORT = {"timeout_s": 5.0, "on_wait": None, "lease_s": 0.6}
FOLDER = "trials/t/attempts"


def leave_behind(files, **changes) -> None:
    """Leave a lease as its holder would that died on another machine."""
    holder = {**dataclasses.asdict(Holder.here("dead")), "machine": "another"}
    body = {**holder, "expires": time.time() + 0.6, **changes}
    assert files.create(f"{FOLDER}/7", json.dumps(body).encode())


def test_lease_is_renewed_while_its_holder_lives(any_store):
    files = any_store.files
    with lease(files, FOLDER, "t", owner="alive", **SHORT):
        time.sleep(1.0)
        with pytest.raises(LockHeld, match="alive"):
            lease(files, FOLDER, "t", owner="b", **{**SHORT, "timeout_s": 0}).__enter__()


def test_lease_of_a_holder_that_died_on_another_machine_expires(any_store):
    leave_behind(any_store.files)
    started, told = time.monotonic(), []
    with any_store.lock("t", owner="heir", timeout_s=5, on_wait=told.append) as number:
        assert number == 8 and time.monotonic() - started > 0.3
    assert [holder.owner for holder in told] == ["dead"]


def test_lease_of_a_process_of_this_machine_that_ended_is_free_at_once(any_store):
    here = Holder.here("dead")
    leave_behind(any_store.files, machine=here.machine, born="1", expires=time.time() + 999)
    with any_store.try_lock("t", owner="heir") as number:
        assert number == 8


def test_clock_that_was_set_ends_no_lease_of_this_machine(any_store):
    with any_store.lock("t", owner="one"):
        (name,) = any_store.files.names("trials/t/attempts")
        path = f"trials/t/attempts/{name}"
        held = json.loads(any_store.files.read(path))
        assert held["expires"] > time.time()
        # As if the clock had been set forward by a day since.
        any_store.files.write(path, json.dumps({**held, "expires": time.time() - 86400}).encode())
        with pytest.raises(LockHeld), any_store.try_lock("t", owner="two"):
            pass


def test_lease_from_a_clock_that_is_ahead_ends_once_nobody_renews_it(any_store):
    leave_behind(any_store.files, expires=time.time() + 86400)
    folder = "trials/t/attempts"
    started = time.monotonic()
    held = lease(
        any_store.files, folder, "t", owner="two", timeout_s=5.0, on_wait=None, lease_s=0.6
    )
    with held as number:
        assert number == 8
    assert 0.5 < time.monotonic() - started < 4


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"expires": "soon"}', b'{"owner": "x"}'])
def test_lease_that_cannot_be_read_is_free(any_store, content):
    assert any_store.files.create(f"{FOLDER}/7", content)
    with any_store.try_lock("t", owner="heir") as number:
        assert number == 8


def test_numbers_of_leases_never_go_down(any_store):
    numbers = []
    for _ in range(3):
        with any_store.try_lock("t", owner="one") as number:
            numbers.append(number)
    assert numbers == [1, 2, 3]


def test_lease_has_one_holder_of_many_that_ask_at_once(any_store):
    held, together, lock = 0, [], threading.Lock()

    def work() -> None:
        nonlocal held
        with any_store.lock("t", owner="one", timeout_s=60):
            with lock:
                held += 1
                together.append(held)
            time.sleep(0.01)
            with lock:
                held -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == [1] * 8


STOPPED = """
import sys
from orchestrator.records import Status, TrialRecord
from orchestrator.store import Store, Superseded, locks
store = Store.open(sys.argv[1])
short = {"timeout_s": 0, "on_wait": None, "lease_s": 1.0}
with locks.lease(store.files, "trials/t/attempts", "t", owner="one", **short) as lease:
    attempt = store.attempt("t", lease=lease)
    print("held", flush=True)
    sys.stdin.readline()
    try:
        attempt.write_record(TrialRecord(id="t", status=Status.FAILED, experiment={}))
    except Superseded as error:
        print(error)
"""


def test_writer_that_was_stopped_and_comes_back_is_refused(store):
    """Its lease ran out while it was stopped, and another finished the trial."""
    process = subprocess.Popen(
        [sys.executable, "-c", STOPPED, store.uri],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    assert process.stdout.readline() == "held\n"
    os.kill(process.pid, signal.SIGSTOP)
    told: list[Holder] = []
    with store.lock("t", owner="two", timeout_s=30, on_wait=told.append) as lease:
        attempt = store.attempt("t", lease=lease)
        attempt.write_record(TrialRecord(id="t", status=Status.FINISHED, experiment={}))
        os.kill(process.pid, signal.SIGCONT)
        said, _ = process.communicate("go on\n", timeout=30)
        assert "a newer attempt at trial t has begun" in said
    assert [holder.pid for holder in told] == [process.pid]
    assert store.read_record("t").status is Status.FINISHED


SHORT_LEASE = "import sys\nfrom orchestrator.store import locks\nlocks.LEASE_S = 1.0"


def test_attempt_refuses_every_change_of_an_earlier_one(any_store):
    old = any_store.attempt("t")
    old.write_record(record := TrialRecord(id="t", status=Status.RUNNING, experiment={}))
    old.save_checkpoint("t", "last", {"w": torch.zeros(2)}, {"step": 1}, keeps_before=True)
    targets = Targets.of_labels(np.array([0, 1]), num_classes=2)
    made = Predictions(epoch=1, clip_ids=("a", "b"), targets=targets, logits=np.eye(2))
    new = any_store.attempt("t")
    before = {name: any_store.files.read(name) for name in all_names(any_store)}
    finished = dataclasses.replace(record, status=Status.FINISHED)
    for change in (
        lambda: old.write_record(finished),
        lambda: old.write_predictions("t", "last", made),
        lambda: old.save_checkpoint("t", "last", {"w": torch.ones(2)}, {"step": 2}),
        lambda: old.forget_checkpoint_before("t", "last"),
        lambda: old.set_aside("t"),
        lambda: old.set_aside_checkpoint("t", "last"),
    ):
        with pytest.raises(Superseded, match="trial t"):
            change()
    assert {name: any_store.files.read(name) for name in all_names(any_store)} == before
    old.write_record(TrialRecord(id="u", status=Status.RUNNING, experiment={}))
    new.write_record(finished)
    assert any_store.read_record("t").status is Status.FINISHED


def test_attempt_of_a_lease_that_was_lost_does_not_begin(any_store):
    with any_store.try_lock("t", owner="one") as lost:
        pass
    with any_store.try_lock("t", owner="two") as lease:
        with pytest.raises(Superseded):
            any_store.attempt("t", lease=lost)
        any_store.attempt("t", lease=lease)
        any_store.attempt("t", lease=lease)  # workers that start again


def all_names(store) -> list[str]:
    folders = ("trials/t", "trials/t/checkpoints")
    found = [f"{folder}/{name}" for folder in folders for name in store.files.names(folder)]
    return [name for name in found if name.endswith((".json", ".arrow", ".safetensors"))]


def test_trial_that_another_process_took_over_stops_and_leaves_it_alone(tmp_path):
    experiment = tiny.experiment(epochs=3)
    store = tiny.store_with_pack(tmp_path, experiment)
    run = TrialRun(store=store, trial_id=experiment.id, experiment=experiment)
    epochs = []

    def take_over(epoch) -> None:
        epochs.append(epoch.epoch)
        store.attempt(experiment.id)

    run.on_epoch = take_over
    with pytest.raises(Superseded):
        run.run()
    assert len(epochs) == 1
    record = store.read_record(experiment.id)
    assert record.status is Status.RUNNING and not record.error
    again = TrialRun(store=store, trial_id=experiment.id, experiment=experiment).run()
    assert again.status is Status.FINISHED and len(again.epochs) == 3
