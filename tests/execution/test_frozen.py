"""Heads on frozen encoders: embeddings computed once, trained in one table beside fine-tuning."""

import dataclasses
import io
import re

import numpy as np
import pytest
import torch

from models.frozen import FrozenEncoder, encoder_of
from orchestrator import Arm, Component, Contrast, Plan
from orchestrator.data import open_pack
from orchestrator.errors import ConfigError
from orchestrator.execution.preflight.arms import check_arms
from orchestrator.execution.trial import TrialCheckpoints, TrialRun
from orchestrator.predict.loading import load_model
from orchestrator.report.__main__ import main
from orchestrator.store.verification import verify_stored
from orchestrator.training.data_parallel import Group
from orchestrator.training.state import Initial, NoCheckpoints
from orchestrator.training.trainer import Trainer
from tests import tiny

torch.set_num_threads(1)
NO_AUGMENTATION = {"augmentation": Component("none")}
HEADS = ("linear", "mlp", "nearest")


def plan_of():
    base = tiny.experiment(epochs=2, **NO_AUGMENTATION)
    frozen = (Arm(name=head, changes={"frozen": True, "head": head}) for head in HEADS)
    return Plan(
        name="frozen",
        question="What is fine-tuning worth?",
        base=base,
        arms=(Arm(name="fine-tuned"), *frozen),
        contrasts=tuple(Contrast(head, "fine-tuned") for head in HEADS),
        seeds=(0, 1),
    )


@pytest.fixture
def seen(monkeypatch):
    """The number of clips that went through an encoder, call by call."""
    counts: list[int] = []
    forward = FrozenEncoder.forward

    def counted(self, waveform):
        counts.append(len(waveform))
        return forward(self, waveform)

    monkeypatch.setattr(FrozenEncoder, "forward", counted)
    return counts


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    plan = plan_of()
    store = tiny.store_with_pack(tmp_path_factory.mktemp("store"), plan.experiment(plan.arms[0]))
    for trial in plan.trials():
        TrialRun(store=store, trial_id=trial.id, experiment=trial.experiment).run()
    record = plan.record(class_names=["a", "b", "c"], name="synthetic")
    store.write_plan(record)
    return plan, record, store


def test_frozen_arms_stand_in_one_table_with_fine_tuning_and_are_verified(study):
    _, record, store = study
    records = store.read_records(trial.id for trial in record.trials)
    for one in records.values():
        assert one.status == "finished", one.error
    verify_stored(store, record, records, remember=False)
    out = io.StringIO()
    assert main(["frozen", "--store", store.uri, "--width", "120"], out=out) == 0
    text = " ".join(out.getvalue().split())
    assert "Complete: all 8 planned trials finished" in text
    assert all(f"{head} − fine-tuned" in text or f"{head} against" in text for head in HEADS), text
    assert re.search("params +trained .*fine-tuned .*310 k +310 k .*linear .*311 k +387", text), (
        text
    )


def test_encoder_keeps_its_weights_and_the_head_learns(study):
    plan, record, store = study
    for head in HEADS:
        trial = next(t for t in record.trials if t.arm == head and t.seed == 0)
        trained = load_model(store, trial.id)
        experiment = next(t.experiment for t in plan.trials() if t.id == trial.id)
        start = trainer(store, experiment).chain
        for name, value in encoder_of(start).chain.state_dict().items():
            assert torch.equal(encoder_of(trained).chain.state_dict()[name], value), name
        moved = any(
            not torch.equal(value, trained.model.state_dict()[name])
            for name, value in start.model.state_dict().items()
        )
        assert moved == (head != "nearest")


def trainer(store, experiment, checkpoints=None, **where):
    clips = open_pack(experiment.dataset.arguments["fingerprint"], packs=store.packs_uri)
    kept = checkpoints or NoCheckpoints()
    return Trainer(experiment, clips=clips, checkpoints=kept, group=Group(), **where)


@pytest.mark.parametrize("head", ["linear", "nearest"])
def test_trial_that_was_stopped_goes_on_to_the_same_numbers(study, head):
    plan, record, store = study
    experiment = plan.experiment(plan.arms[1 + HEADS.index(head)])
    checkpoints = TrialCheckpoints(store, f"stopped-{head}")
    # Its encoder starts from weights that the run that goes on is not given again.
    tensors, facts = store.load_checkpoint(record.trials[0].id, "last")
    initial = Initial(tensors, "the trained one", facts["trained_as"])
    undisturbed = trainer(store, experiment, initial=initial)
    list(undisturbed.epochs())
    epochs = trainer(store, experiment, checkpoints, initial=initial).epochs()
    next(epochs)
    epochs.close()
    again = trainer(store, experiment, checkpoints)
    assert [epoch.epoch for epoch in again.epochs()] == [2]
    for which, made in again.final_predictions().items():
        np.testing.assert_array_equal(made.logits, undisturbed.final_predictions()[which].logits)


def test_embeddings_are_computed_once_per_weights_and_front_end(study, seen, tmp_path):
    plan, _, store = study
    _, linear, mlp, nearest = (plan.experiment(arm) for arm in plan.arms)
    run = trainer(store, linear, features=tmp_path / "kept")
    assert run.inputs.kept == "in a file" and sum(seen) == 30 + 2  # two show that it is pure
    list(run.epochs())
    for again in (mlp, nearest, dataclasses.replace(linear, epochs=1)):
        seen.clear()
        list(trainer(store, again, features=tmp_path / "kept").epochs())
        assert sum(seen) == 2
    for other in (
        dataclasses.replace(linear, seed=7),  # other initial weights
        dataclasses.replace(linear, frontend=linear.frontend.replace(frame_shift_ms=14.0)),
    ):
        seen.clear()
        trainer(store, other, features=tmp_path / "kept")
        assert sum(seen) == 30 + 2


def test_nearest_takes_the_majority_of_the_most_similar_training_clips(study, tmp_path):
    plan, _, store = study
    run = trainer(store, plan.experiment(plan.arms[3]), features=tmp_path)
    list(run.epochs())
    embedding = run.inputs.batch(np.arange(30))["frontend_output"][:, 0, 0]
    unit = torch.nn.functional.normalize(embedding)
    similar = unit[run.val_indices] @ unit[run.train_indices].T
    nearest = run.train_indices[similar.topk(5, dim=1).indices.numpy()]
    votes = np.stack([np.bincount(run.clips.labels[five], minlength=3) for five in nearest])
    made = run.final_predictions()["last"].logits
    np.testing.assert_allclose(made, np.log((votes + 1 / 3) / 6), rtol=1e-5)


def test_initial_weights_are_loaded_into_the_encoder(study):
    plan, record, store = study
    trained = next(t for t in record.trials if t.arm == "fine-tuned" and t.seed == 0)
    tensors, facts = store.load_checkpoint(trained.id, "last")
    initial = Initial(tensors, "the trained one", facts["trained_as"])
    run = trainer(store, plan.experiment(plan.arms[1]), initial=initial)
    own = encoder_of(run.chain).chain.state_dict()
    backbone = [name for name in own if name.startswith("model.") and ".head" not in name]
    assert any(torch.equal(own[name], tensors[name]) for name in backbone)
    assert f"trained as: trial {trained.id}" in run.initial


def test_arms_differ_and_pass_their_checks():
    sizes = {"num_classes": 3, "num_samples": 8000, "sample_rate": 16000}
    _, *checks = check_arms(plan_of(), **sizes)
    for check in checks:
        assert check.differs and not check.problem
        assert check.new_weights == ("head",)  # the encoder starts as the fine-tuned model does
    texts = [str(check).partition("; ")[0] for check in checks]
    assert texts == [
        "linear: 310,629 parameters, 387 of them trained",
        "mlp: 377,829 parameters, 67,587 of them trained",
        "nearest: 310,243 parameters, none of them trained",
    ]


def test_augmentation_before_a_frozen_encoder_is_refused_with_the_way_out():
    with pytest.raises(ConfigError, match=r"augmentation 'spec_augment' .*computed once; leave it"):
        tiny.experiment(frozen=True)
    with pytest.raises(ConfigError, match=r"mixup '.*' changes what a frozen model takes"):
        tiny.experiment(frozen=True, mixup=Component("random_partner"), **NO_AUGMENTATION)
    with pytest.raises(ConfigError, match=r"head is 'mlp', and the model has .*: frozen=True"):
        tiny.experiment(head="mlp")
