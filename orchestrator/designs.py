"""Designs: functions from factors to arms.

Each returns arms in the order of the table, baseline first. A level's changes are applied over
the base; where two factors change the same path, the plan's check reports it as equal arms or a
mistake, never silently.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.ablation import Arm, Factor, Level


def one_at_a_time(*factors: Factor, baseline: str = "baseline") -> tuple[Arm, ...]:
    """Return the baseline, and one arm for every other level of every factor.

    Args:
        *factors: what is varied; all first levels together make the baseline.
        baseline: the baseline arm's name.
    """
    levels = _first_levels(factors)
    arms = [_arm(baseline, factors, levels)]
    for factor in factors:
        for level in factor.levels[1:]:
            arms.append(_arm(level.name, factors, {**levels, factor.name: level}))
    return tuple(arms)


def leave_one_out(
    components: Mapping[str, Mapping[str, Any]], *, baseline: str = "full"
) -> tuple[Arm, ...]:
    """Return the full system, and one arm per component with that component taken out.

    Args:
        components: component -> changes that take it out of the base.
        baseline: the name of the arm with everything in.
    """
    factors = [
        Factor(name, (Level("with"), Level(f"without {name}", without)))
        for name, without in components.items()
    ]
    return one_at_a_time(*factors, baseline=baseline)


def add_one_in(
    components: Mapping[str, Mapping[str, Any]], *, baseline: str = "plain"
) -> tuple[Arm, ...]:
    """Return the plain system, and one arm per component with that component put in.

    Args:
        components: component -> changes that put it into the base.
        baseline: the name of the arm with nothing in.
    """
    factors = [
        Factor(name, (Level("without"), Level(f"with {name}", added)))
        for name, added in components.items()
    ]
    return one_at_a_time(*factors, baseline=baseline)


def full_factorial(*factors: Factor) -> tuple[Arm, ...]:
    """Return one arm per combination of levels; the first is the baseline."""
    arms = []
    for combination in itertools.product(*(factor.levels for factor in factors)):
        levels = {f.name: level for f, level in zip(factors, combination, strict=True)}
        arms.append(_arm(", ".join(level.name for level in combination), factors, levels))
    return tuple(arms)


def dose_series(
    path: str,
    doses: Sequence[float],
    *,
    symbol: str,
    control: Level,
    shared: Mapping[str, Any] | None = None,
) -> tuple[Arm, ...]:
    """Return a control arm, and one arm per dose of a setting.

    Args:
        path: the setting whose value is the dose, for example `transform.strength`.
        doses: the values, in the order of the table.
        symbol: how a row calls the setting, for example `λ`.
        control: the arm without the thing that is dosed.
        shared: changes that every dosed arm needs besides, for example the component itself.
    """
    arms = [Arm(name=control.name, changes=control.changes, levels={path: control.name})]
    for dose in doses:
        name = f"{symbol}={dose:g}"
        changes = {**(shared or {}), path: dose}
        arms.append(Arm(name=name, changes=changes, levels={path: f"{dose:g}"}))
    return tuple(arms)


def _first_levels(factors: Sequence[Factor]) -> dict[str, Level]:
    return {factor.name: factor.levels[0] for factor in factors}


def _arm(name: str, factors: Sequence[Factor], levels: Mapping[str, Level]) -> Arm:
    changes: dict[str, Any] = {}
    for factor in factors:
        changes |= levels[factor.name].changes
    return Arm(name=name, changes=changes, levels={f: level.name for f, level in levels.items()})
