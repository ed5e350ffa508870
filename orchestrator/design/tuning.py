"""Tune a setting of every arm by an equal small budget, so that arms compare at their own best."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.design.factors import Arm
from orchestrator.design.plan import Plan
from orchestrator.design.search_space import CONFIRMED, LogUniform, Search
from orchestrator.errors import PlanError, unknown
from orchestrator.experiment.overrides import flatten
from orchestrator.metrics.catalog import METRICS

SHORT = {"lr": "optimizer.learning_rate"}
"""Short name -> path of a setting."""

TUNED, TUNE = "tuned", "tune"
"""Endings of the names of the arms at their own settings, and of each arm's search for one."""

DECADE = 10.0
"""A setting is sought between its shared value divided and multiplied by this."""


def is_beside(sweep: str, other: str) -> bool:
    """Whether a sweep belongs to another, which was run by the same command and shows it, too."""
    return bool(re.fullmatch(rf"{re.escape(other)}-({CONFIRMED}|{TUNED}|{TUNE}\d+)", sweep))


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """An equal budget of trials per arm for one setting.

    Attributes:
        setting: Path of the setting, or its short name.
        num_trials: Trials per arm, that at the shared setting among them.
    """

    setting: str
    num_trials: int

    @property
    def path(self) -> str:
        """Path of the setting."""
        return SHORT.get(self.setting, self.setting)

    def check(self, plan: Plan) -> None:
        """Raise a `PlanError` that names every reason why a plan's arms cannot be tuned."""
        mistakes: list[str] = []
        for arm in plan.arms:
            settings = flatten(plan.experiment(arm))
            value = settings.get(self.path)
            numbers = [
                path
                for path, v in settings.items()
                if isinstance(v, float) and v > 0 and not path.startswith("dataset.")
            ]
            if self.path not in numbers:
                what = f"setting of {arm.name!r} that can be tuned"
                hint = f"It is {value!r} there." if self.path in settings else ""
                mistakes.append(unknown(what, self.setting, [*SHORT, *numbers], hint=hint))
        if len(plan.folds) > 1:
            mistakes.append(
                "--tune chooses on clips that one fold does not report, and other folds do; name "
                "one fold by --folds"
            )
        metric = METRICS.get(plan.metric)
        if metric is not None and metric.at_report:
            mistakes.append(
                f"--tune reads {metric.key} of validation clips, which the report alone computes; "
                "leave it out, or declare another metric"
            )
        if mistakes:
            raise PlanError(mistakes)

    def shared(self, plan: Plan, arm: Arm) -> float:
        """Return the setting of an arm as the plan has it."""
        return float(flatten(plan.experiment(arm))[self.path])

    def search(self, plan: Plan, arm: Arm) -> Search:
        """Return the search for an arm's own setting, on validation clips of the first block.

        Its control is the arm at the shared setting.
        """
        shared = self.shared(plan, arm)
        changes = plan.changes_of(arm)
        number = 1 + [one.name for one in plan.arms].index(arm.name)
        chosen = plan.with_base(selection="best_on_validation")
        return Search(
            plan=dataclasses.replace(
                chosen,
                question=f"Which {self.path} suits {arm.name}?",
                arms=(Arm(name=arm.name, changes=changes),),
                baseline="",
                contrasts=(),
                effects=(),
                dose="",
                cap=0,
                num_blocks=0,
                seeds=plan.seeds[:1],
                folds=plan.folds[:1],
                variant=(*plan.variant, f"{TUNE}{number}"),
            ),
            space={self.path: LogUniform(shared / DECADE, shared * DECADE)},
            symbols={self.path: f"{arm.name} {self.setting}"},
            shared=changes,
            num_points=self.num_trials - 1,
        )

    def tuned(self, plan: Plan, values: Mapping[str, float]) -> Plan:
        """Return the plan with every arm at its own setting.

        Args:
            plan: Plan at the shared setting.
            values: Arm -> setting.
        """
        baseline = values[plan.baseline_arm]

        def own(arm: Arm) -> Arm:
            value = values[arm.name]
            changes: dict[str, Any] = dict(arm.changes)
            if value != self.shared(plan, arm):
                changes[self.path] = value
            null = arm.null_control and value == baseline
            return dataclasses.replace(arm, changes=changes, published={}, null_control=null)

        return dataclasses.replace(
            plan, arms=tuple(map(own, plan.arms)), variant=(*plan.variant, TUNED)
        )
