"""Small pieces of inline SVG; colors are CSS variables set by the page's theme."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

Points = Iterable[tuple[float, float]]
"""Points in pixels, y downward."""

CHARACTER = 7.5
"""Upper estimate of a character's width in plots, in pixels."""

NUM_COLORS = 6
SHAPES: dict[str, tuple[tuple[float, float], ...]] = {
    "circle": (),
    "square": ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    "diamond": ((0, -1.25), (1.25, 0), (0, 1.25), (-1.25, 0)),
    "triangle": ((0, -1.2), (1.15, 0.8), (-1.15, 0.8)),
    "wedge": ((0, 1.2), (1.15, -0.8), (-1.15, -0.8)),
}
"""Name -> corners in radii; the style sheet uses the same shapes in legends and tables."""


@dataclass(frozen=True)
class Style:
    """The color (CSS) and the shape (one of `SHAPES`) of an arm on a page."""

    color: str
    shape: str = "circle"


BASELINE = Style("var(--baseline)")


def styles(
    names: Sequence[str], baseline: str, doses: Mapping[str, float] | None = None
) -> dict[str, Style]:
    """Return name -> style: gray for the baseline, a ramp for doses, else colors, then shapes.

    Args:
        names: All names, in order.
        baseline: Name of the baseline.
        doses: Name -> dose, for the arms of a dose series.
    """
    shapes = list(SHAPES)
    found = {baseline: BASELINE}
    steps = sorted({dose for name, dose in (doses or {}).items() if name != baseline})
    for name, dose in (doses or {}).items():
        if name != baseline:
            found[name] = Style(_ramp(steps.index(dose) / max(1, len(steps) - 1)))
    for i, name in enumerate(name for name in names if name not in found):
        shape = shapes[i // NUM_COLORS % len(shapes)]
        found[name] = Style(f"var(--arm-{i % NUM_COLORS + 1})", shape)
    return found


def _ramp(share: float) -> str:
    """Return a color between the lowest dose (0) and the highest (1)."""
    half, rest = divmod(2 * min(share, 0.999), 1)
    one, other = (("low", "mid"), ("mid", "high"))[int(half)]
    return f"color-mix(in oklab, var(--dose-{other}) {100 * rest:.0f}%, var(--dose-{one}))"


def figure(
    width: float,
    height: float,
    body: Iterable[str],
    *,
    label: str,
    data: Mapping[str, str] | None = None,
) -> str:
    """Return an SVG with a text alternative, and data for the page's script."""
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
        f'{_data(data or {})} role="img" aria-label="{escape(label)}">{"".join(body)}</svg>'
    )


def group(body: Iterable[str], *, title: str, arm: str = "") -> str:
    """Return elements with a tooltip, of an arm if they show one."""
    return f"<g{_data({'arm': arm})}><title>{escape(title)}</title>{''.join(body)}</g>"


def _data(values: Mapping[str, str]) -> str:
    return "".join(f' data-{name}="{escape(value)}"' for name, value in values.items() if value)


def text(
    x: float, y: float, words: str, *, anchor: str = "start", kind: str = "", turned: bool = False
) -> str:
    """Return a line of text; if `turned`, it reads upward."""
    turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turned else ""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{turn}'
    return f'<text {place} class="{kind}">{escape(words)}</text>'


def line(
    points: Points,
    *,
    kind: str,
    color: str = "",
    opacity: float | None = None,
    closed: bool = False,
) -> str:
    """Return a line through points, or a polygon, colored by its kind in the style sheet."""
    styled = [f"--color:{color}"] if color else []
    styled += [f"opacity:{opacity:.3g}"] if opacity is not None else []
    style = f' style="{";".join(styled)}"' if styled else ""
    places = 2 if kind.startswith("curve") else 1  # the page's script reads values off curves
    joined = " ".join(f"{x:.1f},{y:.{places}f}" for x, y in points)
    return f'<{"polygon" if closed else "polyline"} points="{joined}" class="{kind}"{style}/>'


def marker(x: float, y: float, style: Style, *, radius: float, kind: str = "point") -> str:
    """Return a point in an arm's color and shape; class `hollow` fills it with the page's color."""
    corners = SHAPES[style.shape]
    if corners:
        at = [(x + radius * across, y + radius * down) for across, down in corners]
        return line(at, kind=kind, color=style.color, closed=True)
    place = f'cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}"'
    return f'<circle {place} class="{kind}" style="--color:{style.color}"/>'


def wrap(words: str, width: float) -> list[str]:
    """Break text into lines of at most `width` pixels."""
    return textwrap.wrap(words, max(3, int(width / CHARACTER)))


def clip(words: str, width: float) -> str:
    """Shorten text to `width` pixels in the middle, because names differ at their ends."""
    room = max(3, int(width / CHARACTER))
    half = room // 2
    return words if len(words) <= room else f"{words[: room - half - 1]}…{words[-half:]}"
