"""FSD50K by its ground truth, with the clips that are here; see `official.fsd50k`.

`FSD50K.ground_truth` has `vocabulary.csv`, `dev.csv` and `eval.csv`; audio is named by Freesound's
id, in `FSD50K.dev_audio` and `FSD50K.eval_audio` or any other folders.
"""

from __future__ import annotations

import os

from orchestrator.data.layouts.lists import open_list
from orchestrator.data.layouts.rows import Asked, Audio, Listing, Mistakes, Row
from orchestrator.data.layouts.tree import Tree
from orchestrator.data.official import fsd50k
from orchestrator.errors import DataError

TITLE = (
    "FSD50K: vocabulary.csv with dev.csv and eval.csv beside it, and audio named by Freesound's id"
)
_VOCABULARY = "vocabulary.csv"
_LISTS = ("dev.csv", "eval.csv")


def fits(tree: Tree) -> bool:
    """Whether its vocabulary and one of its lists lie side by side."""
    return bool(_lists(tree))


def read(tree: Tree, asked: Asked) -> Listing:
    """List the clips that are here, and name those that are not.

    Raises:
        DataError: A list is broken, two files have one name, or no audio fits.
    """
    lists = _lists(tree)
    if not lists:
        raise DataError(f"{tree.root} has no {_VOCABULARY} with {' or '.join(_LISTS)} beside it")
    vocabulary = os.path.join(os.path.dirname(lists[0]), _VOCABULARY)
    names = fsd50k.read_classes(tree.root / vocabulary)
    mistakes = Mistakes(tree.root)
    files = tree.by_stem(mistakes)
    rows, absent = [], []
    for name in lists:
        for clip in fsd50k.read_clips(tree.root / name, names):
            file = files.get(clip.name)
            if file is None:
                absent.append((clip.split, clip.name))
                continue
            rows.append(
                Row(
                    where=f"{name} line {clip.line}",
                    audio=Audio(file, tree.root / file),
                    label=clip.labels,
                    split=clip.split,
                )
            )
    mistakes.refuse()
    if not rows:
        raise DataError(
            f"{tree.root} has the lists of FSD50K and none of its clips; put audio below it that "
            "is named by Freesound's id, such as FSD50K.dev_audio/64760.wav"
        )
    return Listing(
        tuple(rows),
        left_out=tree.besides(row.audio.name for row in rows),
        labels_are=f"labels of {' and '.join(lists)}",
        class_names=tuple(names),
        absent=tuple(absent),
    )


def _lists(tree: Tree) -> list[str]:
    """Return the lists beside the vocabulary; none if there is no vocabulary, or two."""
    found = [name for name in tree.ending(("csv",)) if os.path.basename(name) == _VOCABULARY]
    if len(found) != 1:
        return []
    names = [os.path.join(os.path.dirname(found[0]), name) for name in _LISTS]
    return [name for name in names if name in tree.files and _is_list(tree, name)]


def _is_list(tree: Tree, name: str) -> bool:
    try:
        return {"fname", "labels"} <= set(open_list(tree.root / name).columns)
    except DataError:
        return True  # to be refused with its reason
