"""A study's plots as matplotlib figures, to be changed and saved by whoever loaded it."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from orchestrator.analysis.curves import curves
from orchestrator.analysis.forest import forest_lines
from orchestrator.analysis.summary import Summary
from orchestrator.errors import ConfigError
from orchestrator.metrics import Metric
from orchestrator.records import TrialRecord
from orchestrator.report.wording.contrasts import unit_of_difference

BASELINE_COLOR = "0.45"


class StudyFigure(Figure):
    """A figure that a notebook shows without `pyplot`."""

    def _repr_png_(self) -> bytes:
        stream = io.BytesIO()
        self.savefig(stream, format="png", dpi=110)
        return stream.getvalue()


def forest_figure(summary: Summary) -> StudyFigure:
    """Draw paired differences with their 95 % intervals, in the order of the report.

    Points are means, filled where the adjusted test calls them; faint dots are single replicates.

    Raises:
        ConfigError: No arm can be compared yet.
    """
    lines = [line for line in forest_lines(summary) if line.mean is not None]
    if not lines:
        raise ConfigError(f"no block of {summary.plan.sweep} has finished in two arms yet")
    colors = _colors(summary)
    figure, axes = _empty(height=1.0 + 0.4 * len(lines))
    for row, line in enumerate(lines):
        color = colors.get(line.arm, "black")
        axes.plot(line.replicates, [row] * len(line.replicates), ".", color=color, alpha=0.3)
        if line.low is not None and line.high is not None:
            axes.plot([line.low, line.high], [row, row], "-", color=color)
        mean = math.nan if line.mean is None else line.mean
        axes.plot([mean], [row], "o", color=color, mfc=color if line.called else "white")
    if margin := summary.plan.margin_of(summary.metric.key):
        axes.axvspan(-margin, margin, color="0.9", zorder=0)
    axes.axvline(0.0, color="0.6", linewidth=0.8, zorder=0)
    axes.set_yticks(range(len(lines)), [_plain(line.label) for line in lines])
    axes.set_ylim(len(lines) - 0.5, -0.5)
    unit = unit_of_difference(summary.metric)
    title = f"difference in {summary.metric.title} from {summary.plan.baseline}"
    axes.set_xlabel(_plain(f"{title} ({unit})" if unit else title))
    return figure


def curves_figure(
    summary: Summary, records: Mapping[str, TrialRecord], metric: Metric
) -> StudyFigure:
    """Draw each arm's mean over epochs, with its 95 % interval over replicates as a band.

    Args:
        summary: The study.
        records: Trial id -> record.
        metric: What is drawn.

    Raises:
        ConfigError: No finished trial has the metric at its epochs.
    """
    drawn = curves(summary, records, metric)
    if not drawn:
        raise ConfigError(f"no finished trial of {summary.plan.sweep} has {metric.key} by epoch")
    colors = _colors(summary)
    figure, axes = _empty(height=3.5)
    for curve in drawn:
        color, epochs = colors[curve.arm], list(curve.epochs)
        axes.plot(
            epochs, [e.mean for e in curve.epochs.values()], color=color, label=_plain(curve.arm)
        )
        low = [math.nan if i.low is None else i.low for i in curve.epochs.values()]
        high = [math.nan if i.high is None else i.high for i in curve.epochs.values()]
        axes.fill_between(epochs, low, high, color=color, alpha=0.15, linewidth=0)
    axes.set_xlabel("epoch")
    axes.set_ylabel(_titled(metric))
    axes.legend(frameon=False)
    return figure


def dose_figure(summary: Summary) -> StudyFigure:
    """Draw the metric over the dose, on a log axis on which 0 and none have places of their own.

    Raises:
        ConfigError: The study is no dose series.
    """
    doses = summary.doses
    if not doses:
        raise ConfigError(
            f"{summary.plan.sweep} is no dose series; `dose_series` makes one, see the README"
        )
    logs = {item.arm: math.log10(item.dose) for item in doses if item.dose and item.dose > 0}
    apart = [item.arm for item in doses if item.arm not in logs]
    start = min(logs.values(), default=0.0)
    places = {arm: start - 0.6 * (len(apart) - i) for i, arm in enumerate(apart)} | logs
    colors = _colors(summary)
    figure, axes = _empty(height=3.5)
    for item in doses:
        x, color = places[item.arm], colors[item.arm]
        axes.plot([x] * len(item.values), item.values, ".", color=color, alpha=0.3)
        if item.interval.low is not None and item.interval.high is not None:
            axes.plot([x, x], [item.interval.low, item.interval.high], "-", color=color)
        axes.plot([x], [item.interval.mean], "o", color=color)
    texts = ["none" if item.dose is None else f"{item.dose:g}" for item in doses]
    axes.set_xticks([places[item.arm] for item in doses], texts)
    axes.set_xlabel(_plain(f"{summary.plan.dose} (log axis)"))
    axes.set_ylabel(_titled(summary.metric))
    return figure


def _empty(*, height: float) -> tuple[StudyFigure, Axes]:
    figure = StudyFigure(figsize=(7.0, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _colors(summary: Summary) -> dict[str, str]:
    others = [arm.name for arm in summary.arms if arm.name != summary.plan.baseline]
    return {summary.plan.baseline: BASELINE_COLOR} | {n: f"C{i}" for i, n in enumerate(others)}


def _titled(metric: Metric) -> str:
    return _plain(f"{metric.title} ({metric.unit})" if metric.unit else metric.title)


def _plain(text: str) -> str:
    """Return text in which matplotlib finds no formula."""
    return text.replace("$", r"\$")
