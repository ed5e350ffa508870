"""Clips with one class of each of several heads: packed, trained, scored, stored and reported."""

import dataclasses
import io

import numpy as np
import pytest
import torch

from orchestrator import Arm, Component, Contrast, Plan
from orchestrator.data import open_pack, peek, prepare
from orchestrator.data.entry import open_source
from orchestrator.errors import ConfigError, PlanError
from orchestrator.execution.options import parse
from orchestrator.execution.preflight.arms import check_arms
from orchestrator.execution.prepare import packs_of
from orchestrator.execution.prepare import prepare as prepare_launch
from orchestrator.execution.trial import TrialRun
from orchestrator.predict.loading import load_model
from orchestrator.report.__main__ import main
from orchestrator.store import Store
from orchestrator.store.verification import verify_stored
from orchestrator.training.losses import batch_targets, build_loss
from tests import tiny
from tests.two_heads import CLASS_NAMES, HEADS

torch.set_num_threads(1)
NAME = "tests.two_heads:two_heads"
SLOWFAST = Component("slowfast_laptop", num_frames=32)


def plan_of(**changes):
    source = open_source(NAME, {}, root=None)
    dataset = Component(NAME, fingerprint=source.fingerprint)
    return Plan(
        name="kitchen",
        question="What is done to what?",
        base=dataclasses.replace(tiny.experiment(epochs=1), dataset=dataset),
        arms=(Arm(name="base"), Arm(name="other", changes=changes)),
        contrasts=(Contrast("other", "base"),),
        seeds=(0, 1),
        metric="val/action_top1",
    )


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    # SlowFast has a layer of its own for each head.
    plan = plan_of(model=SLOWFAST.replace(heads=(2, 3)))
    store = Store.open(tmp_path_factory.mktemp("heads"))
    info = prepare(NAME, {}, root=None, packs=packs_of(store.uri))
    for trial in plan.trials():
        TrialRun(store=store, trial_id=trial.id, experiment=trial.experiment).run()
    facts = {"targets": "heads", "heads": HEADS, "fingerprint": info.fingerprint}
    record = plan.record(class_names=list(CLASS_NAMES), name="two_heads", **facts)
    store.write_plan(record)
    return record, store, open_pack(info.fingerprint, packs=store.packs_uri)


def report(store, *more):
    out = io.StringIO()
    code = main(["kitchen", "--store", store.uri, *more], out=out)
    assert code == 0
    return " ".join(out.getvalue().split())


def test_pack_keeps_the_class_of_each_head(study):
    _, store, pack = study
    assert pack.targets.kind == "heads" and pack.targets.heads == HEADS
    assert pack.content_digest() == pack.manifest["content_digest"]
    info = peek(NAME, {}, root=None, packs=store.packs_uri)
    assert info is not None and info.heads == HEADS and info.targets == "heads"
    assert len(pack) == 60
    classes = pack.targets.by_head()
    assert set(zip(classes["verb"].tolist(), classes["noun"].tolist(), strict=True)) == {
        (verb, noun) for verb in range(2) for noun in range(3)
    }
    assert pack.targets.take([3, 1]).by_head()["noun"].tolist() == classes["noun"][[3, 1]].tolist()


def test_trials_finish_with_the_metrics_of_each_head_and_of_all_and_are_verified(study):
    plan, store, _ = study
    records = store.read_records(trial.id for trial in plan.trials)
    verify_stored(store, plan, records, remember=False)
    wanted = {f"val/{head}_top{k}" for head in ("verb", "noun", "action") for k in (1, 5)}
    for record in records.values():
        assert record.status == "finished", record.error
        metrics = record.epochs[-1].metrics
        assert wanted | {"val/action_each_top5", "val/loss"} <= metrics.keys()
        assert not {"val/top1", "val/map"} & metrics.keys()
        made = store.read_predictions(record.id, "last")
        assert made.targets.heads == HEADS and made.logits.shape == (30, 5)
        verb, noun = made.by_head().values()
        right = (verb.logits.argmax(1) == verb.labels) & (noun.logits.argmax(1) == noun.labels)
        assert metrics["val/action_top1"] == pytest.approx(right.mean())
        np.testing.assert_allclose(made.probabilities()[:, 2:].sum(axis=1), 1)
        assert metrics["val/noun_top5"] == 1  # there are three


def test_report_compares_by_action_and_scores_by_the_verb_without_training(study):
    plan, store, _ = study
    assert "action top-1" in report(store)
    assert "verb top-1" in report(store, "--metric", "val/verb_top1")
    one, other = (trial.id for trial in plan.trials if trial.seed == 0)
    text = report(store, "--clips", one, other)
    assert "are right in the first alone" in text and "action top-1: " in text


def test_trained_model_is_loaded_with_its_heads(study):
    plan, store, pack = study
    for trial in plan.trials[:2]:
        chain = load_model(store, trial.id)
        made = store.read_predictions(trial.id, "last")
        held_out = pack.split(1)[1]
        logits = chain(pack.batch(held_out, int(pack.num_samples.max()))).clip_logits
        np.testing.assert_allclose(logits.detach().numpy(), made.logits, atol=1e-4)


def test_loss_is_the_mean_over_heads(study):
    _, _, pack = study
    loss = build_loss(Component("cross_entropy"), kind=pack.targets.kind, heads=(2, 3))
    part = np.arange(7)
    ((labels, frames),) = batch_targets(pack.targets, [part], device=torch.device("cpu"))
    logits = torch.randn(7, 5)
    output = type("Made", (), {"clip_logits": logits})()
    wanted = sum(
        torch.nn.functional.cross_entropy(own, labels[:, place], reduction="none")
        for place, own in enumerate((logits[:, :2], logits[:, 2:]))
    )
    assert frames is None
    torch.testing.assert_close(loss(output, labels), wanted / 2)
    with pytest.raises(ConfigError, match="loss 'triplet' is for targets of kind single_label"):
        build_loss(Component("triplet"), kind=pack.targets.kind, heads=(2, 3))


def check(plan):
    return check_arms(
        plan, num_classes=5, num_samples=8000, sample_rate=16000, kind="heads", heads=HEADS
    )


def test_arms_are_checked_on_made_up_classes_of_each_head():
    _, other = check(plan_of(**{"optimizer.learning_rate": 1e-7}))
    assert other.differs and not other.problem


@pytest.mark.parametrize("heads", [(), (3, 2)])
def test_model_with_other_heads_is_refused_with_the_right_ones(heads):
    plan = plan_of(model=SLOWFAST.replace(heads=heads))
    with pytest.raises(PlanError, match=r"has heads of .*, and the clips have .*heads to \(2, 3\)"):
        check(plan)


def test_launch_takes_the_usual_metric_and_refuses_that_of_another_head(tmp_path):
    options = parse(["--store", str(tmp_path), "--dataset", NAME], description="")
    plan = dataclasses.replace(plan_of(epochs=2), metric=Plan.metric)
    assert prepare_launch(plan, options).plan.metric == "val/action_top1"
    with pytest.raises(ConfigError, match=r"val/map is not defined .*heads; .*val/verb_top1"):
        prepare_launch(dataclasses.replace(plan, metric="val/map"), options)
    with pytest.raises(ConfigError, match=r"val/top1 is not .* out for val/action_top1"):
        prepare_launch(dataclasses.replace(plan, metric="val/top1"), options)
