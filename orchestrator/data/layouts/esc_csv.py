"""ESC-50's layout read as any other, for clips of other lengths; see `orchestrator.data.esc`."""

from __future__ import annotations

from orchestrator.data import esc
from orchestrator.data.layouts.rows import Asked, Audio, Listing, Row
from orchestrator.data.layouts.tree import Tree

TITLE = f"ESC-50's meta/*.csv with the columns {', '.join(esc.COLUMNS)} and a folder audio"


def fits(tree: Tree) -> bool:
    """Whether there are `meta/*.csv` with ESC's columns and a folder `audio`."""
    lists = [name for name in tree.files if name.startswith("meta/") and name.endswith(".csv")]
    return "audio" in tree.folders and any(not esc.unfit(tree.root / name) for name in lists)


def read(tree: Tree, asked: Asked) -> Listing:
    """List the clips of the csv; `asked.table` chooses among several."""
    path = esc.find_list(tree.root, asked.table.rpartition("/")[2])
    rows = tuple(
        Row(
            where=tree.name_of(path),
            audio=Audio(filename, tree.root / "audio" / filename),
            label=category,
            fold=str(fold),
            recording=source_id,
        )
        for filename, fold, _, category, source_id in esc.read_rows(path, esc.read_bytes(path))
    )
    listed = {f"audio/{row.audio.name}" for row in rows}
    left_out = tuple(n for n in tree.audio if n.startswith("audio/") and n not in listed)
    return Listing(
        rows, left_out=left_out, recordings_are="of src_file", labels_are="column category"
    )
