"""The table of several aggregated sweeps, and notes on its limits."""

from __future__ import annotations

from orchestrator.analysis.aggregate import Aggregated
from orchestrator.metrics.chance import level_text
from orchestrator.report.tables.table import Column, Table
from orchestrator.report.wording.numbers import NONE, decimals, number
from orchestrator.stats import Aggregate

KINDS = ("mean", "difference", "improvement")
FIELDS = ("arm", "n", *(f"{kind}{end}" for kind in KINDS for end in ("", "_low", "_high")))
"""Columns of the CSV."""


def aggregate_table(aggregated: Aggregated) -> Table:
    """Return a row per arm: its score, the difference from the baseline, P(better)."""
    over = ", ".join(f"{dataset} ({sweep})" for dataset, sweep in aggregated.sweeps.items())
    records = []
    for arm in aggregated.arms:
        record: dict[str, object] = {"arm": arm.arm, "n": arm.mean.num_runs}
        for kind in KINDS:
            if value := getattr(arm, kind):
                record |= {kind: value.value, f"{kind}_low": value.low, f"{kind}_high": value.high}
        records.append(record)
    return Table(
        title=(f"{len(aggregated.sweeps)} data sets: {over}; baseline {aggregated.baseline}."),
        columns=(
            Column(key="arm", title="arm"),
            Column(key="n", title="n"),
            Column(key="mean", title=f"{aggregated.metric.title} score"),
            Column(key="difference", title="Δ score"),
            Column(key="improvement", title="P(better)", unit="%"),
        ),
        rows=tuple(
            (
                arm.arm,
                str(arm.mean.num_runs),
                _cell(arm.mean),
                _cell(arm.difference, signed=True),
                _cell(arm.improvement, scale=100.0),
            )
            for arm in aggregated.arms
        ),
        notes=tuple(aggregate_notes(aggregated)),
        records=tuple(records),
    )


def aggregate_notes(aggregated: Aggregated) -> list[str]:
    """Return the notes below the aggregate table."""
    metric = aggregated.metric
    unit = f" {metric.unit}".rstrip()
    places = 1 if metric.unit == "%" else 3
    notes = [
        "Score: 0 is chance and 1 the mean of the best arm of each data set; they count alike. "
        + "; ".join(
            f"{name}: 0 is {level_text(scale.chance, unit=metric.unit)}, 1 is "
            f"{number(scale.mean, places)}{unit} ({scale.best}), {scale.num_seeds} seeds"
            for name, scale in aggregated.scales.items()
        )
        + ".",
        "P(better): how likely a run of the arm beats one of the baseline, a tie counting half, "
        "averaged over data sets; 50 % is no difference (Agarwal et al. 2021).",
        "95 % intervals: t over seeds within each data set, arms, baseline and scale paired by "
        "them; of P(better) a score interval that takes runs for unpaired and so is rather wide. "
        "They speak of other seeds on these data sets, not of other data sets, are not corrected "
        "for being several, and no test was declared.",
    ]
    if aggregated.left_out:
        listed = ", ".join(f"{dataset} {count}" for dataset, count in aggregated.left_out.items())
        notes.append(f"Seeds left out, since an arm lacks them: {listed}.")
    if aggregated.by_fold:
        notes.append("On several folds a run is a seed's mean over all of them.")
    return notes


def _cell(aggregate: Aggregate | None, *, scale: float = 1.0, signed: bool = False) -> str:
    if aggregate is None:
        return NONE
    places = decimals(scale * (aggregate.high - aggregate.low) / 2)
    value, low, high = (
        number(scale * v, places, signed=signed)
        for v in (aggregate.value, aggregate.low, aggregate.high)
    )
    return f"{value} ({low} to {high})"
