"""WebDataset tars: members `KEY.wav` with `KEY.cls`, `KEY.json` or `KEY.txt`.

https://github.com/webdataset/webdataset. A label that is a number gets its name from a file
`classes.txt`, `classnames.txt` or `labels.txt` in the data root, a name per line, if there is one.
"""

from __future__ import annotations

import functools
import json
import os
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.data import video
from orchestrator.data.layouts.labels import listed_label
from orchestrator.data.layouts.lists import COLUMNS, read_text
from orchestrator.data.layouts.rows import Asked, Audio, Listing, Mistakes, Row, split_named
from orchestrator.data.layouts.tree import AUDIO, Tree
from orchestrator.errors import DataError, shown

TITLE = "WebDataset tars with x.flac and x.cls, x.json or x.txt"
_NAMES = ("classes.txt", "classnames.txt", "labels.txt")
_LABELS = ("cls", "json", "txt")
_MAX_LABEL_BYTES = 1 << 20
_END = bytes(512)


def fits(tree: Tree) -> bool:
    """Whether the folder holds tars whose first members are audio or labels of samples."""
    return any(_holds_samples(tree.root / name) for name in tree.ending(("tar",))[:2])


def read(tree: Tree, asked: Asked) -> Listing:
    """List the samples of all tars; tars or folders named like splits are splits.

    Raises:
        DataError: A tar is damaged; or names every mistake with its tar and member.
    """
    mistakes = Mistakes(tree.root)
    named = next((tree.root / name for name in _NAMES if name in tree.files), None)
    class_names = tuple(read_text(named).split("\n")) if named else ()
    while class_names and not class_names[-1].strip():
        class_names = class_names[:-1]
    rows: list[Row] = []
    kinds: set[str] = set()
    for name in tree.ending(("tar",)):
        rows += _read_tar(tree, name, asked, class_names, mistakes, kinds)
    return Listing(
        tuple(rows),
        left_out=tree.audio,
        labels_are=" and ".join(f"members .{kind}" for kind in sorted(kinds)),
        mistakes=mistakes.found,
    )


def _read_tar(
    tree: Tree,
    name: str,
    asked: Asked,
    class_names: tuple[str, ...],
    mistakes: Mistakes,
    kinds: set[str],
) -> list[Row]:
    path = tree.root / name
    samples: dict[str, dict[str, tarfile.TarInfo]] = {}
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                if not member.isfile():
                    continue
                folder, base = os.path.split(member.name)
                key, _, kind = base.partition(".")
                of = samples.setdefault(os.path.join(folder, key), {})
                if kind.lower() in of:
                    mistakes.add(f"{name} member {member.name}", "is there twice; keep one")
                of[kind.lower()] = member
            _check_end(archive, path)
            sample = _Samples(path, name, archive, asked, class_names, mistakes, kinds)
            return [row for key, of in samples.items() if (row := sample.row(key, of))]
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(
            f"{path} cannot be read to its end ({error}); fetch it again. A compressed tar has to "
            "be unpacked once (gunzip), for clips are read in any order"
        ) from error


@dataclass(frozen=True)
class _Samples:
    """Samples of one tar as rows; what they lack becomes mistakes."""

    path: Path
    name: str
    archive: tarfile.TarFile
    asked: Asked
    class_names: tuple[str, ...]
    mistakes: Mistakes
    kinds: set[str]

    def row(self, key: str, of: dict[str, tarfile.TarInfo]) -> Row | None:
        """Return a sample's row from its members by suffix; None after a mistake."""
        where = f"{self.name} sample {key}"
        decoded = (*AUDIO, *(video.SUFFIXES if video.installed() else ()))
        audio = [kind for kind in of if kind in decoded]
        if len(audio) != 1:
            other = [kind for kind in of if kind in video.SUFFIXES]
            text = f"has audio .{' and .'.join(audio)}; keep one" if audio else "has no audio"
            only = f" that libsndfile decodes, only .{other[0]}; {video.INSTALL}" if other else ""
            self.mistakes.add(where, text + only)
            return None
        kind = next((one for one in _LABELS if one in of), None)
        if kind is None:
            self.mistakes.add(where, f"has no label: a member {key}.cls, .json or .txt")
            return None
        content = self.archive.extractfile(of[kind])
        try:
            text = content.read(_MAX_LABEL_BYTES).decode("utf-8-sig").strip() if content else ""
        except UnicodeDecodeError:
            self.mistakes.add(where, f"its .{kind} is not UTF-8")
            return None
        value = _from_json(text, self.asked, where, self.mistakes) if kind == "json" else text
        if value is None:
            return None
        if self.class_names and isinstance(value, str) and value.isdecimal():
            value = int(value)
        names = self.class_names
        label = listed_label(value, class_names=names, where=where, mistakes=self.mistakes)
        if label is None:
            return None
        self.kinds.add(kind)
        member = of[audio[0]]
        load = functools.partial(_load, self.path, member.offset_data, member.size)
        return Row(
            where=where,
            audio=Audio(f"{self.name}/{member.name}", self.path, load),
            label=label,
            split=_split_of(self.name),
        )


def _from_json(text: str, asked: Asked, where: str, mistakes: Mistakes) -> Any:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        mistakes.add(where, f"its .json is no JSON ({error})")
        return None
    if not isinstance(fields, dict):
        return fields
    found = [asked.label] if asked.label else [n for n in COLUMNS["label"] if n in fields]
    if not found or found[0] not in fields:
        keys = ", ".join(map(shown, fields)) or "none"
        flag = "--dataset folder:layout=webdataset,label=KEY"
        mistakes.add(where, f"its .json has no key that is a label (keys: {keys}); name it: {flag}")
        return None
    return fields[found[0]]


def _split_of(name: str) -> str:
    """Return the split that a tar's name begins with, or its folder's."""
    word = re.match(r"[A-Za-z]+", os.path.basename(name))
    folder = os.path.basename(os.path.dirname(name))
    return split_named(word[0] if word else "") or split_named(folder)


def _check_end(archive: tarfile.TarFile, path: Path) -> None:
    """Raise a `tarfile.TarError` unless the archive ends with its mark, a block of zeros."""
    with path.open("rb") as file:
        file.seek(archive.offset)
        if file.read(len(_END)) != _END:
            raise tarfile.ReadError("it stops before its end mark")


def _holds_samples(path: Path) -> bool:
    try:
        with tarfile.open(path, "r:") as archive:
            for _, member in zip(range(4), archive, strict=False):
                if member.name.rpartition(".")[2].lower() in (*AUDIO, *video.SUFFIXES, *_LABELS):
                    return True
    except (tarfile.TarError, OSError, EOFError):
        return True  # to be refused with its reason
    return False


def _load(path: Path, offset: int, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(size)
