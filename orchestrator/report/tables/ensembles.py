"""The table of ensembles: an arm's seeds averaged into one model, beside the mean of its models."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.analysis.ensembles import Ensemble
from orchestrator.analysis.summary import Summary
from orchestrator.errors import ConfigError
from orchestrator.report.tables.table import Column, Table
from orchestrator.report.wording.contrasts import half_width
from orchestrator.report.wording.numbers import NONE, align, bracket, decimals, number


def ensemble_table(summary: Summary, found: Sequence[Ensemble], *, over: str) -> Table:
    """Return a row per arm.

    Args:
        summary: The study.
        found: The ensembles.
        over: What the intervals are over: `recordings`, or `clips` where these are not known.

    Raises:
        ConfigError: No arm has an ensemble.
    """
    metric = summary.metric
    if not found:
        raise ConfigError(
            f"no arm of {summary.plan.sweep} has two seeds with predictions on the same clips of "
            f"every fold from which {metric.key} is computed; read the store that they were "
            "trained in, with two seeds or more"
        )
    of_arm = {one.arm: one for one in found}
    arms = [arm.name for arm in summary.arms]
    rows = [of_arm.get(name) for name in arms]
    places = [decimals(half_width(one.interval)) if one else 0 for one in rows]
    pairs = list(zip(rows, places, strict=True))
    intervals = [
        bracket(one.interval.low, one.interval.high, p, called=False)
        if one
        and one.interval
        and half_width(one.interval) is not None
        and one.interval.low is not None
        and one.interval.high is not None
        else NONE
        for one, p in pairs
    ]
    confidence = next((one.interval.confidence for one in found if one.interval), 0.95)
    notes = [
        "An ensemble is the mean over an arm's seeds of the probabilities of each clip, scored as "
        "one model: one number, which has no spread over seeds. Beside it stands the mean of the "
        "same models scored one by one; the intervals and tests of the report are of these, and "
        "say nothing of ensembles.",
        f"Its interval is over other {over} for these very models.",
    ]
    if any(one.interval and half_width(one.interval) is None for one in found):
        notes.append(
            f"{NONE} for an interval: equal values over {over} have no spread to make one from."
        )
    if len({cell.fold for cell in summary.cells}) > 1:
        notes.append("Each fold has an ensemble of its own; the numbers are means over folds.")
    if missing := [name for name in arms if name not in of_arm]:
        notes.append(
            f"No ensemble of {', '.join(missing)}: two seeds with predictions on the same clips of "
            "every fold are needed."
        )
    return Table.of(
        [
            Column(key="arm", title="arm", texts=arms),
            Column(
                key="models",
                title="models",
                keep=4,
                texts=[str(r.num_models) if r else NONE for r in rows],
            ),
            Column(
                key="ensemble",
                title=f"{metric.title} of the ensemble",
                unit=metric.unit,
                texts=align([number(one.value if one else None, p) for one, p in pairs]),
            ),
            Column(
                key="interval",
                title=f"{100 * confidence:g} % over {over}",
                unit=metric.unit,
                texts=intervals,
            ),
            Column(
                key="of_models",
                title="mean of its models",
                unit=metric.unit,
                texts=align([number(one.of_models if one else None, p) for one, p in pairs]),
            ),
        ],
        key="ensembles",
        title="Ensembles of seeds",
        baseline=arms.index(summary.plan.baseline) if summary.plan.baseline in arms else -1,
        notes=tuple(notes),
    )
