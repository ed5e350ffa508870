"""Clips with several labels or events, from the forms of lists to the clips of a source."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from layout_folders import BUILDERS, CLASSES, RATE_HZ, flac, mixtures, sound, table, write_wave

from orchestrator.data.entry import open_source
from orchestrator.data.overview import overview
from orchestrator.data.source import Source
from orchestrator.errors import DataError
from orchestrator.metrics import Event, TargetKind


def opened(root: Path, **arguments: object) -> Source:
    return open_source("folder", arguments, root=str(root))


def listed(root: Path, labels: list[str], name: str = "list.csv") -> Path:
    """A csv of one file per label."""
    rows: list[dict[str, object]] = []
    for number, label in enumerate(labels):
        write_wave(root / f"{number}.wav", sound(0, number))
        rows.append({"path": f"{number}.wav", "label": label})
    return table(root / name, rows)


def names_of(source: Source) -> list[tuple[str, ...]]:
    return [tuple(source.class_names[label] for label in clip.classes) for clip in source.clips]


@pytest.mark.parametrize("mark", [";", "|", ",", ", "])
def test_several_labels_of_one_text_are_taken_apart_where_they_recur(mark, tmp_path):
    listed(tmp_path, [mark.join(pair) for pair in (("a", "b"), ("b", "c"), ("c",), ("a",))] * 3)
    source = opened(tmp_path)
    assert names_of(source)[:4] == [("a", "b"), ("b", "c"), ("c",), ("a",)]
    assert source.kind is TargetKind.MULTI_LABEL
    text = " ".join(overview(source, width=200).split())
    assert "any number of classes per clip, 1.5 a clip (1 to 2); separated by a " in text


def test_names_with_commas_stay_whole_and_other_separators_are_asked_for(tmp_path):
    names = ["Male speech, man speaking", "Vehicle horn, car horn, honking", "Speech"]
    listed(tmp_path, names * 4)
    assert opened(tmp_path).class_names == tuple(sorted(names))
    apart = opened(tmp_path, separator="comma").class_names
    assert len(apart) == 6 and "car horn" in apart
    assert "speaking" in opened(tmp_path, separator="space").class_names
    with pytest.raises(DataError, match=r"separator 'semi'.*semicolon"):
        opened(tmp_path, separator="semi")


@pytest.mark.parametrize(
    ("cell", "label"), [('["a", "b"]', ("a", "b")), ("['b']", ("b",)), ("[]", ())]
)
def test_list_written_into_a_cell_is_a_list(cell, label, tmp_path):
    listed(tmp_path, [cell, '["a", "b"]', '["b"]', '["a"]', "[]", "[]"])
    assert names_of(opened(tmp_path, num_folds=2))[0] == label


def test_lists_of_one_label_each_are_one_class_per_clip_unless_asked(tmp_path):
    listed(tmp_path, ['["a"]', '["b"]'] * 5)
    assert opened(tmp_path).kind is TargetKind.SINGLE_LABEL
    assert opened(tmp_path, targets="multi_label").kind is TargetKind.MULTI_LABEL


def test_events_are_cut_at_the_edges_of_windows(tmp_path):
    for number in range(4):
        write_wave(tmp_path / f"r{number}.wav", sound(0, number, seconds=2.0))
        lines = [
            "0.100000\t0.300000\tcall",
            "0.900000\t1.100000\tsong",
            "1.500000\t1.500400\tclick",
        ]
        (tmp_path / f"r{number}.txt").write_text("\n".join(lines if number < 3 else []))
    source = opened(tmp_path, seconds=0.5, num_folds=2)
    call, click, song = range(3)
    assert source.class_names == ("call", "click", "song")
    found = {clip.clip_id: clip.label for clip in source.clips}
    assert found["r0.wav@0-0.5s"] == (Event(call, 0.1, 0.3),)
    assert found["r0.wav@0.5-1s"] == (Event(song, 0.4, 0.5),)
    assert found["r0.wav@1-1.5s"] == (Event(song, 0.0, 0.1),)
    assert found["r0.wav@1.5-2s"] == (Event(click, 0.0, 0.0004),)
    assert found["r3.wav@0-0.5s"] == ()  # an empty track: nothing sounds
    facts = dict(source.facts)
    assert facts["targets"].startswith("9 events with onset and offset, 0.75 a clip (0 to 1), 4 ")
    assert "--dataset folder:targets=single_label" in facts["targets"]
    bare = opened(tmp_path, seconds=0.5, num_folds=2, targets="multi_label")
    assert {c.clip_id: c.label for c in bare.clips}["r0.wav@1-1.5s"] == (song,)
    with pytest.raises(DataError, match="no label has an onset"):
        listed(tmp_path / "other", ["a", "b"] * 5)
        opened(tmp_path / "other", targets="events")


def test_windows_of_weakly_labeled_recordings_have_all_their_classes(tmp_path):
    rows: list[dict[str, object]] = []
    for number in range(4):
        write_wave(tmp_path / f"{number}.wav", sound(number % 2, number, seconds=1.0))
        for label in ("a", "b") if number else ("a",):
            rows.append({"path": f"{number}.wav", "label": label})
    table(tmp_path / "list.csv", rows)
    source = opened(tmp_path, seconds=0.5, num_folds=2)
    assert len(source.clips) == 8 and [clip.label for clip in source.clips[:3]] == [
        (0,),
        (0,),
        (0, 1),
    ]


@pytest.mark.parametrize("form", ["csv", "json", "segments", "bytes", "bytes_of_lists"])
def test_times_in_milliseconds_are_read_as_such(form, tmp_path):
    rows = []
    for number in range(10):
        label, times = "ab"[number % 2], (50 + number, 150)
        row: dict[str, object] = {"path": f"{number}.wav", "label": label}
        if form == "csv":
            row |= dict(zip(("Onset (ms)", "Offset (ms)"), times, strict=True))
        elif form == "json":
            row["label"] = [dict(label=label, onset_ms=times[0], offset_ms=times[1])]
        elif form == "segments":
            row |= dict(zip(("start_ms", "end_ms"), times, strict=True))
        else:
            row["audio"] = {"bytes": flac(sound(0, number)), "path": row.pop("path")}
            of_lists = form == "bytes_of_lists"
            for key, value in zip(("onset_ms", "offset_ms"), times, strict=True):
                row[key] = [value] if of_lists else value
            row["label"] = [label] if of_lists else label
        if "path" in row:
            write_wave(tmp_path / f"{number}.wav", sound(0, number))
        rows.append(row)
    if form.startswith("bytes"):
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "train.parquet")
    elif form == "json":
        (tmp_path / "list.jsonl").write_text("\n".join(map(json.dumps, rows)))
    else:
        table(tmp_path / "list.csv", rows)
    if form == "segments":
        source = opened(tmp_path, start="start_ms", end="end_ms")
        assert sorted(clip.clip_id for clip in source.clips)[3] == "3.wav@0.053-0.15s"
    else:
        source = opened(tmp_path)
        assert source.clips[3].label == (Event(1, 0.053, 0.15),)


def with_bits(root: Path, value: str = "{}.0", **more: object) -> None:
    """A csv with columns of bits for two classes, and others that repeat their digits."""
    rows: list[dict[str, object]] = []
    for number in range(12):
        write_wave(root / f"{number}.wav", sound(0, number))
        bits = {"dog": int(number % 3 < 2), "siren": int(number % 3 > 0)}
        rows.append({"path": f"{number}.wav"} | {k: value.format(bit) for k, bit in bits.items()})
        rows[-1] |= {name: str(of)[number % len(str(of))] for name, of in more.items()}
    table(root / "list.csv", rows)


def test_bits_of_the_clip_itself_are_no_classes_and_are_named(tmp_path):
    with_bits(tmp_path, is_noisy="01", manually_verified="110", outdoors="1", set="ttte")
    listed = (tmp_path / "list.csv").read_text().replace(",t", ",train").replace(",e", ",test")
    (tmp_path / "list.csv").write_text(listed)
    source = opened(tmp_path)
    assert source.class_names == ("dog", "siren")
    text = " ".join(overview(source, width=200).split())
    assert "2 columns of 0 and 1, dog to siren (others: --dataset folder:label=FIRST..LAST)" in text
    assert "not taken for classes: is_noisy, manually_verified, outdoors;" in text
    assert "--dataset folder:label=dog..siren+is_noisy" in text
    assert "columns not used: set; if set has the splits: --dataset folder:split=set" in text
    assert set(opened(tmp_path, split="set").fold_names.values()) == {"train", "test"}
    named = opened(tmp_path, label="dog..siren+is_noisy").class_names
    assert named == ("dog", "is_noisy", "siren")
    for wrong, why in {
        "dog..sirens": "did you mean 'siren'",
        "siren..dog": "give dog..siren",
    }.items():
        with pytest.raises(DataError, match=rf"list\.csv line 1: .*{why}"):
            opened(tmp_path, label=wrong)


def test_bits_may_all_be_of_the_clip_and_one_class_a_clip_is_one(tmp_path):
    with_bits(tmp_path / "all", "{}", fold="01")
    listed = (tmp_path / "all" / "list.csv").read_text()
    (tmp_path / "all" / "list.csv").write_text(listed.replace("dog,siren", "has_dog,is_siren"))
    assert opened(tmp_path / "all").class_names == ("has_dog", "is_siren")
    with_bits(tmp_path / "one", "{}", cat="011", is_noisy="01", cow="001")
    lines = ["0.wav,1,0,0,1,0", "1.wav,0,1,0,0,0", "2.wav,0,0,0,1,1", "3.wav,0,0,1,0,0"] * 3
    rows = [f"{number}{text[1:]}" for number, text in enumerate(lines)]
    (tmp_path / "one" / "list.csv").write_text(
        "\n".join(["path,dog,siren,cat,is_noisy,cow", *rows])
    )
    source = opened(tmp_path / "one", num_folds=2)
    assert source.kind is TargetKind.SINGLE_LABEL
    assert source.class_names == ("cat", "cow", "dog", "siren")


def test_clips_with_and_without_times_may_stand_in_one_list(tmp_path):
    rows: list[dict[str, object]] = []
    for number in range(12):
        write_wave(tmp_path / f"{number}.wav", sound(number % 2, number))
        times = ("0.05", "0.15") if number < 6 else ("", "")
        rows.append({"filename": f"{number}.wav", "onset": times[0], "offset": times[1]})
        rows[-1]["event_label"] = "ab"[number % 2]
    table(tmp_path / "events.tsv", rows, delimiter="\t")
    source = opened(tmp_path)
    assert source.kind is TargetKind.EVENTS
    assert source.clips[0].label == (Event(0, 0.05, 0.15),) and source.clips[7].label == (1,)
    assert "6 clips with classes without times" in dict(source.facts)["targets"]


EVENTS = [
    {"label": "siren", "onset": 0.0, "offset": 0.2},
    {"label": "dog", "onset": 0.1, "offset": 0.2},
]


def test_events_in_json_lines_and_of_an_own_function_are_read(tmp_path, monkeypatch):
    lines = []
    for number in range(10):
        write_wave(tmp_path / "clips" / f"{number}.wav", sound(0, number))
        lines.append(
            {"path": f"clips/{number}.wav", "events": EVENTS if number % 2 else EVENTS[:1]}
        )
    (tmp_path / "list.jsonl").write_text("\n".join(map(json.dumps, lines)))
    expected = (Event(1, 0.0, 0.2), Event(0, 0.1, 0.2))
    assert opened(tmp_path).clips[1].label == expected
    (tmp_path / "my_events.py").write_text(
        "EVENTS = [('siren', 0.0, 0.2), ('dog', 0.1, 0.2)]\n\n\n"
        "def clips(root):\n"
        "    for n in range(10):\n"
        "        yield {'path': f'clips/{n}.wav', 'label': EVENTS[:1 + n % 2]}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert opened(tmp_path, layout="my_events:clips").clips[1].label == expected


@pytest.mark.parametrize("nested", [False, True])
def test_events_beside_audio_bytes_are_read(nested, tmp_path):
    """Hugging Face's Sequence of a dictionary is lists in parallel; a list of structs is newer."""
    rows = []
    for classes, wave, take in mixtures(12):
        events = [{"label": CLASSES[c], "onset": 0.01 * c, "offset": 0.2} for c in classes]
        row: dict[str, object] = {"audio": {"bytes": flac(wave), "path": f"{take}.flac"}}
        columns = {key: [event[key] for event in events] for key in ("label", "onset", "offset")}
        rows.append(row | ({"events": events} if nested else columns))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "train.parquet")
    source = opened(tmp_path)
    assert source.clips[1].label == (Event(0, 0.0, 0.2), Event(1, 0.01, 0.2))


def test_background_clips_are_dealt_to_all_folds(tmp_path):
    rows = []
    for number in range(20):
        write_wave(tmp_path / f"{number}.wav", sound(number % 2, number))
        rows.append({"path": f"{number}.wav", "labels": ["ab"[number % 2]] if number < 10 else []})
    (tmp_path / "list.jsonl").write_text("\n".join(map(json.dumps, rows)))
    source = opened(tmp_path)
    held = np.bincount([clip.fold for clip in source.clips if not clip.label])[1:]
    assert held.tolist() == [2] * 5
    assert "10 clips in which nothing sounds" in dict(source.facts)["targets"]


def test_table_says_the_other_reading_of_times(tmp_path):
    rows: list[dict[str, object]] = []
    for number in range(10):
        write_wave(tmp_path / f"{number}.wav", sound(0, number, seconds=0.4))
        for label, start in (("a", 0.0), ("b", 0.2)):
            times = {"start": start, "end": start + 0.2}
            rows.append({"path": f"{number}.wav", "label": label, **times})
    table(tmp_path / "list.csv", rows)
    source = opened(tmp_path)
    assert len(source.clips) == 20 and source.kind is TargetKind.SINGLE_LABEL
    assert any("--dataset folder:targets=events" in note for note in source.notes)
    timed = opened(tmp_path, targets="events")
    assert len(timed.clips) == 10 and timed.clips[0].label == (
        Event(0, 0.0, 0.2),
        Event(1, 0.2, 0.4),
    )


def test_pack_of_events_is_read_again_by_its_signature(tmp_path):
    BUILDERS["strong_tsv"][0](tmp_path)
    first = opened(tmp_path)
    moved = tmp_path / "soundscapes.tsv"
    moved.write_text(moved.read_text().replace("0.000\t0.200", "0.000\t0.190", 1))
    assert first.signature != opened(tmp_path).signature
    assert not any(math.isnan(e.onset_s) for clip in first.clips for e in clip.label)
    assert RATE_HZ == first.sample_rate
