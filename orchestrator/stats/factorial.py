"""Effects and interactions of factorial designs, as paired contrasts of several arms.

Every effect of a two-level factorial is one weighted sum of the arms within a block. If its factors
have no effect, the arms are exchangeable in pairs and the sum is as likely positive as negative, so
the sign-flip test is exact for it as for a plain difference.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

from orchestrator.stats.values import common_blocks

Block = TypeVar("Block", bound=Hashable)


def weighted_sums(
    arms: Mapping[str, Mapping[Block, float]], weights: Mapping[str, float]
) -> dict[Block, float]:
    """Return block -> weighted sum, over the blocks that all arms with a weight have.

    Args:
        arms: Arm -> block -> value.
        weights: Arm -> weight; they must sum to 0, so that what all arms of a block share cancels.

    Raises:
        ValueError: The weights do not sum to 0 or are all 0, an arm is unknown, or no block is in
            all arms.
    """
    used = {arm: weight for arm, weight in weights.items() if weight}
    if unknown := sorted(used.keys() - arms.keys()):
        raise ValueError(f"no values of the arms {unknown}; there are {sorted(arms)}")
    size = sum(abs(weight) for weight in used.values())
    if not used or abs(math.fsum(used.values())) > 1e-9 * size:
        raise ValueError(f"weights must sum to 0 and not all be 0: {dict(weights)}")
    blocks = common_blocks(*(arms[arm] for arm in used))
    return {b: math.fsum(w * arms[arm][b] for arm, w in used.items()) for b in blocks}


def effect_weights(
    levels: Mapping[str, Mapping[str, str]], factors: Sequence[str]
) -> dict[str, float]:
    """Return the weights of a main effect or an interaction in a two-level design.

    One factor: the mean of the arms at its second level minus that of the arms at its first. Two
    factors: the difference of differences, (both - second alone) - (first alone - neither),
    averaged over the other factors. More: the difference of those, and so on.

    Args:
        levels: Arm -> factor -> level; a factor's first level is that of the first arm.
        factors: Factors of the effect.

    Raises:
        ValueError: An arm lacks a factor, a factor does not have two levels, or the arms do not
            hold every combination of the factors' levels equally often.
    """
    if not factors or len(set(factors)) != len(factors):
        raise ValueError(f"name one or more different factors, not {list(factors)}")
    cells: dict[str, tuple[int, ...]] = {}
    first: dict[str, str] = {}
    for arm, arm_levels in levels.items():
        if missing := [factor for factor in factors if factor not in arm_levels]:
            raise ValueError(f"the arm {arm!r} has no level of {missing}")
        first = first or {factor: arm_levels[factor] for factor in factors}
        cells[arm] = tuple(-1 if arm_levels[factor] == first[factor] else 1 for factor in factors)
    for factor in factors:
        if len(factor_levels := {arm_levels[factor] for arm_levels in levels.values()}) != 2:
            raise ValueError(f"{factor!r} needs two levels, not {sorted(factor_levels)}")
    combinations = itertools.product((-1, 1), repeat=len(factors))
    counts = {cell: list(cells.values()).count(cell) for cell in combinations}
    if len(set(counts.values())) != 1:
        raise ValueError(
            f"the arms do not hold every combination of {list(factors)} equally often: an effect "
            "would mix with the others"
        )
    scale = 2 ** len(factors) / len(cells)
    return {arm: scale * math.prod(cell) for arm, cell in cells.items()}
