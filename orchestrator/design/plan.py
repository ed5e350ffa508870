"""A sweep as a value: arms, replicates in paired blocks, declared contrasts.

Nothing here raises while a sweep file is read. `Plan.check` collects every mistake and names all
of them at once; the command line calls it before anything else.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from orchestrator.design.effects import declared_effect
from orchestrator.design.factors import Arm, Contrast, Effect, FromBase, Trial
from orchestrator.design.validation import (
    MAX_TRIALS,
    mistakes_of_arm_names,
    mistakes_of_changes,
    mistakes_of_contrasts,
    mistakes_of_margin,
    mistakes_of_size,
    mistakes_of_types,
)
from orchestrator.errors import ConfigError, OrchestratorError, PlanError, unknown
from orchestrator.experiment.config import ADDED, Experiment, canonical, complete, replicate_ids
from orchestrator.experiment.overrides import differences, flatten, mistakes_of, override
from orchestrator.metrics import METRICS
from orchestrator.records import ArmRecord, ContrastRecord, EffectRecord, PlanRecord
from orchestrator.stats import pairs_needed

MAX_PLAN_NAME = 100
MAX_CAP = 1000
"""Blocks of a study until decided; its rule looks back at all of them after every one."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A question, the arms that answer it and the blocks they are compared in.

    Attributes:
        name: of the sweep: letters, digits and `_`.
        question: what a reader wants to know, one sentence.
        base: the experiment that every arm departs from.
        arms: rows of the table in order.
        demo: the laptop-size base that `--demo` puts in place of `base`.
        demo_seeds: the seeds that `--demo` puts in place of `seeds`.
        baseline: the arm that the table sets apart; empty means the first.
        metric: the primary metric's key.
        contrasts: most important first; None means every other arm against the baseline, or none
            where effects are declared.
        effects: main effects and interactions of a factorial design, most important first; tested
            and corrected together with the contrasts.
        seeds: paired over all arms.
        folds: held-out folds, paired over all arms.
        source: where the published numbers are from.
        conditions: what they were measured on.
        dose: the path whose value orders the arms, for a dose curve.
        variant: what the command line changed (`demo`, `esc`), part of the stored name.
        num_blocks: how many of the blocks are declared, in their order; 0 is all.
        cap: blocks at most of a study that adds blocks until every contrast is decided; 0 is none.
        margin: a difference that would not matter, in the metric's unit (points for accuracy): the
            report then tests whether an arm is equivalent, or no worse. 0 declares none.
        prerequisites: experiments whose checkpoints arms start from, trained first; those that
            no arm names are left out.
    """

    name: str
    question: str
    base: Experiment
    arms: tuple[Arm, ...]
    demo: Experiment | None = None
    demo_seeds: tuple[int, ...] = tuple(range(6))
    baseline: str = ""
    metric: str = "val/top1"
    contrasts: tuple[Contrast, ...] | None = None
    effects: tuple[Effect, ...] = ()
    seeds: tuple[int, ...] = tuple(range(8))
    folds: tuple[int, ...] = (1,)
    source: str = ""
    conditions: str = ""
    dose: str = ""
    variant: tuple[str, ...] = ()
    num_blocks: int = 0
    cap: int = 0
    margin: float = 0.0
    prerequisites: Callable[[Experiment], tuple[Experiment, ...]] | None = None

    @property
    def sweep(self) -> str:
        """The name in the store and in MLflow, variant included."""
        return "-".join([self.name, *self.variant])

    @property
    def baseline_arm(self) -> str:
        """The name of the baseline arm."""
        return self.baseline or (self.arms[0].name if self.arms else "")

    @property
    def declared_contrasts(self) -> tuple[Contrast, ...]:
        """The contrasts, or every other arm against the baseline where nothing is stated."""
        if self.contrasts is not None or self.effects:
            return self.contrasts or ()
        others = [arm.name for arm in self.arms if arm.name != self.baseline_arm]
        return tuple(Contrast(name, self.baseline_arm) for name in others)

    @property
    def num_declared(self) -> int:
        """How many contrasts and effects are declared: the family that is corrected for."""
        return len(self.declared_contrasts) + len(self.effects)

    @property
    def blocks(self) -> tuple[tuple[int, int], ...]:
        """The declared blocks in their order: (fold, seed)."""
        every = tuple(itertools.product(self.folds, self.seeds))
        return every[: self.num_blocks] if self.num_blocks else every

    def take(self, num_blocks: int) -> Plan:
        """Return the plan over its first blocks."""
        return dataclasses.replace(self, num_blocks=num_blocks)

    def until_decided(self) -> Plan:
        """Return the plan as a study that adds blocks, all of its own at most, until decided."""
        return dataclasses.replace(
            self, cap=len(self.blocks), variant=(*self.variant, "until_decided")
        )

    def experiment(self, arm: Arm) -> Experiment:
        """Return an arm's completed experiment, at the base's seed and fold.

        Where it is read at its best epoch, the plan's metric chooses, unless the experiment says
        another.
        """
        found = override(self.base, self._changes(arm))
        if found.selection == "best" and found.selection_metric == ADDED["selection_metric"]:
            return dataclasses.replace(found, selection_metric=self.metric)
        return found

    def replicate(
        self, *, seeds: Sequence[int] | None = None, folds: Sequence[int] | None = None
    ) -> Plan:
        """Return the plan over other seeds or folds."""
        return dataclasses.replace(
            self,
            seeds=self.seeds if seeds is None else tuple(seeds),
            folds=self.folds if folds is None else tuple(folds),
        )

    def only(self, patterns: Sequence[str]) -> Plan:
        """Return the plan with some of its arms, in its order.

        Contrasts and effects stay declared where all of their arms are kept, and the dose where
        one of them sets it. Where the baseline is not kept, the first kept arm takes its place.

        Args:
            patterns: names of arms, or patterns with `*` and `?`.

        Raises:
            ConfigError: one of them matches no arm.
        """
        names = [arm.name for arm in self.arms]
        kept: set[str] = set()
        for pattern in patterns:
            found = {name for name in names if name == pattern or fnmatchcase(name, pattern)}
            if not found:
                raise ConfigError(unknown("arm", pattern, names))
            kept |= found
        contrasts = self.contrasts
        if contrasts is not None:
            contrasts = tuple(c for c in contrasts if {c.arm, c.reference} <= kept)
        effects = tuple(e for e in self.effects if self._effect(e).weights.keys() <= kept)
        left = dataclasses.replace(
            self,
            arms=tuple(arm for arm in self.arms if arm.name in kept),
            baseline=self.baseline if self.baseline in kept else "",
            contrasts=contrasts,
            effects=effects,
        )
        try:
            dosed = self.dose not in self._varied() or self.dose in left._varied()
        except ConfigError:  # an arm is wrong, and `check` says how
            dosed = True
        return left if dosed else dataclasses.replace(left, dose="")

    def with_base(self, **changes: Any) -> Plan:
        """Return the plan with some fields of its base changed; the arms follow."""
        return dataclasses.replace(self, base=dataclasses.replace(self.base, **changes))

    def trials(self) -> tuple[Trial, ...]:
        """Return all trials, block by block, so that a half-finished study is balanced.

        Raises:
            PlanError: see `check`.
        """
        return self._trials

    @functools.cached_property
    def _trials(self) -> tuple[Trial, ...]:
        """Made once: a listing, its forecast and the stored plan all ask for them."""
        self.check()
        blocks = self.blocks
        built = [(arm.name, self.experiment(arm)) for arm in self.arms]
        ids = [replicate_ids(experiment, blocks) for _, experiment in built]
        return tuple(
            Trial(
                arm=name,
                seed=seed,
                fold=fold,
                experiment=dataclasses.replace(experiment, seed=seed, fold=fold),
                id=ids[column][row],
            )
            for row, (fold, seed) in enumerate(blocks)
            for column, (name, experiment) in enumerate(built)
        )

    def prerequisite_trials(self) -> tuple[Trial, ...]:
        """Return the trials whose checkpoints the arms start from, to be trained first."""
        experiments = self.prerequisites(self.base) if self.prerequisites else ()
        started_from = {
            self.experiment(arm).initial.arguments.get("id") for arm in self.arms if experiments
        }
        needed = [(e, e.id) for e in map(complete, experiments) if e.id in started_from]
        return tuple(
            Trial(arm=f"prerequisite {number}", seed=e.seed, fold=e.fold, experiment=e, id=id_)
            for number, (e, id_) in enumerate(needed, start=1)
        )

    def check(self) -> None:
        """Raise a `PlanError` that names every mistake of the plan at once.

        Values of other types come first and alone: nothing else can be asked of them.
        """
        self.check_types()
        mistakes = [*self._mistakes_of_names(), *self._mistakes_of_arms()]
        if mistakes:
            raise PlanError(list(dict.fromkeys(mistakes)))

    def check_types(self) -> None:
        """Raise a `PlanError` that names every field of another type than it must have."""
        if mistakes := mistakes_of_types(self):
            raise PlanError(mistakes)

    def record(self, *, command: str = "", declared_at: str = "", **dataset: Any) -> PlanRecord:
        """Return the stored form: what was declared, and which trial stands for which cell."""
        base = self.experiment(next(arm for arm in self.arms if arm.name == self.baseline_arm))
        arms = tuple(
            ArmRecord(
                name=arm.name,
                levels=dict(arm.levels),
                changes={
                    path: "absent" if new is None else str(new)
                    for path, (_, new) in differences(base, self.experiment(arm)).items()
                },
                published=dict(arm.published),
                conditions=canonical(dict(arm.conditions)),
                source=arm.source,
            )
            for arm in self.arms
        )
        return PlanRecord(
            sweep=self.sweep,
            question=self.question,
            metric=self.metric,
            selection=self.base.selection,
            baseline=self.baseline_arm,
            arms=arms,
            contrasts=tuple(
                ContrastRecord(arm=c.arm, reference=c.reference) for c in self.declared_contrasts
            ),
            trials=tuple(trial.key for trial in self.trials()),
            prerequisites=tuple(trial.key for trial in self.prerequisite_trials()),
            settings={
                path: canonical(value)
                for path, value in flatten(complete(base)).items()
                # What was declared before this setting existed is the same declaration.
                if path != "selection_metric" or value != ADDED[path]
            },
            source=self.source,
            conditions=self.conditions,
            dataset=dataset,
            command=command,
            declared_at=declared_at,
            dose=self.dose,
            cap=self.cap,
            margin=self.margin,
            effects=tuple(map(self._effect, self.effects)),
        )

    def _effect(self, effect: Effect) -> EffectRecord:
        return declared_effect(effect, {arm.name: arm.levels for arm in self.arms})

    def _changes(self, arm: Arm) -> dict[str, Any]:
        return {
            path: self._from_base(path, value) if isinstance(value, FromBase) else value
            for path, value in arm.changes.items()
        }

    def _from_base(self, path: str, value: FromBase) -> Any:
        try:
            return value.value(self.base)
        except OrchestratorError:
            raise
        except Exception as error:  # a function of the sweep's may raise anything
            raise ConfigError(
                f"the function of {path!r} fails: {type(error).__name__}: {error}"
            ) from error

    def _mistakes_of_names(self) -> list[str]:
        mistakes = []
        names = [arm.name for arm in self.arms]
        if not re.fullmatch(r"[A-Za-z0-9_]+", self.name):
            mistakes.append(f"its name is {self.name!r}; use letters, digits and _")
        elif len(self.name) > MAX_PLAN_NAME:
            mistakes.append(
                f"its name has {len(self.name):,} characters; {MAX_PLAN_NAME} are the most that "
                "a folder of the store can be called by"
            )
        if len(names) < 1:
            mistakes.append("it has no arms; give at least a baseline and one other")
        for name in sorted({name for name in names if names.count(name) > 1}):
            mistakes.append(f"two arms are called {name!r}; every arm needs a name of its own")
        mistakes += mistakes_of_arm_names(names)
        if names and self.baseline_arm not in names:
            mistakes.append(unknown("baseline arm", self.baseline, names))
        if self.metric not in METRICS:
            mistakes.append(unknown("metric", self.metric, METRICS))
        for contrast in self.contrasts or ():
            for name in (contrast.arm, contrast.reference):
                if name not in names:
                    mistakes.append(unknown("arm in a contrast", name, names))
            if contrast.arm == contrast.reference:
                mistakes.append(f"a contrast compares {contrast.arm!r} with itself")
        mistakes += mistakes_of_contrasts(self.contrasts or ())
        mistakes += self._mistakes_of_effects()
        mistakes += mistakes_of_margin(self.margin)
        mistakes += mistakes_of_size(self)
        needed = pairs_needed(self.num_declared)
        if self.cap and len(self.folds) > 1:
            mistakes.append(
                "folds share training clips, so a study until decided cannot count them as blocks; "
                "hold out one with --folds"
            )
        if self.cap > MAX_CAP:
            mistakes.append(
                f"a study until decided of {self.cap:,} blocks; {MAX_CAP:,} are the most that its "
                "rule is computed for: give fewer --seeds"
            )
        if self.cap and not self.num_declared:
            mistakes.append("it declares no contrast, so there is nothing to decide")
        elif self.cap and self.cap < needed:
            mistakes.append(
                f"{self.cap} blocks can never call one of {self.num_declared} "
                f"contrasts; give --seeds {needed} or more, or declare fewer contrasts"
            )
        for what, values in (("seeds", self.seeds), ("folds", self.folds)):
            if not values:
                mistakes.append(f"it has no {what}; give at least one")
            if len(values) > MAX_TRIALS:
                continue  # too many, as `mistakes_of_size` says; a range may be longer than memory
            if len(set(values)) != len(values):
                mistakes.append(f"{what} {list(values)} name one twice; replicates must differ")
        return mistakes

    def _mistakes_of_effects(self) -> list[str]:
        mistakes = []
        for place, effect in enumerate(self.effects):
            try:
                self._effect(effect)
            except ConfigError as error:
                mistakes.append(str(error))
            if any(set(effect.factors) == set(e.factors) for e in self.effects[:place]):
                mistakes.append(f"the effect {' x '.join(effect.factors)!r} is declared twice")
        return mistakes

    def _mistakes_of_arms(self) -> list[str]:
        mistakes = [f"base: {mistake}" for mistake in mistakes_of(self.base, {})]
        for arm in self.arms:
            try:
                found = mistakes_of(self.base, self._changes(arm))
            except ConfigError as error:
                found = [str(error)]
            what = f"arm {arm.name!r}"
            mistakes += [f"{what}: {m}" for m in found if f"base: {m}" not in mistakes]
            mistakes += mistakes_of_changes(what, arm.changes)
        if mistakes:
            return mistakes
        mistakes += self._mistakes_of_data()
        seen: dict[str, str] = {}
        for arm in self.arms:
            key = self.experiment(arm).id
            if key in seen:
                mistakes.append(
                    f"arm {arm.name!r} is equal to arm {seen[key]!r}: every setting is the same; "
                    "change one of them or leave it out"
                )
            seen.setdefault(key, arm.name)
        return mistakes + self._mistakes_of_dose()

    def _mistakes_of_data(self) -> list[str]:
        """Return the arms that name other data and would be trained on the plan's all the same."""
        base = complete(self.base).dataset
        own = base.arguments.get("fingerprint", "")
        return [
            f"arm {arm.name!r} changes the data set, and every arm is trained and scored on the "
            "plan's; ask about other data in a sweep of its own, and set both side by side with "
            "`python -m orchestrator.report SWEEP SWEEP --aggregate`"
            for arm in self.arms
            if (data := self.experiment(arm).dataset) != base
            and data.arguments.get("fingerprint", "") in ("", own)
        ]

    def _mistakes_of_dose(self) -> list[str]:
        paths = self._varied()
        if not self.dose or self.dose in paths:
            return []
        hint = "Arms do not differ in it; leave it empty where there is no dose."
        return [unknown("path of its dose", self.dose, paths, hint=hint)]

    def _varied(self) -> set[str]:
        """Return the paths at which an arm differs from the first."""
        built = [self.experiment(arm) for arm in self.arms]
        return {path for other in built[1:] for path in differences(built[0], other)}
