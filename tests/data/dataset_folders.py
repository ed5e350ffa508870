"""Published data sets as they lie on a user's disk: lines of the official lists, made-up audio."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from layout_folders import sound, table, write, write_wave

VGGSOUND = ("dog barking", "vehicle horn, car horn, honking", "playing hammond organ")
WORDS = ("backward", "right", "yes")


def official_rows(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def headless(path: Path, rows: Iterable[Iterable[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def by_label(rows: Iterable[list[str]], label: int, few: int) -> dict[str, list[list[str]]]:
    found: dict[str, list[list[str]]] = defaultdict(list)
    for row in rows:
        if len(found[row[label]]) < few:
            found[row[label]].append(row)
    return found


def vggsound(root: Path, annotations: Path) -> None:
    """train.csv and test.csv, of which some clips are gone from YouTube."""
    rows = by_label(official_rows(annotations / "vggsound" / "test.csv"), 1, 25)
    lists: dict[str, list[list[str]]] = {"train.csv": [], "test.csv": []}
    for label, name in enumerate(VGGSOUND):
        for take, row in enumerate(rows[name]):
            split = "test.csv" if take % 4 == 3 else "train.csv"
            lists[split].append(row)
            if take % 8:  # the first of eight is private by now
                write(root / "audio" / row[0].replace(".mp4", ".flac"), label, take)
    for name, lines in lists.items():
        headless(root / "data" / name, lines)


def vggsound_in_one(root: Path, annotations: Path) -> None:
    """vggsound.csv, and names with milliseconds as SpecVQGAN has them."""
    rows = by_label(official_rows(annotations / "vggsound" / "test.csv"), 1, 20)
    lines = []
    for label, name in enumerate(VGGSOUND):
        for take, (clip, _) in enumerate(rows[name]):
            video, start = clip[:11], int(clip[12:18])
            lines.append([video, start, name, ("train", "test")[take % 4 == 3]])
            file = f"{video}_{1000 * start}_{1000 * start + 10000}.wav"
            write(root / "melspec_10s" / file, label, take)
    headless(root / "vggsound.csv", lines)


def kinetics_sounds(root: Path, annotations: Path) -> None:
    """OGM-GE's lists, whose test clips are named in another way than its training clips."""
    for split, few in (("train", 18), ("test", 8)):
        name = f"my_{split}.txt"
        rows = by_label(official_rows(annotations / "kinetics_sounds" / f"ogm_ge_{name}"), 2, few)
        lines = [row for label in "369" for row in rows[label]]
        headless(root / name, lines)
        for take, (clip, _, label) in enumerate(lines):
            if take % 9:
                place = root / "audio" / split / f"{clip}.wav"
                write(place, int(label) // 3 - 1, take + 100 * (split == "test"))


def kinetics_csv(root: Path, annotations: Path) -> None:
    """Kinetics' csv with classes that Kinetics-Sounds leaves out, and a file of those it takes."""
    folder = annotations / "kinetics_sounds"
    clips = [row[0] for row in official_rows(folder / "ogm_ge_my_train.txt")]
    taken = (folder / "classes_32.txt").read_text().split("\n")[:3]
    rows: list[dict[str, object]] = []
    for label, name in enumerate((*taken, "abseiling")):
        for take in range(22):
            clip = clips[22 * label + take]
            start = int(clip[12:18])
            split = ("train", "train", "train", "validate", "test")[take % 5]
            times = {"time_start": start, "time_end": start + 10}
            rows.append({"label": name, "youtube_id": clip[:11], **times, "split": split})
            if name != "abseiling":
                write(root / "clips" / name / f"{clip}.wav", label, take)
    table(root / "kinetics400.csv", rows)
    (root / "classes.txt").write_text("\n".join(taken) + "\n")


EPIC = ("take", "put", "wash")


def epic_lists(root: Path, annotations: Path) -> list[dict[str, str]]:
    """Write the official lists with a few segments of three verbs; return those segments."""
    folder = annotations / "epic_kitchens_100"
    for kind in ("verb", "noun"):
        name = f"EPIC_100_{kind}_classes.csv"
        (root / name).write_bytes((folder / name).read_bytes())
    kept = []
    for file, name, few in (("uda_source_train", "train", 14), ("validation", "validation", 7)):
        head, *rows = official_rows(folder / f"EPIC_100_{file}.csv")
        own = by_label(rows, head.index("verb_class"), few)
        lines = [row for label in "012" for row in own[label]]
        headless(root / f"EPIC_100_{name}.csv", [head, *lines])
        kept += [dict(zip(head, row, strict=True)) for row in lines]
    return kept


def epic_kitchens(root: Path, annotations: Path) -> None:
    """A file per segment, of which one has not been cut."""
    for take, row in enumerate(epic_lists(root, annotations)[1:]):
        write(root / "audio" / f"{row['narration_id']}.wav", int(row["verb_class"]), take)


def speech_commands(root: Path, annotations: Path) -> None:
    """The official lists' clips of three words; what they leave trains."""
    for split in ("validation", "testing"):
        name = f"{split}_list.txt"
        lines = (annotations / "speech_commands_v2" / name).read_text().split("\n")
        kept = []
        for label, word in enumerate(WORDS):
            own = [line for line in lines if line.startswith(f"{word}/")][:6]
            for take, line in enumerate(own):
                write(root / line, label, take + 50 * (split == "testing"))
            kept += own
        (root / name).write_text("\n".join(kept) + "\n")
    for label, word in enumerate(WORDS):
        for take in range(12):  # speakers that their digest puts into training
            speaker = ("0a7c2a8d", "0132a06d", "0135f3f2")[take % 3]
            write(root / word / f"{speaker}_nohash_{take // 3}.wav", label, take + 100)
    write(root / "_background_noise_" / "running_tap.wav", 3, 0, seconds=1.0)


def esc50(root: Path, annotations: Path) -> None:
    """Three classes of ESC-50, two of which share recordings between folds; clips of 5 s."""
    head, *rows = official_rows(annotations / "esc50" / "esc50.csv")
    kept = []
    for label, name in enumerate(("clock_alarm", "clock_tick", "hen")):
        of = [row for row in rows if row[3] == name]
        leaking = [row for row in of if row[5] in ("131943", "209698")]
        for fold in "12345":
            own = [row for row in of if row[1] == fold]
            own = [row for row in own if row in leaking] + [r for r in own if r not in leaking]
            kept += own[:4]
        for take, row in enumerate(row for row in kept if row[3] == name):
            write(root / "audio" / row[0], label, take, seconds=5.0, rate_hz=8000)
    headless(root / "meta" / "esc50.csv", [head, *kept])


AUDIOSET = {"/m/0dxrf": "Frying (food)", "/m/07ptfmf": "Stir", "/m/07p9k1k": "Sizzle"}


def audioset(root: Path, annotations: Path) -> None:
    """Segments of three classes, in Google's form; a name per form that downloads have."""
    folder = annotations / "audioset"
    classes = "class_labels_indices.csv"
    (root / classes).write_bytes((folder / classes).read_bytes())
    forms = ("{0}", "Y{0}", "{0}_{1:.3f}_{2:.3f}", "{0}_{1:.0f}-{2:.0f}", "{0}_{1:06.0f}")
    for name, few in (("balanced_train", 48), ("eval", 24)):
        lines = []
        for video, start, end, labels in official_rows(folder / f"{name}_segments.csv")[1:]:
            ids = labels.split(",")
            if len(lines) == few or not set(ids) <= set(AUDIOSET):
                continue
            lines.append(f'{video}, {start}, {end}, "{labels}"')
            if len(lines) % 12:  # every twelfth is gone
                form = forms[len(lines) % len(forms)].format(video, float(start), float(end))
                take = len(lines) + 100 * (name == "eval")
                mixed(root / name / f"{form}.flac", [list(AUDIOSET).index(i) for i in ids], take)
        head = ["# Segments csv created Sun Mar  5 10:54:25 2017", "# num_ytids=72", "# YTID, ..."]
        (root / f"{name}_segments.csv").write_text("\n".join(head + lines) + "\n")


def mixed(path: Path, classes: Iterable[int], take: int) -> None:
    write_wave(path, np.mean([sound(label, take) for label in classes], axis=0))


FSD50K = {"Animal": "/m/0jbk", "Bark": "/m/05tny_", "Dog": "/m/0bt9lr", "Music": "/m/04rlf"}


def fsd50k(root: Path, annotations: Path) -> None:
    """FSD50K's folders; labels bring their ancestors, and clips have any length."""
    truth = root / "FSD50K.ground_truth"
    headless(truth / "vocabulary.csv", [[n, *item] for n, item in enumerate(FSD50K.items())])
    lists: dict[str, list[dict[str, object]]] = {"dev": [], "eval": []}
    for take in range(66):
        labels = (("Animal",), ("Animal", "Dog"), ("Bark", "Dog", "Animal"), ("Music",))[take % 4]
        kind = "eval" if take % 5 == 4 else "dev"
        row: dict[str, object] = {"fname": 37199 + 11 * take, "labels": ",".join(labels)}
        row["mids"] = ",".join(FSD50K[label] for label in labels)
        lists[kind].append(
            row | ({"split": ("train", "val")[take % 5 == 3]} if kind == "dev" else {})
        )
        places = [list(FSD50K).index(label) for label in labels]
        wave = np.mean([sound(n, take, seconds=0.2 + 0.005 * (take % 9)) for n in places], axis=0)
        write_wave(root / f"FSD50K.{kind}_audio" / f"{row['fname']}.wav", wave)
    for kind, rows in lists.items():
        table(truth / f"{kind}.csv", rows)


DESED = ("Dishes", "Dog", "Speech")


def scene(events: Iterable[list[str]], take: int) -> np.ndarray:
    """10 s at 8 kHz with the tones of some events, each (filename, onset, offset, label)."""
    wave = np.random.default_rng(take).normal(0, 0.02, 80000)
    for _, onset, offset, label in events:
        if label:
            first, end = (round(8000 * float(time)) for time in (onset, offset))
            tone = sound(DESED.index(label), take, seconds=10.0, rate_hz=8000)
            wave[first:end] += 0.5 * tone[first:end]
    return wave


def desed(root: Path, annotations: Path) -> None:
    """The folders that DESED's own download makes: weak, unlabeled, synthetic and real clips."""
    folder, audio, meta = annotations / "desed", root / "audio", root / "metadata"

    def strong(name: str, where: str, few: int) -> None:
        head, *rows = tsv(folder / name)
        of: dict[str, list[list[str]]] = defaultdict(list)
        for row in rows:
            of[row[0]].append(row)
        kept = [own for own in of.values() if {row[3] for row in own} <= {*DESED, ""}]
        bare = [own for own in kept if not own[0][3]][:2]
        kept = [*bare, *(own for own in kept if own[0][3])][:few]
        tabbed(meta / f"{where}.tsv", [head, *(row for own in kept for row in own)])
        for take, own in enumerate(kept[1:] if few > 20 else kept):  # one was taken off YouTube
            write_wave(audio / where / own[0][0], scene(own, take), rate_hz=8000)

    strong("validation_validation.tsv", "validation/validation", 24)
    strong("eval_public.tsv", "eval/public", 12)
    head, *rows = tsv(folder / "train_weak.tsv")
    kept = [row for row in rows if set(row[1].split(",")) <= set(DESED)][:24]
    tabbed(meta / "train" / "weak.tsv", [head, *kept])
    for take, (name, labels) in enumerate(kept):
        own = [[name, "0", "10", label] for label in labels.split(",")]
        write_wave(audio / "train" / "weak" / name, scene(own, 100 + take), rate_hz=8000)
    head, *rows = tsv(folder / "train_unlabel_in_domain.tsv")
    tabbed(meta / "train" / "unlabel_in_domain.tsv", [head, *rows[:3]])
    for (name,) in rows[:2]:
        write_wave(audio / "train" / "unlabel_in_domain" / name, scene([], 200), rate_hz=8000)
    for split, few in (("train", 12), ("validation", 6)):  # both begin with 0.wav
        where = f"{split}/synthetic21_{split}/soundscapes"
        lines = [["filename", "onset", "offset", "event_label"]]
        for take in range(few):
            own = [[f"{take}.wav", f"{1 + take % 4}.5", "7.25", DESED[take % 3]]]
            own.append([f"{take}.wav", "2.0", "9.0", DESED[(take + 1) % 3]])
            lines += own
            place = audio / where / f"{take}.wav"
            write_wave(place, scene(own, 300 + take + 50 * (split == "train")), rate_hz=8000)
        tabbed(meta / f"{where}.tsv", lines)


def tsv(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text().splitlines()]


def tabbed(path: Path, rows: Iterable[Iterable[str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join("\t".join(row) for row in rows) + "\n")


SETS: dict[str, tuple[Callable[[Path, Path], None], str, int, tuple[str, ...]]] = {
    "vggsound": (vggsound, "vggsound", 63, ("train", "test")),
    "vggsound_in_one": (vggsound_in_one, "vggsound", 60, ("train", "test")),
    "kinetics_sounds": (kinetics_sounds, "kinetics_sounds", 69, ("train", "test")),
    "kinetics_csv": (kinetics_csv, "kinetics_sounds", 66, ("train", "validation", "test")),
    "epic_kitchens": (epic_kitchens, "epic_kitchens", 62, ("train", "validation")),
    "speech_commands_v2": (speech_commands, "class_folders", 72, ("train", "validation", "test")),
    "audioset": (audioset, "audioset", 66, ("train", "test")),
    "fsd50k": (fsd50k, "fsd50k", 66, ("train", "validation", "test")),
    "desed": (desed, "desed", 77, ("train", "validation", "test")),
    "esc50": (esc50, "esc", 60, ("1", "2", "3", "4", "5")),
}
"""Name -> builder, layout or data set that reads it, clips, and names of splits or folds."""

FLAGS = {"epic_kitchens": "folder:label=verb"}
"""Name -> what `--dataset` has to say; the others need nothing."""
