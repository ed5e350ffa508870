"""What is wrong with a plan's types, names, numbers and contrasts, apart from settings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orchestrator.design.factors import Arm, Contrast, Effect, is_texts, wrong
from orchestrator.experiment.config import RANGES, Experiment

if TYPE_CHECKING:
    from orchestrator.design.plan import Plan

MAX_TRIALS = 100_000
"""Trials of one plan at most; a plan of these is listed in seconds."""

MAX_NAME = 250
"""Characters of a name; MLflow and file systems take no more."""


def mistakes_of_types(plan: Plan) -> list[str]:
    """Return the fields of a plan that hold values of other types than they must."""

    def several(value: Any, kind: type) -> bool:
        return isinstance(value, tuple | list) and all(isinstance(one, kind) for one in value)

    numbers = "a tuple of whole numbers of at least 0"
    count = "a whole number of at least 0"
    texts = ("name", "question", "baseline", "metric", "source", "conditions", "dose")
    fields: list[tuple[bool, str, str]] = [
        *((isinstance(getattr(plan, name), str), name, "a string") for name in texts),
        (
            isinstance(plan.base, Experiment),
            "base",
            "an Experiment, such as recipes.datar_tiny()",
        ),
        (
            plan.demo is None or isinstance(plan.demo, Experiment),
            "demo",
            "an Experiment, such as recipes.datar_laptop(), or None",
        ),
        (several(plan.arms, Arm), "arms", "a tuple of Arm, which the functions of designs return"),
        (
            plan.contrasts is None or several(plan.contrasts, Contrast),
            "contrasts",
            "a tuple of Contrast(arm, reference), or None for every arm against the baseline",
        ),
        (several(plan.effects, Effect), "effects", "a tuple of Effect((factor, ...))"),
        (is_texts(plan.variant), "variant", "a tuple of strings"),
        *((_are_counts(getattr(plan, n), n), n, numbers) for n in ("seeds", "folds", "demo_seeds")),
        *((_is_count(getattr(plan, n)), n, count) for n in ("num_blocks", "cap")),
        (_is_number(plan.margin), "margin", "a number"),
        (
            plan.prerequisites is None or callable(plan.prerequisites),
            "prerequisites",
            "a function from the base to a tuple of experiments, or None",
        ),
    ]
    return [
        wrong("plan", name, getattr(plan, name), wanted)
        for fits, name, wanted in fields
        if not fits
    ]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _are_counts(values: object, name: str) -> bool:
    highest = RANGES["fold" if name == "folds" else "seed"][1]
    if isinstance(values, range):
        return not values or all(0 <= end <= highest for end in (values[0], values[-1]))
    return isinstance(values, tuple | list) and all(
        _is_count(value) and value <= highest for value in values
    )


def mistakes_of_size(plan: Plan) -> list[str]:
    """Return what makes a plan larger than any that could be trained; counts without building."""
    arms, seeds, folds = len(plan.arms), len(plan.seeds), len(plan.folds)
    num = arms * (min(plan.num_blocks, seeds * folds) or seeds * folds)
    if num <= MAX_TRIALS:
        return []
    return [
        f"it has {num:,} trials ({arms:,} arms x {seeds:,} seeds x {folds:,} folds), and one plan "
        f"has {MAX_TRIALS:,} at most; give fewer seeds, folds or arms"
    ]


def mistakes_of_changes(what: str, changes: Mapping[str, Any]) -> list[str]:
    """Return the settings of a block or of the code, which an arm or a search may not change."""
    mistakes = []
    for path in changes:
        head = path.partition(".")[0]
        if head in ("seed", "fold"):
            mistakes.append(
                f"{what} changes {head}, which is a replicate and no arm: every arm is run on "
                f"every seed and fold of the plan; give Plan({head}s=...) or --{head}s"
            )
        elif head == "revision":
            mistakes.append(
                f"{what} changes revision, which says what version of the code makes the numbers "
                "and alters none of them; leave it out"
            )
    return mistakes


def mistakes_of_arm_names(names: Sequence[str]) -> list[str]:
    """Return what keeps arms' names from being told apart in a table, one sentence each."""
    mistakes = []
    for place, name in enumerate(names, start=1):
        if not name.strip():
            mistakes.append(f"arm {place} is called {name!r}; give it a name that a table can show")
        elif len(name) > MAX_NAME:
            mistakes.append(
                f"arm {place} has a name of {len(name):,} characters, {name[:30]!r}...; "
                f"{MAX_NAME} are the most that a table can show"
            )
        elif not name.isprintable():
            mistakes.append(
                f"arm {place} is called {name!r}, with characters that no table can show; write "
                "it on one line, without tabs, control characters or special spaces"
            )
    alike: dict[str, list[str]] = {}
    for name in dict.fromkeys(name for name in names if name.strip()):
        alike.setdefault("".join(name.split()).casefold(), []).append(name)
    for found in alike.values():
        if len(found) > 1:
            mistakes.append(
                f"arms {' and '.join(map(repr, found))} differ by case or white space alone; give "
                "them names that a reader can tell apart"
            )
    return mistakes


def mistakes_of_contrasts(contrasts: Sequence[Contrast]) -> list[str]:
    """Return the contrasts that are asked for twice: each would be paid for in the correction."""
    mistakes = []
    before: set[frozenset[str]] = set()
    for contrast in contrasts:
        pair = frozenset((contrast.arm, contrast.reference))
        if pair in before and len(pair) == 2:
            mistakes.append(
                f"the contrast of {contrast.arm!r} and {contrast.reference!r} is declared twice, "
                "and every p is corrected for both; a pair is compared once, in one direction"
            )
        before.add(pair)
    return mistakes


def mistakes_of_margin(margin: float) -> list[str]:
    """Return what keeps a margin from being one."""
    if math.isfinite(margin) and margin >= 0:
        return []
    return [f"its margin is {margin}; a margin is a finite number above 0, or 0 for none"]
