"""Published data sets by their official lists: recognized, packed, trained one epoch, reported."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from dataset_folders import EPIC, FLAGS, SETS, VGGSOUND, epic_lists, headless, official_rows
from layout_folders import line, write
from layout_trial import Trial, trial

from orchestrator.data.entry import open_source
from orchestrator.data.layouts.rows import Mistakes
from orchestrator.data.layouts.tree import Tree
from orchestrator.data.layouts.youtube import Clips
from orchestrator.data.official.epic_kitchens import read_classes, read_segments
from orchestrator.data.overview import recognized
from orchestrator.errors import DataError


def built(name: str, place: Path, annotations: Path) -> Path:
    root = place / name
    root.mkdir()
    SETS[name][0](root, annotations)
    return root


@pytest.fixture(scope="module")
def first(tmp_path_factory, annotations) -> Callable[[str], Trial]:
    """The first trial of a set, run once."""
    place = tmp_path_factory.mktemp("sets")

    @functools.cache
    def run(name: str) -> Trial:
        flags = ["--dataset", FLAGS[name]] if name in FLAGS else []
        return trial(built(name, place, annotations), place / f"of {name}", *flags)

    return run


@pytest.mark.parametrize("name", SETS)
def test_published_set_is_recognized_packed_trained_and_reported(name, first):
    _, layout, num_clips, fold_names = SETS[name]
    done = first(name)
    named = f"--dataset folder:layout={layout})" if layout != "esc" else "data set esc"
    assert named in done.table
    assert done.info.num_clips == num_clips and done.info.fold_names == fold_names
    order = {name: label for label, name in enumerate(sorted(set(done.pack.class_names)))}
    for index in range(len(done.pack)):
        wave = done.pack.waveform(index).astype(float)
        loudest = np.abs(np.fft.rfft(wave)).argmax() * done.pack.sample_rate / len(wave)
        label = done.pack.class_names[done.pack.labels[index]]
        named = next((of for of in (VGGSOUND, EPIC) if label in of), ())
        place = named.index(label) if named else order[label]
        assert loudest == pytest.approx(300 * (place + 1), abs=10), done.pack.clip_ids[index]


def test_table_and_record_say_how_much_of_the_official_list_is_here(first):
    done = first("vggsound")
    for text in (done.table, " ".join(done.info.notes)):
        assert "train 45 of 57 clips here (78.9%), test 18 of 18 clips here (100.0%)" in text
        assert "12 clips, such as " in text
    assert "data/test.csv and data/train.csv" in done.table
    whole = first("kinetics_csv").table
    assert "train 42 of 42 clips here (100.0%)" in whole and "missing" not in whole
    assert "the 3 of classes.txt, without strumming guitar" in whole


def test_speech_commands_keeps_speakers_together(first):
    done = first("speech_commands_v2")
    named = [name.rpartition("/")[2].partition("_")[0] for name in done.pack.clip_ids]
    assert list(done.pack.source_ids) == named
    assert f"recordings {len(set(named))}, speakers" in done.table


def test_esc50_says_which_recordings_leak(first):
    notes = " ".join(first("esc50").info.notes)
    assert "2 recordings have clips in more than one fold: 131943, 209698" in notes


def test_classes_are_in_the_order_of_the_list(annotations, tmp_path):
    root = built("kinetics_csv", tmp_path, annotations)
    names = (root / "classes.txt").read_text().split("\n")[:3]
    (root / "classes.txt").write_text("\n".join(reversed(names)))
    assert open_source("folder", {}, root=str(root)).class_names == tuple(reversed(names))


def test_epic_segments_are_read_from_whole_videos_by_their_times(annotations, tmp_path):
    epic_lists(tmp_path, annotations)
    (tmp_path / "EPIC_100_validation.csv").unlink()
    verbs, nouns = (
        read_classes(tmp_path / f"EPIC_100_{kind}_classes.csv") for kind in ("verb", "noun")
    )
    segments = read_segments(tmp_path / "EPIC_100_train.csv", verbs, nouns)
    segments = [one for one in segments if one.end_s < 500]
    time_s = np.arange(8000 * 500) / 8000
    wave = 0.5 * np.sin(2 * np.pi * time_s**2)  # its frequency says the time: 2 Hz a second
    (tmp_path / "videos").mkdir()
    for video in {one.video for one in segments}:
        soundfile.write(tmp_path / "videos" / f"{video}.flac", wave, 8000)
    head, *lines = official_rows(tmp_path / "EPIC_100_train.csv")
    kept = [line for line in lines if line[0] in {one.name for one in segments}]
    headless(tmp_path / "EPIC_100_train.csv", [head, *kept])
    flags = {"label": "action", "longer": "cut", "num_folds": 2, "seconds": 9}
    source = open_source("folder", flags, root=str(tmp_path))
    assert [clip.clip_id for clip in source.clips] == [one.name for one in segments]
    for clip, one in zip(source.clips, segments, strict=True):
        samples, begin = source.read(clip).samples, round(8000 * one.start_s)
        np.testing.assert_allclose(samples, wave[begin : begin + len(samples)], atol=1e-3)
        assert len(samples) == pytest.approx(8000 * min(9, one.end_s - one.start_s), abs=1)
        assert source.class_names[clip.label] == f"{verbs[one.verb]} {nouns[one.noun]}"


def test_epic_takes_the_verb_the_noun_or_the_action_where_it_is_asked_to(annotations, tmp_path):
    root = built("epic_kitchens", tmp_path, annotations)
    with pytest.raises(DataError) as caught:
        open_source("folder", {"label": "species"}, root=str(root))
    verbs, nouns, actions = (
        open_source("folder", {"label": label}, root=str(root)).class_names
        for label in ("verb", "noun", "action")
    )
    for label in ("verb", "noun", "action"):
        assert f"--dataset folder:layout=epic_kitchens,label={label}" in str(caught.value)
    assert verbs == ("take", "put", "wash")  # by their numbers, not by their names
    assert {action.split(" ")[0] for action in actions} == set(verbs)
    assert {action.split(" ")[1] for action in actions} == set(nouns)


def test_epic_trains_a_head_each_for_verb_and_noun_and_reports_the_action(annotations, tmp_path):
    root = built("epic_kitchens", tmp_path, annotations)
    done = trial(root, tmp_path / "both")
    heads = done.pack.targets.heads
    assert list(heads) == ["verb", "noun"] and heads["verb"] == 3
    names = done.pack.class_names
    assert names[:3] == ("verb: take", "verb: put", "verb: wash")
    segments = {
        one.name: one
        for name in ("train", "validation")
        for one in read_segments(
            root / f"EPIC_100_{name}.csv",
            *(read_classes(root / f"EPIC_100_{kind}_classes.csv") for kind in heads),
        )
    }
    verbs, nouns = (read_classes(root / f"EPIC_100_{kind}_classes.csv") for kind in heads)
    for clip_id, (verb, noun) in zip(
        done.pack.clip_ids, done.pack.targets.classes.reshape(-1, 2), strict=True
    ):
        one = segments[clip_id]
        assert (names[verb], names[noun]) == (
            f"verb: {verbs[one.verb]}",
            f"noun: {nouns[one.noun]}",
        )
    assert "action top-1" in done.page
    assert open_source("folder", {"targets": "multi_label"}, root=str(root)).heads == {}


def test_video_in_two_official_splits_stays_there_and_is_said(annotations, tmp_path):
    root = built("vggsound_in_one", tmp_path, annotations)
    rows = official_rows(root / "vggsound.csv")
    video, start = rows[0][:2]
    write(root / "melspec_10s" / f"{video}_{int(start) + 40:06d}.wav", 0, 400)
    headless(root / "vggsound.csv", [*rows, [video, int(start) + 40, rows[0][2], "test"]])
    source = open_source("folder", {}, root=str(root))
    assert {clip.fold for clip in source.clips if clip.source_id == video} == {0, 1}
    assert dict(source.facts)["shared"] == f"1 recordings are in two splits, such as {video}"


def test_list_of_one_split_is_dealt_to_folds_by_video(annotations, tmp_path):
    root = built("vggsound", tmp_path, annotations)
    (root / "data" / "train.csv").unlink()
    source = open_source("folder", {}, root=str(root))
    assert len(source.clips) == 18 and list(source.fold_names.values()) == list("12345")


@pytest.mark.parametrize(
    "stem",
    ["{0}_000030", "{0}_30", "{0}_30.000_40.000", "{0}_30000_40000", "{0}", "Y{0}", "Y{0}_30_40"],
)
def test_clip_is_found_by_every_name_that_downloads_give_it(stem, tmp_path):
    for video in ("-a_b-c_d-e0", "Yotube_0_00"):
        path = write(tmp_path / "any" / f"{stem.format(video)}.wav", 0, 0)
        mistakes = Mistakes(tmp_path)
        clips = Clips(Tree.of(tmp_path))
        found = clips.find(video, 30.0, alone=True, where="", mistakes=mistakes)
        assert found is not None and found.path == path and not mistakes
        assert clips.find(video, 50.0, alone=False, where="", mistakes=mistakes) is None


def broken_line(root: Path) -> None:
    line(root / "data" / "test.csv", 4, lambda text: text.replace(",", ";"))


def both_lists(root: Path) -> None:
    rows = official_rows(root / "data" / "test.csv")
    headless(root / "vggsound.csv", [[c[:11], int(c[12:18]), name, "test"] for c, name in rows])


def no_clips(root: Path) -> None:
    shutil.rmtree(root / "audio")


def only_videos(root: Path) -> None:
    for path in (root / "audio").iterdir():
        path.rename(path.with_suffix(".mp4"))


def two_files(root: Path) -> None:
    path = min((root / "audio").iterdir())
    (root / "more").mkdir()
    shutil.copy(path, root / "more" / path.name)


def no_classes(root: Path) -> None:
    (root / "classes.txt").unlink()
    rows = [f"class {n},-a_b-c_d-e{n % 10},{n},{n + 10},train" for n in range(40)]
    (root / "kinetics400.csv").write_text(
        "\n".join(["label,youtube_id,time_start,time_end,split", *rows])
    )


def no_such_class(root: Path) -> None:
    with (root / "classes.txt").open("a") as file:
        file.write("strumming guitars\n")


def no_such_split(root: Path) -> None:
    line(root / "kinetics400.csv", 5, lambda text: text.replace("validate", "holdout"))


def broken_clip(root: Path) -> None:
    line(root / "my_test.txt", 3, lambda text: text.replace(",10,", ",ten,"))


def word_that_is_gone(root: Path) -> None:
    line(root / "testing_list.txt", 2, "wow/bb05582b_nohash_0.wav")


def no_audio(root: Path) -> None:
    shutil.rmtree(root / "audio")


def no_times(root: Path) -> None:
    line(root / "EPIC_100_train.csv", 3, lambda text: text.replace(",00:", ",", 3))


def no_noun_classes(root: Path) -> None:
    (root / "EPIC_100_noun_classes.csv").unlink()


def fold_of_letters(root: Path) -> None:
    line(root / "meta" / "esc50.csv", 3, lambda text: text.replace(",1,", ",one,", 1))


HARMS: dict[Callable[[Path], None], tuple[str, tuple[str, ...]]] = {
    broken_line: ("vggsound", ("test.csv", "line 4", "no VIDEO_SECONDS.mp4,label", "quotes")),
    both_lists: ("vggsound", ("291 clips more", "table=vggsound.csv", "table=data/test.csv")),
    no_clips: ("vggsound", ("none of its clips", "glLQrEijrKg_000300.wav")),
    only_videos: ("vggsound", ("63 clips such as audio/", ".mp4", "ffmpeg -i")),
    two_files: ("vggsound", (".csv line", "may be audio/", "keep one")),
    no_classes: ("kinetics_csv", ("lists 40 classes", "31 or 32", "classes.txt")),
    no_such_class: ("kinetics_csv", ("classes.txt line 4", "'strumming guitars'")),
    no_such_split: ("kinetics_csv", ("kinetics400.csv line 5", "'holdout'")),
    broken_clip: ("kinetics_sounds", ("my_test.txt", "line 3", "no VIDEO_START,seconds,label")),
    word_that_is_gone: ("speech_commands_v2", ("testing_list.txt line 2", "'wow/bb05582b")),
    no_audio: ("epic_kitchens", ("no audio of theirs", "P01_11_0.wav", "P01_11.wav")),
    no_times: ("epic_kitchens", ("EPIC_100_train.csv", "line 3", "hours:minutes:seconds")),
    no_noun_classes: ("epic_kitchens", ("no EPIC_100_noun_classes.csv", "github.com/epic")),
    fold_of_letters: ("esc50", ("esc50.csv", "line 3: fold 'one'")),
}
"""What is done to a folder -> the folder, and words of the message."""


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
def test_broken_published_set_is_one_message_with_file_line_and_way_out(
    harm, annotations, tmp_path
):
    name, words = HARMS[harm]
    root = built(name, tmp_path, annotations)
    harm(root)
    with pytest.raises(DataError) as caught:
        given = {"label": "verb"} if name == "epic_kitchens" else {}
        dataset, arguments = recognized(str(root), given)
        open_source(dataset, arguments, root=str(root))
    for word in words:
        assert word in str(caught.value), str(caught.value)
