"""An arm's numbers over its replicates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from orchestrator.records import PlanRecord, Status, TrialKey, TrialRecord
from orchestrator.stats import crossed_difference, crossed_interval


def summarize(
    plan: PlanRecord,
    arm: Sequence[TrialKey],
    reference: Sequence[TrialKey],
    records: Mapping[str, TrialRecord],
) -> dict[str, float]:
    """Return an arm's numbers over its finished replicates.

    Args:
        plan: gives the metric and the epoch that is read.
        arm: its cells.
        reference: the cells of the arm it is compared with; may be the same arm.
        records: trial id -> record.

    Returns:
        For each validation metric `/mean`, `/n` and, from two replicates on, `/low` and `/high`
        (95 % interval); for each but the reference itself `/difference`, arm minus reference over
        the blocks that both have, with its interval; both as the report has them. And what a
        replicate cost.
    """
    ours, theirs = _finished(plan, arm, records), _finished(plan, reference, records)
    names = {name for metrics in ours.values() for name in metrics if name.startswith("val/")}
    numbers: dict[str, float] = {}
    # The primary metric's mean comes first: the comparison page plots the first that it finds.
    for name in sorted(
        names | ({plan.metric} if ours else set()), key=lambda n: (n != plan.metric, n)
    ):
        values = {block: m[name] for block, m in ours.items() if _finite(m.get(name))}
        others = {block: m[name] for block, m in theirs.items() if _finite(m.get(name))}
        if not values:
            continue
        found = crossed_interval(values, num_contrasts=plan.num_declared)
        numbers |= {f"{name}/mean": found.mean, f"{name}/n": len(values)}
        if found.low is not None and found.high is not None:
            numbers |= {f"{name}/low": found.low, f"{name}/high": found.high}
        if arm != reference and values.keys() & others.keys():
            gap = crossed_difference(values, others, num_contrasts=plan.num_declared)
            numbers[f"{name}/difference"] = gap.mean
            if gap.low is not None and gap.high is not None:
                numbers |= {
                    f"{name}/difference_low": gap.low,
                    f"{name}/difference_high": gap.high,
                }
    done = [records[cell.id].cost for cell in arm if _is_finished(records.get(cell.id))]
    if done:
        numbers["cost/seconds"] = sum(cost.seconds for cost in done) / len(done)
        numbers["cost/num_params"] = done[-1].num_params
        numbers["cost/macs"] = done[-1].macs
    return numbers


def _finished(
    plan: PlanRecord, cells: Iterable[TrialKey], records: Mapping[str, TrialRecord]
) -> dict[tuple[int, int], Mapping[str, float]]:
    return {
        (cell.seed, cell.fold): records[cell.id].metrics_at(plan.selection)
        for cell in cells
        if _is_finished(records.get(cell.id))
    }


def _is_finished(record: TrialRecord | None) -> bool:
    return record is not None and record.status is Status.FINISHED


def _finite(value: float | None) -> bool:
    return value is not None and abs(value) < float("inf")
