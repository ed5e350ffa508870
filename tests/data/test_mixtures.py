"""Mixtures of clips with one class each: what sounds when, of which recordings, how loud."""

import json

import numpy as np
import pytest
import soundfile
from esc_folders import RATE_HZ, noise

from orchestrator.data import mixtures as data_mixtures
from orchestrator.data import open_pack, peek, prepare
from orchestrator.data.entry import open_source
from orchestrator.data.mixtures import loudest
from orchestrator.data.source import ClipFault
from orchestrator.errors import DataError

SMALL = {"num_clips": 50, "seconds": 1.0, "num_pools": 2}


def opened(folder=None, **changes):
    root = None if folder is None else str(folder.root)
    return open_source("mixtures", SMALL | changes, root=root)


def mixed_from(mixture):
    return [clip for clip, _, _ in json.loads(mixture.path)[1]]


def test_mixture_is_of_its_folds_recordings_and_of_one_pool(folder):
    source = opened(folder, num_clips=60)
    single = open_source("folder", {"layout": "esc_csv"}, root=str(folder.root))
    assert source.class_names == ("dog", "rain") and len(source.clips) == 60
    pool_of: dict[str, set] = {}
    for mixture in source.clips:
        for place, event in zip(mixed_from(mixture), mixture.label, strict=True):
            clip = single.clips[place]
            assert (clip.fold, clip.label) == (mixture.fold, event.label)
            pool_of.setdefault(clip.source_id, set()).add(mixture.source_id)
    assert len(pool_of) == 8 and all(len(pools) == 1 for pools in pool_of.values())


def test_every_fold_has_every_class_and_no_mixture_too_many_events():
    source = opened(num_clips=60, max_events=2)
    for fold in source.fold_names:
        own = [clip for clip in source.clips if clip.fold == fold]
        assert len(own) == 12 and {label for clip in own for label in clip.classes} == {*range(10)}
    assert {len(clip.label) for clip in source.clips} == {0, 1, 2}


def test_event_is_heard_between_onset_and_offset():
    source = opened(min_snr_db=30.0, max_snr_db=30.0)
    mixture = next(clip for clip in source.clips if len(clip.label) == 1)
    ((event,), decoded) = mixture.label, source.read(mixture)
    time_s = np.arange(len(decoded.samples)) / decoded.rate_hz
    inside = (time_s >= event.onset_s) & (time_s < event.offset_s)
    power = np.square(decoded.samples)
    assert len(decoded.samples) == 16000
    assert power[inside].mean() > 100 * power[~inside].mean()


def test_same_arguments_give_the_same_samples_and_every_argument_another_pack(folder, packs):
    root = str(folder.root)
    infos = [prepare("mixtures", SMALL, root=root, packs=f"{packs}{i}") for i in range(2)]
    pack = open_pack(infos[0].fingerprint, packs=f"{packs}0")
    again = open_pack(infos[1].fingerprint, packs=f"{packs}1")
    assert pack.fingerprint == again.fingerprint and pack.targets == again.targets
    assert pack.targets.kind == "events" and pack.fold_names == {1: "1", 2: "2"}
    assert np.array_equal(pack.waveform(3), again.waveform(3))
    known = peek("mixtures", SMALL, root=None, packs=packs)
    assert known is not None and known.fingerprint not in ("", pack.fingerprint)
    changes = {"num_clips": 51, "max_events": 2, "seconds": 1.1, "num_pools": 3, "seed": 1}
    changes |= {"sample_rate": 22050, "min_snr_db": 9.0, "max_snr_db": 31.0}
    others = {
        open_source("mixtures", SMALL | {k: v}, root=None).fingerprint for k, v in changes.items()
    }
    assert len(others | {known.fingerprint}) == len(changes) + 1


def test_recording_of_two_folds_is_mixed_in_the_first_alone(folder):
    for index, row in enumerate(folder.rows):
        row["src_file"] = str(index % 7)  # the last clip is of the recording of the first
        soundfile.write(folder.path(index), noise(index, seconds=5.0), RATE_HZ)
    folder.write_list()
    source = opened(folder)
    assert source.notes == ("1 clips whose recording is in an earlier fold too are not mixed",)
    assert {place for clip in source.clips for place in mixed_from(clip)} == {*range(7)}


def test_broken_clip_breaks_the_mixtures_that_it_is_in(folder):
    folder.path(0).write_bytes(b"")
    source = opened(folder)
    broken = next(clip for clip in source.clips if 0 in mixed_from(clip))
    with pytest.raises(ClipFault, match=r"1-100-A-30.flac, mixed into it: the file has 0 bytes"):
        source.read(broken)


def test_mistakes_are_named_together_with_the_way_out(folder, monkeypatch):
    with pytest.raises(DataError, match=r"max_events is 0.*num_pools is 0.*seed is -1"):
        opened(max_events=0, num_pools=0, seed=-1)
    with pytest.raises(DataError, match=r"8 of 40 mixtures .* 10 classes; give num_clips=50 or"):
        opened(num_clips=40, seed=0)
    monkeypatch.setattr(data_mixtures, "recognized", lambda root, given: ("synthetic_events", {}))
    with pytest.raises(DataError, match=r"mixes clips with one class each.*kind events"):
        opened(folder)


def test_loudest_part_is_cut_without_silence_and_repeated_where_too_short():
    quiet, loud = np.full(200, 0.1), np.full(100, 1.0)
    clip = np.concatenate([np.zeros(500), quiet, loud, quiet, np.zeros(500)])
    np.testing.assert_array_equal(loudest(clip, 100, sample_rate=1000), loud)
    sounding = np.concatenate([quiet, loud, quiet])
    np.testing.assert_array_equal(loudest(clip, 900, sample_rate=1000), np.resize(sounding, 900))
    with pytest.raises(ClipFault, match="every sample is zero"):
        loudest(np.zeros(100), 10, sample_rate=1000)


def test_samples_of_a_mixture_are_those_of_this_revision():
    """Another sound needs another revision; the last bits may differ by processor."""
    source = opened()
    samples = source.read(source.clips[0]).samples
    assert samples[8000:8004] == pytest.approx(GOLDEN, abs=1e-5)


GOLDEN = [-0.0063865, -0.0082108, -0.0105391, -0.0085484]
