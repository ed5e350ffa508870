"""The tables of clips that every good trial misses alike, and of the contrasts without them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.analysis.missed import MIN_TRIALS, MissedAlike, missed_alike
from orchestrator.analysis.outcomes import class_name
from orchestrator.analysis.summary import Summary
from orchestrator.metrics.predictions import Loader
from orchestrator.records import TrialRecord
from orchestrator.report.tables.table import Column, Table, differences, p_cell
from orchestrator.report.wording.contrasts import unit_of_difference
from orchestrator.report.wording.findings import name_of

MAX_CLIPS = 10
TITLE = "Clips that every good trial misses alike"


def missed_tables(
    summary: Summary, records: Mapping[str, TrialRecord], load: Loader
) -> list[Table]:
    """Return the table of these clips and, if there are contrasts, that without them.

    Args:
        summary: The study.
        records: Trial id -> record.
        load: Function that reads a trial's predictions at the plan's epoch.
    """
    found = missed_alike(summary, records, load)
    if not found.clips:
        return []
    tables = [_clips(summary, found)]
    if found.without is not None and summary.contrasts:
        tables.append(_contrasts(summary, found.without, len(found.clips)))
    return tables


def _clips(summary: Summary, found: MissedAlike) -> Table:
    shown = found.clips[:MAX_CLIPS]
    more = len(found.clips) - len(shown)
    unheard = Column(
        key="unheard",
        title="not heard",
        texts=[_names(summary, one.unheard) for one in shown],
        keep=2,
    )
    return Table.of(
        [
            Column(key="clip", title="clip", texts=[one.clip for one in shown]),
            Column(key="listed", title="listed", texts=[_names(summary, c.listed) for c in shown]),
            # The one class of a clip is what is listed.
            *([] if found.one_class else [unheard]),
            Column(
                key="heard",
                title="heard instead",
                texts=[_names(summary, one.heard) for one in shown],
            ),
            Column(key="trials", title="trials", texts=[str(c.num_trials) for c in shown], keep=1),
        ],
        key="missed",
        title=TITLE,
        notes=(
            f"{len(found.clips)} of {found.num_clips} clips that {MIN_TRIALS} trials or more of "
            f"{', '.join(found.arms)} have predicted"
            + (f", {more} of them not shown" if more else "")
            + "; the most strongly missed come first. This is no proof of a wrong label: arms "
            "that share data, features or a start may share their errors, too. Listen to them.",
        ),
    )


def _contrasts(summary: Summary, without: Summary, num_clips: int) -> Table:
    named = [name_of(contrast) for contrast in summary.contrasts]
    unit = unit_of_difference(summary.metric)
    chosen = "one clip that was" if num_clips == 1 else f"{num_clips} clips that were"

    def cells(which: Summary) -> list[str]:
        return differences(
            [contrast.difference for contrast in which.contrasts],
            [contrast.called for contrast in which.contrasts],
        )

    return Table.of(
        [
            Column(key="contrast", title="contrast", texts=named),
            Column(key="all", title="all clips", unit=unit, texts=cells(summary)),
            Column(key="p", title="p", texts=_p(summary)),
            Column(key="without", title="without them", unit=unit, texts=cells(without)),
            Column(key="p_without", title="p without", texts=_p(without)),
        ],
        key="without-missed",
        title="The contrasts without these clips",
        notes=(
            f"Without {chosen} chosen by looking at the results: a check "
            "whether an answer hangs on them, no answer of its own.",
        ),
    )


def _p(summary: Summary) -> list[str]:
    return [p_cell(contrast) for contrast in summary.contrasts]


def _names(summary: Summary, classes: Sequence[int]) -> str:
    return ", ".join(class_name(summary, label) for label in classes) or "—"
