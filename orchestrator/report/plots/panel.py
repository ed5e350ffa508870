"""A panel: two axes, the drawing between them, and text for screen readers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.metrics import Metric
from orchestrator.report.plots import svg
from orchestrator.report.wording.numbers import number
from orchestrator.stats import MeanInterval

WIDTH = 400.0
"""Width of a plot in pixels, small enough for a phone; the style sheet enlarges it elsewhere."""

LINE = 16.0
"""Height of a line of text, in pixels."""

MAX_STACK = 12.0
"""Length of a stack of equal values, in pixels."""

MAX_NAME = 140.0
"""Maximum length of a turned name, in pixels."""

Ends = tuple[float | None, float | None]
"""Ends of an interval; None without an interval."""


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A scale and the texts along it.

    Attributes:
        low: Value at the left or at the bottom.
        high: Value at the right or at the top.
        ticks: Value -> text of one or more lines.
        log: Whether the scale is logarithmic.
        grid: Whether every tick has a line across the panel.
        turned: Whether the texts read upward.
    """

    low: float
    high: float
    ticks: Mapping[float, str]
    log: bool = False
    grid: bool = False
    turned: bool = False

    def share(self, value: float) -> float:
        """Return the position of a value between `low` (0) and `high` (1)."""
        low, at, high = (math.log(v) if self.log else v for v in (self.low, value, self.high))
        return (at - low) / ((high - low) or 1.0)


def linear_axis(
    values: Iterable[float | None], *, max_ticks: int = 6, signed: bool = False
) -> Axis:
    """Return an axis with a grid of round values that encloses all values except None."""
    known = [value for value in values if value is not None]
    marks = ticks(min(known), max(known), most=max_ticks)
    places = max(0, -math.floor(math.log10(marks[1] - marks[0]) + 1e-9))
    texts = {mark: number(mark, places, signed=signed) for mark in marks}
    return Axis(low=marks[0], high=marks[-1], ticks=texts, grid=True)


def name_axis(names: Sequence[str], room: float) -> Axis:
    """Return an axis of names at 0, 1, ..., turned upward if `room` pixels are too few."""
    longest = max(len(word) for name in names for word in name.split() or [""])
    turned = longest * svg.CHARACTER > room - 4
    texts = (svg.clip(n, MAX_NAME) if turned else "\n".join(svg.wrap(n, room - 4)) for n in names)
    return Axis(low=-0.5, high=len(names) - 0.5, ticks=dict(enumerate(texts)), turned=turned)


class Panel:
    """A drawing with two axes; later calls draw over earlier ones, and `str` gives the SVG.

    Args:
        height: Height between the axes, in pixels.
        x: Horizontal axis, with its texts below.
        y: Vertical axis, with its texts on the left.
        spoken: Text for screen readers, followed by the titles of the points.
        title: Text at the top left.
        caption: Text below the horizontal axis.
        width: Width of the whole drawing, in pixels.
        left: Left margin, for the texts of `y`, in pixels.
        right: Right margin, in pixels.
        arm: The one arm that is shown, if so.
        read: Whether the page's script reads values off the curves.
    """

    def __init__(
        self,
        height: float,
        *,
        x: Axis,
        y: Axis,
        spoken: str,
        title: str = "",
        caption: str = "",
        width: float = WIDTH,
        left: float = 52,
        right: float = 14,
        arm: str = "",
        read: bool = False,
    ):
        heads = svg.wrap(title, width - 4)
        self._x, self._y, self._width = x, y, width
        self._left, self._right = left, width - right
        self._top = 10 + LINE * len(heads)
        self._bottom = self._top + height
        self._arm, self._read = arm, read
        self._spoken, self._titles, self._parts = spoken, list[str](), list[str]()
        self._write(4, 9 + LINE / 2 * (len(heads) - 1), "\n".join(heads))
        self._mark_y()
        below = self._mark_x()
        middle = (self._left + self._right) / 2
        lines = svg.wrap(caption, 2 * min(middle, width - middle))
        self._end = below + LINE * len(lines) + 6
        center = below + LINE / 2 * len(lines)
        self._write(middle, center, "\n".join(lines), anchor="middle", kind="axis")

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return the pixels of a point between the axes."""
        across, up = self._x.share(x), self._y.share(y)
        return (
            self._left + across * (self._right - self._left),
            self._bottom - up * (self._bottom - self._top),
        )

    def line(self, points: svg.Points, *, kind: str = "curve", color: str = "") -> None:
        """Draw a line through points; the kind `band` fills the enclosed area instead."""
        self._parts.append(svg.line((self.at(*p) for p in points), kind=kind, color=color))

    def box(
        self,
        one: tuple[float, float],
        other: tuple[float, float],
        *,
        kind: str,
        title: str,
        color: str,
        opacity: float | None = None,
        words: str = "",
    ) -> None:
        """Fill the rectangle between two opposite corners, with centered words."""
        (x1, y1), (x2, y2) = self.at(*one), self.at(*other)
        corners = ((x1, y1), (x2, y1), (x2, y2), (x1, y2))
        body = [svg.line(corners, kind=kind, color=color, opacity=opacity, closed=True)]
        if words:
            body.append(svg.text((x1 + x2) / 2, (y1 + y2) / 2 + 4, words, anchor="middle"))
        self._parts.append(svg.group(body, title=title))

    def label(self, y: float, words: str) -> None:
        """Write lines at the left edge, centered on a value of the vertical axis."""
        self._write(4, self.at(self._x.low, y)[1], words, kind="label halo")

    def point(
        self,
        x: float,
        y: float,
        style: svg.Style,
        *,
        title: str,
        x_ends: Ends = (None, None),
        y_ends: Ends = (None, None),
        faint: svg.Points = (),
        hollow: bool = False,
        arm: str = "",
    ) -> None:
        """Draw a point with its intervals.

        Args:
            x: Value on the horizontal axis.
            y: Value on the vertical axis.
            style: Color and shape.
            title: Tooltip, and text for screen readers.
            x_ends: Ends of the horizontal interval.
            y_ends: Ends of the vertical interval.
            faint: Single values beside the point; equal ones stand in a stack.
            hollow: Whether only the rim is drawn.
            arm: Arm that is shown, if it is one.
        """
        stacks = Counter[tuple[float, float]]()
        body, beside = list[str](), y_ends != (None, None)
        places = [self.at(*p) for p in faint]
        deepest = Counter((round(a), round(b)) for a, b in places)
        for across, down in places:
            spot = round(across), round(down)
            step = min(4.0, MAX_STACK / max(1, deepest[spot] - 1)) * stacks[spot]
            stacks[spot] += 1
            at = (across + 9 + step, down) if beside else (across, down + step)
            body.append(svg.marker(*at, style, radius=2.8, kind="faint"))
        for bar in ([(end, y) for end in x_ends], [(x, end) for end in y_ends]):
            ends = [self.at(a, b) for a, b in bar if a is not None and b is not None]
            body += [svg.line(ends, kind="interval", color=style.color)] if len(ends) == 2 else []
        kind = "point hollow" if hollow else "point"
        body.append(svg.marker(*self.at(x, y), style, radius=5.2, kind=kind))
        self._parts.append(svg.group(body, title=title, arm=arm))
        self._titles.append(title)

    def __str__(self) -> str:
        """Return the SVG."""
        label = f"{self._spoken}: {'; '.join(self._titles)}" if self._titles else self._spoken
        data = {"arm": self._arm}
        if self._read:
            data["x"] = f"{self._x.low:g},{self._x.high:g},{self._left:g},{self._right:g}"
            data["y"] = f"{self._y.low:g},{self._y.high:g},{self._bottom:g},{self._top:g}"
        return svg.figure(self._width, self._end, self._parts, label=label, data=data)

    def _mark_y(self) -> None:
        for value, words in self._y.ticks.items():
            at = self.at(self._x.low, value)[1]
            if self._y.grid:
                self._parts.append(svg.line(((self._left, at), (self._right, at)), kind="grid"))
            self._write(self._left - 6, at, words, anchor="end", kind="tick")

    def _mark_x(self) -> float:
        """Draw the ticks, skipping texts that overlap the previous one; return where they end."""
        free, depth = -math.inf, 0.0
        for value, words in sorted(self._x.ticks.items()):
            at = self.at(value, self._y.low)[0]
            start = self._top if self._x.grid else self._bottom
            self._parts.append(svg.line(((at, start), (at, self._bottom + 5)), kind="grid"))
            lines = words.split("\n")
            wide, tall = max(map(len, lines)) * svg.CHARACTER, LINE * len(lines)
            if self._x.turned:
                place = at + 4, self._bottom + 9
                self._parts.append(svg.text(*place, words, anchor="end", kind="tick", turned=True))
                depth = max(depth, wide)
            elif at - wide / 2 >= free:
                self._write(at, self._bottom + 6 + tall / 2, words, anchor="middle", kind="tick")
                depth, free = max(depth, tall), at + wide / 2 + 4
        return self._bottom + 8 + depth

    def _write(
        self, x: float, middle: float, words: str, *, anchor: str = "start", kind: str = "label"
    ) -> None:
        """Write lines centered on a height in pixels."""
        lines = words.split("\n") if words else []
        first = middle + 4 - LINE / 2 * (len(lines) - 1)
        for i, line in enumerate(lines):
            self._parts.append(svg.text(x, first + LINE * i, line, anchor=anchor, kind=kind))


def mean_text(mean: MeanInterval, metric: Metric) -> str:
    """Write a mean with four digits and its unit."""
    return f"{mean.mean:.4g} {metric.unit}".strip()


def with_unit(metric: Metric) -> str:
    """Return a metric's title with its unit, if any."""
    return f"{metric.title}, {metric.unit}" if metric.unit else metric.title


def ticks(low: float, high: float, *, most: int = 6) -> list[float]:
    """Return values enclosing `low` to `high`, spaced 1, 2 or 5 times a power of ten.

    Args:
        low: Least value to enclose.
        high: Largest value to enclose; if it equals `low`, both move apart by a half.
        most: Approximate number of values, at least 3.
    """
    if not high > low:
        low, high = low - 0.5, low + 0.5
    rough = (high - low) / max(2, most - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, last + 1)]


def log_ticks(low: float, high: float, *, most: int = 5) -> list[float]:
    """Return round values between `low` and `high` for a log axis, at least 2 if possible.

    Args:
        low: Lower end, above zero.
        high: Upper end, above `low`.
        most: Approximate maximum number of values.
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found: list[float] = []
    for digits in ((1, 2, 5), (1, 3), (1,)):
        found = [m * 10.0**p for p in powers for m in digits if low <= m * 10.0**p <= high]
        if len(found) <= most:
            break
    # Within one step of 1, 2, 5 the axis is almost linear.
    linear = [v for v in ticks(low, high) if low <= v <= high]
    return found[:: -(-len(found) // most)] if len(found) > 1 else linear
