"""`python -m orchestrator.store`: for people, and never a byte too many."""

import dataclasses
import hashlib
import shutil

import pytest
import torch

from orchestrator.store import Store
from orchestrator.store.__main__ import main
from tests.store.test_verification import ONE, PLAN, fill, record_file, report


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    store = fill(tmp_path_factory.mktemp("whole") / "store")
    for step in (1, 2):
        tensors = {"w": torch.full((3,), float(step))}
        store.save_checkpoint(ONE, "last", tensors, {"step": step}, keeps_before=True)
    return store


@pytest.fixture
def store(whole, tmp_path) -> Store:
    shutil.copytree(whole.local_path, tmp_path / "store")
    return Store.open(tmp_path / "store")


def run(capsys, store: Store, *words: str) -> tuple[int, str]:
    code = main([*words, "--store", store.uri])
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return code, said.out + said.err


def contents(store: Store) -> dict[str, str]:
    """Path -> digest of all files but leases."""
    paths = [path for path in store.files.sizes("") if "/attempts/" not in path]
    return {path: hashlib.sha256(store.files.read(path)).hexdigest() for path in paths}


def test_ls_counts_sweeps_and_lists_the_trials_of_one(store, capsys):
    code, said = run(capsys, store, "ls")
    assert code == 0 and PLAN.sweep in said and "4 finished" in said
    assert "4 trials, 0 of them in no sweep" in said
    code, said = run(capsys, store, "ls", PLAN.sweep)
    assert code == 0 and ONE in said and said.count("finished") == 4
    code, said = run(capsys, store, "ls", "tyni")
    assert code == 2 and "did you mean 'tiny'" in said


def test_show_finds_a_trial_by_the_beginning_of_its_id(store, capsys):
    code, said = run(capsys, store, "show", ONE[:6])
    assert code == 0 and ONE in said and "record.json" in said and "val/top1" in said
    code, said = run(capsys, store, "show", "zz")
    assert code == 2 and "unknown trial 'zz'" in said


def test_verify_names_what_is_damaged_and_changes_nothing(store, capsys):
    assert run(capsys, store, "verify") == (0, f"{PLAN.sweep}: nothing damaged\n")
    record_file(store).write_bytes(record_file(store).read_bytes()[:-9])
    (path,) = (record_file(store).parent / "checkpoints").glob("last.json")
    path.write_text("{")
    # Those of a teacher on the whole pack, and of validation clips.
    other = next(trial.id for trial in PLAN.trials if trial.id != ONE)
    made = store.read_predictions(other, "last")
    store.write_pack_predictions(other, "last", made)
    digest = store.write_predictions(other, "last-validation", made)
    record = store.read_record(other)
    kept = {**record.predictions, "last-validation": digest}
    store.write_record(dataclasses.replace(record, predictions=kept))
    assert "2 damaged" in run(capsys, store, "verify")[1]
    for name in ("predictions-last-pack-*.arrow", "predictions-last-validation.arrow"):
        (path,) = (store.local_path / "trials" / other).glob(name)
        path.write_bytes(path.read_bytes()[:-9])
    before = contents(store)
    code, said = run(capsys, store, "verify")
    assert code == 1 and "4 damaged" in said and "record.json" in said and "last.json" in said
    assert "predictions-last-pack-" in said and "predictions-last-validation" in said
    assert contents(store) == before


def test_gc_deletes_what_nobody_can_need_and_says_it_before(store, capsys):
    trial = record_file(store).parent
    (trial / "record.json.damaged-1").write_text("x" * 10)
    (trial / "checkpoints" / ".last.safetensors.ab.tmp").write_text("y")
    calm, before = report(store), contents(store)
    code, said = run(capsys, store, "gc", "--dry-run")
    assert code == 0 and contents(store) == before and said.count("would delete ") == 4
    code, said = run(capsys, store, "gc")
    assert code == 0 and "4 files" in said
    gone = before.keys() - contents(store).keys()
    assert {path.rpartition("/")[2][:11] for path in gone} == {
        *("record.json", ".last.safet", "last.before", "last-" + said.split("last-")[1][:6]),
    }
    assert store.load_checkpoint(ONE, "last")[1] == {"step": 2}
    assert report(store) == calm
    assert "0 files" in run(capsys, store, "gc")[1]
    assert "2 files" in run(capsys, store, "gc", "--checkpoints")[1]
    assert report(store) == calm


def test_gc_keeps_the_checkpoints_of_arms_that_teach(store, capsys):
    run(capsys, store, "gc")
    teacher = next(trial.arm for trial in PLAN.trials if trial.id == ONE)
    student = dataclasses.replace(
        PLAN.arms[-1], name="taught", changes={"distillation.teacher": f"arm:{teacher}"}
    )
    store.write_plan(dataclasses.replace(PLAN, arms=(*PLAN.arms, student)))
    assert "0 files" in run(capsys, store, "gc", "--checkpoints")[1]
    store.write_plan(PLAN)
    assert "2 files" in run(capsys, store, "gc", "--checkpoints")[1]


def test_gc_leaves_trials_in_training_and_those_that_no_sweep_has_alone(store, capsys):
    (record_file(store).parent / "record.json.damaged-1").write_text("x")
    shutil.copytree(record_file(store).parent, store.local_path / "trials" / ("0" * 16))
    before = contents(store)
    with store.lock(ONE, owner="a launch"):
        code, said = run(capsys, store, "gc")
    assert code == 0 and f"left alone: trial {ONE} is held by a launch" in said
    assert contents(store) == before
    code, said = run(capsys, store, "gc", "--orphans")
    assert code == 0
    assert not any("0" * 16 in path for path in contents(store))
    assert report(store)[0] == 0


def test_gc_deletes_nothing_where_a_plan_cannot_be_read(store, capsys):
    (store.local_path / "sweeps" / "tiny" / "plan.json").write_text("{")
    before = contents(store)
    code, said = run(capsys, store, "gc", "--orphans")
    assert code == 2 and "plan.json" in said
    assert contents(store) == before


def test_export_is_a_store_with_the_same_report(store, tmp_path, capsys):
    target = tmp_path / "exported"
    code, said = run(capsys, store, "export", "tiny", str(target), "--dry-run")
    assert code == 0 and "13 files" in said and not target.exists()
    assert run(capsys, store, "export", "tiny", str(target), "--checkpoints")[0] == 0
    exported = Store.open(target, create=False)
    wanted = report(store)
    assert wanted[0] == 0 and report(exported) == wanted
    assert exported.load_checkpoint(ONE, "last")[1] == {"step": 2}
    shutil.copytree(store.local_path, tmp_path / "other")
    (tmp_path / "other" / "sweeps" / "tiny" / "plan.json").unlink()
    other = Store.open(tmp_path / "other")
    other.write_plan(dataclasses.replace(PLAN, question="Another?"))
    code, said = run(capsys, other, "export", "tiny", str(target))
    assert code == 2 and "holds another tiny" in said
