"""The checks of a plan: its types, names, numbers, arms and comparisons."""

# Sweep files are not type-checked, so types are checked when they run.
# pyright: reportUnnecessaryIsInstance=false

from __future__ import annotations

import graphlib
import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orchestrator.design.factors import Arm, Contrast, Effect, is_texts, wrong
from orchestrator.errors import ConfigError, unknown
from orchestrator.experiment.config import RANGES, Experiment
from orchestrator.experiment.identity import complete
from orchestrator.experiment.narrow import is_list
from orchestrator.experiment.overrides import mistakes_of
from orchestrator.metrics.catalog import METRICS, mistake_of
from orchestrator.stats import pairs_needed

if TYPE_CHECKING:
    from orchestrator.design.plan import Plan

MAX_TRIALS = 100_000
"""Trials of one plan at most; a plan of these is listed in seconds."""

MAX_PLAN_NAME = 100
"""Characters; a sweep's folder has its name, and what the command line changed behind it."""

MAX_CAP = 1000
"""Blocks of a study until decided; its rule looks back at all of them after every one."""

MAX_NAME = 250
"""Characters of a name; MLflow and file systems take no more."""


_WITH_TEACHER = "The plan, and --arms, must keep the arm that teaches."


def mistakes_of_plan(plan: Plan) -> list[str]:
    """Return every mistake, once, of a plan whose fields have the right types."""
    return list(dict.fromkeys([*_mistakes_of_names(plan), *_mistakes_of_arms(plan)]))


def mistakes_of_types(plan: Plan) -> list[str]:
    """Return a message for every field of the wrong type."""

    def several(value: Any, kind: type) -> bool:
        return is_list(value) and all(isinstance(one, kind) for one in value)

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
            plan.tie_break is None or isinstance(plan.tie_break, str),
            "tie_break",
            "the key of a metric, or None",
        ),
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
    return is_list(values) and all(_is_count(value) and value <= highest for value in values)


def _mistakes_of_size(plan: Plan) -> list[str]:
    """Return why a plan is too large to train; counts without building."""
    arms, seeds, folds = len(plan.arms), len(plan.seeds), len(plan.folds)
    num = arms * (min(plan.num_blocks, seeds * folds) or seeds * folds)
    if num <= MAX_TRIALS:
        return []
    return [
        f"it has {num:,} trials ({arms:,} arms x {seeds:,} seeds x {folds:,} folds), and one plan "
        f"has {MAX_TRIALS:,} at most; give fewer seeds, folds or arms"
    ]


def mistakes_of_changes(what: str, changes: Mapping[str, Any]) -> list[str]:
    """Return a message for every setting of a block or the code, which no arm may change."""
    mistakes: list[str] = []
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


def _mistakes_of_arm_names(names: Sequence[str]) -> list[str]:
    """Return why the names of arms cannot be told apart in a table, one sentence each."""
    mistakes: list[str] = []
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
    for group in alike.values():
        if len(group) > 1:
            mistakes.append(
                f"arms {' and '.join(map(repr, group))} differ by case or white space alone; give "
                "them names that a reader can tell apart"
            )
    return mistakes


def _mistakes_of_contrasts(contrasts: Sequence[Contrast]) -> list[str]:
    """Return the contrasts that are declared twice: the correction would count each of them."""
    mistakes: list[str] = []
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


def _mistakes_of_margin(margin: float) -> list[str]:
    """Return why a margin is invalid."""
    if math.isfinite(margin) and margin >= 0:
        return []
    return [f"its margin is {margin}; a margin is a finite number above 0, or 0 for none"]


def _mistakes_of_names(plan: Plan) -> list[str]:
    mistakes: list[str] = []
    names = [arm.name for arm in plan.arms]
    if not re.fullmatch(r"[A-Za-z0-9_]+", plan.name):
        mistakes.append(f"its name is {plan.name!r}; use letters, digits and _")
    elif len(plan.name) > MAX_PLAN_NAME:
        mistakes.append(
            f"its name has {len(plan.name):,} characters; {MAX_PLAN_NAME} are the most that "
            "a folder of the store can be called by"
        )
    if len(names) < 1:
        mistakes.append("it has no arms; give at least a baseline and one other")
    for name in sorted({name for name in names if names.count(name) > 1}):
        mistakes.append(f"two arms are called {name!r}; every arm needs a name of its own")
    mistakes += _mistakes_of_arm_names(names)
    if names and plan.baseline_arm not in names:
        mistakes.append(unknown("baseline arm", plan.baseline, names))
    problems = [mistake_of(plan.metric)]
    if plan.tie_break is not None:
        problems.append(mistake_of(plan.tie_break, what="metric that breaks ties"))
    mistakes += filter(None, problems)
    if plan.metric in METRICS and METRICS[plan.metric].at_report and plan.cap:
        mistakes.append(
            f"{plan.metric} is computed by the report alone, so a study cannot run until it is "
            "decided by it; give it a fixed number of seeds"
        )
    for contrast in plan.contrasts or ():
        for name in (contrast.arm, contrast.reference):
            if name not in names:
                mistakes.append(unknown("arm in a contrast", name, names))
        if contrast.arm == contrast.reference:
            mistakes.append(f"a contrast compares {contrast.arm!r} with itself")
    mistakes += _mistakes_of_contrasts(plan.contrasts or ())
    mistakes += _mistakes_of_effects(plan)
    mistakes += _mistakes_of_margin(plan.margin)
    mistakes += _mistakes_of_size(plan)
    needed = pairs_needed(plan.num_declared)
    if plan.cap and len(plan.folds) > 1:
        mistakes.append(
            "folds share training clips, so a study until decided cannot count them as blocks; "
            "hold out one with --folds"
        )
    if plan.cap > MAX_CAP:
        mistakes.append(
            f"a study until decided of {plan.cap:,} blocks; {MAX_CAP:,} are the most that its "
            "rule is computed for: give fewer --seeds"
        )
    if plan.cap and not plan.num_declared:
        mistakes.append("it declares no contrast, so there is nothing to decide")
    elif plan.cap and plan.cap < needed:
        mistakes.append(
            f"{plan.cap} blocks can never call one of {plan.num_declared} "
            f"contrasts; give --seeds {needed} or more, or declare fewer contrasts"
        )
    for what, values in (("seeds", plan.seeds), ("folds", plan.folds)):
        if not values:
            mistakes.append(f"it has no {what}; give at least one")
        if len(values) > MAX_TRIALS:
            continue  # `_mistakes_of_size` reports it; a range may be longer than memory
        if len(set(values)) != len(values):
            mistakes.append(f"{what} {list(values)} name one twice; replicates must differ")
    return mistakes


def _mistakes_of_effects(plan: Plan) -> list[str]:
    mistakes: list[str] = []
    for place, effect in enumerate(plan.effects):
        try:
            plan.effect_record(effect)
        except ConfigError as error:
            mistakes.append(str(error))
        if any(set(effect.factors) == set(e.factors) for e in plan.effects[:place]):
            mistakes.append(f"the effect {' x '.join(effect.factors)!r} is declared twice")
    return mistakes


def _mistakes_of_arms(plan: Plan) -> list[str]:
    mistakes = [f"base: {mistake}" for mistake in mistakes_of(plan.base, {})]
    for arm in plan.arms:
        try:
            arm_mistakes = mistakes_of(plan.base, plan.changes_of(arm))
        except ConfigError as error:
            arm_mistakes = [str(error)]
        what = f"arm {arm.name!r}"
        mistakes += [f"{what}: {m}" for m in arm_mistakes if f"base: {m}" not in mistakes]
        mistakes += mistakes_of_changes(what, arm.changes)
    if mistakes:
        return mistakes
    mistakes += _mistakes_of_data(plan)
    mistakes += _mistakes_of_teachers(plan)
    mistakes += _mistakes_of_validation(plan)
    seen: dict[str, str] = {}
    for arm in plan.arms:
        key = plan.experiment(arm).id
        if key in seen:
            mistakes.append(
                f"arm {arm.name!r} is equal to arm {seen[key]!r}: every setting is the same; "
                "change one of them or leave it out"
            )
        seen.setdefault(key, arm.name)
    return mistakes + _mistakes_of_dose(plan)


def _mistakes_of_data(plan: Plan) -> list[str]:
    """Return the arms that name another dataset than the plan's, on which they would be trained."""
    base = complete(plan.base).dataset
    fingerprint = base.arguments.get("fingerprint", "")
    return [
        f"arm {arm.name!r} changes the data set, and every arm is trained and scored on the "
        "plan's; ask about other data in a sweep of its own, and set both side by side with "
        "`python -m orchestrator.report SWEEP SWEEP --aggregate`"
        for arm in plan.arms
        if (data := plan.experiment(arm).dataset) != base
        and data.arguments.get("fingerprint", "") in ("", fingerprint)
    ]


def _mistakes_of_teachers(plan: Plan) -> list[str]:
    """Return the arms whose teacher is no arm, learns from them or has heard their clips."""
    built = {arm.name: plan.experiment(arm) for arm in plan.arms}
    teachers = {name: experiment.teacher_arm for name, experiment in built.items()}
    mistakes = [
        f"arm {name!r}: " + unknown("arm of its teacher", teacher, teachers, hint=_WITH_TEACHER)
        for name, teacher in teachers.items()
        if teacher and teacher not in teachers
    ]
    for name, teacher in teachers.items():
        if teacher not in built:
            continue
        own, its = built[name].selection, built[teacher].selection
        if its == "best_on_test":
            mistakes.append(
                f"arm {name!r}: its teacher {teacher!r} is read at the epoch that is best on the "
                "clips it reports, and would teach of them; give that arm selection='last' or "
                "'best_on_validation'"
            )
        elif own == "best_on_validation" != its:
            mistakes.append(
                f"arm {name!r} chooses its epoch on validation clips, on which its teacher "
                f"{teacher!r} is trained; give both selection='best_on_validation'"
            )
    graph = {name: {teacher} - {""} for name, teacher in teachers.items()}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        mistakes.append(
            f"arms teach each other in a circle: {' -> '.join(error.args[1])}; one of them must "
            "learn without a teacher"
        )
    return mistakes


def _mistakes_of_validation(plan: Plan) -> list[str]:
    """Return why a metric that chooses thresholds on validation clips finds none."""
    if plan.metric not in METRICS or not METRICS[plan.metric].needs_validation:
        return []
    without = [
        arm.name for arm in plan.arms if plan.experiment(arm).selection != "best_on_validation"
    ]
    return [
        f"{plan.metric} chooses thresholds on validation clips, and arms "
        f"{', '.join(map(repr, without))} keep none from training; set "
        "selection='best_on_validation', or give the thresholds"
    ] * bool(without)


def _mistakes_of_dose(plan: Plan) -> list[str]:
    paths = plan.varied_paths()
    if not plan.dose or plan.dose in paths:
        return []
    hint = "Arms do not differ in it; leave it empty where there is no dose."
    return [unknown("path of its dose", plan.dose, paths, hint=hint)]
