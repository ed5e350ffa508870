"""Published numbers beside an arm, with the conditions they were measured under."""

from __future__ import annotations

import dataclasses
from typing import Any

from models.card import Result
from orchestrator.design.factors import Arm


def with_published(arm: Arm, *results: Result) -> Arm:
    """Return the arm with published numbers from one source.

    Args:
        arm: A row of a sweep.
        *results: Results from `models.zoo.cards.published_results`, one per metric, all under the
            same conditions.

    Raises:
        ValueError: There are no results, or their sources or conditions differ.
    """
    if not results or len({(str(r.source), r.conditions) for r in results}) != 1:
        raise ValueError(f"arm {arm.name!r} needs published numbers of one source and condition")
    first = results[0]
    conditions: dict[str, Any] = {
        name: value
        for name, value in dataclasses.asdict(first.conditions).items()
        if value is not None
    }
    return dataclasses.replace(
        arm,
        published={result.metric: result.value for result in results},
        conditions=conditions,
        source=str(first.source),
    )
