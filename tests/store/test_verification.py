"""What was edited or damaged in a store is refused by the name of its trial, or changes nothing."""

import dataclasses
import io
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator import cli
from orchestrator.design.factors import Arm
from orchestrator.design.plan import Plan
from orchestrator.errors import StoreError
from orchestrator.execution.launch import set_aside_doubtful
from orchestrator.execution.stages import missing_trials
from orchestrator.experiment.identity import canonical
from orchestrator.experiment.overrides import override
from orchestrator.metrics import catalog
from orchestrator.metrics.classification import average_precisions
from orchestrator.metrics.predictions import Predictions
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
from orchestrator.report.__main__ import main
from orchestrator.store import Store, forms
from orchestrator.store.verification import doubtful, verify_stored
from tests import tiny

EPOCHS, CLASSES, CLIPS = 2, 3, 12
ARMS = {"base": 0.0, "more": 1.0}


def experiment(arm: str, seed: int) -> dict:
    made = canonical(override(tiny.experiment(epochs=EPOCHS), {"clip_norm": 5.0 + ARMS[arm]}))
    return {**made, "seed": seed}


EXPERIMENTS = {(arm, seed): experiment(arm, seed) for arm in ARMS for seed in range(2)}
IDS = {cell: experiment_id(made) for cell, made in EXPERIMENTS.items()}


def predictions(trial: str, epoch: int) -> Predictions:
    rng = np.random.default_rng(int(trial, 16) + epoch)
    labels = np.arange(CLIPS) % CLASSES
    logits = rng.normal(size=(CLIPS, CLASSES)).astype(np.float32)
    logits[np.arange(CLIPS), labels] += 1
    names = tuple(f"clip {i}" for i in range(CLIPS))
    targets = Targets.of_labels(labels, num_classes=CLASSES)
    return Predictions(epoch=epoch, clip_ids=names, targets=targets, logits=logits)


def finish(store: Store, arm: str, seed: int) -> TrialRecord:
    """Write what a trial writes: the predictions of its epochs, then its record."""
    trial = IDS[arm, seed]
    made = [predictions(trial, epoch) for epoch in range(1, EPOCHS + 1)]
    epochs = tuple(
        EpochRecord(epoch=p.epoch, metrics={catalog.TRAIN_LOSS: 1.0 / p.epoch, **p.scores()})
        for p in made
    )
    best = max(epochs, key=lambda epoch: (epoch.metrics[catalog.VAL_TOP1], -epoch.epoch)).epoch
    record = TrialRecord(
        id=trial,
        status=Status.FINISHED,
        experiment=EXPERIMENTS[arm, seed],
        epochs=epochs,
        best_epoch=best,
        cost=Cost(seconds=1.0, num_params=10),
        data={"name": "made", "fingerprint": "ab" * 32, "num_val": CLIPS},
        provenance={"code": "one"},
        predictions={
            "last": store.write_predictions(trial, "last", made[-1]),
            "best": store.write_predictions(trial, "best", made[best - 1]),
        },
    )
    store.write_record(record)
    return record


PLAN = PlanRecord(
    sweep="tiny",
    question="Does it?",
    metric="val/top1",
    selection="last",
    baseline="base",
    arms=tuple(ArmRecord(name=arm) for arm in ARMS),
    contrasts=(ContrastRecord(arm="more", reference="base"),),
    trials=tuple(
        TrialKey(id=trial, arm=arm, seed=seed, fold=1) for (arm, seed), trial in IDS.items()
    ),
)
ONE = IDS["more", 1]


def fill(path: Path, plan: PlanRecord = PLAN) -> Store:
    store = Store.open(path)
    store.write_plan(plan)
    for arm, seed in IDS:
        finish(store, arm, seed)
    return store


@pytest.fixture
def store(tmp_path) -> Store:
    return fill(tmp_path / "store")


def record_file(store: Store, trial: str = ONE) -> Path:
    assert store.local_path
    return store.local_path / forms.record_path(trial)


def edit(path: Path, change, *, without_digest: bool = False) -> None:
    """Change a stored form by hand; as an earlier version wrote it where asked."""
    form = json.loads(path.read_text())
    if without_digest:
        del form["digest"], form["predictions"]
        form["schema"] = 1
    change(form)
    path.write_text(json.dumps(form))


def report(store: Store, *more: str) -> tuple[int, str]:
    out = io.StringIO()
    return main(["tiny", "--store", store.uri, "--format", "json", *more], out=out), out.getvalue()


def setting(*path):
    """Return what puts the last of the path where the others lead."""
    *where, value = path

    def change(form):
        for key in where[:-1]:
            form = form[key]
        if value is ...:
            del form[where[-1]]
        else:
            form[where[-1]] = value

    return change


LAST = ("epochs", -1, "metrics")
EDITS = {
    "metric of 5500 %": (setting(*LAST, "val/top1", 55.0), "val/top1 of epoch 2 is 55.0"),
    "metric of text": (setting(*LAST, "val/top1", "0.9"), "is '0.9'; it must be a number"),
    "metric of NaN as text": (setting(*LAST, "val/loss", "NaN"), "is 'NaN'; it must be a number"),
    "metric of no value": (setting(*LAST, "val/loss", None), "val/loss of epoch 2 is None"),
    "metric missing": (setting(*LAST, "val/map", ...), "epoch 2 has no val/map"),
    "metrics of text": (setting(*LAST, "high"), "the metrics of epoch 2 are 'high'"),
    "epoch twice": (setting("epochs", 1, "epoch", 1), "epoch 1 stands where epoch 2 must"),
    "epochs reversed": (lambda f: f["epochs"].reverse(), "epoch 2 stands where epoch 1 must"),
    "epoch of text": (setting("epochs", 0, "first"), "epoch 1 is no epoch"),
    "epochs of text": (setting("epochs", "none"), "epochs is 'none'; it must be a list"),
    "status unknown": (setting("status", "finishd"), "did you mean 'finished'"),
    "status missing": (setting("status", "missing"), "unknown status 'missing'"),
    "best epoch": (setting("best_epoch", 7), "best_epoch is 7; it must be one of its 2 epochs"),
    "negative count": (setting("cost", "num_params", -3), "cost num_params is -3"),
    "negative time": (setting("cost", "seconds", -1.0), "cost seconds is -1.0"),
    "negative clips": (setting("data", "num_val", -12), "data num_val is -12"),
    "cost of a new kind": (setting("cost", "secnds", 1.0), "did you mean 'seconds'"),
    "no cost at all": (setting("cost", [1]), "cost is [1]; it must be a mapping"),
    "another seed": (setting("experiment", "seed", 5), "its experiment is that of trial"),
    "another id": (setting("id", "0" * 16), "it is of trial 0000000000000000"),
    "no experiment": (setting("experiment", {}), "its experiment is that of trial"),
    "no status": (setting("status", ...), "it lacks status"),
    "schema of text": (setting("schema", "1"), "schema is '1'"),
}


@pytest.mark.parametrize("name", EDITS)
def test_record_that_no_trial_writes_is_refused_by_name(store, name, capsys):
    change, words = EDITS[name]
    edit(record_file(store), change, without_digest=True)
    assert report(store) == (2, "")
    said = capsys.readouterr().err
    assert ONE in said and words in said and "run the sweep again" in said


@pytest.mark.parametrize("name", EDITS)
def test_record_edited_after_it_was_written_is_refused_by_its_digest(store, name, capsys):
    edit(record_file(store), EDITS[name][0])
    assert report(store) == (2, "")
    said = capsys.readouterr().err
    assert f"the record of trial {ONE} was edited or damaged after it was written" in said


@pytest.mark.parametrize(
    "key", [catalog.VAL_TOP1, catalog.VAL_TOP5, catalog.VAL_MAP, catalog.VAL_LOSS]
)
@pytest.mark.parametrize("selection", ["last", "best_on_test"])
def test_metric_that_predictions_contradict_is_refused_with_both_values(
    tmp_path, key, selection, capsys
):
    store = fill(tmp_path, dataclasses.replace(PLAN, selection=selection))
    record = store.read_record(ONE)
    epoch = EPOCHS if selection == "last" else record.best_epoch
    stored = record.metrics_at(selection)[key]
    change = setting("epochs", epoch - 1, "metrics", key, 0.015625)
    edit(record_file(store), change, without_digest=True)
    assert report(store) == (2, "")
    said = capsys.readouterr().err
    assert f"trial {ONE} (more): {key} of epoch {epoch} is stored as 0.015625" in said
    assert f"its predictions give {stored!r}" in said and "which sets them aside" in said


def test_best_epoch_that_validation_clips_did_not_choose_is_refused(tmp_path, capsys):
    store = fill(tmp_path, dataclasses.replace(PLAN, selection="best_on_validation"))
    record = store.read_record(ONE)
    best = record.best_epoch

    def chosen(by):
        def change(form):
            form["data"] |= {"num_validation": 3, "chosen_on": "fold 2", "validation_rule": "next"}
            for epoch in form["epochs"]:
                epoch["metrics"]["selection/top1"] = 0.5 if epoch["epoch"] == by else 0.25

        return change

    edit(record_file(store), chosen(best), without_digest=True)
    assert report(store)[0] == 0
    other = best % EPOCHS + 1
    edit(record_file(store), chosen(other))
    assert report(store) == (2, "")
    said = capsys.readouterr().err
    assert f"its best epoch is {best}, and selection/top1 of its epochs chooses {other}" in said


def test_metric_missing_from_every_epoch_is_refused_where_predictions_have_it(store, capsys):
    def change(form):
        for epoch in form["epochs"]:
            del epoch["metrics"]["val/top1"]

    edit(record_file(store), change, without_digest=True)
    assert report(store)[0] == 2
    assert "val/top1 of epoch 2 is stored as 'nothing'" in capsys.readouterr().err


def test_record_without_a_digest_is_read_and_the_report_says_so(store):
    _, before = report(store)
    for trial in IDS.values():
        edit(record_file(store, trial), lambda form: None, without_digest=True)
    plan = store.local_path / "sweeps" / "tiny" / "plan.json"
    form = json.loads(plan.read_text())
    del form["digest"]
    plan.write_text(json.dumps({**form, "schema": 1}))
    code, after = report(store)
    one, other = json.loads(before), json.loads(after)
    (caution,) = set(other["cautions"]) - set(one["cautions"])
    assert code == 0 and one["arms"] == other["arms"]
    assert caution.startswith("4 of 4 records were written by an earlier version without a digest")


def test_record_that_lost_its_digest_is_refused(store, capsys):
    edit(record_file(store), setting("digest", ...))
    assert report(store)[0] == 2
    assert f"the record of trial {ONE} has lost the digest" in capsys.readouterr().err


def test_white_space_is_no_edit(store):
    _, before = report(store)
    path = record_file(store)
    path.write_text(json.dumps(json.loads(path.read_text()), indent=2))
    assert report(store) == (0, before)


def test_predictions_of_another_trial_are_refused(store, capsys):
    folder = record_file(store).parent
    other = record_file(store, IDS["base", 1]).parent
    shutil.copy(other / "predictions-last.arrow", folder)
    assert report(store)[0] == 2
    said = capsys.readouterr().err
    assert f"trial {ONE}" in said and "is not the file that its trial's record was written" in said


def test_predictions_that_are_gone_are_named(store, capsys):
    (record_file(store).parent / "predictions-last.arrow").unlink()
    assert report(store)[0] == 2
    assert f"trial {ONE}: the predictions of its record are gone" in capsys.readouterr().err


def test_predictions_damaged_behind_the_same_size_and_time_are_refused_where_read(store, capsys):
    assert report(store)[0] == 0
    path = record_file(store).parent / "predictions-last.arrow"
    before, data = path.stat(), bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    with open(path, "r+b") as stream:
        stream.write(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert main(["tiny", "--store", store.uri, "--format", "html"], out=io.StringIO()) == 2
    said = capsys.readouterr().err
    assert ONE in said and "is not the file that its trial's record was written" in said


def test_unchanged_files_are_not_read_again_and_a_changed_record_is(store, monkeypatch):
    records = store.read_records(IDS.values())
    verify_stored(store, PLAN, records)
    read: list[str] = []
    real = Store.read_predictions

    def counted(self, trial, which, **options):
        read.append(trial)
        return real(self, trial, which, **options)

    monkeypatch.setattr(Store, "read_predictions", counted)
    verify_stored(store, PLAN, records)
    assert read == []
    store.write_record(dataclasses.replace(records[ONE], error="x"))
    verify_stored(store, PLAN, store.read_records(IDS.values()))
    assert read == [ONE]
    (store.local_path / "sweeps" / "tiny" / "verified.json").write_text("[1]")
    verify_stored(store, PLAN, store.read_records(IDS.values()))
    assert sorted(read[1:]) == sorted(IDS.values())


def test_cell_with_another_seed_or_fold_than_its_record_is_refused(tmp_path, capsys):
    trials = tuple(dataclasses.replace(t, seed=t.seed + 7, fold=2) for t in PLAN.trials[-1:])
    store = fill(tmp_path, dataclasses.replace(PLAN, trials=(*PLAN.trials[:-1], *trials)))
    assert report(store)[0] == 2
    said = capsys.readouterr().err
    assert f"trial {ONE} (more) is planned with seed 8, and its record's experiment has" in said
    assert "is planned with fold 2" in said


@pytest.fixture
def planned():
    arms = (Arm(name="base"), Arm(name="more", changes={"clip_norm": 6.0}))
    plan = Plan(name="mine", question="?", base=tiny.experiment(epochs=2), arms=arms, seeds=(0, 1))
    assert [trial.id for trial in plan.trials()] == [IDS[t.arm, t.seed] for t in plan.trials()]
    return plan


@pytest.mark.parametrize("without_digest", [False, True])
def test_listing_does_not_believe_an_edited_record(store, planned, capsys, without_digest):
    edit(record_file(store), setting(*LAST, "val/top1", 0.99), without_digest=without_digest)
    with pytest.raises(SystemExit) as ended:
        cli.main(planned, ["--store", store.uri, "--dataset", "synthetic", "--dry-run"])
    said = capsys.readouterr().err
    assert ended.value.code == 2 and said.startswith("error: ")
    assert ONE in said and "run the sweep again" in said
    assert not (store.local_path / "sweeps" / "mine").exists()


def _flip(path: Path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


HARMS = {
    "edited": lambda f: edit(f / "record.json", setting(*LAST, "val/top1", 0.99)),
    "edited without a digest": lambda f: edit(
        f / "record.json", setting(*LAST, "val/top1", 0.99), without_digest=True
    ),
    "cut": lambda f: os.truncate(f / "record.json", 99),
    "predictions flipped": lambda f: _flip(f / "predictions-last.arrow"),
    "predictions gone": lambda f: (f / "predictions-last.arrow").unlink(),
}


@pytest.mark.parametrize("harm", HARMS)
def test_launch_sets_aside_what_cannot_be_believed_and_trains_it_again(
    store, planned, harm, capsys
):
    others = [trial for trial in planned.trials() if trial.id != ONE]
    folder = record_file(store).parent
    HARMS[harm](folder)
    damaged = (folder / "record.json").read_bytes()
    set_aside_doubtful(planned, store)
    said = capsys.readouterr().out
    assert ONE in said and "record.json.damaged-1" in said and said.endswith("trains again.\n")
    assert (folder / "record.json.damaged-1").read_bytes() == damaged
    assert [trial.id for trial in missing_trials(planned.trials(), store)] == [ONE]
    assert len(store.read_records(trial.id for trial in others)) == 3
    verified = json.loads((store.local_path / "sweeps" / "mine" / "verified.json").read_text())
    assert verified["trials"].keys() == {trial.id for trial in others}
    set_aside_doubtful(planned, store)
    assert capsys.readouterr().out == ""


def test_launch_leaves_a_record_of_a_newer_version_where_it_is(store, planned):
    record_file(store).write_text('{"schema": 99}')
    with pytest.raises(StoreError, match="update the orchestrator"):
        set_aside_doubtful(planned, store)
    assert record_file(store).exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (setting("metric", "val/map"), "the plan was edited or damaged"),
        (setting("trials", 0, "seed", 3), "the plan was edited or damaged"),
        (setting("digest", ...), "the plan has lost the digest"),
    ],
)
def test_plan_edited_by_hand_is_refused(store, change, words, capsys):
    edit(store.local_path / "sweeps" / "tiny" / "plan.json", change)
    assert report(store) == (2, "")
    said = capsys.readouterr().err
    assert words in said and "plan.json" in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (setting("trials", 0, "seed", "0"), "trials 1: seed is '0'; it must be a whole number"),
        (setting("trials", 0, "arm", "mor"), "unknown arm of trials 1 'mor'; did you mean 'more'"),
        (setting("contrasts", 0, "arm", "x"), "unknown arm of contrasts 1 'x'"),
        (setting("arms", 0, "nme", "x"), "did you mean 'name'"),
        (setting("baseline", "bas"), "did you mean 'base'"),
        (setting("arms", None), "arms is None; it must be a list"),
        (setting("margin", "1"), "margin is '1'; it must be a number"),
    ],
)
def test_plan_of_an_earlier_version_that_no_plan_writes_is_refused(store, change, words, capsys):
    path = store.local_path / "sweeps" / "tiny" / "plan.json"
    form = json.loads(path.read_text())
    del form["digest"]
    path.write_text(json.dumps({**form, "schema": 1}))
    edit(path, change)
    assert report(store) == (2, "")
    assert words in capsys.readouterr().err


def test_copy_of_a_record_without_a_digest_does_not_vouch_for_it(store):
    edit(record_file(store), lambda form: None, without_digest=True)
    copied = json.loads(forms.copy(store.read_record(ONE)))
    assert "digest" not in copied and copied["schema"] == 1
    again = forms.parse_record(ONE, forms.copy(store.read_record(ONE)), where="copy")
    assert again == store.read_record(ONE) and not again.has_digest


def test_rounding_of_another_processor_is_no_edit(store):
    """Two clips whose probabilities differ by a rounding may change places in a ranking."""
    made = predictions(ONE, EPOCHS)
    logits = made.logits.copy()
    logits[0, 0] = 40.0  # so sure that its log probability rounds to that of the next
    logits[1, 0], logits[1, 1] = 41.0, 0.0
    made = dataclasses.replace(made, logits=logits)
    record = store.read_record(ONE)
    ranked = {
        float(np.mean(average_precisions(made.logits, made.labels, shift=shift)))
        for shift in (-1e-12, 1e-12)
    }
    assert len(ranked) == 2
    for value in ranked:
        metrics = {**record.epochs[-1].metrics, **made.scores(), "val/map": value}
        scored = dataclasses.replace(
            record,
            epochs=(record.epochs[0], EpochRecord(epoch=EPOCHS, metrics=metrics)),
            predictions={"last": store.write_predictions(ONE, "last", made)},
        )
        store.write_record(scored)
        verify_stored(store, PLAN, {ONE: scored})


# Random small changes


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished study and its report; every example changes one file and puts it back."""
    store = fill(tmp_path_factory.mktemp("finished") / "store")
    code, said = report(store)
    assert code == 0
    return store, said


def leaves(form, path=()):
    items = form.items() if isinstance(form, dict) else enumerate(form)
    for key, value in items:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from leaves(value, (*path, key))


@st.composite
def changes(draw):
    """Draw which file to change, and how: a function of its bytes."""
    name = draw(st.sampled_from(["record.json", "record.json", "predictions-last.arrow"]))
    kinds = ["flip", "cut", "drop"] + ["field"] * 2 * (name == "record.json")
    kind, place = draw(st.sampled_from(kinds)), draw(st.integers(0, 10**6))
    value = draw(
        st.sampled_from([..., None, "NaN", "", -1, 0, 1, 0.5, 55.0, 1e400, [], {}, True, "last"])
    )
    bit = draw(st.integers(0, 7))

    def change(data: bytes) -> bytes:
        at = place % len(data)
        if kind == "flip":
            return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
        if kind == "cut":
            return data[:at]
        if kind == "drop":
            return data[:at] + data[at + 1 :]
        form = json.loads(data)
        paths = list(leaves(form))
        setting(*paths[place % len(paths)], value)(form)
        return json.dumps(form).encode()

    return name, change


def holds(finished, changed, capsys):
    """A report refuses with the trial's name, or gives the very same numbers."""
    store, said = finished
    name, change = changed
    path = record_file(store).parent / name
    whole = path.read_bytes()
    path.write_bytes(change(whole))
    try:
        code, found = report(store)
        error = capsys.readouterr().err
    finally:
        path.write_bytes(whole)
    if code == 0:
        assert found == said
    else:
        assert (code, found) == (2, "") and ONE in error and "Traceback" not in error


PROPERTY = settings(
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@settings(PROPERTY, max_examples=60)
@given(changed=changes())
def test_small_change_is_refused_or_changes_no_number(finished, capsys, changed):
    holds(finished, changed, capsys)


@pytest.mark.slow
@settings(PROPERTY, max_examples=500)
@given(changed=changes())
def test_small_change_is_refused_or_changes_no_number_at_length(finished, capsys, changed):
    holds(finished, changed, capsys)


@pytest.mark.parametrize("harm", [lambda path: path.unlink(), lambda path: path.write_bytes(b"x")])
def test_predictions_that_the_plan_does_not_read_are_doubted_too(store, harm):
    assert doubtful(store, PLAN) == {}
    harm(record_file(store).parent / "predictions-best.arrow")
    assert list(doubtful(store, PLAN)) == [ONE]
    assert set(doubtful(store, PLAN)) == {ONE}  # it is not remembered as verified
