import errno
import math
import threading

import numpy as np
import pytest
import torch

from orchestrator.data import open_pack
from orchestrator.errors import StoreError, TrainingError
from orchestrator.execution.trial import TrialCheckpoints, TrialRun
from orchestrator.experiment.config import Component
from orchestrator.experiment.overrides import override
from orchestrator.records import Status
from orchestrator.store import Store
from orchestrator.training.optimizers import adam_w, cosine
from orchestrator.training.state import Initial, model_state
from orchestrator.training.trainer import Stopped, Trainer
from tests import tiny

torch.set_num_threads(1)
NUMBERS = ("train/loss", "val/loss", "val/top1", "val/top5", "train/learning_rate")


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    return tiny.store_with_pack(tmp_path_factory.mktemp("store"), tiny.experiment())


def trainer(store: Store, experiment, name: str) -> Trainer:
    clips = open_pack(experiment.dataset.arguments["fingerprint"], packs=store.packs_uri)
    return Trainer(experiment, clips=clips, checkpoints=TrialCheckpoints(store, name))


def numbers(records) -> list[list[float]]:
    return [
        [record.metrics[key] for key in record.metrics if key in NUMBERS or "selection/" in key]
        for record in records
    ]


def test_train_twice_gives_the_same_bits(store):
    first = trainer(store, tiny.experiment(), "a" * 16)
    second = trainer(store, tiny.experiment(), "b" * 16)
    assert numbers(first.epochs()) == numbers(second.epochs())


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"transform": Component("gaussian", scale=0.1)},
        {"model.drop_path_rate": 0.3, "accumulation_steps": 2},
        {"precision": "bf16"},
        {"selection": "best"},
    ],
    ids=["adam", "noise", "drop_path", "bf16", "validation"],
)
def test_resume_at_an_epoch_boundary_gives_the_same_bits(store, changes, request):
    experiment = tiny.experiment(**changes)
    name = request.node.callspec.id
    whole = trainer(store, experiment, f"whole-{name}")
    expected = numbers(whole.epochs())
    for _ in trainer(store, experiment, f"parts-{name}").epochs():
        break
    torch.manual_seed(99)  # whatever a process did before must not matter
    rest = trainer(store, experiment, f"parts-{name}")
    assert len(rest.records) == 1
    list(rest.epochs())
    assert numbers(rest.records) == expected
    for which in ("last", "best"):
        ours, theirs = rest.final_predictions()[which], whole.final_predictions()[which]
        assert ours.epoch == theirs.epoch
        np.testing.assert_array_equal(ours.logits, theirs.logits)


def test_predictions_after_a_kill_between_the_last_epoch_and_the_record(store):
    experiment = tiny.experiment()
    whole = trainer(store, experiment, "done")
    list(whole.epochs())
    tensors, _ = store.load_checkpoint("done", "last")
    assert not any(name.startswith("optimizer.") for name in tensors)  # which nobody needs again
    again = trainer(store, experiment, "done")
    assert list(again.epochs()) == []
    for which in ("last", "best"):
        np.testing.assert_array_equal(
            again.final_predictions()[which].logits, whole.final_predictions()[which].logits
        )


def test_accumulation_gives_the_gradients_of_the_whole_batch(store):
    # Drop path draws per forward pass, so it would differ between whole and parts.
    whole = tiny.experiment(epochs=1, model__drop_path_rate=0.0)
    first = trainer(store, whole, "whole-batch")
    parts = trainer(store, override(whole, {"accumulation_steps": 3}), "parts-of-batch")
    ours, theirs = numbers(first.epochs()), numbers(parts.epochs())
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)


def test_arms_of_a_block_share_weights_and_order(store):
    plain = trainer(store, tiny.experiment(), "plain")
    adapted = trainer(store, tiny.experiment(transform=Component("adaptor")), "adapted")
    own = plain.chain.model.state_dict()
    for name, value in adapted.chain.model.state_dict().items():
        assert torch.equal(value, own[name])


def test_loss_that_is_not_finite_stops_with_epoch_and_step(store):
    run = trainer(store, tiny.experiment(optimizer__learning_rate=1e30), "diverges")
    with pytest.raises(TrainingError, match=r"the loss is .* at epoch \d, step \d of 3"):
        list(run.epochs())


@pytest.mark.parametrize(
    ("kind", "part", "said"),
    [
        ("loss", "Mean", r"loss 'tests.own_parts:Mean' returned shape \(\) for 5 clips"),
        ("schedule", "below_zero", r"schedule 'tests.own_parts:below_zero' returned -.* at step"),
    ],
)
def test_training_holds_the_losses_and_the_learning_rate_to_their_contract(store, kind, part, said):
    own = tiny.experiment(**{kind: Component(f"tests.own_parts:{part}")})
    with pytest.raises(TrainingError, match=said):
        list(trainer(store, own, "own").epochs())


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"optimizer__learning_rate": 1e30}, Status.DIVERGED, "DivergedError: the loss is"),
        ({"loss": Component("tests.own_parts:Mean")}, Status.FAILED, "tests.own_parts:Mean"),
    ],
)
def test_trial_that_ends_early_is_kept_with_its_traceback(store, changes, status, words):
    experiment = tiny.experiment(**changes)
    record = TrialRun(store=store, trial_id=experiment.id, experiment=experiment).run()
    assert record.status is status
    assert record.error.startswith("Traceback") and words in record.error_line
    assert store.read_record(experiment.id) == record


def test_trial_does_not_start_from_one_that_was_not_trained_to_its_end(store):
    first = tiny.experiment(seed=7)
    run = TrialRun(store=store, trial_id=first.id, experiment=first)

    def stop(epoch) -> None:
        raise KeyboardInterrupt

    run.on_epoch = stop
    with pytest.raises(KeyboardInterrupt):
        run.run()
    assert store.load_checkpoint(first.id, "last") is not None
    after = tiny.experiment(initial=Component("trial", id=first.id))
    record = TrialRun(store=store, trial_id=after.id, experiment=after).run()
    assert record.status is Status.FAILED
    assert f"trial {first.id}, whose weights this one starts from, is running" in record.error_line


def test_trial_record_says_what_a_report_needs(store):
    experiment = tiny.experiment()
    heard = []
    record = TrialRun(
        store=store, trial_id=experiment.id, experiment=experiment, on_epoch=heard.append
    ).run()
    assert record.status is Status.FINISHED
    assert [e.epoch for e in record.epochs] == [e.epoch for e in heard] == [1, 2, 3]
    assert record.cost.num_params > 1000 and record.cost.macs > 1000
    assert record.cost.seconds > record.cost.set_up_s > 0
    assert record.data["num_train"] == 15 and record.data["num_val"] == 15
    assert record.data["val_counts"] == [5, 5, 5]
    assert record.provenance["torch"].startswith("2.11")
    predictions = store.read_predictions(experiment.id, "last")
    assert predictions is not None
    assert predictions.scores()["val/top1"] == record.metrics_at("last")["val/top1"]
    tensors, _ = store.load_checkpoint(experiment.id, "last")
    assert not any(name.startswith("optimizer.") for name in tensors)
    best = max(record.epochs, key=lambda e: e.metrics["val/top1"])
    assert record.metrics_at("best") == best.metrics
    for which in ("last", "best"):
        made = store.read_predictions(experiment.id, which, digest=record.predictions[which])
        assert made.scores().items() <= record.metrics_at(which).items()


def test_record_of_an_epoch_is_written_while_training_goes_on(store, monkeypatch):
    experiment = tiny.experiment(seed=12)
    heard, in_time = threading.Event(), []
    write = TrialRun._write

    def slow(run, record, group):
        if record.status is Status.RUNNING and record.epochs:
            in_time.append(heard.wait(60))
        write(run, record, group)

    monkeypatch.setattr(TrialRun, "_write", slow)
    run = TrialRun(
        store=store,
        trial_id=experiment.id,
        experiment=experiment,
        on_epoch=lambda epoch: heard.set(),
    )
    record = run.run()
    assert in_time == [True] * experiment.epochs
    assert store.read_record(experiment.id) == record


def test_record_that_cannot_be_written_stops_the_trial(store, monkeypatch):
    experiment = tiny.experiment(seed=13)
    write = TrialRun._write

    def full(run, record, group):
        if record.status is Status.RUNNING and record.epochs:
            raise StoreError("cannot write") from OSError(errno.ENOSPC, "no space")
        write(run, record, group)

    monkeypatch.setattr(TrialRun, "_write", full)
    with pytest.raises(StoreError, match="cannot write"):
        TrialRun(store=store, trial_id=experiment.id, experiment=experiment).run()
    assert store.read_record(experiment.id).status is Status.FAILED


def test_trial_that_predicts_again_records_what_its_predictions_give(store):
    experiment = tiny.experiment(seed=11)
    run = TrialRun(store=store, trial_id=experiment.id, experiment=experiment)
    calm = run.run()
    # As on a GPU, where a resumed run predicts to other last digits than the epoch had.
    tensors, facts = store.load_checkpoint(experiment.id, "last")
    facts["epochs"][-1]["metrics"]["val/loss"] += 1e-6
    store.save_checkpoint(experiment.id, "last", tensors, facts)
    store.files.delete(f"trials/{experiment.id}/record.json")
    again = run.run()
    assert again.status is Status.FINISHED
    assert again.metrics_at("last")["val/loss"] == calm.metrics_at("last")["val/loss"]
    assert again.predictions == calm.predictions


@pytest.mark.parametrize("selection", ["last", "best_on_test", "best"])
@pytest.mark.parametrize("metric", ["val/top1", "val/map", "val/loss"])
def test_best_epoch_is_by_the_selection_metric_in_its_direction(store, metric, selection):
    experiment = tiny.experiment(epochs=4, selection=selection, selection_metric=metric)
    name = f"{selection}-{metric.replace('/', '-')}"
    run = trainer(store, experiment, name)
    chosen_by = metric.replace("val/", "selection/") if selection == "best" else metric
    values = [record.metrics[chosen_by] for record in run.epochs()]
    best = min(values) if metric == "val/loss" else max(values)
    assert run.best_epoch == values.index(best) + 1
    predictions = run.final_predictions()["best"]
    assert predictions.epoch == run.best_epoch
    assert predictions.scores()[metric] == run.records[run.best_epoch - 1].metrics[metric]
    again = trainer(store, experiment, name)
    assert again.best_epoch == run.best_epoch
    assert again.final_predictions()["best"].epoch == run.best_epoch


def test_validation_clips_choose_and_neither_train_nor_are_reported(store):
    # The fold has 15 clips, five of each class and each a recording of its own.
    experiment = tiny.experiment(selection="best", seed=3)
    record = TrialRun(store=store, trial_id=experiment.id, experiment=experiment).run()
    assert record.status is Status.FINISHED, record.error
    assert (record.data["num_train"], record.data["num_validation"]) == (12, 3)
    assert record.data["num_val"] == 15 and record.chose_on_validation
    assert record.data["chosen_on"] == "some of the training recordings"
    assert record.data["validation_rule"].startswith("10 % of each class by recording")
    computed = {key for key in record.epochs[0].metrics if key.startswith("val/")}
    chose = {key for key in record.epochs[0].metrics if key.startswith("selection/")}
    assert {key.removeprefix("selection/") for key in chose} == {k[4:] for k in computed}
    run = trainer(store, experiment, experiment.id)
    parts = run.partition
    assert np.array_equal(run.train_indices, parts.train)
    assert not set(parts.validation) & {*parts.train, *parts.test}
    # What is reported is of the test clips; what chose is of the validation clips.
    made = run.final_predictions()["last"]
    assert made.clip_ids == tuple(run.clips.clip_ids[i] for i in parts.test)
    assert made.scores()["val/loss"] == record.metrics_at("last")["val/loss"]
    chose_loss = run._evaluate(3, parts.validation).predictions.scores()["val/loss"]
    assert chose_loss == record.metrics_at("last")["selection/loss"]


def test_selection_of_the_last_epoch_trains_on_all_of_the_rest(store):
    of_last = trainer(store, tiny.experiment(epochs=1), "of-last")
    on_test = trainer(store, tiny.experiment(epochs=1, selection="best_on_test"), "on-test")
    assert numbers(of_last.epochs()) == numbers(on_test.epochs())
    assert len(of_last.train_indices) == 15 and not len(of_last.partition.validation)


def test_trial_starts_from_the_weights_of_another(store):
    first = tiny.experiment(seed=5)
    TrialRun(store=store, trial_id=first.id, experiment=first).run()
    second = tiny.experiment(initial=Component("trial", id=first.id))
    record = TrialRun(store=store, trial_id=second.id, experiment=second).run()
    assert record.status is Status.FINISHED, record.error
    assert "parameters taken" in record.data["initial"]
    tensors, _ = store.load_checkpoint(first.id, "last")
    started = trainer_from(store, second, tensors)
    for name, value in started.chain.model.state_dict().items():
        assert torch.equal(value, tensors[f"model.{name}"])


def trainer_from(store: Store, experiment, tensors) -> Trainer:
    clips = open_pack(experiment.dataset.arguments["fingerprint"], packs=store.packs_uri)
    initial = Initial(model_state(tensors), "a test")
    return Trainer(
        experiment, clips=clips, checkpoints=TrialCheckpoints(store, "fresh"), initial=initial
    )


def test_trial_without_its_prerequisite_fails_with_the_way_out(store):
    experiment = tiny.experiment(initial=Component("trial", id="0" * 16))
    record = TrialRun(store=store, trial_id=experiment.id, experiment=experiment).run()
    assert "run the sweep that trains it" in record.error


def test_cosine_warms_up_and_ends_at_its_floor():
    rate = cosine(100, 1.0, warmup_fraction=0.1, final_learning_rate=0.01)
    rates = [rate(step) for step in range(100)]
    assert rates[:10] == pytest.approx([0.1 * n for n in range(1, 11)])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0.01)
    assert rates[54] == pytest.approx(0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * 0.5)), rel=0.02)


def test_adam_w_decays_matrices_but_no_tables_and_vectors():
    parameters = [
        ("weight", torch.nn.Parameter(torch.ones(2, 2))),
        ("bias", torch.nn.Parameter(torch.ones(2))),
        ("bias_table", torch.nn.Parameter(torch.ones(2, 2))),
        ("frozen", torch.nn.Parameter(torch.ones(2, 2), requires_grad=False)),
    ]
    groups = adam_w(parameters, weight_decay=0.1).param_groups
    assert [len(group["params"]) for group in groups] == [1, 2]
    assert [group["weight_decay"] for group in groups] == [0.1, 0.0]


def test_noise_at_test_is_the_same_whenever_an_epoch_is_predicted(tmp_path):
    noisy = tiny.experiment(transform=Component("matched_noise"), epochs=1)
    run = trainer(tiny.store_with_pack(tmp_path, noisy), noisy, "noisy")
    list(run.epochs())
    kept = run.predictions["last"].logits
    run.predictions.clear()
    np.testing.assert_array_equal(run.final_predictions()["last"].logits, kept)


def test_epoch_that_is_last_and_best_is_predicted_once(tmp_path):
    only = tiny.experiment(epochs=1)
    run = trainer(tiny.store_with_pack(tmp_path, only), only, "only")
    list(run.epochs())
    run.predictions.clear()
    made = run.final_predictions()
    assert made["best"] is made["last"]


@pytest.mark.parametrize("averaging", ["none", "ema"])
def test_trial_stopped_at_any_step_goes_on_to_the_same_bits(tmp_path, averaging):
    experiment = tiny.experiment(
        epochs=2, averaging=Component(averaging), transform=Component("adaptor")
    )
    calm = TrialRun(
        store=tiny.store_with_pack(tmp_path / "calm", experiment),
        trial_id=experiment.id,
        experiment=experiment,
    ).run()
    store = tiny.store_with_pack(tmp_path / "stopped", experiment)
    num_stops, num_steps = 0, 0

    def stop() -> bool:  # after every step but one
        nonlocal num_steps
        num_steps += 1
        return num_steps == 2

    while True:
        num_steps = 0
        run = TrialRun(store=store, trial_id=experiment.id, experiment=experiment, stop=stop)
        try:
            record = run.run()
            break
        except Stopped:
            num_stops += 1
    assert num_stops == 5 and record.cost.attempts == 6
    for one, other in zip(calm.epochs, record.epochs, strict=True):
        for key, value in one.metrics.items():
            if not key.startswith(("time/", "throughput/", "memory/")):
                assert other.metrics[key] == value, key
    assert record.predictions == calm.predictions
