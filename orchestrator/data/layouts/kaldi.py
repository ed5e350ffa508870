"""Kaldi's data folders: `wav.scp`, `utt2spk`, and a file that gives every utterance its label.

https://kaldi-asr.org/doc/data_prep.html. With `segments`, the keys of `wav.scp` are recordings.
Clips of one speaker stay together.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from orchestrator.data.layouts.lists import read_text
from orchestrator.data.layouts.rows import (
    Asked,
    Audio,
    Listing,
    Mistakes,
    Row,
    check_label,
    seconds,
    split_named,
)
from orchestrator.data.layouts.tree import Tree
from orchestrator.errors import DataError, shown

TITLE = "Kaldi's wav.scp and utt2spk with labels in utt2label or text"
LABELS = ("utt2label", "utt2class", "utt2lab", "label", "labels", "utt2lang", "text")
"""Files with an utterance and its label per line; the first that is there is read."""

_MOST_TEXTS = 0.5


def fits(tree: Tree) -> bool:
    """Whether there is a `wav.scp`."""
    return bool(_folders(tree))


def read(tree: Tree, asked: Asked) -> Listing:
    """List the utterances of every data folder; folders named like splits are splits.

    Raises:
        DataError: Names every mistake with its file and line.
    """
    mistakes = Mistakes(tree.root)
    folders = _folders(tree)
    splits = {folder: split_named(os.path.basename(folder)) for folder in folders}
    if len(folders) > 1 and not all(splits.values()):
        listed = ", ".join(folder or "." for folder in folders)
        raise DataError(
            f"{tree.root} has wav.scp in {len(folders)} folders that are not named train, "
            f"validation or test ({listed}); give the folder of one as --data-root, or rename them"
        )
    rows: list[Row] = []
    names, speakers = set(), False
    for folder, split in splits.items():
        found, name, with_speakers = _read_folder(tree, folder, split, asked, mistakes)
        rows += found
        names.add(name)
        speakers |= with_speakers
    return Listing(
        tuple(rows),
        left_out=tree.besides(row.audio.name for row in rows),
        recordings_are="speakers of utt2spk" if speakers else "",
        labels_are=" and ".join(sorted(names)),
        mistakes=mistakes.found,
    )


def _folders(tree: Tree) -> list[str]:
    return [os.path.dirname(name) for name in tree.files if os.path.basename(name) == "wav.scp"]


def _read_folder(
    tree: Tree, folder: str, split: str, asked: Asked, mistakes: Mistakes
) -> tuple[list[Row], str, bool]:
    def table(name: str) -> dict[str, tuple[str, str]]:
        file = os.path.join(folder, name)
        return _table(tree, file, mistakes) if file in tree.files else {}

    label_file = _label_file(tree, folder, asked)
    label_of, speaker_of = table(label_file), table("utt2spk")
    recorded, segments = table("wav.scp"), table("segments")
    utterances = segments or recorded
    audio: dict[str, Audio] = {}
    for key, (where, text) in recorded.items():
        if text.endswith("|") or text.startswith("|"):
            mistakes.add(
                where,
                f"{shown(text)} is a command, which is never run; write the audio to files once "
                "(wav-copy scp:wav.scp ark,scp:...) and list their paths",
            )
            continue
        found = tree.locate(text, beside=folder, where=where, mistakes=mistakes)
        audio[key] = found or Audio(text, tree.root / text)
    if label_file == "text" and len(label_of) > 9:
        distinct = len({text for _, text in label_of.values()})
        if distinct > _MOST_TEXTS * len(label_of):
            raise DataError(
                f"{tree.root / folder / 'text'} has {distinct} different texts for "
                f"{len(label_of)} utterances: these are transcripts, not labels. Write a file "
                "utt2label with an utterance and its label per line"
            )
    rows = []
    for key, (where, text) in utterances.items():
        start: float | None = None
        end: float | None = None
        recording = key
        if segments:
            parts = text.split()
            recording = parts[0] if parts else ""
            start, end = (seconds(p) for p in parts[1:]) if len(parts) == 3 else (None, None)
            if start is None or end is None or end <= start:
                mistakes.add(where, f"{shown(text)} is no segment; give recording, start, end in s")
                continue
            if recording not in recorded:
                mistakes.add(where, f"recording {shown(recording)} is not in wav.scp")
        if recording not in audio:
            continue
        if key not in label_of:
            mistakes.add(where, f"utterance {shown(key)} has no label in {label_file}")
            continue
        check_label(label_of[key][1], label_of[key][0], mistakes)
        if speaker_of and key not in speaker_of:
            mistakes.add(where, f"utterance {shown(key)} has no speaker in utt2spk")
        rows.append(
            Row(
                where=where,
                audio=audio[recording],
                label=label_of[key][1],
                split=split,
                recording=speaker_of.get(key, ("", ""))[1],
                start_s=start,
                end_s=end,
            )
        )
    _refuse_strangers(label_of, utterances, label_file, mistakes)
    return rows, label_file, bool(speaker_of)


def _refuse_strangers(
    label_of: Mapping[str, tuple[str, str]],
    utterances: Mapping[str, tuple[str, str]],
    label_file: str,
    mistakes: Mistakes,
) -> None:
    for key, (where, _) in label_of.items():
        if key not in utterances:
            mistakes.add(where, f"utterance {shown(key)} of {label_file} has no audio in wav.scp")


def _label_file(tree: Tree, folder: str, asked: Asked) -> str:
    names = (asked.label,) if asked.label else LABELS
    for name in names:
        if os.path.join(folder, name) in tree.files:
            return name
    raise DataError(
        f"{tree.root / folder} has a wav.scp and no file that gives utterances their labels "
        f"({', '.join(names)}); write utt2label with an utterance and its label per line, or name "
        "your file: --dataset folder:layout=kaldi,label=FILE"
    )


def _table(tree: Tree, file: str, mistakes: Mistakes) -> dict[str, tuple[str, str]]:
    """Return key -> (file and line, the rest of the line)."""
    found: dict[str, tuple[str, str]] = {}
    for number, line in enumerate(read_text(tree.root / file).splitlines(), start=1):
        if not line.strip():
            continue
        key, _, rest = line.strip().partition(" ") if "\t" not in line else line.partition("\t")
        where = f"{file} line {number}"
        if not rest.strip():
            mistakes.add(where, f"{shown(line)} has a key and nothing else")
        elif key in found:
            mistakes.add(where, f"{shown(key)} is there twice, first in {found[key][0]}")
        else:
            found[key] = (where, rest.strip())
    return found
