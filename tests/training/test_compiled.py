"""Training steps through a real compiler."""

import os
import shutil
import weakref

import numpy as np
import pytest
import torch
import torch._inductor.config
from torch._dynamo.utils import counters

from models.registry import create
from orchestrator.errors import TrainingError
from orchestrator.execution.trial import TrialRun
from orchestrator.experiment.config import Component, Runtime
from orchestrator.predict.loading import load_model
from orchestrator.records import Status
from orchestrator.training.compiled import CACHE, compile_training
from tests import tiny

NUMBERS = ("train/loss", "val/loss", "val/top1")


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(CACHE, raising=False)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
@pytest.mark.parametrize(
    "model",
    [
        Component("kwt_laptop", depth=1, dropout=0.1),
        Component("datar_laptop", depths=(1, 1, 1, 1), drop_path_rate=0.3),
    ],
    ids=lambda component: component.name,
)
def test_compiled_trial_equals_another_to_rounding_and_the_next_compiles_nothing(tmp_path, model):
    # 15 clips in batches of 6: the last batch of an epoch has another size.
    experiment = tiny.experiment(epochs=2, batch_size=6, model=model)
    store = tiny.store_with_pack(tmp_path / "compiled", experiment)
    plain_store = tiny.store_with_pack(tmp_path / "plain", experiment)

    def run(store, experiment, **how):
        run = TrialRun(store=store, trial_id=experiment.id, experiment=experiment, **how)
        record = run.run()
        assert record.status is Status.FINISHED, record.error
        return record, [[epoch.metrics[key] for key in NUMBERS] for epoch in record.epochs]

    before = counters["stats"]["unique_graphs"]
    plain, expected = run(plain_store, experiment)
    assert counters["stats"]["unique_graphs"] == before
    compiled = Runtime(compile="default")
    record, numbers = run(store, experiment, runtime=compiled)
    programs = counters["stats"]["unique_graphs"]
    assert list((tmp_path / "cache/audio-ablation-orchestrator/compiled").rglob("*.so"))
    assert programs > before and not counters["graph_break"]
    np.testing.assert_allclose(numbers, expected, rtol=1e-4)
    assert (plain.provenance["compiled"], record.provenance["compiled"]) == ("no", "default")
    another = tiny.experiment(epochs=2, batch_size=6, model=model, seed=1)
    run(store, another, runtime=compiled)
    assert counters["stats"]["unique_graphs"] == programs

    ours, theirs = (load_model(s, experiment.id).state_dict() for s in (store, plain_store))
    assert ours.keys() == theirs.keys()
    ours, theirs = (s.read_predictions(experiment.id, "last") for s in (store, plain_store))
    np.testing.assert_allclose(ours.logits, theirs.logits, rtol=1e-3, atol=1e-3)


def test_model_that_cannot_be_compiled_is_one_error():
    model = create("model", "tests.own_parts:Model", 1, (32, 32), 3)
    compile_training(model, batch=2, mode="default")
    with (
        torch._inductor.config.patch({"cpp.cxx": ("no-such-compiler",)}),
        pytest.raises(TrainingError, match=r"cannot compile Model \(.*\); train without --compile"),
    ):
        model(torch.randn(2, 1, 32, 32))


def test_other_sizes_and_evaluation_need_no_compiler(tmp_path):
    model = create("model", "tests.own_parts:Model", 1, (32, 32), 3)
    compile_training(model, batch=2, mode="default")
    with torch._inductor.config.patch({"cpp.cxx": ("no-such-compiler",)}):
        assert model(torch.randn(3, 1, 32, 32)).clip_logits.shape == (3, 3)
        assert model.eval()(torch.randn(2, 1, 32, 32)).clip_logits.shape == (2, 3)
    assert os.environ[CACHE] == str(tmp_path / "cache/audio-ablation-orchestrator/compiled")
    held = weakref.ref(model)
    del model
    assert held() is None  # at once, not when garbage is next collected
