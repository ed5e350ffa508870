"""Features are computed once, and are what the chain would compute."""

import fcntl
import functools
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

from models.chain import Chain
from models.frontends.base import AudioFrontend, feature_statistics
from models.frontends.kaldi import KaldiFbank
from models.registry import names
from orchestrator.data import open_pack
from orchestrator.data.packing import make_pack
from orchestrator.execution.trial import TrialCheckpoints, TrialRun
from orchestrator.experiment.config import Component
from orchestrator.records import Status
from orchestrator.store import Store
from orchestrator.training import inputs as module
from orchestrator.training.evaluate import build
from orchestrator.training.inputs import Inputs, open_inputs
from orchestrator.training.trainer import Trainer
from tests import tiny
from tests.benchmarks.training.bench_many_clips import in_process, noise

torch.set_num_threads(1)
CPU = torch.device("cpu")
FRONTENDS = sorted(set(names("frontend")) - {"features"})
ORDER = np.array([7, 3, 3, 19, 0])
NUMBERS = ("train/loss", "val/loss", "val/top1")
GIB = 2**30


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    return tiny.store_with_pack(tmp_path_factory.mktemp("store"), tiny.experiment())


@pytest.fixture(scope="module")
def clips(store):
    return open_pack(tiny.experiment().dataset.arguments["fingerprint"], packs=store.packs_uri)


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch):
    monkeypatch.setattr(module, "_held", {})
    monkeypatch.setattr(module, "_sums", {})


def experiment(frontend="kaldi_fbank", **changes):
    arguments = {"seconds": 0.5} if frontend == "log_spectrogram" else {}
    return tiny.experiment(
        frontend=Component(frontend, sample_rate=16000, **arguments)
        if frontend != "log_mel"
        else Component(frontend, sample_rate=16000, f_max=8000.0),
        model=Component("vggsound_resnet_laptop"),
        augmentation=Component("spec_augment", freq_mask=4, time_mask=4),
        epochs=2,
        **changes,
    )


def chain(frontend="kaldi_fbank") -> Chain:
    return build(experiment(frontend), num_classes=3)


def opened(clips, frontend, folder=None, **options):
    return open_inputs(clips, frontend, device=CPU, folder=folder, **options)


def rows(inputs, order=ORDER):
    return inputs.batch(order)["frontend_output"]


@pytest.mark.parametrize("name", FRONTENDS)
@pytest.mark.parametrize("kept", ["in a file", "in memory"])
def test_features_are_those_of_the_chain_to_the_bit(clips, tmp_path, name, kept):
    whole = chain(name)
    folder = tmp_path if kept == "in a file" else None
    inputs, sums = opened(clips, whole.frontend, folder, memory_bytes=GIB)
    waveform = inputs.waveforms(ORDER)
    assert torch.equal(waveform, clips.batch(ORDER, int(clips.num_samples.max())))
    with torch.no_grad():
        assert inputs.kept == kept
        assert torch.equal(rows(inputs), whole.frontend(waveform))
        seeds = torch.arange(len(ORDER))
        made = whole.train().features(frontend_output=rows(inputs), clip_seeds=seeds)
        assert torch.equal(made, whole.features(waveform, seeds))
        made = whole.eval()(**inputs.batch(ORDER)).clip_logits
        assert torch.equal(made, whole(waveform).clip_logits)
    assert sums is not None
    train, _ = clips.split(1)
    assert sums.statistics(train) == feature_statistics(
        whole.frontend, [clips.batch(train, int(clips.num_samples.max()))]
    )


@pytest.mark.parametrize("name", FRONTENDS)
def test_training_on_features_gives_the_bits_of_training_on_waveforms(
    store, clips, tmp_path, name, monkeypatch
):
    def trained(folder):
        checkpoints = TrialCheckpoints(store, f"{name}-{folder and folder.name}")
        run = Trainer(experiment(name), clips=clips, checkpoints=checkpoints, features=folder)
        list(run.epochs())
        return run

    once = trained(tmp_path / "features")
    assert once.inputs.kept == "in a file"
    monkeypatch.setattr(module._Source, "is_pure", lambda self: False)
    always = trained(None)
    assert always.inputs.kept == "not kept"
    assert [[r.metrics[key] for key in NUMBERS] for r in once.records] == [
        [r.metrics[key] for key in NUMBERS] for r in always.records
    ]
    for which in ("last", "best"):
        np.testing.assert_array_equal(
            once.final_predictions()[which].logits, always.final_predictions()[which].logits
        )


def test_batches_read_ahead_are_those_read_in_turn(clips, tmp_path):
    whole = chain()
    parts = np.array_split(np.arange(len(clips)), 7)
    inputs, _ = opened(clips, whole.frontend, tmp_path)
    for reader in (inputs, Inputs(clips, CPU)):
        in_turn = list(reader.batches(parts))
        reader._reads_ahead = True
        ahead = list(reader.batches(parts))
        assert len(ahead) == len(parts)
        for one, other in zip(in_turn, ahead, strict=True):
            ((name, value),) = one.items()
            assert torch.equal(other[name], value)
    begun = inputs.batches(parts)
    next(begun)
    begun.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("clips")]


def test_a_second_process_reads_what_the_first_computed(clips, tmp_path, monkeypatch):
    opened(clips, chain().frontend, tmp_path)
    monkeypatch.setattr(module, "_make", None)
    frontend = chain().frontend
    inputs, _ = opened(clips, frontend, tmp_path)
    calls = []
    frontend.register_forward_hook(lambda *_: calls.append(1))
    rows(inputs)
    assert not calls


def test_processes_that_ask_at_once_compute_once(clips, tmp_path, monkeypatch):
    made = []
    make = module._make
    monkeypatch.setattr(module, "_make", lambda *a, **k: (made.append(1), make(*a, **k)))
    frontends = [chain().frontend for _ in range(3)]
    threads = [threading.Thread(target=opened, args=(clips, f, tmp_path)) for f in frontends]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]


def test_wait_for_another_process_is_said(clips, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(module, "waiting", functools.partial(module.waiting, after_s=0.05))
    frontend = chain().frontend
    with (tmp_path / module.LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        threading.Timer(1.0, lambda: fcntl.flock(lock, fcntl.LOCK_UN)).start()
        opened(clips, frontend, tmp_path)
    assert "waiting for another process that computes features" in capsys.readouterr().err


def test_damaged_row_is_computed_again_and_its_file_made_anew(clips, tmp_path):
    whole = chain()
    first, _ = opened(clips, whole.frontend, tmp_path)
    expected = rows(first)
    (path,) = tmp_path.glob("*/features.f32")
    content = bytearray(path.read_bytes())
    content[3 * len(content) // len(clips) + 5] ^= 1  # in clip 3
    path.write_bytes(content)
    inputs, _ = opened(clips, whole.frontend, tmp_path)
    assert torch.equal(rows(inputs), expected)
    assert not path.exists()
    opened(clips, whole.frontend, tmp_path)
    assert torch.equal(rows(opened(clips, whole.frontend, tmp_path)[0]), expected)
    assert path.exists()


@pytest.mark.parametrize("name", ["features.f32", "sums.npz"])
@pytest.mark.parametrize("harm", ["empty", "cut", "flipped", "zeros", "missing"])
def test_damaged_file_is_made_again(clips, tmp_path, name, harm):
    whole = chain()
    first, sums = opened(clips, whole.frontend, tmp_path)
    expected = rows(first)
    (path,) = tmp_path.glob(f"*/{name}")
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    match harm:
        case "empty" | "cut":
            os.truncate(path, 0 if harm == "empty" else len(content) // 2)
        case "flipped" | "zeros":
            path.write_bytes(content if harm == "flipped" else bytes(len(content)))
        case "missing":
            path.unlink()
    inputs, again = opened(clips, whole.frontend, tmp_path)
    assert inputs.kept == "in a file"
    everything = np.arange(len(clips))
    assert torch.equal(rows(inputs), expected)
    assert again is not None and sums is not None
    assert again.statistics(everything) == sums.statistics(everything)
    inputs.batch(everything)  # a damaged row is seen at the latest now, and the file made again
    assert opened(clips, whole.frontend, tmp_path)[0].kept == "in a file"
    assert torch.equal(rows(opened(clips, whole.frontend, tmp_path)[0]), expected)


def test_row_that_changes_after_it_was_read_is_computed_again(clips, tmp_path):
    inputs, _ = opened(clips, chain().frontend, tmp_path)
    expected = rows(inputs)
    (path,) = tmp_path.glob("*/features.f32")
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
    assert torch.equal(rows(inputs), expected)


def test_what_a_killed_process_left_is_removed(clips, tmp_path):
    (tmp_path / ".making-killed").mkdir()
    opened(clips, chain().frontend, tmp_path)
    assert not list(tmp_path.glob(".making-*"))


def test_folder_that_cannot_be_made_is_no_error(clips, tmp_path):
    (tmp_path / "file").write_text("")
    inputs, sums = opened(clips, chain().frontend, tmp_path / "file" / "features")
    assert inputs.kept == "not kept" and sums is not None
    inputs, _ = opened(clips, chain().frontend, tmp_path / "file" / "features", memory_bytes=GIB)
    assert inputs.kept == "in memory"


def test_features_that_do_not_fit_on_the_disk_leave_their_sums(clips, tmp_path, monkeypatch):
    whole = chain()
    _, expected = opened(clips, whole.frontend, tmp_path / "large")
    monkeypatch.setattr(module, "FREE_DISK", 0.0)
    inputs, sums = opened(clips, whole.frontend, tmp_path / "small")
    assert inputs.kept == "not kept"
    assert [path.stat().st_size for path in (tmp_path / "small").glob("*/features.f32")] == [0]
    monkeypatch.setattr(module._Source, "chunks", None)  # the sums are read
    _, again = opened(clips, whole.frontend, tmp_path / "small")
    for one in (sums, again):
        assert one is not None and expected is not None
        assert one.statistics(ORDER) == expected.statistics(ORDER)
    monkeypatch.undo()
    assert opened(clips, whole.frontend, tmp_path / "small")[0].kept == "in a file"


def test_memory_stays_within_its_budget(clips):
    small, large = (KaldiFbank(sample_rate=16000, n_mels=n, num_frames=32) for n in (16, 32))
    for frontend, mels in ((small, 16), (large, 32)):
        frontend.built_as = {"name": "kaldi_fbank", "arguments": {"n_mels": mels}}
    size = len(clips) * 4 * 16 * 32
    for frontend, budget, held in (
        (small, size - 1, 0),
        (small, size, 1),
        (large, 2 * size, 1),  # the small ones make room
        (small, 3 * size, 2),
    ):
        opened(clips, frontend, memory_bytes=budget)
        assert len(module._held) == held
        assert sum(value.nbytes for value in module._held.values()) <= budget
    assert opened(clips, large, memory_bytes=size)[0].kept == "not kept"


class Noisy(KaldiFbank):
    is_pure = True  # it is not, and is found out

    def _features(self, waveform):
        return super()._features(waveform) + torch.rand(())


class SometimesNoisy(KaldiFbank):
    def _features(self, waveform):
        features = super()._features(waveform)
        return features + torch.rand(()) if torch.rand(()) < 0.1 else features


class Learning(KaldiFbank):
    is_pure = True

    def __init__(self, **sizes):
        super().__init__(**sizes)
        self.gain = torch.nn.Parameter(torch.ones(()))


class Undeclared(torch.nn.Module):
    num_channels, output_size = 1, (1, 0)

    def forward(self, waveform):
        return waveform[:, None, None]


@pytest.mark.parametrize("kind", [Noisy, SometimesNoisy, Learning, Undeclared])
def test_front_ends_that_are_not_pure_are_computed_every_time(clips, tmp_path, kind):
    sizes = {"sample_rate": 16000, "n_mels": 32, "num_frames": 32}
    frontend = kind(**sizes if issubclass(kind, AudioFrontend) else {})
    frontend.built_as = {"name": f"tests:{kind.__name__}", "arguments": {}}
    inputs, sums = opened(clips, frontend, tmp_path, memory_bytes=GIB)
    assert inputs.kept == "not kept" and sums is None
    assert list(inputs.batch(ORDER)) == ["waveform"]
    assert not list(tmp_path.iterdir())


def test_trial_keeps_features_beside_its_pack_and_says_so(store, clips):
    planned = tiny.experiment()
    record = TrialRun(store=store, trial_id=planned.id, experiment=planned).run()
    assert record.status is Status.FINISHED, record.error
    assert record.provenance["features"] == "in a file"
    assert list(clips.path.glob("features/*/*/features.f32"))


def test_features_of_older_code_are_deleted_but_for_those_used_last(tmp_path):
    planned = tiny.experiment(epochs=1)
    store = tiny.store_with_pack(tmp_path, planned)
    fingerprint = planned.dataset.arguments["fingerprint"]
    versions = open_pack(fingerprint, packs=store.packs_uri).path / "features"
    for used, name in enumerate(("no lock", "older", "newer")):
        (versions / name).mkdir(parents=True)
        if used:
            (versions / name / module.LOCK).touch()
            os.utime(versions / name / module.LOCK, (used, used))
    record = TrialRun(store=store, trial_id=planned.id, experiment=planned).run()
    assert record.status is Status.FINISHED, record.error
    kept = {folder.name for folder in versions.iterdir()}
    assert kept == {"newer", record.provenance["code"]}


KILLED = """
import os, signal, sys
import torch
from orchestrator.execution.trial import TrialCheckpoints, TrialRun
from orchestrator.store import Store, checkpoints
from tests import tiny
from tests.benchmarks.training.bench_many_clips import in_process, noise

torch.set_num_threads(1)
write = checkpoints._write
written = []

def halfway(tensors, path, *, metadata):
    write(tensors, path, metadata=metadata)
    written.append(path)
    if len(written) == int(sys.argv[2]):
        os.truncate(path, os.path.getsize(path) // 2)
        os.kill(os.getpid(), signal.SIGKILL)

checkpoints._write = halfway
experiment = tiny.experiment()
TrialRun(store=Store.open(sys.argv[1]), trial_id=experiment.id, experiment=experiment).run()
"""


@pytest.mark.parametrize("write", [2, 3, 4])
def test_worker_killed_while_a_checkpoint_is_written_loses_nothing(store, tmp_path, write):
    planned = tiny.experiment()
    other = Store.open(tmp_path)
    (tmp_path / "packs").symlink_to(store.local_path / "packs")
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(write)])
    assert done.returncode == -signal.SIGKILL
    before = other.read_record(planned.id)
    assert before is not None and before.status is Status.RUNNING
    after = TrialRun(store=other, trial_id=planned.id, experiment=planned).run()
    whole = TrialRun(store=store, trial_id=planned.id, experiment=planned).run()
    assert after.status is Status.FINISHED, after.error
    assert [[e.metrics[key] for key in NUMBERS] for e in after.epochs] == [
        [e.metrics[key] for key in NUMBERS] for e in whole.epochs
    ]
    for which in ("last", "best"):
        one, two = (s.read_predictions(planned.id, which) for s in (other, store))
        np.testing.assert_array_equal(one.logits, two.logits)


@pytest.mark.slow
@pytest.mark.parametrize("kept", ["in a file", "not kept"])
def test_memory_does_not_grow_with_the_clips(tmp_path, kept):
    fingerprint = make_pack(noise(8000), packs=str(tmp_path)).fingerprint
    row = in_process(str(tmp_path), fingerprint, 16.0, kept)
    assert row["features_mib"] == 125
    assert row["grown_mib"] < 200  # 97 when it was written, most of it PyTorch's own
