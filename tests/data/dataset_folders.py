"""Published data sets as they lie on a user's disk: lines of the official lists, made-up audio."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

from layout_folders import table, write

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


SETS: dict[str, tuple[Callable[[Path, Path], None], str, int, tuple[str, ...]]] = {
    "vggsound": (vggsound, "vggsound", 63, ("train", "test")),
    "vggsound_in_one": (vggsound_in_one, "vggsound", 60, ("train", "test")),
    "kinetics_sounds": (kinetics_sounds, "kinetics_sounds", 69, ("train", "test")),
    "kinetics_csv": (kinetics_csv, "kinetics_sounds", 66, ("train", "validation", "test")),
    "epic_kitchens": (epic_kitchens, "epic_kitchens", 62, ("train", "validation")),
    "speech_commands_v2": (speech_commands, "class_folders", 72, ("train", "validation", "test")),
    "esc50": (esc50, "esc", 60, ("1", "2", "3", "4", "5")),
}
"""Name -> builder, layout or data set that reads it, clips, and names of splits or folds."""

FLAGS = {"epic_kitchens": "folder:label=verb"}
"""Name -> what `--dataset` has to say; the others need nothing."""
