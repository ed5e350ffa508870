"""Records, predictions and plans come back as they were written, or an error names the file."""

import os
import pickle
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.errors import StoreError
from orchestrator.metrics.labels import Event
from orchestrator.metrics.predictions import Frames, Predictions
from orchestrator.metrics.targets import Targets
from orchestrator.records import (
    ArmRecord,
    ContrastRecord,
    Cost,
    EpochRecord,
    PlanRecord,
    Status,
    TrialKey,
    TrialRecord,
    experiment_id,
)
from orchestrator.store import Store, forms, tables

# Recorded from the version before clips could have several classes.
SINGLE_LABEL_DIGEST = "8e58f02390c447860884f51d1de0baeddb2c6c11529375577210955865440b61"
NUMBERS = st.floats(allow_nan=False)
TEXT = st.text(max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
METRICS = st.lists(TEXT, max_size=4, unique=True).flatmap(
    lambda names: st.lists(st.tuples(*[NUMBERS for _ in names]), max_size=4).map(
        lambda rows: tuple(
            EpochRecord(epoch=i + 1, metrics=dict(zip(names, row, strict=True)))
            for i, row in enumerate(rows)
        )
    )
)
RECORDS = st.builds(
    TrialRecord,
    id=st.just(""),
    status=st.sampled_from([Status.RUNNING, Status.FINISHED, Status.FAILED]),
    experiment=st.dictionaries(TEXT, JSON, max_size=4),
    epochs=METRICS,
    cost=st.builds(
        Cost, seconds=st.floats(0, allow_nan=False), device=TEXT, macs=st.integers(0, 2**63)
    ),
    data=st.dictionaries(TEXT, JSON, max_size=3),
    provenance=st.dictionaries(TEXT, TEXT, max_size=3),
    error=TEXT,
    predictions=st.dictionaries(st.sampled_from(["last", "best"]), TEXT),
).map(
    lambda record: replace(
        record, id=experiment_id(record.experiment), best_epoch=len(record.epochs)
    )
)
RECORD = TrialRecord(id="t", status=Status.RUNNING, experiment={"seed": 1})
PLAN = PlanRecord(
    sweep="lambda-demo",
    question="Does it?",
    metric="val/top1",
    selection="last",
    baseline="base",
    arms=(ArmRecord(name="base"), ArmRecord(name="more", changes={"transform.strength": "0.2"})),
    contrasts=(ContrastRecord(arm="more", reference="base"),),
    trials=(TrialKey(id="t", arm="base", seed=0, fold=1),),
    settings={"model.depths": (1, 2)},
    declared_at="2026-01-01T00:00:00+00:00",
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(record=RECORDS)
def test_record_round_trip_is_exact(record, store):
    store.write_record(record)
    assert store.read_record(record.id) == record
    assert store.read_records([record.id]) == {record.id: record}


def test_records_missing_are_left_out_and_versions_follow_changes(any_store):
    records = {name: replace(RECORD, id=name) for name in ("b", "a", "c")}
    for record in records.values():
        any_store.write_record(record)
    found = any_store.read_records(["b", "missing", "a", "b"])
    assert list(found) == ["b", "a"] and found == {"b": records["b"], "a": records["a"]}
    assert any_store.read_record("missing") is None
    before = any_store.record_versions(["a", "b", "missing"])
    any_store.write_record(replace(RECORD, id="a", error="x" * 100))
    after = any_store.record_versions(["a", "b", "missing"])
    assert before["a"] != after["a"] and before["b"] == after["b"] and after["missing"] == ""


def test_records_damaged_are_all_named_and_leftovers_ignored(any_store):
    for name in ("a", "b", "c"):
        any_store.write_record(replace(RECORD, id=name))
    whole = any_store.files.read("trials/a/record.json")
    any_store.files.write("trials/a/record.json", whole[:-9])
    any_store.files.write("trials/b/record.json", whole)
    any_store.files.write("trials/c/.record.json.1234.tmp", whole[:5])
    assert any_store.read_record("c") is not None
    with pytest.raises(StoreError, match=r"trials/a/record\.json"):
        any_store.read_record("a")
    with pytest.raises(StoreError) as caught:
        any_store.read_records(["a", "b", "c"])
    assert "trials/a/record.json" in str(caught.value)
    assert "trials/b/record.json" in str(caught.value) and "of trial a" in str(caught.value)


def test_record_of_a_newer_version_is_refused(store):
    store.files.write("trials/t/record.json", b'{"schema": 99, "id": "t"}')
    with pytest.raises(StoreError, match="update the orchestrator"):
        store.read_record("t")


def test_record_writes_and_reads_are_fast_enough(store):
    metrics = {f"val/metric{i}": i / 7 for i in range(8)}
    epochs = tuple(EpochRecord(epoch=i + 1, metrics=metrics) for i in range(50))
    ids = [f"trial-{i}" for i in range(300)]
    started = time.perf_counter()
    for name in ids:
        store.write_record(replace(RECORD, id=name, epochs=epochs))
    written_s = time.perf_counter() - started
    assert len(store.read_records(ids)) == len(ids)
    read_s = time.perf_counter() - started - written_s
    assert written_s / len(ids) < 0.05, "a record per epoch is cheap"
    assert read_s / len(ids) < 0.005, "reading 10,000 records takes a few seconds"


@pytest.mark.parametrize("shape", [(5, 3), (0, 3), (1, 1)])
def test_predictions_round_trip_is_exact(shape, any_store):
    rng = np.random.default_rng(0)
    predictions = Predictions(
        epoch=7,
        clip_ids=tuple(f"clip ä {i}" for i in range(shape[0])),
        targets=Targets.of_labels(rng.integers(0, shape[1], shape[0]), num_classes=shape[1]),
        logits=rng.normal(size=shape).astype(np.float32),
    )
    any_store.write_predictions("t", "best", predictions)
    found = any_store.read_predictions("t", "best")
    assert found.epoch == 7 and found.clip_ids == predictions.clip_ids
    np.testing.assert_array_equal(found.labels, predictions.labels)
    np.testing.assert_array_equal(found.logits, predictions.logits, strict=True)
    assert found.labels.dtype == np.int64
    assert any_store.read_predictions("t", "last") is None


def test_predictions_of_one_class_per_clip_are_stored_as_they_always_were():
    made = Predictions(
        epoch=7,
        clip_ids=tuple(f"clip ä {i}" for i in range(5)),
        targets=Targets.of_labels([0, 2, 1, 1, 0], num_classes=3),
        logits=(np.arange(15).reshape(5, 3) / 7).astype(np.float32),
    )
    assert forms.digest_of(tables.dump(made)) == SINGLE_LABEL_DIGEST


@pytest.mark.parametrize(
    "labels",
    [
        [(0, 2), (), (1,)],
        [()],
        [],
        [(Event(2, 0.25, 1.5), Event(0, 0.0, 0.5)), (), (1,)],
        [(Event(1, 0.1, 0.3),)],
    ],
)
@pytest.mark.parametrize("rows", [0, 4])
def test_predictions_of_any_targets_round_trip_is_exact(labels, rows, any_store):
    rng = np.random.default_rng(0)
    targets = Targets.of(labels, num_classes=3) if labels else Targets.of([()], num_classes=3)
    targets = targets.take(np.arange(len(labels)))
    frames = Frames(
        logits=rng.normal(size=(len(labels), rows, 3)).astype(np.float16),
        row_s=1 / 3,
        clip_s=rng.random(len(labels)),
    )
    made = Predictions(
        epoch=2,
        clip_ids=tuple(f"clip {i}" for i in range(len(labels))),
        targets=targets,
        logits=rng.normal(size=(len(labels), 3)).astype(np.float32),
        frames=frames if rows else None,
    )
    any_store.write_predictions("t", "last", made)
    found = any_store.read_predictions("t", "last")
    assert found.targets == made.targets and found.clip_ids == made.clip_ids
    np.testing.assert_array_equal(found.logits, made.logits, strict=True)
    assert (found.frames is None) == (not rows)
    if rows:
        assert found.frames.row_s == frames.row_s
        np.testing.assert_array_equal(found.frames.logits, frames.logits, strict=True)
        np.testing.assert_array_equal(found.frames.clip_s, frames.clip_s, strict=True)


def test_predictions_damaged_are_refused_by_name(store):
    store.files.write("trials/t/predictions-last.arrow", b"ARROW1\0\0 but not really")
    with pytest.raises(StoreError, match=r"predictions-last\.arrow"):
        store.read_predictions("t", "last")


def test_plan_declared_again_keeps_the_first_time_and_every_change(any_store):
    any_store.write_plan(PLAN)
    any_store.write_plan(replace(PLAN, declared_at="2026-02-02T00:00:00+00:00"))
    stored = any_store.read_plan(PLAN.sweep)
    assert stored == replace(PLAN, settings={"model.depths": [1, 2]})
    changed = replace(PLAN, question="Does it still?", declared_at="2026-03-03T00:00:00+00:00")
    any_store.write_plan(changed)
    assert any_store.read_plan(PLAN.sweep).question == "Does it still?"
    lines = any_store.files.read(f"sweeps/{PLAN.sweep}/plans.jsonl").splitlines()
    history = [forms.parse_plan(line, where="plans.jsonl") for line in lines]
    assert [plan.declared_at[:7] for plan in history] == ["2026-01", "2026-03"]
    assert any_store.sweeps() == [PLAN.sweep]


def test_plan_unknown_says_the_nearest_sweep(any_store):
    any_store.write_plan(PLAN)
    assert any_store.read_plan("lambda_demo") is None
    with pytest.raises(StoreError, match="did you mean 'lambda-demo'"):
        any_store.require_plan("lambda_demo")
    with pytest.raises(StoreError, match="cannot name a sweep"):
        any_store.read_plan("../trials")


@pytest.mark.parametrize("place", ["/dev/null/store", "/proc/store", "weird://place", ""])
def test_store_impossible_place_names_it_and_the_way_out(place):
    with pytest.raises(StoreError, match="--store") as caught:
        Store.open(place)
    assert place in str(caught.value)


def test_store_read_only_place_is_refused_unless_only_read(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="Permission denied"):
        Store.open(tmp_path)
    Store.open(tmp_path, create=False)


def test_store_not_there_is_not_made_when_only_read(tmp_path):
    with pytest.raises(StoreError, match="there is no store at"):
        Store.open(tmp_path / "nowhere", create=False)
    with pytest.raises(StoreError, match="there is no store at"):
        Store.open("memory://nowhere/at/all", create=False)
    assert not (tmp_path / "nowhere").exists()


def test_store_relative_place_and_pickle_open_the_same_store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    relative = Store.open("here")
    relative.write_record(RECORD)
    monkeypatch.chdir("/")
    assert relative.local_path == tmp_path / "here"
    for store in (Store.open(relative.uri), pickle.loads(pickle.dumps(relative))):
        assert store.read_record("t") == RECORD
    assert relative.packs_uri == str(tmp_path / "here" / "packs")
