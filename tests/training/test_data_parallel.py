"""Several workers compute what one does, and every collective gets a tensor of the device.

For the second, PyTorch's `meta` device stands in for a card: it computes no numbers, a value that
is taken off it is an error, and so is a collective on anything else, for the group has no CPU
backend.
"""

import contextlib
import dataclasses
import itertools

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.testing._internal.distributed.fake_pg import FakeStore

from models.frontends.base import FeatureSums
from models.frozen import FrozenEncoder
from models.output import Output
from orchestrator.data import open_pack, pinned
from orchestrator.execution import ray_train
from orchestrator.execution.trial import TrialCheckpoints, TrialRun
from orchestrator.experiment.config import Component
from orchestrator.metrics import METRICS
from orchestrator.records import Status
from orchestrator.store import Store
from orchestrator.training import data_parallel, evaluate
from orchestrator.training import trainer as training_loop
from orchestrator.training.data_parallel import Group
from orchestrator.training.inputs import Inputs
from orchestrator.training.sync_batch_norm import SharedBatchNorm
from orchestrator.training.trainer import Trainer
from tests import tiny
from tests.collectives import Collectives

SPECTROGRAM = Component("log_spectrogram", seconds=0.5, n_fft=256, hop_length=320)
NORMED = tiny.experiment(
    augmentation=Component("none"),
    frontend=SPECTROGRAM,
    model=Component("vggsound_resnet_laptop"),
    epochs=1,
)
REST = 3
"""Sums of a step besides the norms': two buckets of gradients, which were used, and the loss."""

NUMBERS = ("train/loss", "val/loss", "val/top1")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


class Picky(nn.Module):
    """A model of which some parts do not train and a step uses others."""

    def __init__(self, channels, size, num_classes, *, threshold: float = -1.0) -> None:
        super().__init__()
        self.threshold = threshold
        self.frozen = nn.Linear(size[0], 8).requires_grad_(False)
        self.partly = nn.Linear(8, 8)
        self.partly.bias.requires_grad_(False)
        self.norm = nn.BatchNorm1d(size[0]).requires_grad_(False)
        self.never = nn.Linear(8, 8)
        self.rarely = nn.Linear(8, 8)  # for some clips: perhaps for those of one worker alone
        self.aside = nn.Linear(8, 4)  # its output is in no loss
        self.head = nn.Linear(8, num_classes)

    def forward(self, features):
        x = self.norm(features.mean(dim=1)).relu().mean(dim=2)
        x = self.partly(self.frozen(x).tanh())
        chosen = x[:, :1] > self.threshold
        if chosen.any():
            x = x + chosen * self.rarely(x)
        return Output(self.head(x), embedding=self.aside(x))


class Frozen(nn.Module):
    """A model without a parameter to train."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3).requires_grad_(False)

    def forward(self, x):
        return self.norm(x)


class Detour(nn.Module):
    """A batch norm after a part that some rows take, large enough for a bucket of its own."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(600, 3)
        self.norm = nn.BatchNorm1d(600)
        self.rarely = nn.Linear(600, 600)

    def forward(self, x, takes):
        if takes.any():
            x = x + takes[:, None] * self.rarely(x)
        return self.head(self.norm(x))


def experiment_of(model: str, **changes):
    return tiny.experiment(
        augmentation=Component("none"),
        model=Component(f"{__name__}:{model}", threshold=changes.pop("threshold", -1.0)),
        optimizer=Component("adam_w", learning_rate=0.01, weight_decay=0.1),
        **{"epochs": 2, "batch_size": 4, **changes},
    )


def trainer(store: Store, experiment, name: str = "a", **where) -> Trainer:
    clips = open_pack(experiment.dataset.arguments["fingerprint"], packs=store.packs_uri)
    return Trainer(experiment, clips=clips, checkpoints=TrialCheckpoints(store, name * 16), **where)


def trained(store: Store, experiment, name: str = "a", keys=NUMBERS):
    """Losses and scores by epoch, final parameters, and names of the collectives by epoch."""
    run = trainer(store, experiment, name, group=Group())
    numbers, names = [], []
    epochs = run.epochs()
    while True:
        with Collectives() as seen:
            record = next(epochs, None)
        if record is None:
            break
        numbers.append([record.metrics[key] for key in keys])
        names.append(seen.names)
    state = {name: value.clone() for name, value in run.chain.state_dict().items()}
    return numbers, state, names


@pytest.fixture
def store(tmp_path) -> Store:
    return tiny.store_with_pack(tmp_path, NORMED)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"accumulation_steps": 2, "clip_norm": 0.05},
        {"batch_size": 7, "clip_norm": 0.0},  # one clip in the last step: a worker has none
        {"threshold": 0.095},  # at most one clip of a step uses a part
        {"threshold": 0.0515, "accumulation_steps": 2},  # in either or both of its halves
        {"threshold": 99.0, "precision": "bf16"},  # none ever uses it
    ],
    ids=str,
)
def test_two_workers_train_a_model_of_frozen_and_unused_parts_as_one_does(store, changes, both):
    experiment = experiment_of("Picky", **changes)
    numbers, state, _ = trained(store, experiment)
    bf16 = experiment.precision == "bf16"
    close = {"rtol": 2e-2, "atol": 2e-3} if bf16 else {"rtol": 1e-4, "atol": 1e-5}
    first = trainer(store, experiment, "b").chain.state_dict()
    for theirs, their_state, _ in both(trained, store, experiment, "c"):
        np.testing.assert_allclose(theirs, numbers, **close)
        for name, value in state.items():
            torch.testing.assert_close(their_state[name], value, **close, msg=name)
            left_out = ("frozen", "partly.bias", "never", "aside", "norm.weight", "norm.bias")
            if name.startswith(tuple(f"model.{part}" for part in left_out)):
                assert their_state[name].equal(first[name]), f"{name} was decayed or stepped"
        moved = not their_state["model.rarely.weight"].equal(first["model.rarely.weight"])
        assert moved == (experiment.model.arguments["threshold"] < 99)


SCENES = Component(
    "synthetic_events", num_classes=3, num_clips=13, num_folds=2, seconds=0.5, max_events=2
)
ANY_TARGETS = {
    "multi_label": {
        "dataset": pinned(SCENES.replace(times=False)),
        "model": Component("datar_laptop", depths=(1, 1, 1, 1), drop_path_rate=0.0),
        "loss": Component("binary_cross_entropy"),
    },
    "events": {
        "dataset": pinned(SCENES),
        "model": Component("htsat_laptop", drop_path_rate=0.0),
        "loss": Component("frame_binary_cross_entropy", clip_weight=0.5),
    },
}
OF_TARGETS = ("train/loss", "val/loss", "val/map", "val/micro_f1")


def predicted(store, experiment, name):
    run = trainer(store, experiment, name, group=Group())
    list(run.epochs())
    return run.final_predictions()


@pytest.mark.parametrize("kind", ANY_TARGETS)
def test_two_workers_train_and_predict_clips_of_any_targets_as_one_does(tmp_path, kind, both):
    # 7 clips are held out: one worker has one more than the other.
    changes = {"augmentation": Component("none"), "batch_size": 4, "epochs": 1}
    experiment = tiny.experiment(**changes, **ANY_TARGETS[kind])
    store = tiny.store_with_pack(tmp_path, experiment)
    numbers, state, _ = trained(store, experiment, keys=OF_TARGETS)
    made = predicted(store, experiment, "b")
    for theirs, their_state, _ in both(trained, store, experiment, "c", OF_TARGETS):
        np.testing.assert_allclose(theirs, numbers, rtol=1e-4, atol=1e-5)
        for name, value in state.items():
            torch.testing.assert_close(their_state[name], value, rtol=1e-3, atol=1e-4, msg=name)
    for others in both(predicted, store, experiment, "d"):
        for which, one in made.items():
            other = others[which]
            assert (other.clip_ids, other.targets) == (one.clip_ids, one.targets)
            np.testing.assert_allclose(other.logits, one.logits, rtol=1e-3, atol=1e-4)
            assert (other.frames is None) == (one.frames is None) == (kind == "multi_label")
            if one.frames is not None and other.frames is not None:
                assert other.frames.row_s == one.frames.row_s
                np.testing.assert_allclose(other.frames.logits, one.frames.logits, atol=2e-3)


def frozen_trained(store, experiment, name, features, stops=False):
    """Losses and scores, final state, predictions, and clips that went through the encoder.

    A run that stops goes on after its first epoch in another trainer.
    """
    encoded: list[int] = []
    forward = FrozenEncoder.forward

    def counted(self, waveform):
        encoded.append(len(waveform))
        return forward(self, waveform)

    FrozenEncoder.forward = counted
    try:
        if stops:
            epochs = trainer(store, experiment, name, group=Group(), features=features).epochs()
            next(epochs)
            epochs.close()
        run = trainer(store, experiment, name, group=Group(), features=features)
        list(run.epochs())
        numbers = [[record.metrics[key] for key in NUMBERS] for record in run.records]
        made = run.final_predictions()["last"]
    finally:
        FrozenEncoder.forward = forward
    state = {key: value.clone() for key, value in run.chain.state_dict().items()}
    return numbers, state, made.logits, sum(encoded)


@pytest.mark.parametrize("head", ["linear", "nearest"])
def test_two_workers_train_a_head_on_a_frozen_encoder_as_one_does(store, tmp_path, head, both):
    """An encoder with batch norms, and epochs that end with a step of few clips."""
    experiment = dataclasses.replace(NORMED, frozen=True, head=head, epochs=2, batch_size=14)
    numbers, state, logits, _ = frozen_trained(store, experiment, "a", tmp_path / "one")
    for theirs, their_state, their_logits, encoded in both(
        frozen_trained, store, experiment, "b", tmp_path / "two", True
    ):
        np.testing.assert_allclose(theirs, numbers, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(their_logits, logits, rtol=1e-4, atol=1e-5)
        assert their_state.keys() == state.keys()
        for name, value in state.items():
            close = {"rtol": 1e-4, "atol": 1e-5, "msg": name}
            torch.testing.assert_close(their_state[name], value, **close)
            if name.startswith("frontend.chain."):
                assert their_state[name].equal(value), f"{name} of the encoder was trained"
        assert encoded <= 30 + 2 + 2  # every trainer takes two clips to see that it is pure


def gathered(store, experiment, needs_frames):
    """Whether each epoch sums something with an entry per clip, row and class, and was better."""
    run = trainer(store, experiment, group=Group())
    key = "val/over_time"
    if needs_frames:
        METRICS[key] = dataclasses.replace(METRICS["val/event_f1"], key=key, at_report=False)
    seen = []
    try:
        epochs = run.epochs()
        while True:
            sizes: list[int] = []
            total = run.group.total
            run.group.total = lambda value, total=total, sizes=sizes: (
                sizes.append(value.ndim) or total(value)
            )
            record = next(epochs, None)
            run.group.total = total
            if record is None:
                return seen
            seen.append((3 in sizes, run.best_epoch == record.epoch))
    finally:
        METRICS.pop(key, None)


@pytest.mark.parametrize("needs_frames", [False, True])
def test_frames_are_gathered_where_they_are_stored_or_scored_alone(tmp_path, needs_frames, both):
    changes = {"augmentation": Component("none"), "epochs": 5, **ANY_TARGETS["events"]}
    experiment = tiny.experiment(optimizer=Component("adam_w", learning_rate=0.3), **changes)
    store = tiny.store_with_pack(tmp_path, experiment)
    first, second = both(gathered, store, experiment, needs_frames)
    assert first == second and len(first) == 5
    last = [False] * 4 + [True]
    better = [was_better for _, was_better in first]
    assert not all(better[:4])
    wanted = [needs_frames or here or end for here, end in zip(better, last, strict=True)]
    assert [was_gathered for was_gathered, _ in first] == wanted


def stepped_detour(x, takes):
    torch.manual_seed(0)
    model, group = Detour(), Group()
    wrapped = group.wrap(model, torch.device("cpu"))
    rows = slice(group.rank, None, group.world_size)
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)
    for takes_now in takes:
        optimizer.zero_grad()
        loss = wrapped(x[rows], takes_now[rows]).square().sum()
        (loss * group.world_size).backward()
        optimizer.step()
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_part_before_a_batch_norm_that_one_worker_leaves_out_trains_as_with_one(both):
    x = torch.randn(8, 600, generator=torch.Generator().manual_seed(1))
    rows = torch.arange(8) % 2
    takes = [rows == 0, rows == 1, rows < 2, rows > 2]
    expected = stepped_detour(x, takes)
    for state in both(stepped_detour, x, takes):
        for name, value in state.items():
            torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-5, msg=name)


def test_model_without_a_parameter_to_train_is_shared_all_the_same(both):
    one = nn.Sequential(Frozen())
    x = torch.randn(6, 3)
    expected = one(x)
    for part, y in zip(x.chunk(2), both(forward_of_frozen, x), strict=True):
        assert len(part) == len(y)
    torch.testing.assert_close(torch.cat(both(forward_of_frozen, x)), expected)


def forward_of_frozen(x):
    group = Group()
    wrapped = group.wrap(nn.Sequential(Frozen()), torch.device("cpu"))
    with group.without_sync(wrapped):
        return wrapped(x.chunk(2)[group.rank])


def test_step_needs_two_collectives_a_norm_and_one_a_bucket_of_gradients(store, both):
    run = trainer(store, NORMED)
    norms = sum(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in run.chain.modules())
    for _, _, ((*names,),) in both(trained, store, NORMED):
        assert names.count("_allgather_base_") == run.steps_per_epoch * norms
        # Losses, logits, and whether anybody is asked to stop.
        assert names.count("allreduce_") == run.steps_per_epoch * (norms + REST) + 3
        assert len(names) == names.count("_allgather_base_") + names.count("allreduce_")


@dataclasses.dataclass
class Unsure:
    """Checkpoints of a shared file system that shows one worker less than the others."""

    checkpoints: TrialCheckpoints
    sees: bool

    def load(self, which):
        return self.checkpoints.load(which) if self.sees else None

    def save(self, which, tensors, facts):
        self.checkpoints.save(which, tensors, facts)


def resumed(store: Store, experiment, seeing_rank: int):
    group = Group()
    run = trainer(store, experiment, group=group)
    epochs = run.epochs()
    first = [record.epoch for record in itertools.islice(epochs, 2)]
    epochs.close()  # the checkpoint is there
    checkpoints = Unsure(run.checkpoints, group.rank == seeing_rank)
    dist.barrier()
    again = Trainer(experiment, clips=run.clips, checkpoints=checkpoints, group=group)
    rest = [(r.epoch, [r.metrics[key] for key in NUMBERS]) for r in again.epochs()]
    return first, rest, again.final_predictions()["best"].logits


def test_all_workers_resume_from_what_the_main_one_sees(store, both):
    experiment = tiny.experiment(augmentation=Component("none"), epochs=4)
    (first, rest, best), (_, other_rest, other_best) = both(resumed, store, experiment, 0)
    assert first == [1, 2]
    assert [epoch for epoch, _ in rest] == [3, 4]
    assert rest == other_rest
    np.testing.assert_array_equal(best, other_best)


def test_all_workers_start_where_the_main_one_sees_nothing(store, both):
    experiment = tiny.experiment(augmentation=Component("none"), epochs=3)
    (_, rest, _), (_, other_rest, _) = both(resumed, store, experiment, 1)
    assert [epoch for epoch, _ in rest] == [1, 2, 3]
    assert rest == other_rest


def taught(store: Store, teacher, student):
    """Train a student of a trained teacher; return its numbers and what it learned from."""
    group = Group()
    record = TrialRun(store=store, trial_id=student.id, experiment=student).run()
    dist.barrier()
    kept = store.read_pack_predictions(teacher.id, "last")
    return [[e.metrics[key] for key in NUMBERS] for e in record.epochs], kept, group.world_size


def test_two_workers_share_a_teachers_clips_and_learn_as_one_does(tmp_path, both):
    steady = {"augmentation": Component("none"), "model__drop_path_rate": 0.0, "epochs": 2}
    teacher = tiny.experiment(seed=1, **steady)
    student = tiny.experiment(**steady, distillation=Component("soft", teacher=teacher.id))
    stores = [tiny.store_with_pack(tmp_path / name, teacher) for name in ("one", "two")]
    for store in stores:
        TrialRun(store=store, trial_id=teacher.id, experiment=teacher).run()
    record = TrialRun(store=stores[0], trial_id=student.id, experiment=student).run()
    assert record.status is Status.FINISHED, record.error
    numbers = [[epoch.metrics[key] for key in NUMBERS] for epoch in record.epochs]
    expected, digest = stores[0].read_pack_predictions(teacher.id, "last")
    first, second = both(taught, stores[1], teacher, student)
    assert first[2] == second[2] == 2
    for theirs, (logits, other), _ in (first, second):
        np.testing.assert_allclose(theirs, numbers, rtol=1e-4)
        np.testing.assert_allclose(logits.logits, expected.logits, rtol=0, atol=1e-5)
        assert other == first[1][1]
    assert record.data["teacher"]["predictions"] == digest


STATE = (
    {
        "float32": torch.randn(3, 4).T,
        "bf16": torch.randn(5).bfloat16(),
        "number": torch.tensor(7),
        "truth": torch.tensor([True, False]),
        "none": torch.zeros(0, 3),
    },
    {"epochs": [{"epoch": 1, "metrics": {"ü": 0.1}}]},
)


@pytest.mark.parametrize("state", [STATE, None], ids=["a state", "nothing"])
def test_state_of_the_main_worker_reaches_the_other_to_the_bit(state, both):
    for received in both(from_main, state):
        if state is None:
            assert received is None
            continue
        tensors, facts = received
        assert facts == state[1]
        assert tensors.keys() == state[0].keys()
        for name, value in state[0].items():
            torch.testing.assert_close(tensors[name], value, rtol=0, atol=0, msg=name)


def from_main(state):
    group = Group()

    def load():
        assert group.is_main
        return state

    return group.from_main(load, torch.device("cpu"))


class Failing(Picky):
    """A model that works once."""

    def forward(self, features):
        if self.norm.num_batches_tracked > 0:
            raise RuntimeError("out of everything")
        return super().forward(features)


class Others(Group):
    """Fails where a sum would wait for workers that are elsewhere."""

    def total(self, value):
        raise AssertionError("no other worker adds to this")


def test_worker_that_fails_waits_for_no_other(store):
    run = trainer(store, experiment_of("Failing"), group=Others())
    with pytest.raises(RuntimeError, match="out of everything"):
        next(run.epochs())


class WithoutNumbers(Group):
    """A worker of two whose sums are all one, and which nobody asks to stop."""

    def total(self, value):
        super().total(value)
        is_question = value.ndim == 0
        return (torch.zeros if is_question else torch.ones)(value.shape, dtype=value.dtype)


class WithoutWeights(DistributedDataParallel):
    """Skips what needs numbers: comparing the shapes of two workers, and the group's own result."""

    def __init__(self, module, **arguments):
        super().__init__(module, init_sync=False, **arguments)
        self.register_comm_hook(None, _sum)


def _sum(state, bucket):
    dist.all_reduce(bucket.buffer())
    future = torch.futures.Future()
    future.set_result(bucket.buffer())
    return future


TWO_EPOCHS = dataclasses.replace(NORMED, epochs=2)


@pytest.fixture
def half_trained(store) -> Store:
    next(trainer(store, TWO_EPOCHS).epochs())
    return store


@pytest.fixture
def group_of_two(monkeypatch):
    for module in (training_loop, evaluate):  # there is no mixed precision on meta
        monkeypatch.setattr(module, "autocast", lambda device, precision: contextlib.nullcontext())
    monkeypatch.setattr(training_loop, "open_inputs", unnormalized)  # nor statistics of features
    monkeypatch.setattr(data_parallel, "DistributedDataParallel", WithoutWeights)
    dist.init_process_group("meta:fake", rank=0, world_size=2, store=FakeStore())
    yield
    dist.destroy_process_group()


def unnormalized(clips, frontend, *, device, **_):
    count = np.full(len(clips), 1)
    return Inputs(clips, device), FeatureSums(count, 0.0 * count, 1.0 * count)


@pytest.mark.filterwarnings("ignore:for .*copying from a non-meta parameter")
def test_collectives_of_an_epoch_its_evaluation_and_a_resume_stay_on_the_device(
    half_trained, group_of_two
):
    with Collectives() as seen:
        run = trainer(half_trained, TWO_EPOCHS, device="meta", group=WithoutNumbers())
    assert len(run.records) == 1
    # Their number, their names, and the state of model and optimizer.
    assert seen.names == ["broadcast_"] * len(seen.names) and len(seen.names) > 100
    assert seen.devices == {"meta"}
    norms = sum(isinstance(module, SharedBatchNorm) for module in run.chain.modules())
    with Collectives() as seen:
        run._train_epoch(1)
    assert seen.names.count("_allgather_base_") == run.steps_per_epoch * norms
    # Losses, and whether anybody is asked to stop.
    assert seen.names.count("allreduce_") == run.steps_per_epoch * (norms + REST) + 2
    assert seen.devices == {"meta"}
    with Collectives() as seen:
        run._evaluate(1, run.val_indices)
    assert seen.names == ["allreduce_"]
    assert seen.devices == {"meta"}


def test_group_of_gpus_has_a_backend_for_either_device():
    backends = dist.BackendConfig(dist.Backend(ray_train.BACKENDS)).get_device_backend_map()
    assert backends == {"cpu": "gloo", "cuda": "nccl"}


@pytest.mark.gpu
@needs_cuda
def test_epoch_in_a_group_of_nccl_alone_gives_the_numbers_of_none(store, tmp_path):
    alone = [
        record.metrics["train/loss"] for record in trainer(store, NORMED, device="cuda").epochs()
    ]
    dist.init_process_group(
        "cuda:nccl", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1
    )
    try:
        run = trainer(store, NORMED, "b", device="cuda", group=Group())
        assert isinstance(run.parallel, DistributedDataParallel)
        with pytest.raises(RuntimeError, match="No backend type associated with device type cpu"):
            dist.all_reduce(torch.zeros(1))
        losses = [record.metrics["train/loss"] for record in run.epochs()]
        assert run.final_predictions()["last"].logits.any()
    finally:
        dist.destroy_process_group()
    assert losses == pytest.approx(alone, rel=1e-4)
