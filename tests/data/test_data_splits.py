"""Folds that are made by recording, and headers that are remembered."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.data import headers
from orchestrator.data.layouts.rows import Audio
from orchestrator.data.splits import make_folds
from orchestrator.errors import DataError

CLIPS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30)), min_size=40, max_size=120)


@given(CLIPS, st.integers(2, 5), st.randoms())
def test_folds_keep_recordings_whole_and_know_no_order(clips, num_folds, random):
    labels = [str(label) for label, _ in clips]
    recordings = [f"rec{label}-{number}" for label, number in clips]
    if len(set(recordings)) < num_folds:
        return
    ones = [1] * len(labels)
    made = make_folds(labels, recordings, num_clips=ones, num_folds=num_folds)
    fold_of = dict(zip(recordings, made.folds, strict=True))
    assert [fold_of[recording] for recording in recordings] == list(made.folds)
    assert set(made.folds) <= set(made.names) == set(range(1, num_folds + 1))
    order = list(range(len(clips)))
    random.shuffle(order)
    again = make_folds(
        [labels[i] for i in order],
        [recordings[i] for i in order],
        num_clips=ones,
        num_folds=num_folds,
    )
    assert [made.folds[i] for i in order] == list(again.folds)


@given(st.lists(st.integers(5, 40), min_size=2, max_size=6), st.integers(2, 5))
def test_folds_of_single_files_differ_by_one_clip_a_class(sizes, num_folds):
    labels = [str(label) for label, size in enumerate(sizes) for _ in range(size)]
    files = [f"{label}/{number}" for number, label in enumerate(labels)]
    ones = [1] * len(labels)
    folds = make_folds(labels, files, num_clips=ones, num_folds=num_folds).folds
    for label in set(labels):
        counts = Counter(f for f, one in zip(folds, labels, strict=True) if one == label)
        spread = [counts[fold] for fold in range(1, num_folds + 1)]
        assert max(spread) - min(spread) <= 1


def test_folds_need_a_recording_each_and_say_which_class_lacks_some():
    with pytest.raises(DataError, match=r"3 recordings .*num_folds=3"):
        make_folds(["a", "b", "b"], ["1", "2", "3"], num_clips=[1, 1, 1], num_folds=5)
    made = make_folds(list("abbb"), list("1234"), num_clips=[1] * 4, num_folds=3)
    assert "2 times a fold lacks a class" in made.text


def test_recording_of_many_windows_leaves_no_room_for_others_of_its_class():
    labels = ["a"] * 41 + ["b"] * 40
    files = [str(number) for number in range(81)]
    made = make_folds(labels, files, num_clips=[20] + [1] * 80, num_folds=4)
    alone = made.folds[0]
    assert made.folds[1:41].count(alone) == 0 and made.folds[41:].count(alone) == 10
    assert sorted(Counter(made.folds[1:41]).values()) == [13, 13, 14]


def test_header_is_read_again_only_when_its_file_changes(tmp_path, monkeypatch):
    def write(name: str, frames: int) -> Audio:
        path = tmp_path / name
        soundfile.write(path, np.zeros(frames), 8000)
        return Audio(name, path)

    opened: list[str] = []
    read = headers._read

    def counting(one: Audio, size: int, time_ns: int) -> headers.Header:
        opened.append(one.name)
        return read(one, size, time_ns)

    monkeypatch.setattr(headers, "_read", counting)
    audio = [write("a.wav", 80), write("b.wav", 160), Audio("gone", Path(tmp_path / "gone"))]
    (tmp_path / "c.wav").write_bytes(b"no audio")
    audio.append(Audio("c.wav", tmp_path / "c.wav"))
    first = headers.read_headers(audio, root=tmp_path)
    assert [first[one.name].frames for one in audio] == [80, 160, 0, 0]
    assert first["gone"].size == -1 and first["c.wav"].size == 8
    opened.clear()
    assert headers.read_headers(audio, root=tmp_path) == first and opened == []
    write("b.wav", 240)
    os.utime(tmp_path / "b.wav", ns=(1, 1))
    assert headers.read_headers(audio, root=tmp_path)["b.wav"].frames == 240 and opened == ["b.wav"]
