"""Small pieces of inline SVG. Colours are CSS variables, so that the page's theme decides them."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import takewhile

from orchestrator.report.wording.numbers import MINUS

NUM_COLOURS = 6
BASELINE = "var(--baseline)"
CHARACTER = 7.5
"""Width of a character of the page's font at the plots' size, in pixels, on the safe side."""

WIDE, NARROW = 860, 350
"""Every plot is drawn for a desk and for a hand; the style sheet shows one of them."""


@dataclass(frozen=True)
class Axis:
    """A linear map from data to pixels.

    Attributes:
        low: data at `start`.
        high: data at `end`.
        start: pixel.
        end: pixel.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the pixel of a value."""
        span = (self.high - self.low) or 1.0
        return self.start + (value - self.low) / span * (self.end - self.start)


def colours(arms: Sequence[str], baseline: str) -> dict[str, str]:
    """Return arm -> colour, the same on every plot of a page; the baseline is grey."""
    others = [arm for arm in arms if arm != baseline]
    found = {arm: f"var(--arm-{i % NUM_COLOURS + 1})" for i, arm in enumerate(others)}
    return {baseline: BASELINE, **found}


def figure(width: float, height: float, body: Iterable[str], *, label: str) -> str:
    """Return an SVG with a text alternative."""
    inner = "".join(body)
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" '
        f'role="img" aria-label="{escape(label)}"><title>{escape(label)}</title>{inner}</svg>'
    )


def both(draw: Callable[[int], str]) -> str:
    """Return a plot drawn wide and narrow, of which the style sheet shows the one that fits."""
    return f'<div class="wide">{draw(WIDE)}</div><div class="narrow">{draw(NARROW)}</div>'


def text(x: float, y: float, said: str, *, anchor: str = "start", kind: str = "") -> str:
    """Return a line of text."""
    extra = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{extra}>{escape(said)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, *, kind: str, colour: str = "") -> str:
    """Return a straight line."""
    style = f' style="stroke:{colour}"' if colour else ""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"{style}/>'


def dot(x: float, y: float, *, radius: float, colour: str, kind: str = "point") -> str:
    """Return a point; the class `hollow` fills it with the page's colour."""
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" class="{kind}" '
        f'style="--colour:{colour}"/>'
    )


def polyline(points: Iterable[tuple[float, float]], *, colour: str, kind: str = "curve") -> str:
    """Return a line through points."""
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{joined}" class="{kind}" style="stroke:{colour}"/>'


def polygon(points: Iterable[tuple[float, float]], *, colour: str, kind: str = "band") -> str:
    """Return a filled area."""
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polygon points="{joined}" class="{kind}" style="fill:{colour}"/>'


def cell(x: float, y: float, size: float, *, colour: str, opacity: float) -> str:
    """Return a square of a heat map."""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{size:g}" height="{size:g}" '
        f'fill-opacity="{opacity:.3g}" style="fill:{colour}"/>'
    )


def group(body: Iterable[str], *, title: str) -> str:
    """Return elements with a tooltip."""
    return f"<g><title>{escape(title)}</title>{''.join(body)}</g>"


def tick_text(value: float, step: float, *, signed: bool = False) -> str:
    """Write an axis value with the decimals that its step needs."""
    places = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 0
    said = f"{abs(value):.{places}f}"
    if float(said) == 0:
        return "0"
    return (MINUS if value < 0 else "+" if signed else "") + said


def wrap(said: str, width: float) -> list[str]:
    """Break a caption into lines of at most a width in pixels."""
    return textwrap.wrap(said, max(12, int(width / CHARACTER)))


def clip(said: str, width: float) -> str:
    """Shorten a label to a width in pixels."""
    room = max(3, int(width / CHARACTER))
    return said if len(said) <= room else said[: room - 1] + "…"


def apart(labels: Sequence[str], width: float) -> list[str]:
    """Shorten labels to a width in pixels; those that this makes alike lose their beginnings.

    Args:
        labels: one may occur several times, and stays the same each time.
        width: of one of them.
    """
    short = {label: clip(label, width) for label in labels}
    for said in {said for label, said in short.items() if said != label}:
        alike = [label for label, other in short.items() if other == said]
        shared = takewhile(lambda letters: len(set(letters)) == 1, zip(*alike, strict=False))
        # Whole words go, so that what is left can be read.
        start = "".join(letters[0] for letters in shared).rfind(" ") + 1
        for label in alike if start and len(alike) > 1 else ():
            short[label] = clip(f"…{label[start:]}", width)
    return [short[label] for label in labels]
