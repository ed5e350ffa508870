"""ESC-50 (Piczak, ACM Multimedia 2015): 2,000 clips of 5 s, 50 classes, 5 folds.

https://github.com/karolpiczak/ESC-50. Its README says that clips of one Freesound source stay in
one fold; four sources are in two, each under two labels.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

from orchestrator.data.esc import read_bytes, read_rows
from orchestrator.data.official import Counted, Line, spread

TITLE = "ESC-50"
FILES = ("esc50/esc50.csv",)
_BY = "HTS-AT, section 3.2"


def count(folder: Path) -> Counted:
    """Count clips by fold and class, and name the recordings in more than one fold."""
    path = folder / FILES[0]
    rows = read_rows(path, read_bytes(path))
    per_class: dict[str, Counter[str]] = defaultdict(Counter)
    places: dict[str, set[tuple[int, str]]] = defaultdict(set)
    for _, fold, _, category, source in rows:
        per_class[f"fold {fold}"][category] += 1
        places[source].add((fold, category))
    leaking = {
        source: held for source, held in places.items() if len({fold for fold, _ in held}) > 1
    }
    named = "; ".join(
        f"{source} ({', '.join(f'{category} in fold {fold}' for fold, category in sorted(held))})"
        for source, held in sorted(leaking.items())
    )
    classes = Counter(category for _, _, _, category, _ in rows)
    folds = Counter(fold for _, fold, *_ in rows)
    lines = (
        Line("clips", len(rows), 2000, _BY),
        Line("classes", len(classes), 50, _BY),
        Line("clips a class", spread(classes), "40", "Piczak 2015"),
        Line("folds", len(folds), 5, _BY),
        Line("clips a fold", spread({str(fold): n for fold, n in folds.items()}), "400", _BY),
        Line("Freesound sources", len(places)),
        Line("sources in two folds", len(leaking), 0, "README of ESC-50", named),
    )
    return Counted(lines, {split: per_class[split] for split in sorted(per_class)})
