"""A plot with its words, as the page lays it out, and the numbers that plots are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from orchestrator.analysis.outcomes import Outcomes
from orchestrator.analysis.summary import Summary
from orchestrator.records import TrialRecord
from orchestrator.report.plots.svg import Style
from orchestrator.report.tables.table import Table


@dataclass(frozen=True, kw_only=True)
class PlotData:
    """The numbers of a study.

    Attributes:
        summary: plan joined with records.
        records: id -> record.
        outcomes: what became of each held-out clip.
        styles: arm -> color and shape, the same everywhere on the page.
    """

    summary: Summary
    records: Mapping[str, TrialRecord]
    outcomes: Outcomes
    styles: Mapping[str, Style]


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A figure of the page.

    Attributes:
        section: id of the section in which it stands.
        drawings: SVG; none for a note alone.
        caption: below them.
        title: heading above; empty for none.
        folded: what the reader clicks on to see it; empty where it is open.
        layout: how large the drawings are; matrices have a size of their own.
        legend: name -> color and shape.
        table: the numbers behind it.
    """

    section: Literal["forest", "pattern", "curves", "classes"]
    drawings: tuple[str, ...] = ()
    caption: str = ""
    title: str = ""
    folded: str = ""
    layout: Literal["large", "small", "matrices"] = "large"
    legend: Mapping[str, Style] = field(default_factory=dict)
    table: Table | None = None
