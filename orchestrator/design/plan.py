"""A sweep as a value: arms, replicates in paired blocks, declared contrasts.

Reading a sweep file raises nothing here. `Plan.check` collects every mistake and names them all at
once; the command line calls it first.
"""

from __future__ import annotations

import dataclasses
import functools
import graphlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from orchestrator.design.effects import declared_effect
from orchestrator.design.factors import Arm, Contrast, Effect, FromBase, Trial
from orchestrator.design.validation import mistakes_of_plan, mistakes_of_types
from orchestrator.errors import ConfigError, OrchestratorError, PlanError, unknown
from orchestrator.experiment.config import ADDED, Experiment
from orchestrator.experiment.identity import (
    CompletedExperiment,
    canonical,
    complete,
    replicate_ids,
)
from orchestrator.experiment.overrides import differences, flatten, override
from orchestrator.metrics.catalog import METRICS, VAL_LOSS, VAL_TOP1, mistake_of
from orchestrator.records import ArmRecord, ContrastRecord, EffectRecord, PlanRecord


class DefaultMetric(str):
    """Metric of a plan that names none: a launch puts the usual one of the data in its place."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A question, the arms that answer it and the blocks they are compared in.

    Attributes:
        name: Name of the sweep: letters, digits and `_`.
        question: Question that the sweep answers, one sentence.
        base: Experiment that every arm departs from.
        arms: Rows of the table in order.
        demo: Laptop-size base that `--demo` puts in place of `base`.
        demo_seeds: Seeds that `--demo` puts in place of `seeds`. Of six pairs none may tie for a
            contrast to be called; eight allow for the ties that whole clips make.
        baseline: The arm that the table sets apart; empty means the first.
        metric: Key of the primary metric; if it is not named, that of `orchestrator.metrics.USUAL`
            for the data set's kind of targets.
        contrasts: Contrasts, most important first; None means every other arm against the baseline,
            or no contrasts if effects are declared.
        effects: Main effects and interactions of a factorial design, most important first; tested
            and corrected together with the contrasts.
        seeds: Seeds, paired over all arms.
        folds: Held-out folds, paired over all arms.
        source: Source of the published numbers.
        conditions: What the published numbers were measured on.
        dose: Path whose value orders the arms, for a dose curve.
        variant: What the command line changed (`demo`, `esc`), part of the stored name.
        num_blocks: Number of declared blocks, taken in order; 0 means all.
        cap: Most blocks of a study that adds blocks until every contrast is decided; 0 means a
            fixed size.
        margin: A difference that would not matter, in the metric's unit (points for accuracy): the
            report then tests whether an arm is equivalent, or no worse. 0 declares none.
        tie_break: Key of a metric that orders what the primary one leaves tied
            (`orchestrator.stats.tie_break`); None leaves ties, and so does the primary metric.
        prerequisites: Experiments whose checkpoints arms start from, or that teach them, trained
            first; those that no arm names are left out.
    """

    name: str
    question: str
    base: Experiment
    arms: tuple[Arm, ...]
    demo: Experiment | None = None
    demo_seeds: tuple[int, ...] = tuple(range(8))
    baseline: str = ""
    metric: str = DefaultMetric(VAL_TOP1)
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
    tie_break: str | None = VAL_LOSS
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
        """The contrasts, or every other arm against the baseline if none are stated."""
        if self.contrasts is not None or self.effects:
            return self.contrasts or ()
        others = [arm.name for arm in self.arms if arm.name != self.baseline_arm]
        return tuple(Contrast(name, self.baseline_arm) for name in others)

    @property
    def num_declared(self) -> int:
        """Number of declared contrasts and effects: the family that is corrected for."""
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
        """Return the plan as a study that adds blocks, up to its own number, until decided."""
        return dataclasses.replace(
            self, cap=len(self.blocks), variant=(*self.variant, "until_decided")
        )

    def experiment(self, arm: Arm) -> CompletedExperiment:
        """Return an arm's experiment, at the base's seed and fold.

        If it is read at its best epoch, the plan's metric chooses that epoch, unless the experiment
        names another, or the report alone computes the plan's.
        """
        changed = override(self.base, self.changes_of(arm))
        named = changed.selection_metric != ADDED["selection_metric"]
        at_report = not mistake_of(self.metric) and METRICS[self.metric].at_report
        if changed.selection != "last" and not named and not at_report:
            return dataclasses.replace(changed, selection_metric=self.metric)
        return changed

    def replicate(
        self, *, seeds: Sequence[int] | None = None, folds: Sequence[int] | None = None
    ) -> Plan:
        """Return the plan over other seeds or folds."""
        return dataclasses.replace(
            self,
            seeds=self.seeds if seeds is None else tuple(seeds),
            folds=self.folds if folds is None else tuple(folds),
        )

    def named_arms(self, words: Sequence[str]) -> tuple[str, ...]:
        """Return the names and patterns of arms that words of a command line stand for.

        A word is a name, a pattern, several of them with commas between, or the number of an arm in
        the order of the plan, from 1. Words that only together are a name are one: `ray submit`
        takes a name with spaces apart.

        Args:
            words: Words of the command line.

        Raises:
            ConfigError: A word stands for no arm.
        """
        names = [arm.name for arm in self.arms]
        found: list[str] = []
        left = list(words)
        while left:
            word, left = left[0], left[1:]
            joined = (" ".join([word, *left[:end]]) for end in range(len(left), 0, -1))
            several = [part.strip() for part in word.split(",") if part.strip()]
            if any(name == word or fnmatchcase(name, word) for name in names):
                found.append(word)
            elif name := next((name for name in joined if name in names), ""):
                found.append(name)
                left = left[name.count(" ") - word.count(" ") :]
            elif "," in word and several:
                left = several + left
            elif word.isdecimal() and word.isascii() and 0 < int(word[:9]) <= len(names):
                found.append(names[int(word) - 1])
            else:
                hint = f"or a number from 1 to {len(names)}, several with commas between"
                raise ConfigError(unknown("arm", word, names, hint=hint))
        return tuple(found)

    def only(self, patterns: Sequence[str]) -> Plan:
        """Return the plan with some of its arms, in its order.

        Contrasts and effects stay declared if all of their arms are kept, and the dose if one of
        them sets it. If the baseline is not kept, the first kept arm takes its place.

        Args:
            patterns: Names of arms, or patterns with `*` and `?`.

        Raises:
            ConfigError: A pattern matches no arm.
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
        effects = tuple(e for e in self.effects if self.effect_record(e).weights.keys() <= kept)
        left = dataclasses.replace(
            self,
            arms=tuple(arm for arm in self.arms if arm.name in kept),
            baseline=self.baseline if self.baseline in kept else "",
            contrasts=contrasts,
            effects=effects,
        )
        try:
            dosed = self.dose not in self.varied_paths() or self.dose in left.varied_paths()
        except ConfigError:  # an arm is wrong, and `check` says how
            dosed = True
        return left if dosed else dataclasses.replace(left, dose="")

    def with_base(self, **changes: Any) -> Plan:
        """Return the plan with some fields of its base changed; the arms follow."""
        base = Experiment(**{**vars(self.base), **changes})
        return dataclasses.replace(self, base=base)

    def trials(self) -> tuple[Trial, ...]:
        """Return all trials, block by block, so that a half-finished study is balanced.

        Raises:
            PlanError: See `check`.
        """
        return self._trials

    @functools.cached_property
    def _trials(self) -> tuple[Trial, ...]:
        """Build the trials once: a listing, its forecast and the stored plan all use them."""
        self.check()
        built = {arm.name: self.experiment(arm) for arm in self.arms}
        of_arm: dict[str, list[Trial]] = {}
        # Teachers first: their ids are part of their students'.
        order = graphlib.TopologicalSorter(
            {name: {one.teacher_arm} - {""} for name, one in built.items()}
        )
        for name in order.static_order():
            of_arm[name] = self._replicates(name, built[name], of_arm)
        blocks = zip(*(of_arm[name] for name in built), strict=True)
        return tuple(trial for block in blocks for trial in block)

    def _replicates(
        self, name: str, experiment: CompletedExperiment, of_arm: Mapping[str, list[Trial]]
    ) -> list[Trial]:
        """Return an arm's trials, one per block.

        Args:
            name: The arm.
            experiment: Its experiment.
            of_arm: Arm -> its trials, of those that teach.
        """
        blocks = self.blocks
        if not experiment.teacher_arm:
            ids = replicate_ids(experiment, blocks)
            copies = [experiment.at(fold=fold, seed=seed) for fold, seed in blocks]
        else:
            teachers = of_arm[experiment.teacher_arm]
            copies = [
                experiment.at(fold=fold, seed=seed, teacher=teacher.id)
                for (fold, seed), teacher in zip(blocks, teachers, strict=True)
            ]
            ids = [copy.id for copy in copies]
        return [
            Trial(arm=name, seed=seed, fold=fold, experiment=copy, id=id_)
            for (fold, seed), copy, id_ in zip(blocks, copies, ids, strict=True)
        ]

    def prerequisite_trials(self) -> tuple[Trial, ...]:
        """Return the trials that arms start from or learn from by id, to be trained first."""
        experiments = self.prerequisites(self.base) if self.prerequisites else ()
        arms = [self.experiment(arm) for arm in self.arms if experiments]
        named = {arm.initial.arguments.get("id") for arm in arms}
        named |= {arm.distillation.arguments.get("teacher") for arm in arms}
        needed = [(e, e.id) for e in map(complete, experiments) if e.id in named]
        return tuple(
            Trial(arm=f"prerequisite {number}", seed=e.seed, fold=e.fold, experiment=e, id=id_)
            for number, (e, id_) in enumerate(needed, start=1)
        )

    def check(self) -> None:
        """Raise a `PlanError` that names every mistake of the plan at once.

        Wrong types are reported first and alone, since no other check can run on them.
        """
        self.check_types()
        if mistakes := mistakes_of_plan(self):
            raise PlanError(mistakes)

    def check_types(self) -> None:
        """Raise a `PlanError` that names every field of the wrong type."""
        if mistakes := mistakes_of_types(self):
            raise PlanError(mistakes)

    def record(self, *, command: str = "", declared_at: str = "", **dataset: Any) -> PlanRecord:
        """Return the stored form: what was declared, and the trial of every cell."""
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
            selection=base.selection,
            baseline=self.baseline_arm,
            arms=arms,
            contrasts=tuple(
                ContrastRecord(arm=c.arm, reference=c.reference) for c in self.declared_contrasts
            ),
            trials=tuple(trial.key for trial in self.trials()),
            prerequisites=tuple(trial.key for trial in self.prerequisite_trials()),
            settings={
                path: canonical(value)
                for path, value in flatten(base).items()
                if not _as_before(base, path)
            },
            source=self.source,
            conditions=self.conditions,
            dataset=dataset,
            command=command,
            declared_at=declared_at,
            dose=self.dose,
            cap=self.cap,
            margin=self.margin,
            effects=tuple(map(self.effect_record, self.effects)),
            tie_break=self.tie_break if self.tie_break and self.tie_break != self.metric else "",
        )

    def effect_record(self, effect: Effect) -> EffectRecord:
        """Return the stored form of an effect; a `ConfigError` if the arms cannot show it."""
        return declared_effect(effect, {arm.name: arm.levels for arm in self.arms})

    def changes_of(self, arm: Arm) -> dict[str, Any]:
        """Return an arm's changes, with the values that depend on the base."""
        return {
            path: self._from_base(path, value) if isinstance(value, FromBase) else value
            for path, value in arm.changes.items()
        }

    def _from_base(self, path: str, value: FromBase) -> Any:
        try:
            return value.value(self.base)
        except OrchestratorError:
            raise
        except Exception as error:  # the sweep's function may raise anything
            raise ConfigError(
                f"the function of {path!r} fails: {type(error).__name__}: {error}"
            ) from error

    def varied_paths(self) -> set[str]:
        """Return the paths at which an arm differs from the first."""
        built = [self.experiment(arm) for arm in self.arms]
        return {path for other in built[1:] for path in differences(built[0], other)}


def _as_before(experiment: Experiment, path: str) -> bool:
    """Whether a setting is one that came later and is as it was before.

    A plan that was declared without it thus stays the same plan.
    """
    field = path.partition(".")[0]
    added = ADDED.keys() - {"shuffled_labels"}  # which plans have stated from the start
    return field in added and getattr(experiment, field) == ADDED[field]
