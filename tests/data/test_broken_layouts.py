"""Broken data sets in every layout: one message that names file and line and the way out."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from layout_folders import BUILDERS, CLASSES, RATE_HZ, line, write

from orchestrator.data import prepare, video
from orchestrator.data.entry import open_source
from orchestrator.data.source import ClipFault
from orchestrator.errors import DataError


def bytes_of(path: Path, keep: float) -> None:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])


LIST = "metadata/UrbanSound8K.csv"


def missing(root: Path) -> None:
    next((root / "audio").rglob("100032-0-0-0.wav")).unlink()


def blank_label(root: Path) -> None:
    line(root / LIST, 5, lambda text: text.rpartition(",")[0] + ",")


def listed_twice(root: Path) -> None:
    lines = (root / LIST).read_text().split("\n")
    line(root / LIST, 10, lines[3])


def two_labels(root: Path) -> None:
    first = (root / LIST).read_text().split("\n")[3]
    line(root / LIST, 10, first.replace(",0,dog_bark", ",1,siren"))


def escaping(root: Path) -> None:
    line(root / LIST, 7, lambda text: "../../../etc/passwd.wav" + text[text.index(",") :])


def open_quote(root: Path) -> None:
    line(root / LIST, 8, lambda text: text.replace("dog_bark", '"dog_bark'))


def comma(root: Path) -> None:
    line(root / LIST, 8, lambda text: text.replace("dog_bark", "dog, bark"))


def latin_1(root: Path) -> None:
    text = (root / LIST).read_text().replace("siren", "sirène", 1)
    (root / LIST).write_bytes(text.encode("latin-1"))


def two_columns(root: Path) -> None:
    lines = (root / LIST).read_text().rstrip().split("\n")
    more = [f"{text},{'ab'[number % 2]}" for number, text in enumerate(lines[1:])]
    (root / LIST).write_text("\n".join([lines[0] + ",category", *more]))


def double_header(root: Path) -> None:
    line(root / LIST, 1, lambda text: text.replace("salience", "class"))


def no_header(root: Path) -> None:
    lines = (root / LIST).read_text().split("\n")
    (root / LIST).write_text("\n".join(lines[1:]))


def unusual_label(root: Path) -> None:
    line(root / LIST, 1, lambda text: text.replace("classID,class", "nr,what_it_is"))


def header_only(root: Path) -> None:
    (root / LIST).write_text((root / LIST).read_text().split("\n")[0] + "\n")


def blank_fold(root: Path) -> None:
    line(root / LIST, 6, lambda text: text.replace(",1,1,0,dog_bark", ",1,,0,dog_bark"))


def split_misspelled(root: Path) -> None:
    for number in (2, 3):
        line(root / "annotations.csv", number, lambda text: text.replace("train", "trian"))


def splits_of_letters(root: Path) -> None:
    text = (root / "annotations.csv").read_text()
    (root / "annotations.csv").write_text(text.replace("train", "A").replace("test", "B"))


def no_train(root: Path) -> None:
    text = (root / "annotations.csv").read_text()
    (root / "annotations.csv").write_text(text.replace("train", "dev"))


def in_two_folds(root: Path) -> None:
    """Two slices of one Freesound recording, one of them moved to another fold."""
    lines = (root / LIST).read_text().split("\n")
    number = next(n for n, text in enumerate(lines) if text.startswith("100034-0-0-2.wav"))
    other = lines[number].split(",")
    line(root / LIST, number + 1, ",".join([other[0], "100032", *other[2:]]))


def other_case(root: Path) -> None:
    line(root / "manifest.jsonl", 4, lambda text: text.replace('d": "dog', 'd": "Dog'))


def two_spellings(root: Path) -> None:
    line(root / LIST, 4, lambda text: text.replace("dog_bark", "Dog_bark"))


def split_and_fold(root: Path) -> None:
    lines = (root / LIST).read_text().rstrip().split("\n")
    more = [f"{text},{('train', 'test')[number % 2]}" for number, text in enumerate(lines[1:])]
    (root / LIST).write_text("\n".join([lines[0] + ",split", *more]))


def zero_length(root: Path) -> None:
    next((root / "dog_bark").iterdir()).write_bytes(b"")


def cut_wav(root: Path) -> None:
    bytes_of(sorted((root / "dog_bark").iterdir())[3], 0.6)


def not_audio(root: Path) -> None:
    sorted((root / "siren").iterdir())[0].write_text("<html>404 Not Found</html>")


def wrong_rate(root: Path) -> None:
    path = sorted((root / "siren").iterdir())[0]
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 40), 400, subtype="PCM_16")


def empty_class(root: Path) -> None:
    (root / "jackhammer").mkdir()


def undecodable_class(root: Path) -> None:
    (root / "jackhammer").mkdir()
    (root / "jackhammer" / "1.m4a").write_bytes(b"ftypM4A ")


def one_class(root: Path) -> None:
    for name in CLASSES[1:]:
        for path in (root / name).iterdir():
            path.rename(root / CLASSES[0] / path.name)
        (root / name).rmdir()
    rows = [f"{path.name},dog_bark" for path in sorted((root / CLASSES[0]).iterdir())]
    (root / "labels.csv").write_text("\n".join(["filename,label", *rows]))


def loose_audio(root: Path) -> None:
    for path in root.rglob("*.wav"):
        path.rename(root / path.name)


def packed_up(root: Path) -> None:
    for path in root.rglob("*.wav"):
        path.unlink()
    (root / "my_sounds.zip").write_bytes(b"PK")


def dangling(root: Path) -> None:
    (root / "siren" / "gone.wav").symlink_to(root / "nowhere.wav")


def only_in_test(root: Path) -> None:
    write(root / "test" / "gunshot" / "gunshot_001.flac", 3, 3)


def train_and_training(root: Path) -> None:
    write(root / "training" / "siren" / "siren_999.flac", 1, 999)


def split_without_classes(root: Path) -> None:
    for path in list((root / "test").rglob("*.flac")):
        path.rename(root / "test" / path.name)


def in_both_lists(root: Path) -> None:
    with (root / "testing_list.txt").open("a") as file:
        file.write((root / "validation_list.txt").read_text().split("\n")[0] + "\n")


def no_such_word(root: Path) -> None:
    line(root / "testing_list.txt", 2, "wow/00000000_nohash_0.wav")


def no_json(root: Path) -> None:
    line(root / "manifest.jsonl", 9, lambda text: text[:-3])


def several_labels(root: Path) -> None:
    line(
        root / "manifest.jsonl",
        4,
        lambda text: text.replace('"command": "dog_bark"', '"command": ["dog_bark", "siren"]'),
    )


def joined_labels(root: Path) -> None:
    line(root / "manifest.jsonl", 4, lambda text: text.replace('"dog_bark"', '"dog_bark,siren"'))


def cut_parquet(root: Path) -> None:
    bytes_of(root / "data" / "train-00000-of-00001.parquet", 0.7)


def no_such_class(root: Path) -> None:
    path = root / "data" / "validation-00000-of-00001.parquet"
    found = pq.read_table(path)
    labels = found["label"].to_pylist()
    labels[4] = 17
    column = pa.array(labels, pa.int64())
    pq.write_table(found.set_column(found.schema.get_field_index("label"), "label", column), path)


def speaker_twice(root: Path) -> None:
    rows = (root / "train.tsv").read_text().split("\n")
    dev = (root / "dev.tsv").read_text().split("\n")
    speaker = rows[1].split("\t")[0]
    line(root / "dev.tsv", 2, "\t".join([speaker, *dev[1].split("\t")[1:]]))


def cut_tar(root: Path) -> None:
    bytes_of(root / "train-000001.tar", 0.6)


def tar_without_end(root: Path) -> None:
    path = root / "train-000001.tar"
    content = path.read_bytes().rstrip(b"\0")
    path.write_bytes(content + b"\0" * (-len(content) % 512))


def unnamed_class(root: Path) -> None:
    (root / "classes.txt").write_text("\n".join(CLASSES[:2]) + "\n")


def no_utt2label(root: Path) -> None:
    for path in root.rglob("utt2label"):
        path.unlink()


def transcripts(root: Path) -> None:
    for path in list(root.rglob("utt2label")):
        lines = path.read_text().split("\n")
        texts = [f"{text.split()[0]} some words {n}" for n, text in enumerate(lines) if text]
        (path.parent / "text").write_text("\n".join(texts))
        path.unlink()


def piped(root: Path) -> None:
    line(root / "data" / "train" / "wav.scp", 2, "97f4c236 sox in.sph -t wav - |")


def unlabeled(root: Path) -> None:
    line(root / "data" / "test" / "utt2label", 3, "stranger-001 siren")


def beyond_segment(root: Path) -> None:
    line(root / "data" / "test" / "segments", 15, "439c84f4-014 439c84f4 2.80 7.50")


def point(root: Path) -> None:
    track = sorted(root.glob("*.txt"))[0]
    line(track, 4, "0.600000\t0.600000\tstreet_music")


def beyond_label(root: Path) -> None:
    track = sorted(root.glob("*.txt"))[0]
    line(track, 13, "3.300000\t93.500000\tstreet_music")


def spaces_for_tabs(root: Path) -> None:
    track = sorted(root.glob("*.txt"))[0]
    line(track, 4, "0.6 0.8 street_music")


def beyond_selection(root: Path) -> None:
    found = sorted(root.glob("*.selections.txt"))[2]
    line(found, 24, lambda text: text.replace("3.500000000", "3.900000000"))
    line(found, 25, lambda text: text.replace("3.500000000", "3.900000000"))


def no_end_time(root: Path) -> None:
    line(sorted(root.glob("*.selections.txt"))[0], 1, lambda text: text.replace("End ", "Last "))


def no_audio_of_its_name(root: Path) -> None:
    sorted(root.glob("*.wav"))[1].unlink()


TAGS = "train_metadata.csv"


def empty_part(root: Path) -> None:
    line(root / TAGS, 3, lambda text: text.replace("dog_bark;siren", "dog_bark;;siren"))


def blank_among_several(root: Path) -> None:
    line(root / TAGS, 3, lambda text: text.replace("dog_bark;siren", ""))


def label_in_other_case(root: Path) -> None:
    line(root / TAGS, 3, lambda text: text.replace("dog_bark;siren", "dog_bark;Siren"))


def repeated_in_another_fold(root: Path) -> None:
    line(root / TAGS, 2, lambda text: text + "\nXC100.wav,siren,3")


def two_separators(root: Path) -> None:
    """Half of the list is joined in another way, which is then a class of its own."""
    line(root / TAGS, 3, lambda text: text.replace("dog_bark;siren", "dog_bark|siren"))


def no_bit(root: Path) -> None:
    line(root / "annotations.csv", 9, lambda text: text[:-1] + "2")


def no_bit_at_all(root: Path) -> None:
    line(root / "annotations.csv", 4, lambda text: text[:-1])


def label_twice(root: Path) -> None:
    lines = (root / "labels.tsv").read_text().split("\n")
    line(root / "labels.tsv", 5, lines[3])


def text_among_lists(root: Path) -> None:
    line(root / "metadata.jsonl", 4, lambda text: text.partition(': ["')[0] + ': "siren"}')


def list_in_list(root: Path) -> None:
    line(root / "metadata.jsonl", 4, lambda text: text.partition(': ["')[0] + ': [["siren"]]}')


def no_such_number(root: Path) -> None:
    path = root / "train.parquet"
    found = pq.read_table(path)
    labels = found["labels"].to_pylist()
    labels[4] = [0, 17]
    pq.write_table(found.set_column(1, "labels", pa.array(labels)), path)


EVENT_LIST = "soundscapes.tsv"


def event(number: int, new: str) -> Callable[[Path], None]:
    def harm(root: Path) -> None:
        line(root / EVENT_LIST, number, lambda text: f"{text.split(chr(9))[0]}\t" + new)

    return harm


def named_harm(harm: Callable[[Path], None], name: str) -> Callable[[Path], None]:
    harm.__name__ = name
    return harm


offset_before_onset = named_harm(event(2, "0.200\t0.100\tdog_bark"), "offset_before_onset")
onset_of_letters = named_harm(event(2, "start\t0.100\tdog_bark"), "onset_of_letters")
onset_alone = named_harm(event(2, "0.000\t\tdog_bark"), "onset_alone")
negative_onset = named_harm(event(2, "-0.500\t0.100\tdog_bark"), "negative_onset")
event_beyond_the_end = named_harm(event(2, "0.000\t9.000\tdog_bark"), "event_beyond_the_end")
event_without_label = named_harm(event(2, "0.000\t0.200\t"), "event_without_label")


def no_offsets(root: Path) -> None:
    line(root / EVENT_LIST, 1, lambda text: text.replace("offset", "loudness"))


def bits_in_two_places(root: Path) -> None:
    lines = (root / "annotations.csv").read_text().rstrip().split("\n")
    more = [f"{text},mic{n % 3},{n % 2}" for n, text in enumerate(lines[1:])]
    (root / "annotations.csv").write_text("\n".join([f"{lines[0]},device,outdoors", *more]))


def event_twice(root: Path) -> None:
    line(root / EVENT_LIST, 3, lambda text: text + "\n" + text)


def bare_and_not(root: Path) -> None:
    line(root / EVENT_LIST, 2, lambda text: text + "\nsoundscape_00.wav\t\t\t")


def weak_and_strong(root: Path) -> None:
    line(root / EVENT_LIST, 2, lambda text: text + "\nsoundscape_00.wav\t\t\tsiren")


def events_without_audio(root: Path) -> None:
    (root / "soundscapes" / "soundscape_03.wav").unlink()


HARMS: dict[Callable[[Path], None], tuple[str, tuple[str, ...]]] = {
    missing: ("urbansound8k", (f"{LIST} line 2", "100032-0-0-0.wav", "on_broken=drop")),
    blank_label: ("urbansound8k", (f"{LIST} line 5", "the label is blank")),
    listed_twice: ("urbansound8k", (f"{LIST} line 10", "listed twice", f"{LIST} line 4")),
    two_labels: ("urbansound8k", (f"{LIST} line 10", "'siren' here and 'dog_bark'", "multi_label")),
    escaping: ("urbansound8k", (f"{LIST} line 7", "leads out of the data root", "absolute")),
    open_quote: ("urbansound8k", (f"{LIST} line 8", "quote left open")),
    comma: ("urbansound8k", (f"{LIST} line 8", "9 fields, and the header has 8", "quotes")),
    latin_1: ("urbansound8k", (f"{LIST} line 22", "0xe8 is not UTF-8", "save the file as UTF-8")),
    two_columns: ("urbansound8k", (f"{LIST} line 3", "unlike line 2", "folder:label=category")),
    double_header: ("urbansound8k", (f"{LIST} line 1", "'class' twice", "keep one")),
    no_header: ("urbansound8k", (f"{LIST} line 1", "write a header above it, such as path,label")),
    unusual_label: ("urbansound8k", (f"{LIST} line 1", "'what_it_is'", "label=COLUMN")),
    header_only: ("urbansound8k", (f"{LIST} line 1", "a header and no rows below it")),
    split_misspelled: (
        "one_hot",
        ("annotations.csv line 2", "'trian'; did you mean 'train'?", "valid: eval, ", "of 2 cl"),
    ),
    splits_of_letters: ("one_hot", ("annotations.csv line 5", "unknown split 'B'", "fold=COLUMN")),
    no_train: ("one_hot", ("annotations.csv line 2", "'dev', 'test', and none is train")),
    blank_fold: ("urbansound8k", (f"{LIST} line 6", "the fold is blank")),
    in_two_folds: ("urbansound8k", (f"{LIST} line", "'100032' is in 3", "recording=file")),
    other_case: ("json_lines", ("manifest.jsonl line 4", "'Dog_bark'", "case or blanks")),
    two_spellings: ("urbansound8k", (f"{LIST} line 4", "'Dog_bark'", "unlike line 2")),
    split_and_fold: ("urbansound8k", (f"{LIST} line 1", "split=split", "fold=fold")),
    zero_length: ("class_folders", ("dog_bark/2024", "empty: the file has 0 bytes", "drop")),
    cut_wav: ("class_folders", ("dog_bark/2024-05-04 dog_bark.wav", "truncated", "declares")),
    not_audio: ("class_folders", ("siren/2024-05-01 siren.wav", "unreadable", "drop")),
    wrong_rate: ("class_folders", ("siren/2024-05-01 siren.wav", "rate of 400 Hz", "drop")),
    empty_class: ("class_folders", ("jackhammer", "this class is empty; fill it, or remove it")),
    undecodable_class: ("class_folders", ("jackhammer/1.m4a", "libsndfile", "ffmpeg")),
    one_class: ("class_folders", ("one class only ('dog_bark', by column label of labels.csv)",)),
    loose_audio: (
        "class_folders",
        ("60 audio files and nothing that gives them labels", "label_pattern="),
    ),
    packed_up: ("class_folders", ("archives such as my_sounds.zip; unpack them",)),
    dangling: ("class_folders", ("siren/gone.wav", "does not exist", "on_broken=drop")),
    only_in_test: ("split_folders", ("test/gunshot/gunshot_001.flac", "no clip in train")),
    train_and_training: ("split_folders", ("train and training both mean train", "rename one")),
    split_without_classes: ("split_folders", ("test/", "no folder per class")),
    in_both_lists: ("speech_commands", ("validation_list.txt line 1", "testing_list.txt")),
    no_such_word: ("speech_commands", ("testing_list.txt line 2", "'wow/00000000_nohash_0.wav'")),
    no_json: ("json_lines", ("manifest.jsonl line 9", "no JSON", "one object per line")),
    several_labels: ("json_lines", ("manifest.jsonl line 4", "a list of 2 labels", "multi_label")),
    joined_labels: (
        "json_lines",
        ("manifest.jsonl line 4", "looks like 2 labels", "separator=comma", "separator=none"),
    ),
    empty_part: ("separated", (f"{TAGS} line 3", "'dog_bark;;siren' is empty")),
    blank_among_several: ("separated", (f"{TAGS} line 3", "the label is blank", "[] if none")),
    label_in_other_case: ("separated", (f"{TAGS} line 3", "'Siren' differs from 'siren'")),
    repeated_in_another_fold: ("separated", (f"{TAGS} line 3", "'3' here and '1'", "line 2")),
    two_separators: ("separated", (f"{TAGS} line 3", "looks like 2 labels", "separator=bar")),
    no_bit: ("one_hot", ("annotations.csv line 9", "'street_music' is '2'", "0 or 1")),
    no_bit_at_all: ("one_hot", ("annotations.csv line 4", "'street_music' is ''", "0 or 1")),
    label_twice: ("line_per_label", ("labels.tsv line 5", "listed twice", "line 4")),
    text_among_lists: ("lists_of_labels", ("metadata.jsonl line 4", "one label, 'siren'", "alike")),
    list_in_list: ("lists_of_labels", ("metadata.jsonl line 4", "['siren'] is no event")),
    no_such_number: ("parquet_of_lists", ("train.parquet row 5", "label 17 is none of the 3")),
    offset_before_onset: ("strong_tsv", (f"{EVENT_LIST} line 2", "from 0.2 to 0.1 s", "length")),
    onset_of_letters: ("strong_tsv", (f"{EVENT_LIST} line 2", "'start' to '0.100'", "seconds")),
    onset_alone: ("strong_tsv", (f"{EVENT_LIST} line 2", "'0.000' to ''", "onset and offset")),
    negative_onset: ("strong_tsv", (f"{EVENT_LIST} line 2", "'-0.500'", "in seconds")),
    event_beyond_the_end: ("strong_tsv", (f"{EVENT_LIST} line 2", "ends at 9 s", "at 0.5 s")),
    event_without_label: ("strong_tsv", (f"{EVENT_LIST} line 2", "the label is blank")),
    no_offsets: (
        "strong_tsv",
        (f"{EVENT_LIST} line 1: column 'onset' has the start", "offset, end", "end=COLUMN"),
    ),
    bits_in_two_places: (
        "one_hot",
        ("annotations.csv line 1", "label=dog_bark..street_music'", "street_music+outdoors'"),
    ),
    event_twice: ("strong_tsv", (f"{EVENT_LIST} line 4", "this event, first in", "line 3")),
    bare_and_not: ("strong_tsv", (f"{EVENT_LIST} line 3", "nothing sounds", "line 2")),
    weak_and_strong: ("strong_tsv", (f"{EVENT_LIST} line 3", "'siren'", "has no times")),
    events_without_audio: ("strong_tsv", ("soundscape_03.wav", "does not exist", "drop")),
    speaker_twice: ("tsv_per_split", ("dev.tsv line 2", "train.tsv line 2", "recording=file")),
    cut_parquet: ("parquet_of_bytes", ("train-00000-of-00001.parquet", "cannot be read", "again")),
    no_such_class: ("parquet_of_bytes", ("validation-00000-of-00001.parquet row 5", "label 17")),
    cut_tar: ("webdataset", ("train-000001.tar", "cannot be read to its end", "fetch it again")),
    tar_without_end: ("webdataset", ("train-000001.tar", "stops before its end mark")),
    unnamed_class: ("webdataset", ("sample", "label 2 is none of the 2 named classes", "from 0")),
    no_utt2label: ("kaldi", ("data/test", "no file that gives", "label=FILE")),
    transcripts: ("kaldi", ("data/test/text", "transcripts, not labels", "utt2label")),
    piped: ("kaldi", ("data/train/wav.scp line 2", "never run", "list their paths")),
    unlabeled: ("kaldi", ("data/test/utt2label line 3", "'stranger-001'", "no audio")),
    beyond_segment: ("kaldi", ("data/test/segments line 15", "ends at 7.5 s", "at 3 s")),
    point: ("audacity", ("SMM00_20240512_000000.txt line 4", "has no length")),
    beyond_label: ("audacity", (".txt line 13", "ends at 93.5 s", "at 3.6 s")),
    spaces_for_tabs: ("audacity", (".txt line 4", "start, end and label with tabs")),
    beyond_selection: ("raven", ("SMM02", ".selections.txt line 24", "ends at 3.9 s")),
    no_end_time: ("raven", (".selections.txt line 1", "no 'End Time (s)'", "export both")),
    no_audio_of_its_name: ("raven", (".selections.txt line 2", "no audio file has the name")),
}
"""What is done to a folder -> the folder, and words of the message."""


FOLLOW_ON = {listed_twice: 1, two_labels: 1, no_audio_of_its_name: 1, piped: 1}
"""What is done to a folder -> mistakes that are named, where one brings about others."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Callable[[str], Path]:
    """Folders by name; each is built once and copied by links of its files' contents."""
    made: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp(name)
            BUILDERS[name][0](made[name])
        return made[name]

    return folder


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
def test_broken_folder_is_one_message_with_file_line_and_way_out(
    harm, folders, tmp_path, monkeypatch
):
    monkeypatch.setattr(video, "installed", lambda: False)
    name, words = HARMS[harm]
    root = tmp_path / name
    _copy(folders(name), root)
    harm(root)
    with pytest.raises(DataError) as caught:
        prepare("folder", {}, root=str(root), packs=str(tmp_path / "packs"))
    for word in words:
        assert word in str(caught.value), str(caught.value)
    if harm in FOLLOW_ON:
        assert str(caught.value).count("\n") == FOLLOW_ON[harm], str(caught.value)
    assert not list((tmp_path / "packs").glob("*/pack.json"))


def test_mistakes_of_all_kinds_are_named_at_once(folders, tmp_path):
    """In times, in labels and in the audio, which are looked at one after the other."""
    root = tmp_path / "strong_tsv"
    _copy(folders("strong_tsv"), root)
    listed = (root / EVENT_LIST).read_text().rstrip().split("\n")
    broken = {number: "0.3\t0.1\tdog_bark" for number in range(10, 60)}
    broken |= {4: "0.0\t9.0\tdog_bark", 5: "0.0\t0.2\tDog_Bark", 8: "x\t0.2\tsiren", 9: "0\t1\t"}
    for number, text in broken.items():
        listed[number - 1] = f"{listed[number - 1].split(chr(9))[0]}\t{text}"
    (root / EVENT_LIST).write_text("\n".join(listed))
    (root / "soundscapes" / "soundscape_00.wav").unlink()
    with pytest.raises(DataError) as caught:
        open_source("folder", {}, root=str(root))
    message = str(caught.value)
    for word in (
        "line 2: 'soundscape_00.wav' does not exist",
        "line 4: the event ends at 9 s",
        "line 5: label 'Dog_Bark' differs",
        "line 8: an event from 'x' to '0.2' has no times",
        "line 9: the label is blank",
        "line 10: the event 'dog_bark' from 0.3 to 0.1 s has no length",
    ):
        assert f"{EVENT_LIST} {word}" in message, message
    assert message.count("\n") == 11 and "and 45 more: soundscapes.tsv line 15, 16, " in message
    assert message.endswith(", 54; ...")


def _copy(folder: Path, root: Path) -> None:
    for place, _, names in os.walk(folder):
        below = root / Path(place).relative_to(folder)
        below.mkdir(parents=True)
        for name in names:
            content = (Path(place) / name).read_bytes()
            # Absolute paths of a list move with it.
            content = (
                content.replace(str(folder).encode(), str(root).encode())
                if (name.endswith(".jsonl"))
                else content
            )
            (below / name).write_bytes(content)


def test_shard_that_vanishes_before_it_is_packed_is_named(folders, tmp_path):
    _copy(folders("webdataset"), tmp_path / "given")
    source = open_source("folder", {}, root=str(tmp_path / "given"))
    (tmp_path / "given" / "train-000002.tar").unlink()
    gone = next(clip for clip in source.clips if "train-000002" in clip.clip_id)
    with pytest.raises(ClipFault, match=r"unreadable: .*train-000002\.tar"):
        source.read(gone)


def test_missing_clips_are_dropped_when_asked_and_said(folders, tmp_path):
    _copy(folders("urbansound8k"), tmp_path / "given")
    missing(tmp_path / "given")
    info = prepare(
        "folder", {"on_broken": "drop"}, root=str(tmp_path / "given"), packs=str(tmp_path / "packs")
    )
    assert info.num_clips == 59
    assert [reason.split(":")[0] for reason in info.dropped.values()] == ["missing"]
    assert info.sample_rate == RATE_HZ
