"""What a plan can show and what it will cost, before anything of it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

from orchestrator.costs import seconds_by_arm, unfinished
from orchestrator.metrics import Metric, lookup
from orchestrator.plan import Plan
from orchestrator.progress import duration
from orchestrator.records import TrialRecord
from orchestrator.report.values import finished_values
from orchestrator.report.words import unit_of_difference
from orchestrator.stats import (
    ALPHA,
    MOST_PAIRS,
    pairs_for,
    pairs_needed,
    pilot_spread,
    prospect,
    smallest_p,
    weighted_sums,
)

WANTED = {"%": 1.0}
"""The difference that is planned for where none is asked for, by the metric's unit."""


def foresee(
    plan: Plan,
    records: Mapping[str, TrialRecord],
    *,
    wanted: float = 0.0,
    num_workers: int = 1,
    price_per_hour: float = 0.0,
) -> list[str]:
    """Say in sentences what the plan's blocks can show, how many would do, and the cost of both.

    Folds share training clips, so a seed counts once however many folds it is trained on. Spreads
    and times are those of the plan's own trials in the store: a pilot of a few seeds is
    enough. Its upper 80 % limit is planned with, since a small pilot often sees too small a spread.

    Args:
        plan: over any number of blocks.
        records: id -> record, of the plan's trials that have one.
        wanted: the difference to be found, in the metric's unit; 0 takes one point of a percentage.
        num_workers: devices that a trial holds.
        price_per_hour: of one device; 0 leaves money out.
    """
    n, num_contrasts = _num_replicates(plan), plan.num_declared
    costs = _Costs(plan, records, num_workers, price_per_hour)
    if len(plan.folds) > 1 and n < pairs_needed(num_contrasts):
        return [said for said in (_over_folds(plan), costs.of_missing()) if said]
    said = [_smallest(n, num_contrasts, _replicates(plan))]
    metric = lookup(plan.metric)
    wanted = wanted or WANTED.get(metric.unit, 0.0)
    spread, pairs = _pilot(plan, records, metric)
    if num_contrasts and spread:
        said.append(_detectable(n, spread, pairs, num_contrasts, metric))
        if wanted:
            said.append(_enough(wanted, spread, num_contrasts, metric, costs))
    elif num_contrasts:
        said.append(
            "how large a difference that can show depends on its spread: train a few seeds, for "
            "example --seeds 3, and list the plan again"
        )
    said.append(costs.of_missing())
    return [sentence for sentence in said if sentence]


class _Costs:
    """Device time of blocks, from the finished trials of the same arms."""

    def __init__(
        self, plan: Plan, records: Mapping[str, TrialRecord], num_workers: int, price: float
    ):
        self._price = price
        self._factor = num_workers
        self._folds = len(plan.folds)
        trials = plan.trials()
        self._missing = [trial.arm for trial in unfinished(trials, records)]
        self._of_arm = seconds_by_arm(trials, records)

    def of_blocks(self, count: int) -> str:
        """Say what so many seeds take on all folds; empty where no trial is stored."""
        of_seed = self._folds * sum(self._of_arm.values())
        return self._say(count * of_seed) if self._of_arm else ""

    def of_missing(self) -> str:
        """Say what is left to train."""
        if not self._missing:
            return ""
        trials = f"{len(self._missing)} trial{'s' if len(self._missing) > 1 else ''} to train"
        if not self._of_arm:
            return f"{trials}; what they take is known once one of this plan is in the store"
        return f"{trials}: {self._say(sum(self._of_arm[arm] for arm in self._missing))}"

    def _say(self, seconds: float) -> str:
        device_s = self._factor * seconds
        money = f", {device_s / 3600 * self._price:.2f} at the price given" if self._price else ""
        return f"about {duration(device_s)} of device time{money}"


def _num_replicates(plan: Plan) -> int:
    return len({seed for _, seed in plan.blocks})


def _replicates(plan: Plan) -> str:
    folds = len(plan.folds)
    return f"seeds, each averaged over {folds} folds" if folds > 1 else "paired blocks"


def _over_folds(plan: Plan) -> str:
    """Say how so few seeds on several folds are tested, and how many would be tested exactly."""
    seeds, folds = _num_replicates(plan), len(plan.folds)
    return (
        f"{seeds} seed{'s' if seeds > 1 else ''} on {folds} folds, which share training clips: "
        "differences are tested over folds by the corrected resampled t test; from "
        f"{pairs_needed(plan.num_declared)} seeds on, over seeds by the exact test"
    )


def _smallest(n: int, num_contrasts: int, what: str) -> str:
    least = min(1.0, max(1, num_contrasts) * smallest_p(n))
    said = f"{n} {what}: the smallest p that the exact test can give is {smallest_p(n):.2g}"
    if num_contrasts > 1:
        said += f", {least:.2g} after correction for {num_contrasts} contrasts"
    if least > ALPHA:
        said += f"; {pairs_needed(num_contrasts)} are needed for one below {ALPHA:g}"
    return said


def _pilot(plan: Plan, records: Mapping[str, TrialRecord], metric: Metric) -> tuple[float, int]:
    """Return the largest spread that a declared comparison's stored pairs show, and their number.

    A pair of a study on several folds is a seed's mean over all of them.
    """
    record = plan.record()
    values = finished_values(record, records, metric)
    found = [(0.0, 0)]
    declared = [{c.arm: 1.0, c.reference: -1.0} for c in record.contrasts]
    for weights in (*declared, *(effect.weights for effect in record.effects)):
        if not set.intersection(*(set(values.get(arm, {})) for arm in weights)):
            continue
        sums = weighted_sums(values, weights)
        seeds = dict.fromkeys(seed for seed, _ in sums)
        pairs = [
            fmean(sums[seed, fold] for fold in plan.folds)
            for seed in seeds
            if all((seed, fold) in sums for fold in plan.folds)
        ]
        if len(pairs) > 1 and any(p != pairs[0] for p in pairs):
            found.append((pilot_spread(pairs), len(pairs)))
    return max(found)


def _detectable(n: int, spread: float, pairs: int, num_contrasts: int, metric: Metric) -> str:
    unit = f" {unit_of_difference(metric)}".rstrip()
    seen = prospect(n, spread=spread, num_contrasts=num_contrasts)
    if seen.detectable is None:
        return ""
    return (
        f"{pairs} stored pairs have a spread of at most {spread:.2g}{unit}: {n} blocks find a true "
        f"difference of {seen.detectable:.2g}{unit} with {100 * seen.power:g} % power"
    )


def _enough(wanted: float, spread: float, num_contrasts: int, metric: Metric, costs: _Costs) -> str:
    unit = f" {unit_of_difference(metric)}".rstrip()
    needed = pairs_for(wanted, spread=spread, num_contrasts=num_contrasts)
    if needed is None:
        return (
            f"a spread of at most {spread:.2g}{unit} is too large to find {wanted:g}{unit} with "
            f"{MOST_PAIRS:,} blocks"
        )
    cost = costs.of_blocks(needed)
    return f"to find {wanted:g}{unit}, {needed} blocks" + (f": {cost} in all" if cost else "")
