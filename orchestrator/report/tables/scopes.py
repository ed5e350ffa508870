"""The two scopes of every declared comparison: other seeds, and other recordings too."""

from __future__ import annotations

from orchestrator.analysis.evidence import Evidence
from orchestrator.analysis.summary import Summary
from orchestrator.report.tables.table import Column, Table, common_places
from orchestrator.report.wording.contrasts import half_width, places_of, unit_of_difference
from orchestrator.report.wording.findings import name_of
from orchestrator.report.wording.numbers import align, bracket


def tables(summary: Summary) -> list[Table]:
    """Return a row per comparison whose predictions and recordings are known; none without any."""
    findings = [f for f in summary.findings if f.over_recordings is not None]
    if not findings:
        return []
    unit = unit_of_difference(summary.metric)
    places = common_places([places_of(f.difference) for f in findings], places_of(None))
    columns = [
        Column(key="contrast", title="contrast", texts=[name_of(f) for f in findings]),
        Column(
            key="seeds",
            title="other seeds",
            unit=unit,
            texts=[_over_seeds(f, places) for f in findings],
        ),
        Column(
            key="both",
            title="and recordings",
            unit=unit,
            texts=[_over_both(f, places) for f in findings],
        ),
        Column(key="num", title="recordings", keep=3, texts=align(list(map(_count, findings)))),
        Column(
            key="narrowed", title="narrowed by", keep=4, texts=list(map(_narrowed_by, findings))
        ),
    ]
    return [
        Table.of(
            columns,
            key="scopes",
            title="What the differences hold for",
            notes=(
                "Other seeds: on these very clips, as tested. And recordings: on other recordings, "
                "too, by crossed mean squares of seeds and recordings, clips of one recording "
                "together; at least as wide. Narrowed by: what more of would narrow that most.",
            ),
        )
    ]


def _narrowed_by(evidence: Evidence) -> str:
    """Name what more of would narrow the interval over seeds and recordings most."""
    found = evidence.over_recordings
    if found is None or half_width(found) is None:
        return ""
    return " or ".join(found.narrowed_by)


def _over_seeds(evidence: Evidence, places: int) -> str:
    difference = evidence.difference
    if difference is None or difference.low is None or difference.high is None:
        return ""
    return bracket(difference.low, difference.high, places, called=evidence.called)


def _over_both(evidence: Evidence, places: int) -> str:
    found = evidence.over_recordings
    if found is None or found.low is None or found.high is None:
        return ""
    return bracket(found.low, found.high, places, called=evidence.called)


def _count(evidence: Evidence) -> str:
    found = evidence.over_recordings
    return str(found.num_recordings) if found else ""
