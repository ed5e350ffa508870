"""Checkpoints survive being killed at any point, and never load half a pair or a damaged file."""

import json
import os
import signal
import subprocess
import sys

import pytest
import torch

from orchestrator.errors import CheckpointError
from orchestrator.store import Store
from tests import tiny

FORKS = """
# One import of torch, then one child per line of input; each says how far it came, and is killed.
import os, signal, sys, torch
from orchestrator.store import Store
from orchestrator.store.files import LocalFiles
store = Store.open(sys.argv[1])

def save(step):
    tensors = {"w": torch.full((200, 1000), float(step)), "b": torch.full((7,), float(step))}
    store.save_checkpoint("t", "last", tensors, {"step": step})

def child(call, when, step):
    if call == "any":
        while True:
            step += 1
            save(step)
            print(step, flush=True)
    real = getattr(LocalFiles, call)
    def dies(self, *arguments):
        if when == "after":
            real(self, *arguments)
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(LocalFiles, call, dies)
    save(step + 1)

for line in sys.stdin:
    call, when, step = line.split()
    pid = os.fork()
    if pid == 0:
        child(call, when, int(step))
    print("pid", pid, flush=True)
    status = os.waitpid(pid, 0)[1]
    print("killed" if os.WIFSIGNALED(status) else "alive", flush=True)
"""


@pytest.fixture(scope="module")
def forks(tmp_path_factory):
    place = tmp_path_factory.mktemp("store")
    with subprocess.Popen(
        [sys.executable, "-c", FORKS, str(place)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:
        yield process, Store.open(place)
        process.stdin.close()


def test_checkpoint_round_trip_keeps_every_tensor_and_meta(any_store):
    store = any_store
    weight = torch.randn(3, 4)
    tensors = {
        "weight": weight,
        "tied": weight,
        "transposed": weight.t(),
        "row": weight[1],
        "empty": torch.zeros(0),
        "empty2": torch.zeros(0),
        "step": torch.tensor(3.0),
        "rng": torch.get_rng_state(),
        "half": torch.randn(2).to(torch.bfloat16),
        "parameter": torch.nn.Parameter(torch.ones(2)),
    }
    store.save_checkpoint("t", "best", tensors, {"epoch": 2, "words": ["a"]})
    loaded, meta = store.load_checkpoint("t", "best") or pytest.fail("no checkpoint")
    assert meta == {"epoch": 2, "words": ["a"]}
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(loaded[name], tensor), name
        assert loaded[name].dtype == tensor.dtype
    assert store.load_checkpoint("t", "last") is None


def test_checkpoint_saved_again_keeps_only_the_newest(any_store):
    store = any_store
    for step in range(3):
        store.save_checkpoint("t", "last", {"w": torch.full((2,), float(step))}, {"step": step})
    store.save_checkpoint("t", "best", {"w": torch.zeros(2)}, {"step": 0})
    names = store.files.names("trials/t/checkpoints")
    assert len(names) == 4


def test_checkpoint_damaged_is_refused_by_name(tmp_path):
    store = Store.open(tmp_path)
    store.save_checkpoint("t", "last", {"w": torch.zeros(100)}, {})
    path = tiny.checkpoint_file(store, "t", "last")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=path.name):
        store.load_checkpoint("t", "last")
    path.unlink()
    with pytest.raises(CheckpointError, match="missing"):
        store.load_checkpoint("t", "last")


def _steps(store, count):
    for step in range(1, count + 1):
        tensors = {"w": torch.full((100,), float(step))}
        store.save_checkpoint("t", "last", tensors, {"step": step}, keeps_before=True)


def _harmed(store, name, harm):
    """Harm the pointer or the tensors of a checkpoint."""
    path = f"trials/t/checkpoints/{name}.json"
    if harm != "pointer cut":
        path = f"trials/t/checkpoints/{json.loads(store.files.read(path))['file']}"
    data = store.files.read(path)
    if harm == "tensors gone":
        store.files.delete(path)
    else:
        flipped = data[:-1] + bytes([data[-1] ^ 1])
        store.files.write(path, flipped if harm == "tensors flipped" else data[: len(data) // 2])


HARMS = ["tensors flipped", "tensors cut", "tensors gone", "pointer cut"]


@pytest.mark.parametrize("harm", HARMS)
def test_damaged_newest_checkpoint_gives_way_to_the_one_before(any_store, harm):
    store = any_store
    _steps(store, 3)
    _harmed(store, "last", harm)
    found, damaged = store.recover_checkpoint("t", "last")
    assert found is not None and found[1] == {"step": 2} and torch.all(found[0]["w"] == 2)
    assert len(damaged) == 1 and "trials/t/checkpoints/last" in damaged[0]
    assert any(name.endswith(".damaged-1") for name in store.files.names("trials/t/checkpoints"))
    tensors = {"w": torch.full((100,), 3.0)}
    store.save_checkpoint("t", "last", tensors, {"step": 3}, keeps_before=True)
    _harmed(store, "last", harm)
    found, _ = store.recover_checkpoint("t", "last")
    assert found is not None and found[1] == {"step": 2}


@pytest.mark.parametrize("harm", HARMS)
def test_without_a_whole_checkpoint_there_is_none(any_store, harm):
    store = any_store
    _steps(store, 2)
    _harmed(store, "last", "pointer cut")
    _harmed(store, "last.before", harm)
    found, damaged = store.recover_checkpoint("t", "last")
    assert found is None and len(damaged) == 2
    assert store.recover_checkpoint("t", "last") == (None, [])


def test_checkpoint_before_is_kept_until_it_is_forgotten(any_store):
    store = any_store
    _steps(store, 3)
    assert len(store.files.names("trials/t/checkpoints")) == 4
    store.forget_checkpoint_before("t", "last")
    assert len(store.files.names("trials/t/checkpoints")) == 2
    assert store.load_checkpoint("t", "last")[1] == {"step": 3}


@pytest.mark.parametrize(
    ("call", "when", "survives"),
    [
        ("adopt", "before", "old"),
        ("adopt", "after", "old"),
        ("write", "before", "old"),
        ("write", "after", "new"),
    ],
)
def test_checkpoint_killed_between_its_files_leaves_a_whole_pair(call, when, survives, forks):
    process, store = forks
    store.save_checkpoint("t", "last", {"w": torch.ones(3)}, {"step": 1})
    process.stdin.write(f"{call} {when} 1\n")
    assert process.stdout.readline().startswith("pid")
    assert process.stdout.readline() == "killed\n"
    tensors, meta = store.load_checkpoint("t", "last") or pytest.fail("no checkpoint")
    assert meta == {"step": 1 if survives == "old" else 2}
    assert torch.all(tensors["w"] == meta["step"])
    store.save_checkpoint("t", "last", {"w": torch.ones(1)}, {"step": 3})
    assert len(store.files.names("trials/t/checkpoints")) == 2, "leftovers are swept up"


def test_checkpoint_writer_killed_at_random_points_leaves_a_whole_pair(forks):
    process, store = forks
    step = 0
    for round_number in range(6):
        process.stdin.write(f"any time {step}\n")
        lines = [process.stdout.readline() for _ in range(3 + 2 * round_number)]
        pid = next(int(line.removeprefix("pid")) for line in lines if line.startswith("pid"))
        os.kill(pid, signal.SIGKILL)
        while (line := process.stdout.readline()) != "killed\n":
            lines.append(line)
        tensors, meta = store.load_checkpoint("t", "last") or pytest.fail("no checkpoint")
        assert meta["step"] >= max(int(line) for line in lines if line.strip().isdigit())
        assert torch.all(tensors["w"] == meta["step"]) and torch.all(tensors["b"] == meta["step"])
        step = meta["step"]
