"""The plots of a report's page as SVG, one module per subject."""

from collections import defaultdict
from importlib import import_module

from orchestrator.report.plots.plot import Plot, PlotData

PLOTS = [
    "forest",
    "dose",
    "interaction",
    "search",
    "cost",
    "curves",
    "classes",
    "confusion",
    "events",
]
"""Modules with a function `plots(data)`, in the order of the page."""


def all_plots(data: PlotData) -> defaultdict[str, list[Plot]]:
    """Return section of the page -> plots that the study has numbers for."""
    found = defaultdict[str, list[Plot]](list)
    for name in PLOTS:
        for plot in import_module(f"{__name__}.{name}").plots(data):
            found[plot.section].append(plot)
    return found
