"""The plots of a report's page, as SVG, each in a module of its own."""

from importlib import import_module

from orchestrator.report.plots.plot import Plot, PlotData

PLOTS = ["forest", "dose", "interaction", "cost", "curves", "classes", "confusion"]
"""Modules with a function `plots(data)`, in the order in which the page shows what they return."""


def all_plots(data: PlotData) -> list[Plot]:
    """Return every plot that a study has the numbers for."""
    modules = (import_module(f"{__name__}.{name}") for name in PLOTS)
    return [plot for module in modules for plot in module.plots(data)]
