"""A trial's model comes back as it was, or not at all."""

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import orchestrator
import orchestrator.training.data_parallel
from models import create_model, load_pretrained
from models.errors import CheckpointError as ModelCheckpointError
from models.registry import RegistryError, create
from orchestrator.data import open_pack
from orchestrator.errors import CheckpointError, ConfigError, OrchestratorError, StoreError
from orchestrator.execution.preflight.probe import made_up_clips, probe
from orchestrator.execution.trial import TrialRun
from orchestrator.experiment.config import Component, File
from orchestrator.predict.loading import load_model
from orchestrator.records import Status
from orchestrator.store import Store
from orchestrator.training.evaluate import evaluate
from orchestrator.training.inputs import Inputs
from tests import tiny

torch.set_num_threads(1)

ADAPTED = tiny.experiment(transform=Component("adaptor", strength=0.2), epochs=2)
TRIPLET = tiny.experiment(
    frontend=Component("honk_mfcc", win_length=800, hop_length=640),
    augmentation=Component("none"),
    model=Component("res15_triplet", dim=8, depth=4, neighbours=3),
    loss=Component("triplet"),
    epochs=2,
    shuffled_labels=0.2,
)
TRAINED = {"adapted": ADAPTED, "remembers": TRIPLET}


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Store:
    """A store with both trials, finished; nobody writes to it."""
    store = tiny.store_with_pack(tmp_path_factory.mktemp("store"), ADAPTED)
    for experiment in TRAINED.values():
        run(store, experiment)
    return store


@pytest.fixture
def store(trained, tmp_path) -> Store:
    """A copy to harm."""
    shutil.copytree(trained.uri, tmp_path / "store")
    return Store.open(tmp_path / "store")


def run(store, experiment, **options):
    record = TrialRun(store=store, trial_id=experiment.id, experiment=experiment, **options).run()
    assert options or record.status is Status.FINISHED, record.error
    return record


def predicted(chain, store, experiment):
    clips = open_pack(experiment.dataset.arguments["fingerprint"], packs=store.packs_uri)
    return evaluate(
        chain,
        Inputs(clips, torch.device("cpu")),
        clips.split(experiment.fold)[1],
        batch_size=experiment.batch_size,
        epoch=1,
        precision=experiment.precision,
        group=orchestrator.training.data_parallel.Group(),
    ).predictions.logits


def without_trained_as(store, trial_id, which="last"):
    """Write a checkpoint as an earlier version did: without what it was trained as."""
    tensors, facts = store.load_checkpoint(trial_id, which)
    del facts["trained_as"]
    tensors = {name: value for name, value in tensors.items() if ".memory" not in name}
    store.save_checkpoint(trial_id, which, tensors, facts)
    path = store.local_path / f"trials/{trial_id}/checkpoints/{which}.json"
    pointer = json.loads(path.read_text())
    del pointer["digest"]
    path.write_text(json.dumps(pointer))


@pytest.mark.parametrize("which", ["last", "best"])
@pytest.mark.parametrize("name", TRAINED)
def test_model_predicts_what_the_trial_stored(name, which, trained):
    experiment = TRAINED[name]
    chain = orchestrator.load_model(trained, experiment.id, which=which)
    assert not chain.training
    assert (
        chain.class_names
        == open_pack(
            experiment.dataset.arguments["fingerprint"], packs=trained.packs_uri
        ).class_names
    )
    stored = trained.read_predictions(experiment.id, which)
    np.testing.assert_array_equal(predicted(chain, trained, experiment), stored.logits)


def test_store_may_be_a_path_and_the_id_its_beginning(trained):
    prefix = ADAPTED.id[:6]
    for place in (trained.uri, trained.local_path):
        chain = load_model(place, prefix)
        assert chain.parts["transform"]["arguments"]["strength"] == 0.2
    assert chain.std.item() == np.float32(trained.read_record(ADAPTED.id).data["feature_std"])


@pytest.mark.parametrize("name", TRAINED)
def test_checkpoint_of_an_earlier_version_gives_the_same_numbers(name, store):
    experiment = TRAINED[name]
    without_trained_as(store, experiment.id)
    chain = load_model(store, experiment.id)
    assert len(chain.class_names) == 3
    stored = store.read_predictions(experiment.id, "last").logits
    np.testing.assert_array_equal(predicted(chain, store, experiment), stored)
    shutil.rmtree(store.local_path / "packs")
    if name == "adapted":
        assert load_model(store, experiment.id).class_names == ()
    else:
        with pytest.raises(CheckpointError, match="a version that did not keep them"):
            load_model(store, experiment.id)


def test_unknown_trial_is_refused_with_the_nearest(trained):
    wrong = ADAPTED.id[:-1] + ("0" if ADAPTED.id[-1] != "0" else "1")
    with pytest.raises(CheckpointError, match=f"no trial '{wrong}' among the 2.*{ADAPTED.id}"):
        load_model(trained, wrong)
    with pytest.raises(CheckpointError, match=r"no trial '' among the 2 of .* \(its ids: \w+, "):
        load_model(trained, "")


def test_beginning_of_several_ids_is_refused_with_them(store):
    twin = ADAPTED.id[:4] + "f" * 12
    shutil.copytree(store.local_path / "trials" / ADAPTED.id, store.local_path / "trials" / twin)
    with pytest.raises(CheckpointError, match=f"begins the ids of 2 .*{ADAPTED.id}.*give more"):
        load_model(store, ADAPTED.id[:4])
    load_model(store, ADAPTED.id)
    with pytest.raises(StoreError, match=f"it is of trial {ADAPTED.id}"):
        load_model(store, twin)


def test_what_is_not_there_is_refused_by_name(store, tmp_path):
    with pytest.raises(StoreError, match="there is no store"):
        load_model(tmp_path / "nowhere", ADAPTED.id)
    with pytest.raises(ConfigError, match="unknown weights 'lst'; did you mean 'last'"):
        load_model(store, ADAPTED.id, which="lst")
    (store.local_path / "trials" / ADAPTED.id / "checkpoints" / "best.json").unlink()
    with pytest.raises(CheckpointError, match=r"\(finished\) has no 'best' checkpoint"):
        load_model(store, ADAPTED.id, which="best")
    (store.local_path / "trials" / ADAPTED.id / "record.json").unlink()
    with pytest.raises(CheckpointError, match="has no record"):
        load_model(store, ADAPTED.id)


def test_record_of_another_experiment_is_refused(store):
    record = store.read_record(ADAPTED.id)
    other = store.read_record(TRIPLET.id)
    store.write_record(dataclasses.replace(record, experiment=other.experiment))
    with pytest.raises(StoreError, match=f"its experiment is that of trial {TRIPLET.id}"):
        load_model(store, ADAPTED.id)


def test_checkpoint_of_another_trial_is_refused_with_the_differences(store):
    weaker = tiny.experiment(transform=Component("adaptor", strength=0.1), epochs=2)
    run(store, weaker)
    trials = store.local_path / "trials"
    shutil.rmtree(trials / weaker.id / "checkpoints")
    shutil.copytree(trials / ADAPTED.id / "checkpoints", trials / weaker.id / "checkpoints")
    told = r"transform.strength: 0.2 in the checkpoint, 0.1 in the "
    with pytest.raises(CheckpointError, match=f"{ADAPTED.id} and not of {weaker.id}: {told}record"):
        load_model(store, weaker.id)
    record = run(store, weaker, cache_dir="")
    assert record.status is Status.FAILED
    assert "transform.strength: 0.2 in the checkpoint, 0.1 in the experiment" in record.error


def test_file_of_a_trial_goes_into_no_other_chain(trained):
    path = tiny.checkpoint_file(trained, ADAPTED.id, "last")
    frontend = (ADAPTED.frontend.name, dict(ADAPTED.frontend.arguments))
    augmentation = (ADAPTED.augmentation.name, dict(ADAPTED.augmentation.arguments))

    def chain(strength):
        return create_model(
            "datar_laptop",
            num_classes=3,
            frontend=frontend,
            augmentation=augmentation,
            transform=("adaptor", {"strength": strength}),
            depths=(1, 1, 1, 1),
        )

    with pytest.raises(ModelCheckpointError, match=r"transform.strength: 0.2 in the file, 0.1"):
        load_pretrained(chain(0.1), path)
    same = chain(0.2)
    load_pretrained(same, path)
    stored = trained.read_predictions(ADAPTED.id, "last").logits
    np.testing.assert_array_equal(predicted(same.eval(), trained, ADAPTED), stored)


# What a declared start takes and what it refuses

STARTS = {
    "other transform and front end's scale": (
        {"transform": Component("identity"), "frontend.preemphasis": 0.9},
        "",
    ),
    "what acts in training alone": ({"model.drop_path_rate": 0.0}, ""),
    "attention": (
        {"model.deformable": False},
        "model.deformable: True in the file, False in the model",
    ),
    "range": (
        {"model.offset_range_factor": 1.0},
        "model.offset_range_factor: 2.0 in the file, 1.0 in the model",
    ),
    "another model": (
        {"model": Component("res15_laptop"), "frontend": Component("honk_mfcc")},
        "was trained as another model: model: datar_laptop(",
    ),
}


@pytest.mark.parametrize("kind", ["trial", "checkpoint"])
@pytest.mark.parametrize("case", STARTS)
def test_start_takes_the_backbone_of_the_same_model_alone(case, kind, store):
    changes, refusal = STARTS[case]
    path = tiny.checkpoint_file(store, ADAPTED.id, "last")
    start = {"id": ADAPTED.id} if kind == "trial" else {"file": File.read(path)}
    experiment = tiny.experiment(**changes, initial=Component(kind, **start), epochs=1)
    record = run(store, experiment, cache_dir="")
    assert (record.status is Status.FAILED) == bool(refusal), record.error
    assert refusal in record.error
    if not refusal:
        assert "parameters taken" in record.data["initial"]
        tensors, _ = store.load_checkpoint(experiment.id, "last")
        # Its own statistics, which the record says, and not those of the other chain.
        assert tensors["mean"].item() == np.float32(record.data["feature_mean"])


# Files that change while they are used


@pytest.fixture
def started(store, tmp_path):
    """A file of weights, another one, and an experiment that starts from the first."""
    shutil.copyfile(tiny.checkpoint_file(store, ADAPTED.id, "last"), tmp_path / "declared")
    tensors, _ = store.load_checkpoint(ADAPTED.id, "last")
    torch.save({name: value + 1 for name, value in tensors.items()}, tmp_path / "other")
    declared = tmp_path / "declared"
    start = Component("checkpoint", file=File.read(declared))
    return tiny.experiment(initial=start, epochs=1), declared, tmp_path / "other"


def test_file_that_changed_after_the_plan_is_refused_everywhere(store, started):
    experiment, declared, other = started
    shutil.copyfile(other, declared)
    record = run(store, experiment, cache_dir="")
    assert record.status is Status.FAILED
    assert f"{declared} is not the file that this experiment was declared with" in record.error
    with pytest.raises(CheckpointError, match="is not the file that this experiment"):
        probe(experiment, made_up_clips(8000, 16000), num_classes=3)


def test_file_that_changes_between_the_check_and_the_loading_changes_nothing(
    store, started, monkeypatch
):
    experiment, declared, other = started
    run(store, experiment)
    expected = store.read_predictions(experiment.id, "last").logits
    shutil.rmtree(store.local_path / "trials" / experiment.id)
    swaps = []

    def swapping(real):
        def read(*arguments):
            result = real(*arguments)
            if Path(getattr(arguments[0], "name", "")) in (declared, Path(declared.name)):
                shutil.copyfile(other, declared)
                swaps.append(declared)
            return result

        return read

    monkeypatch.setattr(Path, "read_bytes", swapping(Path.read_bytes))
    monkeypatch.setattr(hashlib, "file_digest", swapping(hashlib.file_digest))
    again = run(store, experiment)
    assert swaps and again.data["initial"]
    np.testing.assert_array_equal(store.read_predictions(experiment.id, "last").logits, expected)


SOURCE = """
import torch

class Half(torch.nn.Module):
    def __init__(self, num_channels, *, gain):
        super().__init__()
        self.gain = gain

    def forward(self, features, *, clip_seeds=None):
        return FACTOR * self.gain * features
"""


def write_parts(folder, name, factor):
    (folder / f"{name}.py").write_text(SOURCE.replace("FACTOR", factor))


def test_source_of_a_part_that_changed_after_the_plan_is_refused(trained, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    write_parts(tmp_path, "parts_one", "0.5")
    declared = tiny.experiment(transform=Component("parts_one:Half", gain=1.0), epochs=1)
    trial_id = declared.id
    write_parts(tmp_path, "parts_one", "0.25")
    record = TrialRun(store=trained, trial_id=trial_id, experiment=declared).run()
    assert record.status is Status.FAILED
    assert "was declared with source" in record.error
    with pytest.raises(RegistryError, match=r"declared with the source .* of module 'parts_one'"):
        create("transform", "parts_one:Half", 1, **declared.transform.arguments)


def test_source_that_is_not_the_imported_one_is_refused(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    write_parts(tmp_path, "parts_two", "0.5")
    first = tiny.experiment(transform=Component("parts_two:Half", gain=1.0))
    part = create("transform", "parts_two:Half", 1, **first.transform.arguments)
    assert part(torch.ones(1)).item() == 0.5
    write_parts(tmp_path, "parts_two", "0.25")
    second = tiny.experiment(transform=Component("parts_two:Half", gain=1.0))
    assert second.transform != first.transform
    with pytest.raises(RegistryError, match="start the command again"):
        create("transform", "parts_two:Half", 1, **second.transform.arguments)


# Damage of a single byte, or of the end

FILES = ["last.json", "best.json", "last-", "best-"]
LOADING = [("load", name) for name in FILES]
RESUMING = [("resume", name) for name in FILES]
SHARE = st.floats(0, 1, exclude_max=True)
DAMAGE = st.one_of(
    st.tuples(st.just("flip"), SHARE, st.integers(1, 255)),
    st.tuples(st.just("cut"), SHARE, st.just(0)),
)
QUICK = settings(
    max_examples=60,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def damaged(data: bytes, how) -> bytes:
    kind, share, mask = how
    place = int(share * len(data))
    if kind == "cut":
        return data[:place]
    return data[:place] + bytes([data[place] ^ mask]) + data[place + 1 :]


@pytest.fixture(scope="module")
def halfway(tmp_path_factory, trained):
    """A trial that was stopped after the first of two epochs, and its numbers when it was not."""
    store = Store.open(tmp_path_factory.mktemp("halfway") / "store")
    shutil.copytree(trained.local_path / "packs", store.local_path / "packs")

    class Stop(BaseException):
        pass

    def stop(_):
        raise Stop

    with pytest.raises(Stop):
        run(store, ADAPTED, on_epoch=stop)
    return store


def assert_refused_or_repeated(where, damage, trained, halfway):
    action, start = where
    store = trained if action == "load" else halfway
    folder = store.local_path / "trials" / ADAPTED.id
    path = next(p for p in (folder / "checkpoints").iterdir() if p.name.startswith(start))
    whole = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    try:
        path.write_bytes(damaged(whole[path], damage))
        if action == "load":
            _load_or_refuse(store, start[:4])
        else:
            _resume(store, trained)
    finally:
        for p in folder.rglob("*"):
            if p.is_file() and p not in whole:
                p.unlink()
        for p, data in whole.items():
            p.write_bytes(data)


def _load_or_refuse(store, which):
    try:
        chain = load_model(store, ADAPTED.id, which=which)
    except OrchestratorError:
        return
    stored = store.read_predictions(ADAPTED.id, which).logits
    np.testing.assert_array_equal(predicted(chain, store, ADAPTED), stored)


def _resume(store, trained):
    record = run(store, ADAPTED, cache_dir="")
    assert record.status is Status.FINISHED, record.error
    expected = trained.read_record(ADAPTED.id)
    for ours, theirs in zip(record.epochs, expected.epochs, strict=True):
        for key in ("train/loss", "val/loss", "val/top1", "train/learning_rate"):
            assert ours.metrics[key] == theirs.metrics[key]
    for which in ("last", "best"):
        np.testing.assert_array_equal(
            store.read_predictions(ADAPTED.id, which).logits,
            trained.read_predictions(ADAPTED.id, which).logits,
        )


@QUICK
@given(where=st.sampled_from([*LOADING, ("resume", "last.json"), ("resume", "last-")]), how=DAMAGE)
def test_damaged_checkpoint_is_not_loaded_and_never_changes_a_resumed_number(
    where, how, trained, halfway
):
    assert_refused_or_repeated(where, how, trained, halfway)


@pytest.mark.slow
@settings(QUICK, max_examples=500)
@given(where=st.sampled_from([*LOADING, *RESUMING]), how=DAMAGE)
def test_damage_of_many_kinds_never_gives_other_numbers(where, how, trained, halfway):
    assert_refused_or_repeated(where, how, trained, halfway)
