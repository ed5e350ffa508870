"""A declared effect over the arms of a plan: its weights and its aliases."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from orchestrator.design.factors import Effect
from orchestrator.errors import ConfigError, unknown
from orchestrator.records import EffectRecord
from orchestrator.stats import effect_weights

Levels = Mapping[str, Mapping[str, str]]
"""Arm -> factor -> level."""

ALIAS_ORDER = 2
"""Aliases are named among main effects and interactions of this many factors; larger ones are rare
enough to be neglected, which is what a fraction rests on (Box, Hunter and Hunter 2005)."""


def declared_effect(effect: Effect, levels: Levels) -> EffectRecord:
    """Return the stored form of an effect.

    Args:
        effect: The effect, which names its factors.
        levels: Levels of every arm of the plan; arms that lack one of the factors take no part.

    Raises:
        ConfigError: A factor is in no arm, or the arms cannot show the effect.
    """
    name = " x ".join(effect.factors)
    known = list(dict.fromkeys(factor for arm_levels in levels.values() for factor in arm_levels))
    mistakes = [
        unknown(f"factor of the effect {name!r}", factor, known)
        for factor in effect.factors
        if factor not in known
    ]
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    taking_part = {arm: at for arm, at in levels.items() if set(effect.factors) <= at.keys()}
    try:
        weights = effect_weights(taking_part, effect.factors)
    except ValueError as error:
        raise ConfigError(
            f"the effect {name!r} cannot be declared: {error}; make the arms by full_factorial or "
            "fractional_factorial of two-level factors"
        ) from None
    return EffectRecord(
        factors=effect.factors,
        levels={factor: _pair(taking_part, factor) for factor in effect.factors},
        weights=weights,
        aliases=_aliases(effect.factors, taking_part, weights),
    )


def _pair(levels: Levels, factor: str) -> tuple[str, str]:
    first, second = dict.fromkeys(arm_levels[factor] for arm_levels in levels.values())
    return first, second


def _aliases(
    factors: Sequence[str], levels: Levels, weights: Mapping[str, float]
) -> tuple[str, ...]:
    """Return the other effects whose signs on all arms match the weights, or all oppose them.

    Read from the arms rather than from generators, so it holds for any set of arms.
    """
    shared = set[str].intersection(*map(set, levels.values()))
    several = [
        factor
        for factor in dict.fromkeys(f for arm_levels in levels.values() for f in arm_levels)
        if factor in shared and len({arm_levels[factor] for arm_levels in levels.values()}) == 2
    ]
    aliases: list[str] = []
    for size in range(1, ALIAS_ORDER + 1):
        for others in itertools.combinations(several, size):
            if set(others) == set(factors):
                continue
            signs = {_sign(levels, others, arm) * weights[arm] > 0 for arm in levels}
            if len(signs) == 1:
                aliases.append(" x ".join(others))
    return tuple(aliases)


def _sign(levels: Levels, factors: Sequence[str], arm: str) -> int:
    first = next(iter(levels.values()))
    return (-1) ** sum(levels[arm][factor] == first[factor] for factor in factors)
