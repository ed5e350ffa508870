"""The layouts of a data root that are recognized, one module each.

A module has `TITLE`, a phrase for the user; `fits(tree)`, which recognizes its layout from the
names and first lines of files; and `read(tree, asked)`, which returns its `Listing`.
"""

from __future__ import annotations

import importlib
from typing import Protocol, cast

from orchestrator.data.layouts.rows import Asked, Listing, Mistakes
from orchestrator.data.layouts.tree import AUDIO, Tree
from orchestrator.errors import DataError, unknown

PUBLISHED = (
    *("esc_csv", "vggsound", "kinetics_sounds", "epic_kitchens", "audioset", "fsd50k", "desed"),
)
"""Data sets by their official lists, which say more than the folders around them."""

LAYOUTS = (
    *PUBLISHED,
    "huggingface",
    "webdataset",
    "kaldi",
    "raven",
    "audacity",
    "table",
    "split_folders",
    "class_folders",
    "file_names",
)
_NAMED = ("table", "path", "label", "split", "fold", "start", "end")
"""What a user names of a list."""
_TAKES = {
    **{layout: _NAMED for layout in ("table", "huggingface")},
    **{layout: ("label",) for layout in ("kaldi", "raven", "webdataset", "epic_kitchens")},
    **{layout: ("table",) for layout in ("audioset", "vggsound", "kinetics_sounds", "esc_csv")},
}
_ARCHIVES = ("zip", "gz", "tgz", "7z", "rar", "bz2", "xz")


class Layout(Protocol):
    """What a module of this folder offers."""

    TITLE: str

    def fits(self, tree: Tree) -> bool:
        """Whether the files look like this layout."""
        ...

    def read(self, tree: Tree, asked: Asked) -> Listing:
        """List the clips."""
        ...


def layout_of(name: str) -> Layout:
    """Return a layout's module.

    Raises:
        DataError: There is no such layout.
    """
    if name not in LAYOUTS:
        hint = "a function of your own is layout=module:function"
        raise DataError(unknown("layout", name, LAYOUTS, hint=hint))
    return cast(Layout, importlib.import_module(f"{__name__}.{name}"))


def refuse_unused(layout: str, asked: Asked) -> None:
    """Raise a `DataError` if the user names what a layout does not have, such as a column."""
    unused = [
        f"{name}={value}"
        for name in _NAMED
        if (value := getattr(asked, name)) and name not in _TAKES.get(layout, ())
    ]
    if unused:
        title = f"the list of {layout}" if ":" in layout else layout_of(layout).TITLE
        takes = ", ".join(_TAKES.get(layout, ())) or "none of them"
        raise DataError(
            f"{', '.join(unused)}: read as {title}, the data set has no such column (this layout "
            f"takes {takes}). Leave it out, or name the layout of your list: --dataset "
            "folder:layout=table"
        )


def recognize(tree: Tree, asked: Asked) -> str:
    """Return the name of the one layout that fits a folder.

    Args:
        tree: The folder.
        asked: What the user said about it, for readings that are compared.

    Raises:
        DataError: No layout fits, or several do and disagree; the message names their flags.
    """
    if asked.label_pattern:
        return "file_names"
    from orchestrator.data.layouts import class_folders

    fitting = [name for name in LAYOUTS if layout_of(name).fits(tree)]
    official = [name for name in fitting if name in PUBLISHED]
    if len(official) == 1:
        return official[0]
    fitting = official or fitting
    if len(fitting) == 2 and _agree(tree, asked, fitting):
        return fitting[0]
    readings = [f"{layout_of(name).TITLE}: --dataset folder:layout={name}" for name in fitting]
    if fitting == ["class_folders"] and (folders := class_folders.nested(tree)):
        outer, inner = folders
        readings = [
            f"the outer folders are classes, such as {outer}: --dataset "
            "folder:layout=class_folders",
            f"the inner folders are classes, such as {inner}: --dataset "
            f"'folder:label_pattern={class_folders.INNER}'",
        ]
    if len(readings) > 1:
        listed = "\n".join(f"  - {reading}" for reading in readings)
        raise DataError(
            f"{tree.root} can be read in {len(readings)} ways; say which with one of these flags "
            f"(in `python -m orchestrator.data`: --set layout=... or the like):\n{listed}"
        )
    if fitting:
        return fitting[0]
    raise DataError(f"{tree.root} has no layout that is recognized: {_why_none(tree)}")


def _agree(tree: Tree, asked: Asked, fitting: list[str]) -> bool:
    """Whether a list and folders per class give all clips the same labels."""
    if fitting[0] not in ("table", "huggingface") or fitting[1] not in (
        "split_folders",
        "class_folders",
    ):
        return False
    try:
        first, second = (layout_of(name).read(tree, asked) for name in fitting)
    except DataError:
        return False
    if first.mistakes or second.mistakes:
        return False
    labels = {row.audio.name: row.label for row in second.rows}
    return all(labels.get(row.audio.name) == row.label for row in first.rows)


def _why_none(tree: Tree) -> str:
    from orchestrator.data.layouts import table

    lists = table.nearly(tree)
    if lists:
        listing = table.read(tree, Asked(table=lists[0]))  # raises what is wrong with it
        Mistakes(tree.root, listing.mistakes).refuse()
    expected = "\n".join(f"  - {name}: {layout_of(name).TITLE}" for name in LAYOUTS)
    other, archives = tree.not_decoded, tree.ending(_ARCHIVES)
    if tree.audio:
        what = (
            f"{len(tree.audio)} audio files and nothing that gives them labels. If their names do, "
            "say where: --dataset 'folder:label_pattern=([^/_]+)_' finds dog in a/dog_3.wav"
        )
    elif other:
        what = (
            f"{len(other)} files such as {other[0]}, which libsndfile cannot decode; install PyAV, "
            "which does (pip install av), or convert them once, for example: "
            f"ffmpeg -i {other[0]} {other[0].rpartition('.')[0]}.flac"
        )
    elif archives:
        what = f"no audio files, and archives such as {archives[0]}; unpack them"
    else:
        what = f"no audio files ({', '.join(AUDIO)})"
    return (
        f"it has {what}. Recognized are\n{expected}\n  - a function of your own: --dataset "
        "folder:layout=module:function"
    )
