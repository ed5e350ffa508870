"""Every collective of a trial gets a tensor of the training device, in a group that knows no other.

PyTorch's `meta` device stands in for a card: it computes no numbers, a value that is taken off it
is an error, and so is a collective on anything else, for the group has no CPU backend.
"""

import contextlib

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils._python_dispatch import TorchDispatchMode

from models.frontends.base import FeatureSums
from orchestrator.data import open_pack
from orchestrator.execution import ray_train
from orchestrator.execution.trial import TrialCheckpoints
from orchestrator.experiment.config import Component
from orchestrator.training import evaluate
from orchestrator.training import trainer as training_loop
from orchestrator.training.data_parallel import Group
from orchestrator.training.inputs import Inputs
from orchestrator.training.sync_batch_norm import SharedBatchNorm, share_batch_norms
from orchestrator.training.trainer import Trainer
from tests import tiny

SPECTROGRAM = Component("log_spectrogram", seconds=0.5, n_fft=256, hop_length=320)
NORMED = tiny.experiment(
    augmentation=Component("none"),
    frontend=SPECTROGRAM,
    model=Component("vggsound_resnet_laptop"),
    epochs=1,
)
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


class Collectives(TorchDispatchMode):
    """Notes the device of every tensor that is given to a collective."""

    def __init__(self):
        super().__init__()
        self.devices: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.namespace == "c10d":
            for given in args:
                tensors = given if isinstance(given, list | tuple) else [given]
                self.devices += [t.device.type for t in tensors if isinstance(t, torch.Tensor)]
        return func(*args, **(kwargs or {}))


class WithoutNumbers(Group):
    """A worker of two whose sums are all one; DistributedDataParallel would read its weights."""

    def wrap(self, module, device):
        share_batch_norms(module, self)
        return module

    def without_sync(self, module):
        return contextlib.nullcontext()

    def total(self, value):
        super().total(value)
        return torch.ones(value.shape, dtype=value.dtype)


@pytest.fixture
def group_of_two():
    dist.init_process_group("meta:fake", rank=0, world_size=2, store=FakeStore())
    yield
    dist.destroy_process_group()


def unnormalized(clips, frontend, *, device, **_):
    count = np.full(len(clips), 1)
    return Inputs(clips, device), FeatureSums(count, 0.0 * count, 1.0 * count)


def trainer(path, **where) -> Trainer:
    store = tiny.store_with_pack(path, NORMED)
    clips = open_pack(NORMED.dataset.arguments["fingerprint"], packs=store.packs_uri)
    return Trainer(NORMED, clips=clips, checkpoints=TrialCheckpoints(store, "a" * 16), **where)


def test_collectives_of_an_epoch_and_its_evaluation_stay_on_the_device(
    group_of_two, tmp_path, monkeypatch
):
    for module in (training_loop, evaluate):  # there is no mixed precision on meta
        monkeypatch.setattr(module, "autocast", lambda device, precision: contextlib.nullcontext())
    # Nor are there statistics of features.
    monkeypatch.setattr(training_loop, "open_inputs", unnormalized)
    run = trainer(tmp_path, device="meta", group=WithoutNumbers())
    norms = sum(isinstance(module, SharedBatchNorm) for module in run.chain.modules())
    with Collectives() as seen:
        run._train_epoch(1)
    # A norm sums counts, means and variances, and the gradients of the last two; an epoch its loss.
    assert len(seen.devices) == run.steps_per_epoch * 5 * norms + 1
    assert set(seen.devices) == {"meta"}
    with Collectives() as seen:
        run._evaluate(1)
    assert seen.devices == ["meta"]


def test_group_of_gpus_has_a_backend_for_either_device():
    backends = dist.BackendConfig(dist.Backend(ray_train.BACKENDS)).get_device_backend_map()
    assert backends == {"cpu": "gloo", "cuda": "nccl"}


@pytest.mark.gpu
@needs_cuda
def test_epoch_in_a_group_of_nccl_alone_gives_the_numbers_of_none(tmp_path):
    alone = [r.metrics["train/loss"] for r in trainer(tmp_path / "one", device="cuda").epochs()]
    dist.init_process_group(
        "cuda:nccl", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1
    )
    try:
        run = trainer(tmp_path / "two", device="cuda", group=Group())
        assert isinstance(run.parallel, torch.nn.parallel.DistributedDataParallel)
        with pytest.raises(RuntimeError, match="No backend type associated with device type cpu"):
            dist.all_reduce(torch.zeros(1))
        losses = [record.metrics["train/loss"] for record in run.epochs()]
        assert run.final_predictions()["last"].logits.any()
    finally:
        dist.destroy_process_group()
    assert losses == pytest.approx(alone, rel=1e-4)
