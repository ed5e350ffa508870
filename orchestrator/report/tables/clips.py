"""The table of clips that a contrast flipped between right and wrong."""

from __future__ import annotations

from orchestrator.analysis.confusion import flips
from orchestrator.analysis.evidence import ContrastEvidence
from orchestrator.analysis.outcomes import Outcomes, class_name
from orchestrator.analysis.summary import Summary
from orchestrator.report.tables.table import Column, Table

MAX_CLIPS = 10


def flipped_clips(summary: Summary, contrast: ContrastEvidence, outcomes: Outcomes) -> Table | None:
    """Return the clips that a contrast flipped in most pairs: clip, class, pairs, flips either way.

    Returns:
        The table; None if no clip flipped.
    """
    every = flips(contrast, outcomes)
    flipped = [counts for counts in every if counts.gained or counts.lost]
    if not flipped:
        return None
    columns = ("clip", "class", "pairs", "wrong → right", "right → wrong")
    return Table(
        columns=tuple(Column(key=title, title=title) for title in columns),
        rows=tuple(
            (c.clip, class_name(summary, c.label), *map(str, (c.pairs, c.gained, c.lost)))
            for c in flipped[:MAX_CLIPS]
        ),
        notes=(
            f"{len(flipped)} of {len(every)} held-out clips flipped in at least one pair of "
            f"trials, from {contrast.reference} to {contrast.arm}; those that flipped one way in "
            "most pairs come first. They were chosen by looking: listen to them, conclude nothing.",
        ),
    )
