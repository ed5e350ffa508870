"""What a study until decided says of its contrasts so far."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.analysis.values import finished_values
from orchestrator.metrics import Metric, lookup
from orchestrator.records import PlanRecord, TrialRecord
from orchestrator.stats import (
    Decision,
    PairedDifference,
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
    whole = []
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


def turned(difference: PairedDifference, said: Verdict, *, sign: int) -> bool:
    """Say whether a call, which is not taken back, contradicts the mean of all blocks by now."""
    if said not in (Verdict.BETTER, Verdict.WORSE):
        return False
    direction = 1 if said is Verdict.BETTER else -1
    return difference.mean * sign * direction <= 0


def remarks(decided: Sequential | None, difference: PairedDifference, said: Verdict) -> str:
    """Say where p and the other numbers of a sentence do not rest on the same blocks or test.

    Args:
        decided: None for a study of a fixed number of blocks.
        difference: over all blocks that its arms share, those behind a gap too.
        said: the verdict.
    """
    if decided is None:
        return ""
    remark = ""
    low, high = difference.low, difference.high
    if said in (Verdict.BETTER, Verdict.WORSE) and low is not None and high is not None:
        if low <= 0 <= high:
            remark += (
                " The interval covers 0 beside that call: it is that of a fixed number of blocks, "
                f"and p was reached by block {decided.looked}."
            )
    if difference.n > decided.n:
        remark += (
            f" p rests on {_first_blocks(decided.n)}, since block {decided.n + 1} is not whole; "
            f"mean, interval and n are of all {difference.n} blocks that have what is compared."
        )
    return remark


def _first_blocks(count: int) -> str:
    if not count:
        return "no block"
    return "the first block" if count == 1 else f"the first {count} blocks"
