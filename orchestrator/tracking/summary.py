"""An arm's numbers over its replicates, as the report has them."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.analysis.comparisons import Compared
from orchestrator.analysis.summary import summarize_arms
from orchestrator.metrics import METRICS, lookup
from orchestrator.records import PlanRecord, Status, TrialRecord


def arm_numbers(
    plan: PlanRecord, arm: str, reference: str, records: Mapping[str, TrialRecord]
) -> dict[str, float]:
    """Return an arm's numbers over its finished replicates.

    Args:
        plan: gives the metric and the epoch that is read.
        arm: its name.
        reference: the arm it is compared with; may be the same arm.
        records: trial id -> record.

    Returns:
        For each validation metric `/mean`, `/n` and, from two replicates on, `/low` and `/high`
        (95 % interval); for each but the reference itself `/difference`, arm minus reference over
        the blocks that both have, with its interval, where the report compares them. All are the
        report's numbers in the unit in which trials store them; n counts what the interval counts.
        And what a replicate cost.
    """
    primary = lookup(plan.metric)
    arms = {
        own.name: own
        for own in summarize_arms(plan, records, metric=primary, only=(arm, reference))
    }
    own, other = arms[arm], arms.get(reference)
    numbers: dict[str, float] = {}
    # The primary metric's mean comes first: the comparison page plots the first that it finds.
    for key, measure in own.measures.items():
        scale, found = measure.metric.scale, measure.interval
        numbers |= {f"{key}/mean": found.mean / scale, f"{key}/n": found.n}
        if found.low is not None and found.high is not None:
            numbers |= {f"{key}/low": found.low / scale, f"{key}/high": found.high / scale}
        if other is None or other is own:
            continue
        compared = Compared(plan=plan, records=records, metric=METRICS[key], mixed=False)
        gap = compared.difference(own, other)
        if gap is None:
            continue
        numbers[f"{key}/difference"] = gap.mean / scale
        if gap.low is not None and gap.high is not None:
            numbers |= {
                f"{key}/difference_low": gap.low / scale,
                f"{key}/difference_high": gap.high / scale,
            }
    if own.cost and any(cell.status is Status.FINISHED for cell in own.cells):
        numbers["cost/seconds"] = own.cost.seconds
        numbers["cost/num_params"] = own.cost.num_params
        numbers["cost/macs"] = own.cost.macs
    return numbers
