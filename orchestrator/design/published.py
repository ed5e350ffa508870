"""Published numbers beside an arm, with the conditions that they were measured under."""

from __future__ import annotations

import dataclasses
from typing import Any

from models.card import Result
from orchestrator.design.factors import Arm


def with_published(arm: Arm, *results: Result) -> Arm:
    """Return the arm with published numbers of one source beside it.

    Args:
        arm: a row of a sweep.
        *results: of `models.zoo.cards.published_results`, one per metric and all under the same
        conditions.

    Raises:
        ValueError: there are none, or they are from different sources or conditions.
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
