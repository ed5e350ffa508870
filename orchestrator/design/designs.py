"""Designs: functions from factors to arms.

Each returns arms in table order, baseline first. A level's changes apply to the base; if two
factors change the same path, the plan's check reports it as equal arms or a mistake, never
silently.
"""

# Sweep files are not type-checked, so types are checked when they run.
# pyright: reportUnnecessaryIsInstance=false

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.design.factors import Arm, Effect, Factor, Level, hold_types, is_texts, wrong
from orchestrator.errors import ConfigError, PlanError, unknown
from orchestrator.experiment.config import Component
from orchestrator.experiment.narrow import is_mapping


def one_at_a_time(*factors: Factor, baseline: str = "baseline") -> tuple[Arm, ...]:
    """Return the baseline and one arm for every other level of every factor.

    Args:
        *factors: Factors to vary; their first levels together make the baseline.
        baseline: Name of the baseline arm.

    Raises:
        PlanError: An argument is not a factor, or two factors share a name.
    """
    _check_factors("one_at_a_time", factors)
    levels = _first_levels(factors)
    arms = [_arm(baseline, factors, levels)]
    for factor in factors:
        for level in factor.levels[1:]:
            arms.append(_arm(level.name, factors, {**levels, factor.name: level}))
    return tuple(arms)


def leave_one_out(
    components: Mapping[str, Mapping[str, Any]], *, baseline: str = "full"
) -> tuple[Arm, ...]:
    """Return the full system and one arm per component with that component removed.

    Args:
        components: Component -> changes that remove it from the base.
        baseline: Name of the arm with all components.

    Raises:
        PlanError: `components` is not such a mapping.
    """
    _check_components("leave_one_out", components)
    factors = [
        Factor(name, (Level("with"), Level(f"without {name}", without)))
        for name, without in components.items()
    ]
    return one_at_a_time(*factors, baseline=baseline)


def add_one_in(
    components: Mapping[str, Mapping[str, Any]], *, baseline: str = "plain"
) -> tuple[Arm, ...]:
    """Return the plain system and one arm per component with that component added.

    Args:
        components: Component -> changes that add it to the base.
        baseline: Name of the arm without components.

    Raises:
        PlanError: `components` is not such a mapping.
    """
    _check_components("add_one_in", components)
    factors = [
        Factor(name, (Level("without"), Level(f"with {name}", added)))
        for name, added in components.items()
    ]
    return one_at_a_time(*factors, baseline=baseline)


def full_factorial(*factors: Factor) -> tuple[Arm, ...]:
    """Return one arm per combination of levels; the first is the baseline.

    Raises:
        PlanError: An argument is not a factor, or two factors share a name.
    """
    _check_factors("full_factorial", factors)
    arms: list[Arm] = []
    for combination in itertools.product(*(factor.levels for factor in factors)):
        levels = {f.name: level for f, level in zip(factors, combination, strict=True)}
        arms.append(_arm(", ".join(level.name for level in combination), factors, levels))
    return tuple(arms)


def fractional_factorial(
    *factors: Factor, generators: Mapping[str, Sequence[str]]
) -> tuple[Arm, ...]:
    """Return a fraction of a two-level factorial; the first arm is the baseline.

    A generated factor is at its second level if an odd number of its parents are, so its effect is
    confounded with their interaction: see `aliases`. Each generator halves the number of arms.

    Args:
        factors: Two-level factors, generated ones included.
        generators: Factor -> its parents, for example `{"d": ("a", "b", "c")}`.

    Raises:
        ConfigError: A factor does not have two levels, or a generator names an unknown factor.
        PlanError: An argument is not a factor, or two factors share a name.
    """
    _check_factors("fractional_factorial", factors)
    if not is_mapping(generators) or not all(map(is_texts, generators.values())):
        example = "a mapping from factor to a tuple of factors, for example {'d': ('a', 'b', 'c')}"
        raise PlanError([wrong("fractional_factorial", "generators", generators, example)])
    by_name = {factor.name: factor for factor in factors}
    _check_generators(factors, generators)
    free = [factor for factor in factors if factor.name not in generators]
    arms: list[Arm] = []
    for choice in itertools.product((0, 1), repeat=len(free)):
        places: dict[str, int] = dict(zip((f.name for f in free), choice, strict=True))
        for name, parents in generators.items():
            places[name] = sum(places[parent] for parent in parents) % 2
        levels = {f.name: by_name[f.name].levels[places[f.name]] for f in factors}
        name = ", ".join(level.name for level in levels.values())
        arms.append(_arm(name, factors, levels))
    return tuple(arms)


def effects_of(*factors: Factor, order: int = 2) -> tuple[Effect, ...]:
    """Return every main effect and interaction of up to `order` factors, smaller ones first.

    Every further effect makes the correction for multiple tests stricter: declare those that the
    question is about.

    Raises:
        PlanError: An argument is not a factor, or two factors share a name.
    """
    _check_factors("effects_of", factors)
    return tuple(
        Effect(tuple(factor.name for factor in some))
        for size in range(1, order + 1)
        for some in itertools.combinations(factors, size)
    )


def aliases(
    factors: Sequence[str], generators: Mapping[str, Sequence[str]], *, order: int = 2
) -> tuple[tuple[str, ...], ...]:
    """Return the effects that a fraction confounds, as groups of names like `a x b`.

    Args:
        factors: All factors.
        generators: As in `fractional_factorial`.
        order: Largest number of factors in a listed interaction.
    """
    words = [frozenset({name, *parents}) for name, parents in generators.items()]
    defining = {frozenset[str]()}
    for word in words:
        defining |= {one ^ word for one in defining}
    effects = [
        frozenset(some)
        for size in range(1, order + 1)
        for some in itertools.combinations(factors, size)
    ]
    groups: dict[frozenset[frozenset[str]], list[str]] = {}
    for effect in effects:
        key = frozenset(effect ^ word for word in defining)
        groups.setdefault(key, []).append(" x ".join(f for f in factors if f in effect))
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def _check_factors(design: str, factors: Sequence[Factor]) -> None:
    mistakes = [
        wrong(design, f"argument {place}", factor, "a Factor(name, levels)")
        for place, factor in enumerate(factors, start=1)
        if not isinstance(factor, Factor)
    ]
    if not factors:
        mistakes.append(f"{design}: it varies nothing; give at least one Factor(name, levels)")
    if not mistakes:
        names = [factor.name for factor in factors]
        mistakes += [
            f"{design}: two factors are called {name!r}; every factor needs a name of its own"
            for name in dict.fromkeys(names)
            if names.count(name) > 1
        ]
    if mistakes:
        raise PlanError(mistakes)


def _check_components(design: str, components: object) -> None:
    fits = is_mapping(components) and all(
        isinstance(name, str) and isinstance(changes, Mapping)
        for name, changes in components.items()
    )
    if not fits or not components:
        example = "a mapping from component to changes, for example {'adaptor': {...}}"
        raise PlanError([wrong(design, "components", components, example)])


def _check_generators(factors: Sequence[Factor], generators: Mapping[str, Sequence[str]]) -> None:
    names = [factor.name for factor in factors]
    free = [name for name in names if name not in generators]
    mistakes = [
        f"factor {factor.name!r} has {len(factor.levels)} levels; a fraction takes two"
        for factor in factors
        if len(factor.levels) != 2
    ]
    mistakes += [unknown("factor", name, names) for name in generators if name not in names]
    for name, parents in generators.items():
        mistakes += [
            unknown(f"parent of {name!r}", parent, free) for parent in parents if parent not in free
        ]
        if len(set(parents)) < 2:
            mistakes.append(f"factor {name!r} needs at least two parents, not {list(parents)}")
    if mistakes:
        raise ConfigError("\n".join(mistakes))


def noise_control(adaptor: Component, *, at_test: bool = True) -> Level:
    """Return the control level of an adaptor: equally strong noise, with nothing learned.

    The noise has the variance of what the untrained adaptor adds, clip by clip and at its strength;
    what training adds cannot be known before launch (`models.transforms`).

    Args:
        adaptor: The `adaptor` transform to control for, with its arguments.
        at_test: Also add noise in evaluation, where the adaptor is active too.

    Raises:
        ConfigError: It is another transform.
    """
    if adaptor.name != "adaptor":
        raise ConfigError(f"{adaptor.name!r} is no adaptor, so there is no variance to match")
    arguments = {**adaptor.arguments, "at_test": at_test}
    return Level("noise of its variance", {"transform": Component("matched_noise", **arguments)})


def dose_series(
    path: str,
    doses: Sequence[float],
    *,
    symbol: str,
    control: Level,
    shared: Mapping[str, Any] | None = None,
) -> tuple[Arm, ...]:
    """Return a control arm and one arm per dose of a setting.

    Args:
        path: Setting whose value is the dose, for example `transform.strength`.
        doses: Values in table order.
        symbol: Name of the setting in a row, for example `λ`.
        control: The arm without what is dosed.
        shared: Further changes that every dosed arm needs, for example the component itself.

    Raises:
        PlanError: An argument has the wrong type; names all of them.
    """
    numbers = isinstance(doses, Sequence) and all(
        isinstance(dose, int | float) and not isinstance(dose, bool) for dose in doses
    )
    hold_types(
        "dose_series",
        (isinstance(path, str), "path", path, "a path such as 'transform.strength'"),
        (numbers and len(doses) > 0, "doses", doses, "a tuple of numbers, one or more"),
        (isinstance(symbol, str), "symbol", symbol, "a string"),
        (isinstance(control, Level), "control", control, "a Level"),
        (shared is None or isinstance(shared, Mapping), "shared", shared, "a mapping"),
    )
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
