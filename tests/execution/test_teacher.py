"""Students of trained teachers: what they learn from, who computes it, and who may not teach."""

import dataclasses
import os
import shutil

import numpy as np
import pytest
import torch

from orchestrator import Arm, Component, Plan
from orchestrator.data import open_pack
from orchestrator.data.partition import partition
from orchestrator.errors import CheckpointError, ConfigError, PlanError
from orchestrator.execution.preflight.arms import check_arms
from orchestrator.execution.stages import missing_trials
from orchestrator.execution.teacher import teacher_of
from orchestrator.execution.trial import TrialRun
from orchestrator.experiment.identity import canonical
from orchestrator.predict.loading import load_model
from orchestrator.records import TEACHER_ARM, Status
from orchestrator.store import Store
from orchestrator.store.forms import trial_folder
from orchestrator.training.data_parallel import Group
from orchestrator.training.evaluate import evaluate
from orchestrator.training.inputs import Inputs
from orchestrator.training.state import NoCheckpoints
from orchestrator.training.trainer import Trainer
from tests import tiny

torch.set_num_threads(1)
BY_ARM = Component("soft", teacher=f"{TEACHER_ARM}large", weight=0.9, temperature=2.0)
LARGE = {"model.depths": (1, 1, 2, 1)}


def plan_of(**changes) -> Plan:
    return Plan(
        name="taught",
        question="Does a teacher help?",
        base=tiny.experiment(epochs=2),
        arms=(
            Arm(name="taught", changes={"distillation": BY_ARM, **changes}),
            Arm(name="alone"),
            Arm(name="large", changes=LARGE),
        ),
        baseline="alone",
        seeds=(0, 1),
    )


def run(store: Store, experiment):
    return TrialRun(store=store, trial_id=experiment.id, experiment=experiment).run()


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """A teacher of seed 0, its student, and the store."""
    student, _, teacher = plan_of().trials()[:3]
    store = tiny.store_with_pack(tmp_path_factory.mktemp("taught"), teacher.experiment)
    assert run(store, teacher.experiment).status is Status.FINISHED
    record = run(store, student.experiment)
    assert record.status is Status.FINISHED, record.error
    return store, teacher, student, record


def pack_of(store: Store, trial):
    return open_pack(trial.experiment.dataset.arguments["fingerprint"], packs=store.packs_uri)


def learned(store, experiment):
    clips = open_pack(experiment.dataset.arguments["fingerprint"], packs=store.packs_uri)
    return teacher_of(
        experiment,
        clips=clips,
        store=store,
        group=Group(),
        device="cpu",
        deterministic=False,
    )


def copy_of(store: Store, path) -> Store:
    assert store.local_path is not None
    shutil.copytree(store.local_path, path)
    return Store.open(path)


def test_students_learn_the_logits_of_the_trained_teacher_which_are_kept_with_it(taught):
    store, teacher, _, record = taught
    clips = pack_of(store, teacher)
    every = np.arange(len(clips.clip_ids))
    made = evaluate(
        load_model(store, teacher.id),
        Inputs(clips, torch.device("cpu")),
        every,
        batch_size=teacher.experiment.batch_size,
        epoch=0,
        precision="fp32",
        group=Group(),
    ).predictions
    kept, digest = store.read_pack_predictions(teacher.id, "last")
    np.testing.assert_array_equal(kept.logits, made.logits)
    assert record.data["teacher"] == {
        "trial": teacher.id,
        "weights": "last",
        "predictions": digest,
    }
    # On the clips that it reports, they are the teacher's predictions.
    test = partition(clips, teacher.experiment).test
    reported = store.read_predictions(teacher.id, "last")
    np.testing.assert_allclose(kept.logits[test], reported.logits, rtol=0, atol=1e-5)


def test_student_reads_what_is_kept_and_computes_nothing(taught, tmp_path):
    store, teacher, student, record = taught
    other = copy_of(store, tmp_path / "store")
    shutil.rmtree(tmp_path / "store" / trial_folder(teacher.id) / "checkpoints")
    shutil.rmtree(tmp_path / "store" / trial_folder(student.id))
    again = run(other, student.experiment)
    assert again.metrics_at("last")["train/loss"] == record.metrics_at("last")["train/loss"]


@pytest.mark.parametrize(("learns", "damage"), [("its outputs", "cut"), ("its weights", "gone")])
def test_trial_without_a_whole_checkpoint_to_learn_from_is_trained_again(
    taught, tmp_path, learns, damage
):
    store, teacher, student, _ = taught
    other = copy_of(store, tmp_path / "store")
    folder = tmp_path / "store" / trial_folder(teacher.id)
    for kept in folder.glob("predictions-last-pack-*"):
        kept.unlink()
    file = tiny.checkpoint_file(other, teacher.id, "last")
    if damage == "cut":
        os.truncate(file, file.stat().st_size // 2)
    else:
        shutil.rmtree(file.parent)
    if learns == "its outputs":
        shutil.rmtree(tmp_path / "store" / trial_folder(student.id))
        wanted = student.experiment
    else:
        initial = {"initial": Component("trial", id=teacher.id)}
        wanted = tiny.experiment(epochs=1, model__depths=(1, 1, 2, 1), **initial)
    record = run(other, wanted)
    assert record.status is Status.FAILED
    damaged = {"cut": f"{file} is damaged", "gone": "has no last checkpoint"}[damage]
    again = f"the same command trains trial {teacher.id} again, and then this one"
    assert damaged in record.error_line and record.error_line.endswith(again)
    aside = ["record.json.damaged-1", "predictions-last.arrow.damaged-1"]
    aside += [f"checkpoints/{name}.damaged-1" for name in (file.name, "last.json")] * (
        damage == "cut"
    )
    assert all((folder / name).exists() for name in aside)
    assert missing_trials([teacher], other) == [teacher]
    assert run(other, teacher.experiment).status is Status.FINISHED
    record = run(other, wanted)
    assert record.status is Status.FINISHED, record.error


def test_teacher_changes_what_the_student_learns(taught):
    store, _, student, record = taught
    alone = dataclasses.replace(student.experiment, distillation=Component("none"))
    clips = pack_of(store, student)

    untaught = Trainer(alone, clips=clips, checkpoints=NoCheckpoints())
    (first, _) = untaught.epochs()
    assert first.metrics["train/loss"] != record.epochs[0].metrics["train/loss"]


def test_killed_student_goes_on_to_the_same_numbers(taught, tmp_path):
    store, _, student, record = taught
    other = copy_of(store, tmp_path / "store")
    shutil.rmtree(tmp_path / "store" / trial_folder(student.id))

    def stop(epoch):
        raise KeyboardInterrupt

    attempt = TrialRun(
        store=other, trial_id=student.id, experiment=student.experiment, on_epoch=stop
    )
    with pytest.raises(KeyboardInterrupt):
        attempt.run()
    assert len(other.read_record(student.id).epochs) == 1
    resumed = run(other, student.experiment)
    assert resumed.cost.attempts == 2
    for one, two in zip(resumed.epochs, record.epochs, strict=True):
        assert one.metrics["train/loss"] == two.metrics["train/loss"]
        assert one.metrics["val/loss"] == two.metrics["val/loss"]


def test_other_outputs_of_the_teacher_are_no_continuation(taught, tmp_path):
    store, teacher, student, _ = taught
    other = copy_of(store, tmp_path / "store")
    kept, digest = other.read_pack_predictions(teacher.id, "last")
    (
        tmp_path / "store" / trial_folder(teacher.id) / f"predictions-last-pack-{digest}.arrow"
    ).unlink()
    changed = dataclasses.replace(kept, logits=kept.logits + 1)
    other.write_pack_predictions(teacher.id, "last", changed)
    assert "others than those that the first 2 epochs" in run(other, student.experiment).error
    path = next((tmp_path / "store" / trial_folder(teacher.id)).glob("predictions-last-pack-*"))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(CheckpointError, match="edited or damaged"):
        learned(other, student.experiment)


def test_mixed_clips_learn_from_the_teacher_of_both(taught):
    store, teacher, student, _ = taught
    clips = pack_of(store, teacher)
    logits = store.read_pack_predictions(teacher.id, "last")[0].logits

    def first_batch(**mixup):
        experiment = dataclasses.replace(
            student.experiment, mixup=Component("random_partner", **mixup)
        )

        trainer = Trainer(experiment, clips=clips, checkpoints=NoCheckpoints(), teacher=logits)
        draws = trainer._draws(1)
        share = trainer._steps()[0].shares[0]
        (batch,) = trainer._batches([share], epoch=1)
        return batch.teacher, [logits[draws.first[share.rows]], logits[draws.partner[share.rows]]]

    made, (first, second) = first_batch(probability=1.0)
    np.testing.assert_array_equal(made[0], first)
    np.testing.assert_array_equal(made[1], second)
    made, (first, _) = first_batch(probability=1.0, labels=False)
    assert len(made) == 1
    np.testing.assert_array_equal(made[0], first)


@pytest.mark.parametrize(
    ("changes", "teaching", "said"),
    [
        ({"fold": 2}, {}, r"was trained or chosen on 15 of the clips on which this trial"),
        ({"selection": "best_on_validation"}, {}, "was trained or chosen on .* of the clips"),
        ({}, {"selection": "best_on_test"}, "give it selection='last' or 'best_on_validation'"),
        ({}, {"seed": 7}, "the teacher, is missing in .*; run the sweep that trains it"),
        ({}, {"dataset.fingerprint": "0" * 64}, "was trained on the pack"),
    ],
)
def test_teacher_that_must_not_teach_is_refused(taught, changes, teaching, said):
    store, teacher, student, _ = taught
    paths = {path.replace(".", "__"): value for path, value in teaching.items()}
    other = tiny.experiment(epochs=2, **paths) if teaching else teacher.experiment
    if teaching and "seed" not in teaching:
        record = dataclasses.replace(
            store.read_record(teacher.id), id=other.id, experiment=canonical(other)
        )
        store.write_record(record)
    experiment = dataclasses.replace(
        student.experiment, distillation=BY_ARM.replace(teacher=other.id), **changes
    )
    with pytest.raises((ConfigError, CheckpointError), match=said):
        learned(store, experiment)


def test_preflight_sees_a_teacher_at_work_and_what_it_cannot_teach():
    facts = {"num_classes": 3, "num_samples": 8000, "sample_rate": 16000}
    _, student, _ = check_arms(plan_of(), **facts)
    assert student.arm == "taught" and student.loss_change > 0
    with pytest.raises(PlanError, match="temperature is -1; it must be above 0"):
        check_arms(plan_of(**{"distillation.temperature": -1.0}), **facts)
