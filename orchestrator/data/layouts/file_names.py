"""Labels in the names of files, such as `7_jackson_3.wav`, found by a regular expression."""

from __future__ import annotations

import re

from orchestrator.data.layouts.rows import Asked, Audio, Listing, Mistakes, Row, check_label
from orchestrator.data.layouts.tree import Tree
from orchestrator.errors import DataError

TITLE = "labels in the names of files, by label_pattern"


def fits(tree: Tree) -> bool:
    """Never, since a name says nothing without a pattern; `label_pattern` chooses this layout."""
    return False


def read(tree: Tree, asked: Asked) -> Listing:
    """List the audio files whose path the pattern is found in; its first group is the label.

    Raises:
        DataError: There is no pattern, it is no regular expression, or it is found in no path.
    """
    mistakes = Mistakes(tree.root)
    try:
        search = re.compile(asked.label_pattern).search
    except re.error as error:
        raise DataError(
            f"label_pattern {asked.label_pattern!r} is no regular expression: {error}"
        ) from error
    rows, left_out = [], []
    for name in tree.audio:
        match = search(name) if asked.label_pattern else None
        if match is None:
            left_out.append(name)
            continue
        label = (match[1] if match.re.groups else match[0]) or ""
        check_label(label, name, mistakes)
        rows.append(Row(where=name, audio=Audio(name, tree.root / name), label=label))
    if not rows:
        paths = f"{len(left_out)} paths, such as {left_out[0]!r}" if left_out else "no audio files"
        raise DataError(
            f"label_pattern {asked.label_pattern!r} is found in none of {paths}; give a regular "
            "expression whose first group is the label, for example ([^/_]+)_"
        )
    mistakes.refuse()
    return Listing(tuple(rows), left_out=tuple(left_out), labels_are=asked.label_pattern)
