"""Two launches never hold one trial, and a dead holder frees it."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from orchestrator.store import LockHeld
from orchestrator.store.locks import Holder, lease

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
    with any_store.try_lock("t", owner="two") as held:
        assert not held.lost


def test_lock_is_freed_when_the_work_raises(store):
    with pytest.raises(RuntimeError), store.lock("t", owner="one"):
        raise RuntimeError
    with store.try_lock("t", owner="two"):
        pass


def test_lease_of_a_dead_holder_expires(any_store):
    files = any_store.files
    short = {"timeout_s": 5.0, "on_wait": None, "lease_s": 0.6, "settle_s": 0.01}
    dead = lease(files, "trials/t/lock", "t", owner="dead", **short)
    dead.__enter__()
    body = files.read("trials/t/lock")
    with lease(files, "trials/u/lock", "u", owner="alive", **short) as held:
        time.sleep(1.0)
        assert not held.lost, "the lease is renewed while its holder lives"
        with pytest.raises(LockHeld, match="alive"):
            lease(files, "trials/u/lock", "u", owner="b", **{**short, "timeout_s": 0}).__enter__()
    dead.__exit__(None, None, None)
    files.write("trials/t/lock", body)
    with lease(files, "trials/t/lock", "t", owner="heir", **short):
        assert b"heir" in files.read("trials/t/lock")
    assert files.read("trials/t/lock") is None


def test_lease_taken_over_tells_its_holder(any_store):
    files = any_store.files
    short = {"timeout_s": 0.0, "on_wait": None, "lease_s": 0.3, "settle_s": 0.01}
    with lease(files, "trials/t/lock", "t", owner="one", **short) as held:
        files.write("trials/t/lock", b'{"token": "another", "expires": 9e12}')
        deadline = time.monotonic() + 5
        while not held.lost and time.monotonic() < deadline:
            time.sleep(0.01)
        assert held.lost
    assert b"another" in files.read("trials/t/lock"), "only one's own lease is deleted"
