"""Counts of official lists beside the papers' numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.data.__main__ import main
from orchestrator.data.official import SETS, Line, official, present
from orchestrator.data.official.speech_commands import which_split
from orchestrator.errors import DataError


def found(name: str, folder: Path) -> dict[tuple[str, str], Line]:
    return {(line.what, line.by): line for line in official(name).count(folder).lines}


def test_esc_50_has_its_clips_and_four_recordings_in_two_folds(annotations):
    lines = {what: line for (what, _), line in found("esc50", annotations).items()}
    assert [lines[what].found for what in ("clips", "classes", "folds")] == [2000, 50, 5]
    assert lines["clips a class"].found == "40" and lines["clips a fold"].found == "400"
    leak = lines["sources in two folds"]
    assert leak.found == 4 and leak.verdict.startswith("differs")
    for source in ("131943", "134049", "209698", "234879"):
        assert source in leak.remark


def test_speech_commands_lists_are_the_papers_and_speakers_lie_where_the_rule_says(annotations):
    lines = {what: line for (what, _), line in found("speech_commands", annotations).items()}
    assert lines["validation clips"].found == 9981 and lines["test clips"].found == 11005
    assert lines["training clips"].found == 84843 and lines["words"].found == 35
    assert lines["clips where the speaker's digest puts them"].verdict == "agrees"
    assert lines["speakers in both lists"].found == 0


def test_vggsound_is_the_official_split_and_datar_had_less(annotations):
    lines = found("vggsound", annotations)
    assert lines["test clips", "hche11/VGGSound"].verdict == "agrees"
    assert lines["test clips", "DATAR, section 3"].verdict.startswith("differs; DATAR has 82.8%")
    assert lines["classes", "DATAR, section 3"].found == 309
    assert lines["training clips", "DATAR, section 3"].found == 183730
    counted = official("vggsound").count(annotations)
    assert set(counted.per_class["test"].values()) == {49, 50}
    assert "vehicle horn, car horn, honking" in counted.per_class["test"]


def test_kinetics_sounds_lists_of_31_and_32_classes_are_told_apart(annotations):
    lines = {what: line for (what, _), line in found("kinetics_sounds", annotations).items()}
    assert lines["classes of the list of 31"].verdict == "agrees; without strumming guitar"
    assert lines["classes of the list of 32"].found == 32
    assert lines["OGM-GE training clips"].verdict.startswith("differs; another set")


@pytest.mark.parametrize(
    ("speaker", "split"),
    # The official lists have the first as test, the second as validation; the third is made up.
    [("bb05582b", "testing"), ("a69b9b3e", "validation"), ("0a7c2a8d", "training")],
)
def test_speaker_is_placed_by_its_digest(speaker, split):
    assert which_split(speaker) == split


def test_command_prints_every_set_and_its_classes(annotations, capsys):
    assert main(["counts", "--annotations", str(annotations), "--classes"]) == 0
    text = capsys.readouterr().out
    for name in SETS:
        assert official(name).TITLE in text
    assert "11,005" in text and "chirping_birds" in text


def test_command_reads_the_sets_that_are_there_and_names_those_it_can(tmp_path, capsys):
    assert main(["counts", "--annotations", str(tmp_path)]) == 2
    assert "esc50/esc50.csv" in capsys.readouterr().err
    (tmp_path / "speech_commands_v2").mkdir()
    for name in ("validation_list.txt", "testing_list.txt"):
        (tmp_path / "speech_commands_v2" / name).write_text("yes/bb05582b_nohash_0.wav\n")
    assert present(tmp_path) == ["speech_commands"]
    lines = {what: line for (what, _), line in found("speech_commands", tmp_path).items()}
    assert lines["test clips"].verdict == "differs" and lines["speakers in both lists"].found == 1


@pytest.mark.parametrize(
    ("name", "file", "text", "words"),
    [
        ("esc50", "esc50.csv", "filename,fold,target,category\na.wav,x,0,a\n", "line 2: fold 'x'"),
        ("speech_commands", "testing_list.txt", "yes/1_nohash_0.wav\nno.wav\n", "line 2: 'no.wav'"),
        ("vggsound", "test.csv", "abcdefghijk_000010.mp4,dog, barking\n", "line 1: 'abcdefghijk"),
        ("vggsound", "stat.csv", "dog,many,animals\n", "line 1"),
        ("kinetics_sounds", "classes_31.txt", "bowling\nbowling\n", "line 2: class 'bowling'"),
        ("kinetics_sounds", "ogm_ge_my_train.txt", "a,10,4\nb;10;4\n", "line 2: 'b;10;4'"),
    ],
)
def test_broken_list_is_refused_with_file_and_line(name, file, text, words, tmp_path):
    for path in official(name).FILES:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text if path.endswith(file) else "")
    with pytest.raises(DataError, match=words) as caught:
        official(name).count(tmp_path)
    assert file in str(caught.value)
