"""A plot with its texts, and the numbers behind all plots."""

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
        section: Id of its section.
        drawings: Its SVGs; empty for a note alone.
        caption: Text below them.
        title: Heading above them.
        folded: Text that unfolds the plot; empty if it starts open.
        metric: Metric shown, where the section has the same plot of others.
        layout: Size of the drawings; matrices have their own size.
        legend: Name -> color and shape.
        table: Table of the numbers in the plot.
    """

    section: Literal["forest", "pattern", "curves", "classes"]
    drawings: tuple[str, ...] = ()
    caption: str = ""
    title: str = ""
    folded: str = ""
    metric: str = ""
    layout: Literal["large", "small", "matrices"] = "large"
    legend: Mapping[str, Style] = field(default_factory=dict)
    table: Table | None = None
