"""What a plan can show and what it will cost, estimated before training."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from orchestrator.analysis.needed import seeds_needed, whole_seeds
from orchestrator.analysis.recordings import OverRecordings
from orchestrator.analysis.rows import finished_values
from orchestrator.design.plan import Plan
from orchestrator.execution.costs import CostEstimate
from orchestrator.metrics import METRICS, Metric, lookup
from orchestrator.metrics.predictions import Loader
from orchestrator.records import PlanRecord, TrialRecord
from orchestrator.report.wording.contrasts import unit_of_difference
from orchestrator.report.wording.notes import needed_text
from orchestrator.stats import (
    ALPHA,
    MAX_PAIRS,
    POWER,
    Components,
    PooledSpread,
    Steps,
    anytime_p_rows,
    components,
    detectable_over_recordings,
    levels_for,
    pairs_for,
    pairs_needed,
    pooled_components,
    pooled_spread,
    prospect,
    recordings_over_seeds,
    seeds_over_recordings,
    smallest_p,
)

SHARE_OF_SPREAD = 0.25
"""Part of the spread from which on a step of whole clips is worth a sentence."""

UNKNOWN_SPREAD = 2.5
"""Upper limit of the spread over what was seen from which on a pilot is too small to plan by."""

WANTED = {"%": 1.0}
"""Default difference to plan for, by the metric's unit."""


def power_analysis(
    plan: Plan,
    records: Mapping[str, TrialRecord],
    *,
    wanted: float = 0.0,
    num_workers: int = 1,
    price_per_hour: float = 0.0,
    budget_hours: float = 0.0,
    predictions: Loader | None = None,
    recordings: Mapping[str, str] | None = None,
) -> list[str]:
    """Describe what the plan's blocks can show, how many would suffice, and the cost of both.

    Folds share training clips, so a seed counts once on any number of folds. Spreads and times come
    from the plan's stored trials: a pilot of a few seeds is enough. Planning uses the upper 80 %
    limit of the spread, pooled over all contrasts, because a small pilot often underestimates it.
    Where accuracies come in whole clips, power counts the ties that this makes.

    Args:
        plan: Plan with any number of blocks.
        records: Trial id -> record, for the plan's trials that have one.
        wanted: Difference to detect, in the metric's unit; 0 means one percentage point.
        num_workers: Devices per trial.
        price_per_hour: Price of one device-hour; 0 leaves money out.
        budget_hours: Budget of one launch in device-hours; 0 sets no limit.
        predictions: Function that reads the predictions of stored trials; with recordings, other
            recordings are planned for, too.
        recordings: Clip -> source recording.
    """
    n, num_contrasts = _num_replicates(plan), plan.num_declared
    costs = CostEstimate(plan, records, num_workers=num_workers, price=price_per_hour)
    metric = lookup(plan.metric)
    given, wanted = wanted, wanted or WANTED.get(metric.unit, 0.0)
    pilot, steps = _pilot(plan, records, metric), _steps(plan, records, metric)
    over_folds = len(plan.folds) > 1 and n < pairs_needed()
    if plan.cap:
        sentences = [_smallest_until_decided(plan.cap, num_contrasts)]
    else:
        sentences = [_over_folds(plan) if over_folds else _smallest(n, _replicates(plan))]
    if pilot:
        sentences += [_planned_with(pilot, metric), _ties_words(pilot.upper, steps, plan, metric)]
        if not over_folds:
            sentences.append(_detectable(plan, n, pilot.upper, metric, steps))
        if wanted:
            sentences.append(_enough(wanted, pilot, plan, metric, costs, steps))
        if predictions and recordings and not over_folds:
            scope = OverRecordings(
                plan.record(), metric=metric, load=predictions, recordings=recordings
            )
            sentences += _over_recordings(plan, records, metric, pilot, steps, wanted, scope)
    elif num_contrasts and over_folds and given:
        sentences.append(
            f"how many seeds find {given:g}{_unit(metric)} depends on the spread of whole seeds: "
            "train at least two on all of these folds, and list the plan again"
        )
    elif num_contrasts and not over_folds:
        sentences.append(
            "how large a difference that can show depends on its spread: train a few seeds, for "
            "example --seeds 3, and list the plan again"
        )
    sentences += [_by_metric(plan, records), costs.of_missing(), costs.of_budget(budget_hours)]
    return [sentence for sentence in sentences if sentence]


def _num_replicates(plan: Plan) -> int:
    return len({seed for _, seed in plan.blocks})


def _replicates(plan: Plan) -> str:
    folds = len(plan.folds)
    return f"seeds, each averaged over {folds} folds" if folds > 1 else "paired blocks"


def _over_folds(plan: Plan) -> str:
    """Explain how few seeds on several folds are tested, and how many an exact test needs."""
    seeds, folds = _num_replicates(plan), len(plan.folds)
    return (
        f"{seeds} seed{'s' if seeds > 1 else ''} on {folds} folds, which share training clips: "
        "differences are tested over folds by the corrected resampled t test; from "
        f"{pairs_needed()} seeds on, over seeds by the exact test"
    )


def _smallest(n: int, what: str) -> str:
    least = smallest_p(n)
    smallest = f"{least:.2g}" if least else "below 1e-300"
    sentence = f"{n} {what}: the smallest p that the exact test can give is {smallest}"
    if least > ALPHA:
        sentence += f"; {pairs_needed()} are needed for one below {ALPHA:g}"
    return sentence


def _smallest_until_decided(cap: int, num_contrasts: int) -> str:
    """Give the smallest p that the rule can reach: all blocks agree, at the cap."""
    levels = levels_for(num_contrasts)
    least = float(anytime_p_rows(np.ones((1, cap)), cap=cap, levels=levels)[0, -1])
    sentence = (
        f"{cap} blocks at most: the smallest p that the rule until decided can give is {least:.2g}"
    )
    if num_contrasts > 1:
        adjusted = min(1.0, num_contrasts * least)
        sentence += f", {adjusted:.2g} after correction for {num_contrasts} contrasts"
    return sentence


def _pilot(plan: Plan, records: Mapping[str, TrialRecord], metric: Metric) -> PooledSpread | None:
    """Return the spread of a difference in stored pairs of declared comparisons; None without one.

    On several folds, a pair is a seed's mean over all of them.
    """
    record = plan.record()
    values = finished_values(record, records, metric)
    samples: list[list[float]] = []
    used: list[Mapping[str, float]] = []
    for weights in _declared(record):
        pairs = list(whole_seeds(record, values, weights).values())
        if len(pairs) > 1 and any(p != pairs[0] for p in pairs):
            samples.append(pairs)
            used.append(weights)
    return pooled_spread(samples, used) if samples else None


def _by_metric(plan: Plan, records: Mapping[str, TrialRecord]) -> str:
    """Say how many seeds each metric needs for the first comparison; empty for fewer than two."""
    record = plan.record()
    values = {key: finished_values(record, records, metric) for key, metric in METRICS.items()}
    declared = _declared(record)
    needed = seeds_needed(record, values, declared[0]) if declared else {}
    return needed_text("the first comparison at the effect seen so far", needed)


def _steps(plan: Plan, records: Mapping[str, TrialRecord], metric: Metric) -> Steps | None:
    """Return the steps of whole clips that a seed's value comes in; None if it has none."""
    clips = {int(r.data.get("num_val") or 0) for r in records.values()} - {0}
    if not (metric.is_share and clips):
        return None
    size = metric.scale / max(clips) / len(plan.folds)
    return Steps(size=size, tie_break=bool(plan.record().tie_break_of(metric.key)))


def _ties_words(spread: float, steps: Steps | None, plan: Plan, metric: Metric) -> str:
    """Say how planning counts ties where a step of whole clips is not small."""
    if steps is None or steps.size < SHARE_OF_SPREAD * spread:
        return ""
    text = f"{metric.title} comes in steps of {steps.size:.2g}{_unit(metric)}, so pairs tie"
    if not steps.tie_break:
        return text + " and show nothing, which is counted"
    return text + f"; {lookup(plan.record().tie_break).title} orders them, which is counted"


def _planned_with(pilot: PooledSpread, metric: Metric) -> str:
    several = f" of each of {pilot.num_contrasts} contrasts" if pilot.num_contrasts > 1 else ""
    return (
        f"planned with a spread of {pilot.upper:.2g}{_unit(metric)}, the upper "
        f"{100 * pilot.confidence:g} % limit of the {pilot.estimate:.2g}{_unit(metric)} seen in "
        f"{pilot.num_pairs} stored pairs{several}"
    )


def _detectable(plan: Plan, n: int, spread: float, metric: Metric, steps: Steps | None) -> str:
    seen = prospect(n, spread=spread, num_contrasts=plan.num_declared, steps=steps)
    if seen.detectable is None:
        return ""
    finds = (
        f"a true difference of {_two_digits(seen.detectable)}{_unit(metric)} with "
        f"{100 * seen.power:g} % power"
    )
    if plan.cap:
        return (
            f"the exact test, made once after {n} blocks, finds {finds}; the rule, which looks "
            "after every block, has somewhat less power"
        )
    return f"{n} {_what(plan)} find {finds}"


def _enough(
    wanted: float,
    pilot: PooledSpread,
    plan: Plan,
    metric: Metric,
    costs: CostEstimate,
    steps: Steps | None,
) -> str:
    needed, fewest = (
        pairs_for(wanted, spread=spread, num_contrasts=plan.num_declared, steps=steps)
        for spread in (pilot.upper, pilot.estimate)
    )
    once = " by the exact test, made once" if plan.cap or len(plan.folds) > 1 else ""
    if pilot.factor() >= UNKNOWN_SPREAD and fewest is not None and fewest != needed:
        most = f"over {MAX_PAIRS:,}" if needed is None else f"{needed:,}"
        cost = costs.of_blocks(fewest)
        return (
            f"to find {wanted:g}{_unit(metric)}, {fewest} {_what(plan)}{once} if the spread is as "
            f"seen{f': {cost}' if cost else ''}; {most} at its upper limit. One more seed than "
            f"these {pilot.num_pairs} tells most: it brings the limit from {pilot.factor():.2g} to "
            f"{pilot.factor(more_pairs=1):.2g} times what is seen; train it and list the plan again"
        )
    if needed is None:
        return (
            f"that spread is too large to find {wanted:g}{_unit(metric)} with {MAX_PAIRS:,} "
            f"{_what(plan)}"
        )
    cost = costs.of_blocks(needed)
    sentence = f"to find {wanted:g}{_unit(metric)}, {needed} {_what(plan)}{once}"
    return sentence + (f": {cost}" if cost else "")


def _what(plan: Plan) -> str:
    return "seeds" if len(plan.folds) > 1 else "blocks"


def _over_recordings(
    plan: Plan,
    records: Mapping[str, TrialRecord],
    metric: Metric,
    pilot: PooledSpread,
    steps: Steps | None,
    wanted: float,
    scope: OverRecordings,
) -> list[str]:
    """Say what the plan shows on other recordings, too, what limits that, and what would do."""
    record, n, num_contrasts = plan.record(), _num_replicates(plan), plan.num_declared
    values = finished_values(record, records, metric)
    tables: list[Components] = []
    used: list[Mapping[str, float]] = []
    here = 0
    for weights in _declared(record):
        table = scope.table(weights, whole_seeds(record, values, weights))
        if table is not None and len(table[0]) > 1:
            tables.append(components(table[0], folds=table[1]))
            used.append(weights)
            here = table[0].shape[1]
    if not tables or n < pairs_needed():
        return []
    found = pooled_components(tables, used, widened=pilot.upper / pilot.estimate)
    whole = found.variance(n, here)
    if not whole:
        return []
    of_seeds, of_recordings = found.of_seeds / n / whole, found.of_recordings / here / whole
    smallest = detectable_over_recordings(
        found, seeds=n, recordings=here, num_contrasts=num_contrasts
    )
    limit = "seeds and recordings limit it alike"
    if of_seeds != of_recordings:
        limit = f"{'seeds' if of_seeds > of_recordings else 'recordings'} are the bottleneck"
    sentences = [
        f"for other seeds and other recordings, {n} {_what(plan)} on these {here} recordings find "
        f"a true difference of {_two_digits(smallest)}{_unit(metric)} with {100 * POWER:g} % "
        f"power; {100 * of_seeds:.0f} % of its variance is of seeds, {100 * of_recordings:.0f} % "
        f"of recordings, the rest of both: {limit}"
    ]
    if wanted and pilot.factor() < UNKNOWN_SPREAD:
        enough = seeds_over_recordings(wanted, found, recordings=here, num_contrasts=num_contrasts)
        on_these = pairs_for(wanted, spread=pilot.upper, num_contrasts=num_contrasts, steps=steps)
        more = recordings_over_seeds(wanted, found, seeds=n, num_contrasts=num_contrasts)
        ways = []
        if enough is not None and on_these is not None:
            ways.append(f"{max(enough, on_these)} {_what(plan)} on these {here} recordings")
        if more is not None and on_these is not None and n >= on_these:
            ways.append(f"{max(more, here):,} recordings with {n} {_what(plan)}")
        several = f"neither more {_what(plan)} nor more recordings alone are enough"
        sentences.append(f"to find {wanted:g}{_unit(metric)} there, {' or '.join(ways) or several}")
    return sentences


def _declared(record: PlanRecord) -> list[Mapping[str, float]]:
    """Return arm -> weight per declared comparison."""
    contrasts: list[Mapping[str, float]] = [
        {c.arm: 1.0, c.reference: -1.0} for c in record.contrasts
    ]
    return [*contrasts, *(effect.weights for effect in record.effects)]


def _two_digits(value: float) -> str:
    """Write two significant digits, without an exponent from 100 on."""
    return f"{float(f'{value:.2g}'):g}"


def _unit(metric: Metric) -> str:
    return f" {unit_of_difference(metric)}".rstrip()
