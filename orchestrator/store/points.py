"""The points that a search has tried, kept beside its plan so that they are found again."""

from __future__ import annotations

import json
from collections.abc import Sequence

from orchestrator.design.search_space import Point
from orchestrator.store import Store


def read_points(store: Store, sweep: str) -> list[Point]:
    """Return the points of earlier runs, in their order."""
    data = store.files.read(_path(sweep))
    return json.loads(data) if data else []


def write_points(store: Store, sweep: str, points: Sequence[Point]) -> None:
    """Keep all points of a search."""
    store.files.write(_path(sweep), json.dumps([dict(point) for point in points]).encode())


def _path(sweep: str) -> str:
    return f"sweeps/{sweep}/points.json"
