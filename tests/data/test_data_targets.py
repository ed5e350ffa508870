"""Clips with several classes or with events, from the list to the pack."""

import dataclasses
import math
import pickle

import numpy as np
import pytest

from orchestrator.data import open_pack, peek, prepare
from orchestrator.data.audit import examine
from orchestrator.data.entry import open_source
from orchestrator.data.packing import make_pack
from orchestrator.data.source import Clip, Decoded, Source, check_source
from orchestrator.errors import DataError
from orchestrator.metrics import Event, TargetKind, Targets

SMALL = {"num_classes": 3, "num_clips": 30, "num_folds": 2, "seconds": 0.5}
LABELS = {
    TargetKind.SINGLE_LABEL: (0, 1, 0),
    TargetKind.MULTI_LABEL: ((0, 1), (), (1,)),
    TargetKind.EVENTS: ((Event(1, 0.1, 0.3), Event(0, 0.0, 0.2)), (), (0, Event(1, 0.25, 0.9))),
}
FINGERPRINTS = {
    # Recorded from the version before clips could have several classes.
    TargetKind.SINGLE_LABEL: "744b09fd4ab8a7d1fb333e47c0cf26ac",
    TargetKind.MULTI_LABEL: "6cc37a7f67a76690792f258fc6b0e4f2",
    TargetKind.EVENTS: "add698030b9d9ef53dff75aacf6064e0",
}


def source(labels):
    def read(clip):
        tone = np.sin(np.arange(8000) * (0.05 + 0.01 * int(clip.clip_id)))
        return Decoded((0.5 * tone).astype(np.float32), 16000, 1)

    clips = tuple(Clip(str(i), label, 1 + i % 2, str(i)) for i, label in enumerate(labels))
    return Source(
        name="own",
        sample_rate=16000,
        class_names=("a", "b"),
        fold_names={1: "1", 2: "2"},
        clips=clips,
        read=read,
        signature="own",
    )


@pytest.mark.parametrize("kind", LABELS)
def test_pack_holds_what_was_listed_and_its_fingerprint_covers_it(kind, packs):
    made = make_pack(check_source(source(LABELS[kind]), dataset="own"), packs=packs)
    pack = open_pack(made.fingerprint, packs=packs)
    assert pack.targets == Targets.of(LABELS[kind], num_classes=2) and pack.targets.kind is kind
    assert pickle.loads(pickle.dumps(pack)).targets == pack.targets
    assert pack.content_digest() == pack.manifest["content_digest"]
    assert made.fingerprint == FINGERPRINTS[kind]
    single = kind is TargetKind.SINGLE_LABEL
    assert pack.manifest["format"] == (1 if single else 2)
    assert pack.manifest.get("targets") == (None if single else kind)
    kept = {"a": 2, "b": 1} if single else {"a": 1 + (kind == "events"), "b": 2}
    assert pack.manifest["kept"] == kept
    others = {make_pack(source(LABELS[k]), packs=packs).fingerprint for k in LABELS}
    moved = make_pack(
        source((*LABELS[TargetKind.EVENTS][:2], (0, Event(1, 0.25, 0.8)))), packs=packs
    )
    assert len(others | {moved.fingerprint}) == 4


def test_event_beyond_the_end_is_noted_and_kept():
    records = [seen.record for seen in examine(source(LABELS[TargetKind.EVENTS]))]
    problems = {p.kind: p.reason for p in records[2].problems}
    assert problems == {"beyond_end": "an event to 0.9 s in 0.500 s of audio"}
    assert not records[2].broken and not records[0].problems


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        ((0, (1,)), "clip 0 has one class and clip 1 a tuple"),
        (((0,), (2,)), r"label is \(2,\); give an int from 0 to 1, .* or a tuple of them"),
        (((0,), [1]), r"label is \[1\]"),
        ((Event(0, 0.0, 1.0), (1,)), "give a tuple of Events"),
        (((Event(0, 1.0, 1.0),), (1,)), "from 1.0 to 1.0; give seconds, the offset after"),
        (((Event(0, -1.0, 1.0),), (1,)), "from -1.0 to 1.0"),
        (((Event(0, math.nan, 1.0),), (1,)), "NaN for both"),
        (((Event(7, 0.0, 1.0),), (1,)), "a place in class_names"),
        (((0,), ()), "class 'b' has no clip"),
    ],
)
def test_labels_that_cannot_be_meant_are_refused(labels, text):
    with pytest.raises(DataError, match=text):
        check_source(source(labels), dataset="own")


@pytest.mark.parametrize(
    ("heads", "label", "text"),
    [
        ({"verb": 1, "noun": 1}, (0,), r"clip 0: label is \(0,\); give one class of each head"),
        ({"verb": 1, "noun": 1}, (1, 0), r"head: 0 to 0 for verb, 1 to 1 for noun"),
        ({"verb": 1, "noun": 1}, (0, 1, 1), r"label is \(0, 1, 1\)"),
        ({"verb": 1, "noun": 2}, (0, 1), "heads have 3 classes in all, and class_names 2"),
        ({"verb": 2}, (0, 1), "give two names or more, each with its classes"),
        ({"verb": 2, "noun": 0}, (0, 1), "each with its classes"),
        (("verb", "noun"), (0, 1), "give a mapping of names to numbers of classes"),
    ],
)
def test_heads_that_clips_do_not_fit_are_refused(heads, label, text):
    given = dataclasses.replace(source(((0, 1), label)[::-1]), heads=heads)
    with pytest.raises(DataError, match=text):
        check_source(given, dataset="own")


def test_made_up_events_sound_where_they_are_listed(packs):
    info = prepare("synthetic_events", SMALL | {"min_snr_db": 25.0}, root=None, packs=packs)
    pack = open_pack(info.fingerprint, packs=packs)
    assert info.targets is pack.targets.kind is TargetKind.EVENTS
    assert info.counts == dict(zip(pack.class_names, pack.targets.counts().tolist(), strict=True))
    sounds = pack.targets.frames(50, seconds=0.5).any(axis=2)
    power = np.stack(
        [np.square(pack.waveform(i).reshape(50, -1).astype(float)).mean(axis=1) for i in range(30)]
    )
    inside, outside = sounds.any(axis=1) & ~sounds.all(axis=1), ~sounds
    louder = [
        np.median(power[i][sounds[i]]) > 3 * np.median(power[i][outside[i]])
        for i in np.flatnonzero(inside)
    ]
    assert np.mean(louder) > 0.9 and len(louder) > 15


def test_made_up_clips_without_times_are_the_same_clips_with_their_classes_alone(packs):
    timed, bare = (
        open_source("synthetic_events", SMALL | {"times": times}, root=None)
        for times in (True, False)
    )
    assert (timed.kind, bare.kind) == (TargetKind.EVENTS, TargetKind.MULTI_LABEL)
    assert [clip.classes for clip in timed.clips] == [clip.classes for clip in bare.clips]
    assert timed.fingerprint != bare.fingerprint
    np.testing.assert_array_equal(
        timed.read(timed.clips[0]).samples, bare.read(bare.clips[0]).samples
    )
    for fold in (1, 2):
        assert {c for clip in timed.clips if clip.fold == fold for c in clip.classes} == {0, 1, 2}
    found = peek("synthetic_events", SMALL | {"times": False}, root=None, packs=packs)
    assert found.targets is TargetKind.MULTI_LABEL and found.num_clips == 30


def test_made_up_events_refuse_arguments_that_contradict_each_other():
    with pytest.raises(DataError, match=r"num_clips is 3; give 6, .*max_events is 0"):
        open_source("synthetic_events", SMALL | {"num_clips": 3, "max_events": 0}, root=None)


def test_broken_clips_are_counted_by_each_of_their_classes(packs):
    listed = source(LABELS[TargetKind.MULTI_LABEL])
    silent = dataclasses.replace(
        listed,
        on_broken="drop",
        read=lambda clip: (
            Decoded(np.zeros(80, np.float32), 16000, 1)
            if clip.clip_id == "0"
            else listed.read(clip)
        ),
    )
    with pytest.raises(DataError, match="no clip left in class 'a', fold"):
        make_pack(dataclasses.replace(silent, fold_names={1: "1", 2: "2", 3: "3"}), packs=packs)
