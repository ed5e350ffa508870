"""Made-up folders in the real form of each layout: at least 60 clips with the names of the wild."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

RATE_HZ = 16000
CLASSES = ("dog_bark", "siren", "street_music")
SPEAKERS = ("bb05582b", "97f4c236", "f2e59fea", "a69b9b3e", "439c84f4", "409c962a")


def sound(label: int, take: int, *, seconds: float = 0.2, rate_hz: int = RATE_HZ) -> np.ndarray:
    """A tone per class in noise, different in every take."""
    rng = np.random.default_rng([label, take])
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    tone = 0.3 * np.sin(2 * np.pi * 300 * (label + 1) * time_s)
    return tone + rng.normal(0, 0.02, time_s.size)


def write(path: Path, label: int, take: int, **how: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rate_hz = int(how.pop("rate_hz", RATE_HZ))
    samples = sound(label, take, rate_hz=rate_hz, **how)
    soundfile.write(path, samples, rate_hz, subtype="PCM_16")
    return path


def flac(wave: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, wave, RATE_HZ, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def encoded(label: int, take: int) -> bytes:
    return flac(sound(label, take))


def takes(count: int = 20) -> Iterator[tuple[int, str, int]]:
    for label, name in enumerate(CLASSES):
        for take in range(count):
            yield label, name, take


def table(path: Path, rows: list[dict[str, object]], *, delimiter: str = ",") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def line(path: Path, number: int, new: str | Callable[[str], str]) -> None:
    """Replace a line of a text file, counted from 1."""
    lines = path.read_text().split("\n")
    lines[number - 1] = new if isinstance(new, str) else new(lines[number - 1])
    path.write_text("\n".join(lines))


def class_folders(root: Path) -> None:
    """As most people keep their own sounds; lengths differ, and one file is very long."""
    for label, name, take in takes():
        seconds = 0.15 + 0.005 * take if (label, take) != (0, 7) else 2.0
        write(root / name / f"2024-05-{take + 1:02d} {name}.wav", label, take, seconds=seconds)
    (root / "README.md").write_text("my sounds")


def speech_commands(root: Path) -> None:
    """Speech Commands V2: official lists of two splits, and noise that is no class."""
    lists: dict[str, list[str]] = {"validation_list.txt": [], "testing_list.txt": []}
    for label, word in enumerate(("backward", "right", "yes")):
        for take in range(24):
            speaker = SPEAKERS[take % 6]
            name = f"{word}/{speaker}_nohash_{take // 6}.wav"
            write(root / name, label, take)
            if speaker in SPEAKERS[4:]:
                which = "testing_list.txt" if speaker == SPEAKERS[4] else "validation_list.txt"
                lists[which].append(name)
    write(root / "_background_noise_" / "doing_the_dishes.wav", 3, 0, seconds=1.0)
    for name, lines in lists.items():
        (root / name).write_text("\n".join(lines) + "\n")


def split_folders(root: Path) -> None:
    for label, name, take in takes():
        split = ("train", "train", "train", "val", "test")[take % 5]
        write(root / split / name / f"{name}_{take:03d}.flac", label, take)


def urbansound8k(root: Path) -> None:
    """UrbanSound8K: a csv in `metadata`, audio in `audio/fold1` and so on, times of the source."""
    rows: list[dict[str, object]] = []
    for label, name, take in takes():
        fold, source = 1 + take % 4, 100032 + 100 * label + take % 4 + 4 * (take // 8)
        file = f"{source}-{label}-0-{take}.wav"
        write(root / "audio" / f"fold{fold}" / file, label, take, rate_hz=22050)
        times = {"start": 58.5 + take, "end": 62.5 + take, "salience": 1}
        rows.append(
            {"slice_file_name": file, "fsID": source, **times, "fold": fold}
            | {"classID": label, "class": name}
        )
    table(root / "metadata" / "UrbanSound8K.csv", rows)


def tsv_per_split(root: Path) -> None:
    """Common Voice's form: `train.tsv`, `dev.tsv`, `test.tsv` and a folder of clips."""
    rows: dict[str, list[dict[str, object]]] = {"train": [], "dev": [], "test": []}
    for label, name, take in takes(24):
        file = f"common_voice_en_{17000000 + 100 * label + take}.wav"
        write(root / "clips" / file, label, take)
        split = ("train", "train", "train", "train", "dev", "test")[take % 6]
        speaker = f"{split}{take % 12:064x}"
        rows[split].append({"client_id": speaker, "path": f"clips/{file}", "label": name})
    for split, lines in rows.items():
        table(root / f"{split}.tsv", lines, delimiter="\t")


def json_lines(root: Path) -> None:
    """NeMo's manifests, with absolute paths."""
    lines = []
    for label, name, take in takes():
        path = write(root / "wavs" / f"{name}-{take:04d}.wav", label, take)
        lines.append({"audio_filepath": str(path), "duration": 0.2, "command": name})
    (root / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")


def parquet_of_paths(root: Path) -> None:
    rows = []
    for label, name, take in takes():
        write(root / "audio" / f"{name}_{take}.ogg.flac", label, take)
        split = ("train", "train", "validation", "test")[take % 4]
        rows.append({"file": f"{name}_{take}.ogg.flac", "category": name, "subset": split})
    pq.write_table(pa.Table.from_pylist(rows), root / "clips.parquet")


def kaldi(root: Path) -> None:
    """data/train and data/test, speakers apart; utterances are cut out of recordings."""
    for split, speakers in (("train", SPEAKERS[:4]), ("test", SPEAKERS[4:])):
        folder = root / "data" / split
        folder.mkdir(parents=True)
        files: dict[str, list[str]] = {
            name: [] for name in ("wav.scp", "segments", "utt2spk", "utt2label")
        }
        for place, speaker in enumerate(speakers):
            parts = [
                sound(label, 90 * place + take + 500 * (split == "test"))
                for label, _, take in takes(5)
            ]
            path = root / "wav" / split / f"{speaker}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, np.concatenate(parts), RATE_HZ, subtype="PCM_16")
            files["wav.scp"].append(f"{speaker} wav/{split}/{speaker}.wav")
            for number, (_, name, _) in enumerate(takes(5)):
                utterance = f"{speaker}-{number:03d}"
                start, end = number * 0.2, (number + 1) * 0.2
                files["segments"].append(f"{utterance} {speaker} {start:.2f} {end:.2f}")
                files["utt2spk"].append(f"{utterance} {speaker}")
                files["utt2label"].append(f"{utterance} {name}")
        for name, lines in files.items():
            (folder / name).write_text("\n".join(lines) + "\n")


def audiofolder(root: Path) -> None:
    """Hugging Face's AudioFolder: a metadata.csv in each split."""
    for split, few in (("train", 14), ("test", 6)):
        rows: list[dict[str, object]] = []
        for label, name, take in takes(few):
            file = f"{label}{take:03d}.wav"
            write(root / split / file, label, take + 50 * (split == "test"))
            rows.append({"file_name": file, "label": name})
        table(root / split / "metadata.csv", rows)


def parquet_of_bytes(root: Path) -> None:
    """A data set as the hub stores it: shards with bytes, names of labels in the schema."""
    features = {"label": {"names": list(CLASSES), "_type": "ClassLabel"}}
    known = json.dumps({"info": {"features": {"audio": {"_type": "Audio"}, **features}}})
    (root / "data").mkdir(parents=True)
    for split, few in (("train", 14), ("validation", 6)):
        rows = [
            {
                "audio": {"bytes": encoded(label, take + 50 * (few == 6)), "path": f"{take}.flac"},
                "label": label,
            }
            for label, _, take in takes(few)
        ]
        shard = pa.Table.from_pylist(rows).replace_schema_metadata({"huggingface": known})
        pq.write_table(shard, root / "data" / f"{split}-00000-of-00001.parquet", row_group_size=10)


COMBINATIONS = ((0,), (0, 1), (2,), (1, 2), (1,), (0, 1, 2))
"""Classes of the clips with several, in turn."""


def mixtures(count: int = 60) -> Iterator[tuple[tuple[int, ...], np.ndarray, int]]:
    """Yield the classes of clips with several, their sound, and their number."""
    for take in range(count):
        classes = COMBINATIONS[take % len(COMBINATIONS)]
        yield classes, sum(sound(label, take) for label in classes) / len(classes), take


def write_wave(path: Path, wave: np.ndarray, *, rate_hz: int = RATE_HZ) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, rate_hz, subtype="PCM_16")
    return path


def separated(root: Path) -> None:
    """BirdCLEF's and many others' form: several labels in one field."""
    rows: list[dict[str, object]] = []
    for classes, wave, take in mixtures():
        write_wave(root / "clips" / f"XC{100 + take}.wav", wave)
        names = ";".join(CLASSES[label] for label in classes)
        rows.append({"filename": f"XC{100 + take}.wav", "labels": names, "fold": 1 + take % 3})
    table(root / "train_metadata.csv", rows)


def one_hot(root: Path) -> None:
    """Columns of 0 and 1, as OpenMIC and SONYC have them."""
    rows: list[dict[str, object]] = []
    for classes, wave, take in mixtures():
        write_wave(root / "audio" / f"{take:02d}_000123.wav", wave)
        bits = {name: int(label in classes) for label, name in enumerate(CLASSES)}
        rows.append({"split": ("train", "test")[take % 4 == 3], "audio_filename": "", **bits})
        rows[-1]["audio_filename"] = f"{take:02d}_000123.wav"
    table(root / "annotations.csv", rows)


def line_per_label(root: Path) -> None:
    rows: list[dict[str, object]] = []
    for classes, wave, take in mixtures():
        write_wave(root / f"{take}.wav", wave)
        rows += [{"path": f"{take}.wav", "label": CLASSES[label]} for label in classes]
    table(root / "labels.tsv", rows, delimiter="\t")


def lists_of_labels(root: Path) -> None:
    """`audiofolder` with lists in JSON lines."""
    rows = []
    for classes, wave, take in mixtures():
        write_wave(root / "data" / f"{take}.wav", wave)
        names = [CLASSES[label] for label in classes]
        rows.append({"file_name": f"data/{take}.wav", "labels": names})
    (root / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))


def parquet_of_lists(root: Path) -> None:
    """A column of Sequence(ClassLabel) beside the bytes, as the hub has it."""
    names = {"names": list(CLASSES), "_type": "ClassLabel"}
    features = {"audio": {"_type": "Audio"}, "labels": {"feature": names, "_type": "Sequence"}}
    rows = [
        {"audio": {"bytes": flac(wave), "path": None}, "labels": list(classes)}
        for classes, wave, _ in mixtures()
    ]
    known = {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(
        pa.Table.from_pylist(rows).replace_schema_metadata(known), root / "train.parquet"
    )


def webdataset_of_lists(root: Path) -> None:
    with tarfile.open(root / "mix.tar", "w") as archive:
        for classes, wave, take in mixtures():
            names = [CLASSES[label] for label in classes]
            kinds = {"flac": flac(wave), "json": json.dumps({"labels": names}).encode()}
            for kind, content in kinds.items():
                member = tarfile.TarInfo(f"{take:04d}.{kind}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))


def strong_tsv(root: Path) -> None:
    """DCASE's strong labels, some of which overlap; a clip without event has a line of its own."""
    rows: list[dict[str, object]] = []
    for take in range(60):
        wave = np.random.default_rng(take).normal(0, 0.02, RATE_HZ // 2)
        file = f"soundscape_{take:02d}.wav"
        for number, label in enumerate(() if take % 12 == 5 else COMBINATIONS[take % 6]):
            onset = 0.1 * number
            wave[round(onset * RATE_HZ) :][: RATE_HZ // 5] += sound(label, take)
            times = {"onset": f"{onset:.3f}", "offset": f"{onset + 0.2:.3f}"}
            rows.append({"filename": file, **times, "event_label": CLASSES[label]})
        if take % 12 == 5:
            rows.append({"filename": file, "onset": "", "offset": "", "event_label": ""})
        write_wave(root / "soundscapes" / file, wave)
    table(root / "soundscapes.tsv", rows, delimiter="\t")


def webdataset(root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    (root / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    listed = list(takes())
    for shard in range(4):
        split = "train" if shard < 3 else "val"
        with tarfile.open(root / f"{split}-{shard:06d}.tar", "w") as archive:
            for number, (label, name, take) in enumerate(listed[shard::4]):
                key = f"{split}{shard}_{number:05d}"
                kinds = {"flac": encoded(label, take), "cls": str(label).encode()}
                kinds |= {"json": json.dumps({"label": name, "seconds": 0.2}).encode()}
                for kind, content in kinds.items():
                    member = tarfile.TarInfo(f"{key}.{kind}")
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))


def _long_recordings(root: Path) -> Iterator[tuple[str, list[tuple[float, float, str]]]]:
    """Six recordings of twelve events of 0.2 s, 0.3 s apart."""
    for recording in range(6):
        events, parts = [], []
        for number in range(12):
            label = (number + recording) % 3
            parts += [sound(label, 20 * recording + number), np.zeros(1600)]
            events.append((number * 0.3, number * 0.3 + 0.2, CLASSES[label]))
        path = root / f"SMM0{recording}_20240512_0{recording}0000.wav"
        root.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.concatenate(parts), RATE_HZ, subtype="PCM_16")
        yield path.stem, events


def audacity(root: Path) -> None:
    for stem, events in _long_recordings(root):
        lines = [f"{start:.6f}\t{end:.6f}\t{label}" for start, end, label in events]
        lines.insert(1, "\\\t2000.000000\t4000.000000")
        (root / f"{stem}.txt").write_text("\n".join(lines) + "\n")


def raven(root: Path) -> None:
    for stem, events in _long_recordings(root):
        heads = ("Selection", "View", "Channel", "Begin Time (s)", "End Time (s)")
        lines = ["\t".join((*heads, "Low Freq (Hz)", "High Freq (Hz)", "Annotation"))]
        for number, (start, end, label) in enumerate(events, start=1):
            for view in ("Waveform 1", "Spectrogram 1"):
                lines.append(f"{number}\t{view}\t1\t{start:.9f}\t{end:.9f}\t200.0\t4000.0\t{label}")
        (root / f"{stem}.Table.1.selections.txt").write_text("\n".join(lines) + "\n")


def esc_of_other_lengths(root: Path) -> None:
    """ESC-50's csv on clips that are not 5 s long."""
    rows: list[dict[str, object]] = []
    for label, name, take in takes():
        file = f"{1 + take % 5}-{100000 + 50 * label + take}-A-{label}.wav"
        write(root / "audio" / file, label, take, seconds=0.15 + 0.01 * take)
        rows.append({"filename": file, "fold": 1 + take % 5, "target": label, "category": name})
    table(root / "meta" / "mine.csv", rows)


def own_function(root: Path) -> None:
    """Names that only their maker can read; `my_bats.py` lies beside the folder."""
    for label, _, take in takes():
        write(root / f"x{take % 4}" / f"{'PNE'[label]}{take:05d}.wav", label, take)
    (root.parent / "my_bats.py").write_text(
        '"""Labels from the first letter of a file name."""\n\n'
        "NAMES = {'P': 'pipistrelle', 'N': 'noctule', 'E': 'serotine'}\n\n\n"
        "def calls(root):\n"
        "    for path in sorted(root.rglob('*.wav')):\n"
        "        night = path.parent.name\n"
        "        yield {'path': path, 'label': NAMES[path.name[0]], 'fold': night}\n"
    )


def file_names(root: Path) -> None:
    """The Free Spoken Digit Dataset's form: digit, speaker and number in the name."""
    for label, _, take in takes():
        speaker = ("jackson", "nicolas", "theo", "yweweler", "george")[take % 5]
        name = f"{label + 1}_{speaker}_{take // 5}.wav"
        write(root / "recordings" / name, label, take, seconds=0.2 + 0.002 * take, rate_hz=8000)


BUILDERS: dict[str, tuple[Callable[[Path], None], str, int, tuple[str, ...]]] = {
    "class_folders": (class_folders, "class_folders", 67, ("1", "2", "3", "4", "5")),
    "speech_commands": (speech_commands, "class_folders", 72, ("train", "validation", "test")),
    "split_folders": (split_folders, "split_folders", 60, ("train", "validation", "test")),
    "urbansound8k": (urbansound8k, "table", 60, ("1", "2", "3", "4")),
    "tsv_per_split": (tsv_per_split, "table", 72, ("train", "validation", "test")),
    "json_lines": (json_lines, "table", 60, ("1", "2", "3", "4", "5")),
    "parquet_of_paths": (parquet_of_paths, "table", 60, ("train", "validation", "test")),
    "kaldi": (kaldi, "kaldi", 90, ("train", "test")),
    "audiofolder": (audiofolder, "huggingface", 60, ("train", "test")),
    "parquet_of_bytes": (parquet_of_bytes, "huggingface", 60, ("train", "validation")),
    "webdataset": (webdataset, "webdataset", 60, ("train", "validation")),
    "separated": (separated, "table", 60, ("1", "2", "3")),
    "one_hot": (one_hot, "table", 60, ("train", "test")),
    "line_per_label": (line_per_label, "table", 60, ("1", "2", "3", "4", "5")),
    "lists_of_labels": (lists_of_labels, "huggingface", 60, ("1", "2", "3", "4", "5")),
    "parquet_of_lists": (parquet_of_lists, "huggingface", 60, ("1", "2", "3", "4", "5")),
    "webdataset_of_lists": (webdataset_of_lists, "webdataset", 60, ("1", "2", "3", "4", "5")),
    "strong_tsv": (strong_tsv, "table", 60, ("1", "2", "3", "4", "5")),
    "audacity": (audacity, "audacity", 72, ("1", "2", "3", "4", "5")),
    "raven": (raven, "raven", 72, ("1", "2", "3", "4", "5")),
    "audacity_segments": (audacity, "audacity", 72, ("1", "2", "3", "4", "5")),
    "esc_of_other_lengths": (esc_of_other_lengths, "esc_csv", 60, ("1", "2", "3", "4", "5")),
    "file_names": (file_names, "file_names", 60, ("1", "2", "3", "4", "5")),
    "own_function": (own_function, "my_bats:calls", 60, ("x0", "x1", "x2", "x3")),
}
"""Name -> builder, layout that is recognized, clips, and names of splits or folds."""

FLAGS = {
    # Recordings of 3.6 s, each cut into 12 windows.
    "audacity": "folder:seconds=0.3",
    "raven": "folder:seconds=0.3",
    "audacity_segments": "folder:targets=single_label",
    "file_names": "folder:label_pattern=/([0-9])_,recording_pattern=_([a-z]+)_",
    "own_function": "folder:layout=my_bats:calls",
}
"""Name -> what `--dataset` has to say; the others need nothing."""

MULTI_LABEL = (
    *("separated", "one_hot", "line_per_label", "lists_of_labels", "parquet_of_lists"),
    "webdataset_of_lists",
)
EVENTS = ("strong_tsv", "audacity", "raven")
