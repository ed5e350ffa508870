"""Where labels of points go so that they overlap neither points, bars nor each other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.report.plots import svg

HEIGHT = 16.0
WIDTH = 1.2 * svg.CHARACTER
"""Of a character where every one is a capital, in pixels."""

NEAR = 11.0
"""Distance of a label from its point, in pixels; one further away gets a leader line."""

RINGS = (NEAR, 22.0, 34.0, 48.0, 64.0, 84.0, 110.0)
DIRECTIONS = (0.0, -45.0, 45.0, -90.0, 90.0, 180.0, -135.0, 135.0)


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels, y downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        """Whether two rectangles overlap."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def holds(self, other: Box) -> bool:
        """Whether another rectangle lies within this one."""
        return (
            self.left <= other.left
            and self.top <= other.top
            and self.right >= other.right
            and self.bottom >= other.bottom
        )


@dataclass(frozen=True, kw_only=True)
class Label:
    """A placed label.

    Attributes:
        text: shortened to a third of the frame at most.
        x: left end.
        y: base line.
        box: what it covers.
        leader: line from the point to the label, x1, y1, x2, y2; None where it stands beside it.
    """

    text: str
    x: float
    y: float
    box: Box
    leader: tuple[float, float, float, float] | None


def place_labels(
    points: Sequence[tuple[str, float, float]], taken: Sequence[Box], frame: Box
) -> list[Label]:
    """Place a label at each point, the nearest free place first.

    Args:
        points: text, x and y of each.
        taken: what no label may cover.
        frame: what no label may leave.

    Returns:
        The labels in the order of the points; one that fits nowhere is left out.
    """
    covered = list(taken)
    found = []
    room = max(60.0, (frame.right - frame.left) / 3)
    texts = svg.apart([said for said, _, _ in points], room)
    for text, (_, x, y) in zip(texts, points, strict=True):
        width = len(text) * WIDTH
        for distance, box in _candidates(x, y, width):
            if frame.holds(box) and not any(box.meets(other) for other in covered):
                covered.append(box)
                found.append(_label(text, x, y, box, far=distance > NEAR))
                break
    return found


def _candidates(x: float, y: float, width: float) -> Iterator[tuple[float, Box]]:
    for distance in RINGS:
        for degrees in DIRECTIONS:
            along, down = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
            # The box touches the ring with the side or corner that faces the point.
            left = x + distance * along - width * (0.5 - 0.5 * round(along))
            top = y + distance * down - HEIGHT * (0.5 - 0.5 * round(down))
            yield distance, Box(left, top, left + width, top + HEIGHT)


def _label(text: str, x: float, y: float, box: Box, *, far: bool) -> Label:
    nearest = min(max(x, box.left), box.right), min(max(y, box.top), box.bottom)
    leader = (x, y, *nearest) if far else None
    return Label(text=text, x=box.left, y=box.bottom - 4, box=box, leader=leader)
