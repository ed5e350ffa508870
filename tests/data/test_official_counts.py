"""Counts of official lists beside the papers' numbers."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import pytest

from orchestrator.data.__main__ import main
from orchestrator.data.official import Line, official, present
from orchestrator.data.official.audioset import read_classes, read_segments
from orchestrator.data.official.speech_commands import which_split
from orchestrator.errors import DataError

EPIC = (
    "narration_id,participant_id,video_id,start_timestamp,stop_timestamp,verb_class,noun_class,"
    "all_noun_classes\n"
)
HEADERS = {
    "epic_kitchens_100/EPIC_100_verb_classes.csv": "id,key\n",
    "epic_kitchens_100/EPIC_100_noun_classes.csv": "id,key\n",
    "desed/validation_validation.tsv": "filename\tonset\toffset\tevent_label\n",
    "desed/eval_public.tsv": "filename\tonset\toffset\tevent_label\n",
}
"""What the files of a set need for the next of them to be read."""
STRONG = "filename\tonset\toffset\tevent_label\n"


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


def test_epic_kitchens_validation_is_datars_test_and_lacks_classes(annotations):
    lines = found("epic_kitchens", annotations)
    of = {what: line for (what, _), line in lines.items()}
    assert of["validation segments"].verdict == 'agrees; DATAR\'s "test", nothing left out'
    assert of["verb classes"].found == 97 and of["verbs with a validation segment"].found == 78
    assert of["nouns with a validation segment"].found == 211
    assert lines["noun classes", "Damen et al. 2021"].verdict == "agrees"
    assert lines["noun classes", "DATAR, section 3"].verdict.startswith("differs; DATAR removes")
    assert of["validation segments of several nouns"].found == 1602
    assert of["validation segments that begin before an earlier one ends"].found == 2610
    assert of["validation segments over 10 s"].found == 687
    assert of["training segments"].found is None  # its list is not among the files
    assert "EPIC_100_train.csv is not here" in of["training segments"].verdict
    assert official("epic_kitchens").count(annotations).per_class["verb"]["verb take"] == 1937


def test_audioset_has_the_official_segments_and_hts_at_counts_the_other_split(annotations):
    lines = found("audioset", annotations)
    of = {what: line for (what, _), line in lines.items()}
    assert of["balanced training segments"].found == 22160 and of["classes"].found == 527
    google = lines["evaluation segments", "AudioSet's download page"]
    assert google.found == 20371 and google.verdict == "agrees"
    assert lines["evaluation segments", "HTS-AT, section 3.1"].verdict.startswith("differs; 22K")
    assert of["balanced segments that are not 10 s"].found == 345
    assert of["evaluation segments that are not 10 s"].found == 361
    assert of["balanced segments a class"].found == "59 to 6244"
    assert of["balanced labels a segment"].found == "2.39"
    assert of["videos in both splits"].found == 0


def test_audioset_is_read_in_googles_own_form_too(annotations, tmp_path):
    classes = read_classes(annotations / "audioset" / "class_labels_indices.csv")
    copy = annotations / "audioset" / "eval_segments.csv"
    rows = list(csv.reader(copy.open(newline="")))[1:40]
    lines = [f'{video}, {start}, {end}, "{labels}"' for video, start, end, labels in rows]
    heads = ["# Segments csv created Sun Mar  5 10:54:25 2017", "# num_ytids=39, num_segs=39"]
    heads.append("# YTID, start_seconds, end_seconds, positive_labels")
    (tmp_path / "google.csv").write_text("\n".join([*heads, *lines]) + "\n")
    with_lines = [
        [dataclasses.replace(one, line=0) for one in read_segments(path, classes)][:39]
        for path in (tmp_path / "google.csv", copy)
    ]
    assert with_lines[0] == with_lines[1] and with_lines[0][0].video == "--4gqARaEJE"


def test_desed_counts_rows_clips_and_events_and_names_what_is_odd(annotations):
    lines = {what: line for (what, _), line in found("desed", annotations).items()}
    assert lines["validation rows"].found == 4239
    assert lines["validation rows"].verdict == "differs; two versions exist"
    assert lines["validation events"].found == 4224
    assert lines["validation clips without an event"].found == 15
    assert lines["validation events that end after 10 s"].found == 4
    assert "YTx_47yEnfCs_442.000_452.000.wav at 10.049 s" in (
        lines["validation events that end after 10 s"].remark
    )
    assert lines["public evaluation rows"].found == 2765
    assert lines["public evaluation clips with events"].verdict == "agrees"
    assert lines["public evaluation clips without a row"].found == 7
    assert lines["weakly labeled clips"].found == 1578
    assert lines["weak labels"].verdict == "agrees; 3 clips repeat a label"
    assert official("desed").count(annotations).per_class["validation"]["Speech"] == 1752


def test_fsd50k_counts_clips_by_split_with_all_their_labels(tmp_path):
    folder = tmp_path / "fsd50k"
    folder.mkdir()
    (folder / "vocabulary.csv").write_text("0,Accordion,/m/0mkg\n1,Music,/m/04rlf\n")
    (folder / "dev.csv").write_text(
        'fname,labels,mids,split\n64760,"Accordion,Music","/m/0mkg,/m/04rlf",train\n'
        "16399,Music,/m/04rlf,val\n"
    )
    (folder / "eval.csv").write_text("fname,labels,mids\n37199,Music,/m/04rlf\n")
    counted = official("fsd50k").count(tmp_path)
    lines = {line.what: line for line in counted.lines}
    kinds = ("development", "training", "validation", "evaluation")
    assert [lines[f"{kind} clips"].found for kind in kinds] == [2, 1, 1, 1]
    assert lines["labels a clip"].found == "1.33"
    assert counted.per_class["train"] == {"Accordion": 1, "Music": 1}


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
    for name in present(annotations):
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
        (
            "epic_kitchens",
            "verb_classes.csv",
            "id,key\n0,take\n2,wash\n",
            "line 3: id '2' of 'wash'",
        ),
        ("epic_kitchens", "noun_classes.csv", "id,name\n0,tap\n", "line 1: the header lacks key"),
        (
            "epic_kitchens",
            "validation.csv",
            f"{EPIC}P01_0,P01,P01_11,0:00,0:02,0,0,[0]\n",
            "line 2",
        ),
        ("audioset", "indices.csv", "index,mid,display_name\n1,/m/09x0r,Speech\n", "line 2: '1,"),
        (
            "audioset",
            "balanced_train_segments.csv",
            "--PJHxphWEs,30.0,40.0,/m/0\n",
            "'/m/0' is none",
        ),
        ("audioset", "eval_segments.csv", "--PJHxphWEs,40.0,30.0,/m/0\n", "line 1: '--PJ"),
        ("desed", "validation.tsv", f"{STRONG}a.wav\t0.0\t\tSpeech\n", "line 2: 'Speech' from"),
        ("desed", "eval_public.tsv", f"{STRONG}a.wav\t0.0\t1.0\tMeow\n", "line 2: 'Meow' is none"),
        ("desed", "weak.tsv", "filename\tevent_labels\na.wav\tDog,Cow\n", "line 2: 'Cow' is none"),
        ("fsd50k", "vocabulary.csv", "0,Accordion,/m/0mkg\n2,Music,/m/04rlf\n", "line 2: '2,Music"),
        ("fsd50k", "dev.csv", "fname,labels,mids,split\n1,Music,/m/0,all\n", "line 2: split 'all'"),
    ],
)
def test_broken_list_is_refused_with_file_and_line(name, file, text, words, tmp_path):
    for path in official(name).FILES:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text if path.endswith(file) else HEADERS.get(path, ""))
    with pytest.raises(DataError, match=words) as caught:
        official(name).count(tmp_path)
    assert file in str(caught.value)
