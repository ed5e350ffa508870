"""Packs: what is in them, that they are there whole or not at all, and found again at once."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from esc_folders import RATE_HZ, SECONDS, noise

from orchestrator.data import Pack, addresses, open_pack, packing, peek, prepare
from orchestrator.data.entry import open_source
from orchestrator.data.source import digest
from orchestrator.errors import DataError

ARGUMENTS = {"seconds": SECONDS}


def packed(folder, packs, **arguments):
    return prepare("esc", ARGUMENTS | arguments, root=str(folder.root), packs=packs)


def opened(folder, packs, **arguments) -> Pack:
    return open_pack(packed(folder, packs, **arguments).fingerprint, packs=packs)


def test_pack_waveforms_are_the_files_samples(folder, packs):
    pack = opened(folder, packs)
    assert len(pack) == 8 and pack.num_classes == 2 and pack.sample_rate == RATE_HZ
    for index in range(8):
        wave = pack.waveform(index)
        assert wave.dtype == np.int16
        assert np.array_equal(wave, np.rint(noise(index)[:, 0] * 32768))
    assert pack.labels.tolist() == [1, 0] * 4 and pack.folds.tolist() == [1] * 4 + [2] * 4
    assert pack.source_ids[3] == "103"
    assert pack.content_digest() == pack.manifest["content_digest"]


def test_pack_waveform_is_a_view_of_the_mapped_file(folder, packs):
    wave = opened(folder, packs).waveform(5)
    assert not wave.flags.owndata and not wave.flags.writeable
    address = wave.__array_interface__["data"][0]
    for line in Path("/proc/self/maps").read_text().splitlines():
        low, high = (int(part, 16) for part in line.split()[0].split("-"))
        if low <= address < high:
            assert line.endswith(addresses.CLIPS)
            return
    pytest.fail("the samples are in no mapping")


def test_pack_many_batches_of_clips_keep_their_order(tmp_path, packs):
    info = prepare(
        "synthetic",
        {"clips_per_class": 40, "num_classes": 4, "seconds": 0.25},
        root=None,
        packs=packs,
    )
    pack = open_pack(info.fingerprint, packs=packs)
    assert len(pack) == 160 and pack.content_digest() == pack.manifest["content_digest"]
    with pytest.raises(IndexError, match="clip 160 of a pack with 160"):
        pack.waveform(160)


def test_pack_batch_cuts_long_clips_and_fills_short_ones(folder, packs):
    soundfile.write(folder.path(0), noise(0, seconds=2 * SECONDS), RATE_HZ)
    pack = opened(folder, packs)
    batch = pack.batch(np.array([0, 1]), 4000)
    assert batch.dtype == torch.float32 and batch.shape == (2, 4000)
    assert np.array_equal(batch[0].numpy(), noise(0, seconds=2 * SECONDS)[:4000, 0])
    assert np.array_equal(batch[1, :3200].numpy(), noise(1)[:, 0])
    assert not batch[1, 3200:].any() and batch.abs().max() <= 1
    with pytest.raises(IndexError):
        pack.batch([8], 4000)


def test_pack_split_validates_on_one_fold(folder, packs):
    pack = opened(folder, packs)
    for fold in (2, "2"):
        train, val = pack.split(fold)
        assert train.tolist() == [0, 1, 2, 3] and val.tolist() == [4, 5, 6, 7]
    with pytest.raises(DataError, match=r"unknown fold 3 \(valid: 1, 2\)"):
        pack.split(3)


def test_pack_official_split_trains_on_train_only(folder, packs):
    source = open_source("esc", ARGUMENTS, root=str(folder.root))
    clips = tuple(replace(clip, fold=index % 3) for index, clip in enumerate(source.clips))
    names = {0: "train", 1: "val", 2: "test"}
    made = packing.make_pack(replace(source, clips=clips, fold_names=names), packs=packs)
    pack = open_pack(made.fingerprint, packs=packs)
    train, test = pack.split("test")
    assert train.tolist() == [0, 3, 6] and test.tolist() == [2, 5]
    with pytest.raises(DataError, match="validate on one of val, test"):
        pack.split("train")


def test_pack_pickles_as_its_path(folder, packs):
    pack = opened(folder, packs)
    sent = pickle.dumps(pack)
    assert len(sent) < 500
    assert np.array_equal(pickle.loads(sent).waveform(2), pack.waveform(2))


def test_pack_manifest_names_tools_and_counts(folder, packs):
    manifest = opened(folder, packs).manifest
    assert manifest["kept"] == {"dog": 4, "rain": 4} and manifest["dropped"] == {}
    assert manifest["tools"]["resampler"].startswith("soxr VHQ ")
    assert manifest["tools"]["decoder"].startswith("soundfile ")
    assert manifest["root_hint"] == str(folder.root)


def test_fingerprint_same_clips_elsewhere_is_the_same(folder, packs, tmp_path):
    shutil.copytree(folder.root, tmp_path / "elsewhere")
    there = prepare("esc", ARGUMENTS, root=str(tmp_path / "elsewhere"), packs=packs)
    assert there.fingerprint == packed(folder, packs).fingerprint


def one_sample(folder):
    wave = noise(3)
    wave[100] += 1 / 32768
    soundfile.write(folder.path(3), wave, RATE_HZ, subtype="PCM_16")


def one_label(folder):
    folder.rows[2].update(target=7, category="dog")
    folder.write_list()


def one_fold(folder):
    folder.rows[2]["fold"] = 2
    folder.write_list()


def one_name(folder):
    content = folder.path(3).read_bytes()
    folder.rename(3, "other.flac").write_bytes(content)


@pytest.mark.parametrize("change", [one_sample, one_label, one_fold, one_name])
def test_fingerprint_changes_with_what_decides_numbers(folder, packs, change):
    before = packed(folder, packs)
    change(folder)
    after = packed(folder, packs)
    assert after.made and after.fingerprint != before.fingerprint


def test_fingerprint_changes_with_the_sample_rate(folder, packs):
    assert packed(folder, packs).fingerprint != packed(folder, packs, sample_rate=8000).fingerprint


def test_prepare_twice_decodes_once(folder, packs, monkeypatch):
    first = packed(folder, packs)
    monkeypatch.setattr(packing, "make_pack", None)
    assert packed(folder, packs) == replace(first, made=False)
    assert peek("esc", ARGUMENTS, root=str(folder.root), packs=packs) == replace(first, made=False)


def test_prepare_touched_file_is_looked_at_again(folder, packs):
    first = packed(folder, packs)
    os.utime(folder.path(0), ns=(1, 1))
    again = packed(folder, packs)
    assert again.made and again.fingerprint == first.fingerprint


def test_index_of_an_earlier_version_is_read_with_its_spelling(folder, packs):
    info = packed(folder, packs)
    (index,) = (Path(packs) / "sources").iterdir()
    fields = json.loads(index.read_text())
    fields["licence"] = fields.pop("license")
    fields["digest"] = digest({k: v for k, v in fields.items() if k != "digest"})
    index.write_text(json.dumps(fields))
    assert packed(folder, packs) == replace(info, made=False)


def test_prepare_index_of_another_version_is_made_anew(folder, packs):
    first = packed(folder, packs)
    (index,) = (Path(packs) / "sources").iterdir()
    index.write_text(json.dumps({"fingerprint": first.fingerprint, "shape": 3}))
    assert packed(folder, packs) == first


def test_prepare_pinned_fingerprint_refuses_other_data(folder, packs):
    pinned = packed(folder, packs).fingerprint
    assert packed(folder, packs, fingerprint=pinned).fingerprint == pinned
    one_sample(folder)
    with pytest.raises(DataError, match=f"the experiment names {pinned}"):
        packed(folder, packs, fingerprint=pinned)


def test_prepare_pinned_fingerprint_needs_no_root(folder, packs):
    pinned = packed(folder, packs).fingerprint
    arguments = {"fingerprint": pinned}
    for find in (prepare, peek):
        info = find("esc", arguments, root=None, packs=packs)
        assert info is not None and info.fingerprint == pinned and not info.made
    with pytest.raises(DataError, match="at 16000 Hz, and 'esc' at 32000"):
        prepare("esc", arguments | {"sample_rate": 32000}, root=None, packs=packs)


def test_prepare_unknown_dataset_names_the_nearest(packs):
    with pytest.raises(DataError, match=r"'sythetic'; did you mean 'synthetic'\? \(valid: esc, "):
        prepare("sythetic", {}, root=None, packs=packs)


def test_peek_before_packing_knows_nothing_of_files(folder, packs):
    assert peek("esc", ARGUMENTS, root=str(folder.root), packs=packs) is None


def test_make_pack_that_fails_leaves_nothing(folder, packs, monkeypatch):
    def pull_the_plug(*_):
        raise RuntimeError

    monkeypatch.setattr(packing, "publish", pull_the_plug)
    with pytest.raises(RuntimeError):
        packed(folder, packs)
    assert list(Path(packs).iterdir()) == []


def test_make_pack_that_is_interrupted_leaves_nothing_once_it_is_made(folder, packs, monkeypatch):
    def pull_the_plug(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(packing, "publish", pull_the_plug)
        packed(folder, packs)
    info = packed(folder, packs)
    left = sorted(path.name for path in Path(packs).iterdir())
    assert left == sorted([info.fingerprint, "sources"])


def test_make_pack_sweeps_out_what_a_killed_process_left(folder, packs):
    left = Path(packs) / ".making-long-ago"
    fresh = Path(packs) / ".making-just-now"
    for directory in (left, fresh):
        directory.mkdir(parents=True)
    os.utime(left, (0, 0))
    packed(folder, packs)
    assert not left.exists() and fresh.exists()


def test_prepare_at_the_same_time_gives_one_pack(folder, packs):
    with ThreadPoolExecutor(4) as pool:
        infos = list(pool.map(lambda _: packed(folder, packs), range(4)))
    assert len({info.fingerprint for info in infos}) == 1
    left = sorted(path.name for path in Path(packs).iterdir())
    assert left == sorted([infos[0].fingerprint, "sources"])


def test_open_pack_missing_or_harmed_says_what_to_do(folder, packs):
    with pytest.raises(DataError, match=r"no pack at .*orchestrator\.data pack"):
        open_pack("0123", packs=packs)
    pack = opened(folder, packs)
    os.truncate(pack.path / addresses.CLIPS, 1000)
    with pytest.raises(DataError, match="has 1000 bytes and was written with"):
        open_pack(pack.fingerprint, packs=packs)
