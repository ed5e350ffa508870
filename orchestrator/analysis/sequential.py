"""What a study until decided has decided of its contrasts so far."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.analysis.rows import Block
from orchestrator.analysis.values import finished_values
from orchestrator.metrics import Metric, lookup
from orchestrator.records import PlanRecord, TrialRecord
from orchestrator.stats import (
    Decision,
    Sequential,
    Verdict,
    decide,
    weighted_sums,
)

SEPARATOR = " \N{MINUS SIGN} "


VERDICTS = {
    Decision.BETTER: Verdict.BETTER,
    Decision.WORSE: Verdict.WORSE,
    Decision.UNDECIDED: Verdict.UNDECIDED,
    Decision.NOT_DISTINGUISHABLE: Verdict.NOT_DISTINGUISHABLE,
}


def decisions(
    plan: PlanRecord, records: Mapping[str, TrialRecord], *, metric: Metric | None = None
) -> dict[str, Sequential]:
    """Decide the declared contrasts and effects of a plan with a cap.

    Blocks count in their declared order up to the first in which an arm has no value.

    Args:
        plan: with a cap.
        records: id -> record.
        metric: None takes the declared one.

    Returns:
        contrast (`name_of`) or effect (its name) -> decision, in the plan's order; differences are
        in the metric's unit.
    """
    metric = metric or lookup(plan.metric)
    values = finished_values(plan, records, metric)
    blocks = list(dict.fromkeys((trial.seed, trial.fold) for trial in plan.trials))
    arms = {name for c in plan.contrasts for name in (c.arm, c.reference)}
    arms |= {name for effect in plan.effects for name in effect.weights}
    whole: list[Block] = []
    for block in blocks:
        if any(block not in values.get(arm, {}) for arm in arms):
            break
        whole.append(block)
    differences = {
        name_of(c.arm, c.reference): [values[c.arm][b] - values[c.reference][b] for b in whole]
        for c in plan.contrasts
    }
    for effect in plan.effects:
        sums = weighted_sums(values, effect.weights) if whole else {}
        differences[effect.name] = [sums[block] for block in whole]
    return decide(differences, cap=plan.cap, sign=metric.sign)


def name_of(arm: str, reference: str) -> str:
    """Return how a contrast is called."""
    return f"{arm}{SEPARATOR}{reference}"
