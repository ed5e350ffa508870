"""Folders train, validation and test, or fold1, fold2 and so on, each with a folder per class."""

from __future__ import annotations

import re
from dataclasses import replace

from orchestrator.data.layouts import class_folders
from orchestrator.data.layouts.rows import TRAIN, Asked, Listing, Mistakes, Row, split_named
from orchestrator.data.layouts.tree import Tree

TITLE = "folders train, validation or test, or folds, each with a folder per class"
_FOLD = re.compile(r"fold[ _-]*[0-9]+", re.IGNORECASE)


def fits(tree: Tree) -> bool:
    """Whether folders of splits, one to train on, or of folds hold folders of classes."""
    root, found = class_folders.class_root(tree), _splits(tree)
    with_classes = [
        folder
        for folder in found
        if class_folders.classes_below(tree, f"{root}/{folder}" if root else folder)
    ]
    divided = TRAIN in found.values() or all(map(_FOLD.fullmatch, found))
    return divided and len(set(found.values())) > 1 and bool(with_classes)


def read(tree: Tree, asked: Asked) -> Listing:
    """List the clips of all splits."""
    mistakes = Mistakes(tree.root)
    rows: list[Row] = []
    root, found = class_folders.class_root(tree), _splits(tree)
    start, audio = f"{root}/" if root else "", set(tree.audio)
    for folder, split in found.items():
        below, left = class_folders.read_classes(tree, start + folder, mistakes, split=split)
        loose = [name for name in left if name in audio]
        if loose and not below:
            mistakes.add(
                loose[0],
                f"{start}{folder} has audio and no folder per class, so nothing gives its labels",
            )
        rows += (
            [replace(row, split="", fold=folder) for row in below]
            if _FOLD.fullmatch(folder)
            else below
        )
    for split in {split for split in found.values()}:
        if sum(one == split for one in found.values()) > 1:
            both = " and ".join(folder for folder, one in found.items() if one == split)
            mistakes.add("", f"folders {both} both mean {split}; remove or rename one")
    mistakes.refuse()
    used = {row.audio.name for row in rows}
    left_out = tuple(name for name in tree.files if name not in used)
    return Listing(tuple(rows), left_out=left_out, labels_are="folders")


def _splits(tree: Tree) -> dict[str, str]:
    """Return the folders that are splits or folds; none if others with audio lie beside them."""
    names = class_folders.classes_below(tree, class_folders.class_root(tree))
    if names and all(map(_FOLD.fullmatch, names)):
        return {name: name for name in names}
    found = {name: split_named(name) for name in names}
    return found if found and all(found.values()) else {}
