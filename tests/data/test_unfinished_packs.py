"""A pack that was killed goes on from what was written, to the same bytes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from orchestrator.data import addresses, open_pack, packing, prepare

BATCH, CLIPS = 4, 22
RATE_HZ = 16000
KILLED = """
import os, signal, sys
from orchestrator.data import packing, prepare
from orchestrator.data.source import Source

packing._CLIPS_PER_BATCH = int(sys.argv[3])
root, packs, at = sys.argv[1], sys.argv[2], int(sys.argv[4])

def progress(done, total):
    if done == at:
        os.kill(os.getpid(), signal.SIGKILL)

prepare("folder", {"on_broken": "drop"}, root=root, packs=packs, progress=progress)
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Clips of two classes; one is stereo, and one is there twice, in two folds."""
    root = tmp_path_factory.mktemp("audio")
    rng = np.random.default_rng(0)
    for number in range(CLIPS):
        folder = root / ("cat" if number % 2 else "dog")
        folder.mkdir(exist_ok=True)
        samples = 0.1 * rng.standard_normal((800, 2) if number == 5 else 800)
        soundfile.write(folder / f"{number:02}.wav", samples, RATE_HZ)
    (root / "cat" / "99.wav").write_bytes((root / "cat" / "01.wav").read_bytes())
    return root


@pytest.fixture(scope="module")
def whole(root, tmp_path_factory):
    """The pack of an undisturbed run."""
    packs = tmp_path_factory.mktemp("packs")
    return open_pack(packed(root, packs).fingerprint, packs=str(packs))


@pytest.fixture
def packs(tmp_path):
    return tmp_path / "packs"


def packed(root, packs, **options):
    arguments = {"on_broken": "drop"}
    return prepare("folder", arguments, root=str(root), packs=str(packs), **options)


def killed(root, packs, at):
    command = [sys.executable, "-c", KILLED, str(root), str(packs), str(BATCH), str(at)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL


@pytest.fixture
def opened(monkeypatch):
    """The clips that are decoded."""
    monkeypatch.setattr(packing, "_CLIPS_PER_BATCH", BATCH)
    names = []
    from orchestrator.data import audit

    examine_one = audit._examine_one
    monkeypatch.setattr(
        audit,
        "_examine_one",
        lambda source, clip, resample: (
            names.append(clip.clip_id),
            examine_one(source, clip, resample),
        )[1],
    )
    return names


def assert_same(info, packs, whole):
    pack = open_pack(info.fingerprint, packs=str(packs))
    assert pack.fingerprint == whole.fingerprint
    assert (pack.path / addresses.CLIPS).stat().st_size > 0
    for key in ("notes", "kept", "dropped", "num_samples", "content_digest"):
        assert pack.manifest[key] == whole.manifest[key], key
    everything = np.arange(len(pack.clip_ids))
    np.testing.assert_array_equal(pack.pcm(everything, 800), whole.pcm(everything, 800))
    assert sorted(path.name for path in Path(packs).iterdir()) == sorted(
        [pack.fingerprint, "sources"]
    )
    assert sorted(path.name for path in pack.path.iterdir()) == ["clips.arrow", "pack.json"]


def test_killed_pack_goes_on_and_is_the_same(root, whole, packs, opened):
    killed(root, packs, at=2 * BATCH + 3)
    assert_same(packed(root, packs), packs, whole)
    assert len(opened) == CLIPS + 1 - 2 * BATCH


def test_killed_twice_goes_on_from_the_longer_part(root, whole, packs, opened):
    killed(root, packs, at=4 * BATCH + 2)  # one of these clips is left out
    killed(root, packs, at=4 * BATCH + 3)
    assert len(list(packs.glob(".making-*"))) == 1
    assert_same(packed(root, packs), packs, whole)
    assert len(opened) == CLIPS - 4 * BATCH


def test_interrupted_while_it_copies_what_was_before_loses_nothing(
    root, whole, packs, opened, monkeypatch
):
    killed(root, packs, at=3 * BATCH + 2)
    flush, flushed = packing._Writer._flush, []

    def interrupted(self):
        flush(self)
        flushed.append(1)
        if len(flushed) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(packing._Writer, "_flush", interrupted)
    with pytest.raises(KeyboardInterrupt):
        packed(root, packs)
    assert opened == []
    assert_same(packed(root, packs), packs, whole)
    assert len(opened) == CLIPS - 3 * BATCH


@pytest.mark.parametrize("harm", ["samples flipped", "samples cut", "journal cut", "journal gone"])
def test_what_is_damaged_is_decoded_again(root, whole, packs, opened, harm):
    killed(root, packs, at=3 * BATCH + 1)
    (making,) = packs.glob(".making-*")
    path = making / ("clips.arrow" if "samples" in harm else "examined.jsonl")
    data = bytearray(path.read_bytes())
    if harm == "samples flipped":
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    elif harm == "journal gone":
        path.unlink()
    else:
        os.truncate(path, len(data) // 2)
    assert_same(packed(root, packs), packs, whole)
    assert CLIPS + 1 - 3 * BATCH < len(opened) <= CLIPS + 1


def test_changed_file_begins_anew(root, whole, packs, opened):
    killed(root, packs, at=2 * BATCH + 1)
    path = root / "dog" / "00.wav"
    os.utime(path, (time.time(), time.time()))
    assert packed(root, packs).fingerprint == whole.fingerprint
    assert len(opened) == CLIPS + 1
