"""What lies in a data root, recognized and shown before anything is packed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from orchestrator.data.headers import read_headers
from orchestrator.data.layouts import recognize
from orchestrator.data.layouts.rows import Asked, Audio
from orchestrator.data.layouts.tree import Tree
from orchestrator.data.source import Source
from orchestrator.terminal.text import grid, laid_out

ESC_SECONDS = 5.0
_MOST_CLASSES = 12
_FIRST = ("layout", "labels", "targets")
"""Facts that are shown before the classes."""


def recognized(root: str, arguments: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the data set that reads a data root, and its arguments.

    ESC-50's csv is read as its protocol has it, by `esc`, unless most of its clips are shorter than
    5 s or an argument is given that only `folder` has.

    Args:
        root: The data root.
        arguments: Arguments that the user gave.

    Raises:
        DataError: No layout fits, or several do.
    """
    tree = Tree.of(root)
    known = {name: str(arguments.get(name, "")) for name in Asked.__dataclass_fields__}
    layout = arguments.get("layout") or recognize(tree, Asked(**known))
    if layout == "esc_csv" and not arguments.get("layout"):
        if "seconds" in arguments or "meta" in arguments or _of_five_seconds(tree):
            return "esc", arguments
    return "folder", {**arguments, "layout": layout}


def _of_five_seconds(tree: Tree) -> bool:
    names = [name for name in tree.audio if name.startswith("audio/")]
    headers = read_headers([Audio(name, tree.root / name) for name in names], root=tree.root)
    known = [header.seconds for header in headers.values() if header.seconds]
    return 2 * sum(length >= ESC_SECONDS for length in known) >= len(known)


def overview(source: Source, *, width: int) -> str:
    """Describe a source as a short table; headers are read, and no audio is decoded.

    Args:
        source: The data set.
        width: Width in terminal columns.
    """
    folds = Counter(clip.fold for clip in source.clips)
    counts = source.class_counts(source.clips)
    facts = dict(source.facts) or _facts_of_files(source)
    of_folds = ", ".join(f"{name} {folds[fold]}" for fold, name in source.fold_names.items())
    title = "splits" if "splits" in facts else "folds"
    rows = [
        ("data set", f"{source.name}, {source.root}" if source.root else source.name),
        *((key, text) for key, text in source.facts if key in _FIRST),
        ("classes", f"{len(counts)}: {_few(counts)}"),
        (title, of_folds + (f" ({facts[title]})" if title in facts else "")),
        *(
            (key, text)
            for key, text in source.facts or facts.items()
            if key not in (*_FIRST, title)
        ),
        *(("note", note) for note in source.notes if not source.facts),
    ]
    return laid_out(grid(rows), width=width).rstrip("\n")


def _facts_of_files(source: Source) -> dict[str, str]:
    audio = [Audio(clip.clip_id, Path(clip.path)) for clip in source.clips if clip.path]
    facts = {"recordings": str(len({clip.source_id for clip in source.clips}))}
    found = read_headers(audio, root=Path(source.root)) if source.root else {}
    lengths = sorted(header.seconds for header in found.values() if header.seconds)
    if lengths:
        low, high = lengths[0], lengths[-1]
        longest = "every clip is padded to the longest; windows by --dataset folder"
        facts["lengths"] = (
            f"{low:.3g} s" if low == high else f"{low:.3g} to {high:.3g} s ({longest})"
        )
        rates = Counter(header.rate_hz for header in found.values() if header.rate_hz)
        facts["rates"] = ", ".join(f"{rate} Hz {count}" for rate, count in sorted(rates.items()))
    if source.unlisted:
        count = len(source.unlisted)
        facts["left out"] = f"{count} audio files not listed, such as {source.unlisted[0]}"
    return facts


def _few(counts: dict[str, int]) -> str:
    shown = list(counts.items())[:_MOST_CLASSES]
    more = len(counts) - len(shown)
    text = ", ".join(f"{name} {count}" for name, count in shown)
    return text + (
        f" and {more} more, {min(counts.values())} clips or more each" if more > 0 else ""
    )
