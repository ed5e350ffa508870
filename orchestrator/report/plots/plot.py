"""A plot with its texts, as the page lays it out, and the numbers that plots are made from."""

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
        summary: Plan joined with records.
        records: Trial id -> record.
        outcomes: Outcome of each held-out clip.
        styles: Arm -> color and shape, the same everywhere on the page.
    """

    summary: Summary
    records: Mapping[str, TrialRecord]
    outcomes: Outcomes
    styles: Mapping[str, Style]


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A figure of the page.

    Attributes:
        section: Id of the section to which it belongs.
        drawings: Its SVGs; empty for a note alone.
        caption: Text below them.
        title: Heading above them.
        folded: Text that unfolds it; empty if it is open from the start.
        layout: Size of the drawings; matrices have a size of their own.
        legend: Name -> color and shape.
        table: Table of the numbers behind it.
    """

    section: Literal["forest", "pattern", "curves", "classes"]
    drawings: tuple[str, ...] = ()
    caption: str = ""
    title: str = ""
    folded: str = ""
    layout: Literal["large", "small", "matrices"] = "large"
    legend: Mapping[str, Style] = field(default_factory=dict)
    table: Table | None = None
