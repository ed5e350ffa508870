"""Published data sets by their official lists: recognized, packed, trained one epoch, reported."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from dataset_folders import (
    AUDIOSET,
    DESED,
    EPIC,
    FLAGS,
    FSD50K,
    SETS,
    VGGSOUND,
    epic_lists,
    headless,
    official_rows,
)
from layout_folders import line, write
from layout_trial import Trial, tones, trial

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
    names = done.pack.class_names
    told = (VGGSOUND, EPIC, tuple(AUDIOSET.values()), tuple(FSD50K), DESED)
    order = next((of for of in told if names[0] in of), tuple(sorted(names)))
    places = [order.index(label) for label in names]
    for index, listed in enumerate(done.pack.targets.multi_hot()):
        heard = tones(done.pack.waveform(index), done.pack.sample_rate)[places]
        np.testing.assert_array_equal(heard, listed, err_msg=done.pack.clip_ids[index])


def test_audioset_says_what_is_gone_and_keeps_the_order_of_its_classes(first):
    done = first("audioset")
    assert "train 44 of 48 clips here (91.7%), test 22 of 24 clips here (91.7%)" in done.table
    assert done.info.targets == "multi_label"
    assert done.info.class_names == ("Frying (food)", "Stir", "Sizzle")
    assert "any number of classes per clip" in done.table


def test_audioset_trains_on_the_list_that_is_asked_for(annotations, tmp_path):
    root = built("audioset", tmp_path, annotations)
    balanced = root / "balanced_train_segments.csv"
    lines = balanced.read_text().split("\n")
    (root / "unbalanced_train_segments.csv").write_text("\n".join(lines[:3] + lines[23:]))
    balanced.write_text("\n".join(lines[:23]))
    both, one = (
        open_source("folder", given, root=str(root))
        for given in ({}, {"table": "balanced_train_segments.csv"})
    )
    assert len(both.clips) == 66 and len(one.clips) < 45
    assert {clip.fold for clip in one.clips} == {0, 1}
    with pytest.raises(DataError, match=r"no list 'train.csv' of AudioSet.*eval_segments.csv"):
        open_source("folder", {"table": "train.csv"}, root=str(root))


def test_fsd50k_keeps_all_labels_and_its_three_splits(first):
    done = first("fsd50k")
    assert "train 40 of 40 clips here (100.0%), test 13 of 13" in done.table
    assert done.pack.targets.counts().tolist() == [50, 16, 33, 16]
    assert done.info.targets == "multi_label"


def test_desed_has_strong_and_weak_clips_and_leaves_unlabeled_ones_out(first):
    done = first("desed")
    pack = done.pack
    assert done.info.targets == "events"
    assert "validation 29 of 30 clips here" in done.table and "24 clips with classes" in done.table
    assert "2 of the 3 unlabeled clips" in done.table
    weak = np.array(["/weak/" in name for name in pack.clip_ids])
    np.testing.assert_array_equal(pack.targets.have_times, ~weak)
    for name, split in (("train/synth", "train"), ("validation/", "validation"), ("eval/", "test")):
        number = next(fold for fold, known in pack.fold_names.items() if known == split)
        own = [name in one for one in pack.clip_ids]
        assert set(pack.folds[own]) == {number}
    assert any(len(pack.targets.take([n]).classes) == 0 for n in range(len(pack)))
    for clip, label, onset_s, offset_s in pack.targets.events():
        wave, place = pack.waveform(int(clip)), DESED.index(pack.class_names[int(label)])
        first_sample, end = (round(16000 * time) for time in (onset_s, offset_s))
        if end - first_sample > 8000:
            assert tones(wave[first_sample:end], 16000)[place]


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
    [
        "{0}_000030",
        "{0}_30",
        "{0}_30.000_40.000",
        "{0}_30000_40000",
        "{0}",
        "Y{0}",
        "Y{0}_30_40",
        "{0}_30.0-40.0",
        "{0}_30000",
    ],
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


BALANCED = "balanced_train_segments.csv"
TRUTH = "FSD50K.ground_truth"
VALIDATION = "metadata/validation/validation.tsv"


def no_such_mid(root: Path) -> None:
    line(root / BALANCED, 5, lambda text: text.replace("/m/", "/n/"))


def segment_backward(root: Path) -> None:
    line(root / BALANCED, 5, lambda text: ", ".join([text[:11], "40.0", '30.0, "/m/0dxrf"']))


def video_twice(root: Path) -> None:
    lines = (root / BALANCED).read_text().split("\n")
    line(root / BALANCED, 5, lines[3])


def no_names_of_classes(root: Path) -> None:
    (root / "class_labels_indices.csv").unlink()


def two_balanced_lists(root: Path) -> None:
    (root / "copy").mkdir()
    shutil.copy(root / BALANCED, root / "copy" / BALANCED)


def not_in_the_vocabulary(root: Path) -> None:
    line(root / TRUTH / "dev.csv", 4, lambda text: text.replace("Animal", "Animals"))


def split_of_another_name(root: Path) -> None:
    line(root / TRUTH / "dev.csv", 3, lambda text: text.replace(",train", ",dev2"))


def clip_twice(root: Path) -> None:
    lines = (root / TRUTH / "eval.csv").read_text().split("\n")
    line(root / TRUTH / "eval.csv", 4, lines[1])


def resampled_copies(root: Path) -> None:
    shutil.copytree(root / "FSD50K.dev_audio", root / "dev_audio_16k")


def no_freesound_clips(root: Path) -> None:
    for kind in ("dev", "eval"):
        shutil.rmtree(root / f"FSD50K.{kind}_audio")


def desed_backward(root: Path) -> None:
    line(root / VALIDATION, 5, lambda text: "\t".join([text.split("\t")[0], "9.0", "2.0", "Dog"]))


def desed_class(root: Path) -> None:
    line(root / VALIDATION, 5, lambda text: text.rpartition("\t")[0] + "\tBird")


def desed_weak_class(root: Path) -> None:
    line(root / "metadata/train/weak.tsv", 3, lambda text: text.partition("\t")[0] + "\tdog")


def desed_copies(root: Path) -> None:
    place = root / "audio" / "validation" / "validation"
    path = min(place.iterdir())
    (place / "more").mkdir()
    shutil.copy(path, place / "more" / path.name)


def desed_weak_and_strong(root: Path) -> None:
    rows = (root / VALIDATION).read_text().split("\n")
    weak = root / "metadata/train/weak.tsv"
    name = rows[3].split("\t")[0]
    weak.write_text(weak.read_text() + f"{name}\tDog\n")


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
    no_such_mid: ("audioset", (BALANCED, "line 5", "'/n/", "none of the 527 classes")),
    segment_backward: ("audioset", (BALANCED, "line 5", "no YTID,start_seconds")),
    video_twice: ("audioset", (BALANCED, "line 5", "is in line 4 too")),
    no_names_of_classes: ("audioset", ("no class_labels_indices.csv", "research.google.com")),
    two_balanced_lists: ("audioset", (BALANCED, f"copy/{BALANCED}", "keep one")),
    not_in_the_vocabulary: ("fsd50k", ("dev.csv", "line 4", "'Animals' is not in vocabulary")),
    split_of_another_name: ("fsd50k", ("dev.csv", "line 3", "'dev2' is neither train nor val")),
    clip_twice: ("fsd50k", ("eval.csv", "line 4", "is there twice")),
    resampled_copies: ("fsd50k", ("dev_audio_16k/", "has the name of FSD50K", "keep one")),
    no_freesound_clips: ("fsd50k", ("none of its clips", "64760.wav")),
    desed_backward: ("desed", ("validation.tsv", "line 5", "'Dog' from '9.0' to '2.0'")),
    desed_class: ("desed", ("validation.tsv", "line 5", "'Bird' is none of Alarm_bell")),
    desed_weak_class: ("desed", ("weak.tsv", "line 3", "'dog' is none of")),
    desed_copies: ("desed", ("validation.tsv line", "may be audio/", "keep one")),
    desed_weak_and_strong: ("desed", ("weak.tsv line 26", "has no times", "validation.tsv line")),
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
