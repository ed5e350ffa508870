"""Global state of PyTorch that a trial sets, and what follows from it."""

import contextlib
import dataclasses
import os

import numpy as np
import pytest
import torch
from torch._subclasses import FakeTensorMode
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from models.datar.deformable import look_up_bias, sample_map
from models.layers.frames import stretch_frames
from orchestrator.errors import ConfigError, TrainingError
from orchestrator.execution.trial import TrialRun
from orchestrator.experiment.config import Component
from orchestrator.records import Status
from orchestrator.training.arithmetic import WORKSPACE, arithmetic, arithmetic_facts
from tests import tiny


def tf32() -> tuple[bool, bool]:
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize(
    ("precision", "allowed"), [("fp32", False), ("tf32", True), ("bf16", False)]
)
def test_precision_decides_tf32_and_the_state_before_comes_back(precision, allowed):
    before = tf32()
    assert before == (False, True)  # PyTorch's defaults: cuDNN rounds convolutions to TF32
    with arithmetic("tf32", deterministic=False):
        with pytest.raises(KeyError), arithmetic(precision, deterministic=False):
            assert tf32() == (allowed, allowed)
            raise KeyError
        assert tf32() == (True, True)
    assert tf32() == before


def test_deterministic_algorithms_are_on_inside_alone(monkeypatch):
    monkeypatch.delenv(WORKSPACE, raising=False)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    with arithmetic("fp32", deterministic=True):
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.is_deterministic_algorithms_warn_only_enabled()
        assert not torch.backends.cudnn.benchmark
        assert os.environ[WORKSPACE] == ":4096:8"
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.backends.cudnn.benchmark
    assert torch.utils.deterministic.fill_uninitialized_memory


def test_setting_of_cublas_that_does_not_repeat_is_refused(monkeypatch):
    monkeypatch.setenv(WORKSPACE, ":0:0")
    with (
        pytest.raises(ConfigError, match=r"':0:0'.* \(valid: :4096:8, :16:8\)"),
        arithmetic("fp32", deterministic=True),
    ):
        pass
    with arithmetic("fp32", deterministic=False):  # --fast
        pass


def test_operation_without_a_deterministic_form_is_named_with_the_way_out(monkeypatch):
    monkeypatch.delenv(WORKSPACE, raising=False)
    values, places = functional.max_pool2d(torch.randn(1, 1, 4, 4), 2, return_indices=True)
    with (
        pytest.raises(TrainingError, match=r"^max_unpooling2d\S* has no form .* give --fast"),
        arithmetic("fp32", deterministic=True),
    ):
        functional.max_unpool2d(values, places, 2)
    with (
        pytest.raises(RuntimeError, match="shapes cannot be multiplied"),
        arithmetic("fp32", deterministic=True),
    ):
        torch.zeros(2, 3) @ torch.zeros(2, 3)


class Called(Exception):
    pass


class Watch(TorchDispatchMode):
    """Raises where an operation is called."""

    def __init__(self, operation: str):
        super().__init__()
        self.operation = operation

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if self.operation in str(func):
            raise Called
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize(
    ("call", "operation"),
    [
        (
            lambda: sample_map(torch.zeros(2, 4, 5, 8), torch.zeros(2, 2, 9, 2)),
            "grid_sampler",
        ),
        (
            lambda: look_up_bias(
                torch.zeros(4, 7, 9), torch.zeros(4, 5, 2), torch.zeros(2, 2, 9, 2)
            ),
            "grid_sampler",
        ),
        (lambda: stretch_frames(torch.zeros(2, 1, 4, 5), 9), "upsample_bicubic2d"),
    ],
    ids=["deformable attention", "its bias", "frames of HTS-AT"],
)
def test_deterministic_form_replaces_the_fast_one_on_a_gpu(
    call, operation, deterministic, monkeypatch
):
    monkeypatch.delenv(WORKSPACE, raising=False)
    # Tensors without values, which stand on a GPU whether there is one or not.
    with (
        contextlib.nullcontext() if deterministic else pytest.raises(Called),
        arithmetic("fp32", deterministic=deterministic),
        FakeTensorMode(),
        torch.device("cuda"),
        Watch(operation),
    ):
        call()


def test_record_says_how_the_trial_was_computed(tmp_path):
    experiment = tiny.experiment(epochs=1)
    store = tiny.store_with_pack(tmp_path, experiment)
    record = TrialRun(store=store, trial_id=experiment.id, experiment=experiment).run()
    assert record.provenance.items() >= {"deterministic": "yes", "tf32": "no"}.items()
    assert arithmetic_facts(torch.device("cpu")) == {"deterministic": "yes", "tf32": "no"}


@pytest.mark.parametrize(
    ("before", "after"),
    [({"deterministic": "no"}, "no"), ({}, "yes")],
    ids=["fast", "an old version"],
)
def test_record_of_a_resumed_trial_counts_the_epochs_before(before, after, tmp_path):
    def stop(epoch):
        raise KeyboardInterrupt

    experiment = tiny.experiment(epochs=2)
    store = tiny.store_with_pack(tmp_path, experiment)
    run = TrialRun(store=store, trial_id=experiment.id, experiment=experiment, on_epoch=stop)
    with pytest.raises(KeyboardInterrupt):
        run.run()
    begun = store.read_record(experiment.id)
    store.write_record(dataclasses.replace(begun, provenance={"python": "3.11", **before}))
    record = dataclasses.replace(run, on_epoch=lambda epoch: None).run()
    assert record.cost.attempts == 2 and record.provenance["deterministic"] == after


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
def test_trials_on_a_gpu_repeat_to_the_bit(precision, tmp_path):
    experiment = tiny.experiment(precision=precision, transform=Component("adaptor", strength=0.2))
    made = []
    for folder in (tmp_path / "once", tmp_path / "again"):
        store = tiny.store_with_pack(folder, experiment)
        record = TrialRun(
            store=store, trial_id=experiment.id, experiment=experiment, device="cuda"
        ).run()
        assert record.status is Status.FINISHED, record.error
        assert record.provenance["deterministic"] == "yes" and record.provenance["cudnn"]
        made.append(store.read_predictions(experiment.id, "last").logits)
    np.testing.assert_array_equal(*made)
