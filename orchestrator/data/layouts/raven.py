"""RAVEN selection tables: tab-separated, with `Begin Time (s)`, `End Time (s)` and an annotation.

https://ravensoundsoftware.com. A selection is there once per view; one is kept. Times count from
the start of the first file, so where a table spans several files, `File Offset (s)` counts.
A selection is a sound event.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.data.layouts.lists import List, named, open_list, read_text
from orchestrator.data.layouts.rows import (
    Asked,
    Audio,
    ListedEvent,
    Listing,
    Mistakes,
    Row,
    check_label,
    seconds,
)
from orchestrator.data.layouts.tree import Tree
from orchestrator.errors import DataError, shown

TITLE = "RAVEN selection tables, a text file with the sound events of each audio file"
BEGIN, END, OFFSET, FILE = "Begin Time (s)", "End Time (s)", "File Offset (s)", "Begin File"
LABELS = ("annotation", "label", "species", "species_code", "class", "type", "call_type", "tags")
_TRIED = 20


def fits(tree: Tree) -> bool:
    """Whether a text file begins like a selection table."""
    return bool(_tables(tree, most=1))


def read(tree: Tree, asked: Asked) -> Listing:
    """List the selections of all tables."""
    mistakes = Mistakes(tree.root)
    rows: list[Row] = []
    labels = set()
    for name in _tables(tree):
        listed = open_list(tree.root / name, tabs=True)
        if END not in listed.columns:
            mistakes.add(f"{name} line 1", f"has {BEGIN!r} and no {END!r}; export both from RAVEN")
            continue
        label = _label_column(listed, asked)
        labels.add(label)
        own, problem = _of_its_name(tree, name)
        seen: dict[str, tuple[str, str]] = {}
        for number, line in listed.rows:
            where = f"{name} line {number}"
            key = str(line.get("Selection") or number)
            times = (line[BEGIN], line[END])
            if key in seen:
                if seen[key] != times:
                    mistakes.add(where, f"selection {key} is there twice with different times")
                continue
            seen[key] = times
            if not line.get(FILE) and own is None:
                mistakes.add(where, problem)
                break  # as in every other line of the table
            if row := _row(tree, name, line, label, own, where, mistakes):
                rows.append(row)
    if not rows and not mistakes:
        raise DataError(f"{tree.root} has selection tables without a selection")
    return Listing(
        tuple(rows),
        left_out=tree.besides(row.audio.name for row in rows),
        labels_are=" and ".join(f"column {label}" for label in sorted(labels)),
        mistakes=mistakes.found,
    )


def _row(
    tree: Tree,
    name: str,
    line: Mapping[str, Any],
    label: str,
    own: Path | None,
    where: str,
    mistakes: Mistakes,
) -> Row | None:
    begin, end = seconds(line[BEGIN]), seconds(line[END])
    if begin is None or end is None or end <= begin:
        mistakes.add(
            where, f"the selection from {shown(line[BEGIN])} to {shown(line[END])} has no length"
        )
        return None
    offset = seconds(line.get(OFFSET) or "")
    if offset is not None:
        begin, end = offset, offset + end - begin
    text = line.get(FILE) or ""
    audio, problem = tree.find(text, beside=os.path.dirname(name)) if text else (own, "")
    if audio is None:
        mistakes.add(where, f"its audio {shown(text)} {problem}")
        return None
    check_label(line[label], where, mistakes)
    known = tree.name_of(audio)
    return Row(
        where=where,
        audio=Audio(known, audio),
        label=(ListedEvent(line[label].strip(), begin, end, where),),
    )


def _of_its_name(tree: Tree, table: str) -> tuple[Path | None, str]:
    """Find the audio file that a table is named after, such as `x.Table.1.selections.txt`."""
    stem = table.removesuffix(".txt")
    while stem:
        found = [name for name in tree.audio if name.rpartition(".")[0] == stem]
        if found:
            return tree.root / found[0], ""
        stem = stem.rpartition(".")[0] if "." in os.path.basename(stem) else ""
    return None, f"no audio file has the name of this table and it has no column {FILE!r}"


def _label_column(listed: List, asked: Asked) -> str:
    if asked.label:
        if asked.label not in listed.columns:
            raise DataError(f"{listed.path} has no column {asked.label!r}")
        return asked.label
    lower = {name.lower().replace(" ", "_"): name for name in listed.columns}
    found = next((lower[name] for name in LABELS if name in lower), None)
    found = found or next(iter(named(listed.columns, "label")), None)
    if found is None:
        raise DataError(
            f"{listed.path} line 1: no column has a usual name of a label; its columns are "
            f"{', '.join(listed.columns)}. Name one: --dataset folder:layout=raven,label=COLUMN"
        )
    return found


def _tables(tree: Tree, *, most: int = 0) -> list[str]:
    found = []
    texts = sorted(tree.ending(("txt",)), key=lambda name: (".selections." not in name, name))
    for tried, name in enumerate(texts):
        if most and (len(found) == most or tried == _TRIED):
            break
        try:
            first = read_text(tree.root / name).partition("\n")[0]
        except DataError:
            continue
        if BEGIN in first.split("\t"):
            found.append(name)
    return found
