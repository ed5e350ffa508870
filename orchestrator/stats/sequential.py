"""Adding blocks until every declared contrast is decided or the cap is reached.

The p of each contrast is an anytime p (`orchestrator.stats.spending`), valid at every look however
the decision to continue was made. Holm's correction over valid p values keeps the family-wise error
at `ALPHA` under any dependence of the contrasts, so the shared baseline does no harm. A contrast
that has been called stays called. Intervals invert the same rule at an even part of the level
(`repeated_interval`), so they cover whenever a study ends. Over all ends, early or not, the mean is
above the truth in 49 to 59 %; over early ends alone it is too far from 0
(`tests/benchmarks/stats/early_ends.md`).

Confidence sequences and e-values (Waudby-Smith and Ramdas 2024) need no cap, but pay for it. With a
cap of 12 blocks and a true difference of one spread, spending calls 85 % at 0.05; a mixture of bets
on the signs, an e-process for symmetric differences, 48 %; the self-normalized one 5 %; a fixed
design of 12 blocks 88 % (400 simulations).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from orchestrator.stats.paired import holm, pairs_needed
from orchestrator.stats.spending import SEQUENTIAL_METHOD, anytime_p_rows, levels_for
from orchestrator.stats.values import ALPHA, finite

STEPS, FINER = 10, 3
"""An end of an interval is searched in ten steps, each of which is divided twice again."""

REPEATED_INTERVAL = "repeated sign-flip interval"


class Decision(StrEnum):
    """The state of a contrast in a sequential study."""

    BETTER = "better"
    WORSE = "worse"
    UNDECIDED = "undecided"
    NOT_DISTINGUISHABLE = "not distinguishable at the cap"


@dataclass(frozen=True, kw_only=True)
class Sequential:
    """A contrast of a sequential study.

    Attributes:
        n: Number of blocks so far.
        cap: Largest number of blocks.
        mean: Mean of the differences so far.
        looked: Number of blocks at the look that the p, and so a call, rests on; 0 before the
            first.
        p_value: Anytime p, not adjusted; it never rises.
        adjusted_p: Anytime p after Holm's correction over the declared contrasts.
        decision: Decision at the level `ALPHA`.
        method: Name of the test.
    """

    n: int
    cap: int
    mean: float | None
    looked: int
    p_value: float
    adjusted_p: float
    decision: Decision
    method: str = SEQUENTIAL_METHOD


def decide(
    differences: Mapping[str, Sequence[float]], *, cap: int, sign: int = 1, seed: int = 0
) -> dict[str, Sequential]:
    """Decide each declared contrast on the blocks so far.

    Add blocks, for all arms alike, while any decision is `UNDECIDED` (`all_decided`). Declare the
    cap before the first block and never raise it: the spending function ends there.

    Args:
        differences: Contrast -> arm minus reference per block, in the blocks' declared order and
            without a gap; every declared contrast must be included, even without blocks.
        cap: Largest number of blocks.
        sign: +1 if larger is better, -1 if smaller is.
        seed: Seed of the patterns drawn for a large cap; the same at every look.

    Returns:
        Contrast -> decision, in the order given.

    Raises:
        ValueError: A contrast has more blocks than the cap, the cap is too small to call anything,
            or a difference is not finite.
    """
    needed = pairs_needed(len(differences))
    if cap < needed:
        raise ValueError(
            f"a cap of {cap} blocks can never call one of {len(differences)} contrasts: set it to "
            f"{needed} or more, or declare fewer contrasts"
        )
    levels = levels_for(len(differences))
    p_values: list[float] = []
    directions: list[float] = []
    looks: list[int] = []
    for blocks in differences.values():
        if not len(blocks):
            p_values.append(1.0)
            directions.append(0.0)
            looks.append(0)
            continue
        data = finite(blocks)
        path = anytime_p_rows(data[None], cap=cap, levels=levels, seed=seed)[0]
        # The direction is that of the look that the p rests on, so it never turns afterwards.
        p_values.append(float(path[-1]))
        looks.append(int(path.argmin()) + 1)
        directions.append(sign * float(data[: looks[-1]].sum()))
    decisions: dict[str, Sequential] = {}
    for i, (name, adjusted) in enumerate(zip(differences, holm(p_values), strict=True)):
        blocks, adjusted_p = differences[name], 1.0 if adjusted is None else adjusted
        decisions[name] = Sequential(
            n=len(blocks),
            cap=cap,
            mean=float(np.mean(blocks)) if len(blocks) else None,
            looked=looks[i],
            p_value=p_values[i],
            adjusted_p=adjusted_p,
            decision=_decision(adjusted_p, directions[i], at_cap=len(blocks) == cap),
        )
    return decisions


def repeated_interval(
    differences: Sequence[float], *, cap: int, alpha: float = ALPHA, seed: int = 0
) -> tuple[float, float] | tuple[None, None]:
    """Return the ends of the values that the rule has not rejected at any look so far.

    A repeated confidence interval (Jennison and Turnbull, JRSS B 51, 1989): it inverts the test
    that may be read after every block, so it covers whenever the study ends. `alpha` over the
    number of contrasts makes those of a family hold at once. There is none while no result of so
    few blocks could be called.

    Args:
        differences: Arm minus reference per block, in the blocks' declared order.
        cap: Largest number of blocks.
        alpha: Probability that the interval misses the true difference at any look.
        seed: Seed of the patterns drawn for a large cap, as in `decide`.
    """
    data = finite(differences)
    reach = 4.0 * max(float(np.ptp(data)), abs(float(data.mean())), 1e-9)
    low = _end(data, -reach, cap=cap, alpha=alpha, seed=seed)
    high = _end(data, reach, cap=cap, alpha=alpha, seed=seed)
    return (None, None) if low is None or high is None else (low, high)


def _end(
    data: NDArray[np.float64], reach: float, *, cap: int, alpha: float, seed: int
) -> float | None:
    """Return the last rejected value on the way to the mean, to a 1000th of `reach`.

    The search comes from outside, so that a value between rejected ones is never left out.
    """
    outer, inner = float(data.mean()) + reach, float(data.mean())
    for _ in range(FINER):
        places = np.linspace(outer, inner, STEPS + 1)
        path = anytime_p_rows(data - places[:, None], cap=cap, levels=(alpha,), seed=seed)
        kept = np.flatnonzero(path[:, -1] > alpha)
        first = int(kept[0]) if kept.size else STEPS
        if first == 0:
            return None
        outer, inner = float(places[first - 1]), float(places[first])
    return outer


def all_decided(contrasts: Mapping[str, Sequential]) -> bool:
    """Return whether a sequential study is over: nothing is undecided."""
    return all(found.decision is not Decision.UNDECIDED for found in contrasts.values())


def _decision(adjusted_p: float, direction: float, *, at_cap: bool) -> Decision:
    # Holm multiplies a level of alpha / k by k, which may be off by a rounding error.
    if adjusted_p <= ALPHA * (1 + 1e-9):
        return Decision.BETTER if direction > 0 else Decision.WORSE
    return Decision.NOT_DISTINGUISHABLE if at_cap else Decision.UNDECIDED
