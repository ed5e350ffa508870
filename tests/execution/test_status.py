"""`python -m orchestrator.status`: what is done, what runs, and what failed."""

import dataclasses

import pytest

from orchestrator.execution.status import Observer, main
from orchestrator.records import Status
from orchestrator.report.__main__ import main as list_sweeps
from orchestrator.store import Store
from tests.store.test_verification import IDS, PLAN, fill


@pytest.fixture
def store(tmp_path) -> Store:
    return fill(tmp_path / "store")


def change(store: Store, cell: tuple[str, int], **values) -> str:
    record = store.read_record(IDS[cell])
    assert record is not None
    store.write_record(dataclasses.replace(record, **values))
    return record.id


def test_a_sweep_counts_what_is_done_runs_and_failed(store, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    for cell in IDS:
        cost = dataclasses.replace(store.read_record(IDS[cell]).cost, seconds=100.0)
        change(store, cell, cost=cost)
    record = store.read_record(IDS["base", 1])
    running = change(store, ("base", 1), status=Status.RUNNING, epochs=record.epochs[:1])
    change(
        store, ("more", 1), status=Status.DIVERGED, error="Traceback\na.ValueError: \x1b[2Jno [key]"
    )
    observer = Observer(store)
    (left,) = observer.sweeps()
    assert not left.running and left.counts[Status.MISSING] == 1  # its process has ended
    assert left.left_s is None
    with store.lock(running, owner="a sweep"):
        (now,) = observer.sweeps()
        assert [one.trial.id for one in now.running] == [running]
        assert now.left_s == 50.0  # one of two epochs of 100 s
        assert main(["--store", store.uri]) == 0
        text = capsys.readouterr().out
    assert "2 of 4" in text and "about 50 s" in text and "1/2" in text
    assert "ValueError: ␛[2Jno [key]" in text and "\x1b" not in text and "a.Value" not in text
    assert f"{PLAN.sweep}: diverged" in text and ": failed" not in text
    assert all(len(line) <= 80 for line in text.splitlines())


@pytest.mark.parametrize("width", ["80", "60", "24"])
def test_names_of_sweeps_are_never_broken(width, store, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", width)
    names = ["adaptor_search-demo-1ep-confirmed", "model_zoo-demo-esc10-datar_hts_at_panns"]
    for name in names:
        store.write_plan(dataclasses.replace(PLAN, sweep=name))
    for command in (main, list_sweeps):
        words = ["--list"] if command is list_sweeps else []
        assert command(["--store", store.uri, *words]) == 0
        text = capsys.readouterr().out
        assert all(name in text for name in names) and "4 of 4" in text
        assert "failed" not in text and "left" not in text  # nothing stands below these heads
        assert all(len(line) <= int(width) or line in names for line in text.splitlines())


def test_records_that_did_not_change_are_read_once(store, monkeypatch):
    observer, read = Observer(store), []
    monkeypatch.setattr(
        store, "read_records", lambda ids: read.append(list(ids)) or Store.read_records(store, ids)
    )
    observer.sweeps()
    changed = change(store, ("base", 0), status=Status.FAILED)
    (found,) = observer.sweeps()
    assert set(read[0]) == set(IDS.values()) and read[1] == [changed]
    assert found.counts[Status.FAILED] == 1


def test_a_sweep_that_has_not_begun_and_one_that_is_none(tmp_path, store, capsys):
    empty = Store.open(tmp_path / "empty")
    assert main(["--store", empty.uri]) == 0
    assert "no sweep was declared" in capsys.readouterr().out
    empty.write_plan(PLAN)
    assert main(["--store", empty.uri, PLAN.sweep]) == 0
    assert "0 of 4" in capsys.readouterr().out
    assert main(["--store", store.uri, "tyni"]) == 2
    assert "did you mean 'tiny'" in capsys.readouterr().err
    assert main(["--store", store.uri, "--watch", "0"]) == 2
    assert "--watch 0" in capsys.readouterr().err
