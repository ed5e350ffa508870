"""A function of the user's own, `module:function`, that lists the clips of a data root."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from typing import Any

from models.errors import ModelError, failure
from models.own_source import own_source
from orchestrator.data.layouts.labels import listed_label
from orchestrator.data.layouts.rows import Listing, Mistakes, Row
from orchestrator.data.layouts.tree import Tree
from orchestrator.errors import DataError, shown, unknown

KEYS = ("path", "label", "split", "fold", "recording", "start", "end")
"""Keys of a row: the first two are needed, the last two are seconds. A label is a name, a list of
names, or a list of events, each (name, onset, offset) in seconds."""


def read(tree: Tree, name: str) -> Listing:
    """Call `function(root)`; it returns mappings with some of `KEYS`.

    Args:
        tree: The data root.
        name: `module:function`; the module must be importable.

    Raises:
        DataError: It cannot be imported or fails; or names every mistake with its row.
    """
    rows = []
    mistakes = Mistakes(f"what {name} returned")
    for number, given in enumerate(_call(tree, name), start=1):
        where = f"row {number}"
        if not isinstance(given, Mapping):
            mistakes.add(where, f"is {shown(given)}; give a mapping with path and label")
            continue
        wrong = [key for key in given if key not in KEYS]
        lacking = [key for key in KEYS[:2] if key not in given]
        if wrong:
            mistakes.add(where, unknown("key", wrong[0], KEYS))
        if lacking:
            mistakes.add(where, f"lacks {' and '.join(lacking)}")
        if wrong or lacking:
            continue
        audio = tree.locate(str(given["path"]), where=where, mistakes=mistakes)
        label = listed_label(given["label"], where=where, mistakes=mistakes)
        start, end = (_time(given.get(key), where, key, mistakes) for key in ("start", "end"))
        if audio is None or label is None:
            continue
        rows.append(
            Row(
                where=where,
                audio=audio,
                label=label,
                split=_text(given.get("split")),
                fold=_text(given.get("fold")),
                recording=_text(given.get("recording")),
                start_s=start,
                end_s=end,
            )
        )
    if not rows and not mistakes:
        mistakes.add("", "no rows")
    return Listing(
        tuple(rows),
        left_out=tree.besides(row.audio.name for row in rows),
        recordings_are=f"of {name}" if any(row.recording for row in rows) else "",
        labels_are=name,
        mistakes=mistakes.found,
    )


def source_digest(name: str) -> str:
    """Return the digest of a function's module and of the user's modules that it imports.

    Raises:
        DataError: The module does not exist, or cannot be read.
    """
    try:
        return own_source(name.partition(":")[0]).digest
    except ModelError as error:
        raise DataError(f"layout {name!r}: {error}") from error


def _call(tree: Tree, name: str) -> Iterable[Any]:
    module, _, attribute = name.partition(":")
    try:
        function = getattr(importlib.import_module(module), attribute)
        return list(function(tree.root))
    except Exception as error:  # user code may raise anything
        hint = ""
        if isinstance(error, ImportError):
            hint = ". Put the module beside the sweep file, or its folder on PYTHONPATH"
        raise DataError(f"layout {name!r} failed with {failure(error)}{hint}") from error


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _time(value: Any, where: str, key: str, mistakes: Mistakes) -> float | None:
    if value is None:
        return None
    if isinstance(value, int | float) and 0 <= value < 1e7:
        return float(value)
    mistakes.add(where, f"{key} is {shown(value)}; give seconds from the start of the file")
    return None
