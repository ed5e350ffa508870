"""Build the runs of a tracking server from a plan and its records."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial

from orchestrator.analysis.comparisons import Compared
from orchestrator.analysis.evidence import possible
from orchestrator.analysis.overview import verdicts
from orchestrator.analysis.summary import summarize, summarize_arms
from orchestrator.metrics import METRICS, catalog, lookup
from orchestrator.records import (
    EPOCHS,
    ArmRecord,
    PlanRecord,
    Status,
    TrialKey,
    TrialRecord,
    epoch_of,
)
from orchestrator.store import forms
from orchestrator.terminal.text import markdown_text
from orchestrator.tracking.views import (
    MAX_DATASET_DIGEST,
    SWEEP,
    TAG,
    Dataset,
    Draft,
    Key,
    Point,
    RunView,
    as_key,
    as_params,
    as_tags,
    as_text,
    earliest,
    flat_params,
    latest,
    to_ms,
)

PLAN = "plan.json"
"""Artifact with a sweep's whole plan."""

RECORD = "record.json"
"""Artifact with a trial's whole record."""

VERDICT_TAG = TAG + "verdict"
"""Tag of a sweep with its verdicts, and of an arm with that of its contrast."""

PLANNED, FINISHED, FAILED = "replicates/planned", "replicates/finished", "replicates/failed"

_STATUS = {
    Status.RUNNING: "RUNNING",
    Status.FINISHED: "FINISHED",
    Status.FAILED: "FAILED",
    Status.DIVERGED: "FAILED",
    Status.PRUNED: "KILLED",
}

Records = Mapping[str, TrialRecord]


def drafts(plan: PlanRecord, records: Records, *, store: str, final: bool) -> Iterator[Draft]:
    """Yield every run of a sweep, parents first. Trials without a record have no run.

    Args:
        plan: Plan as declared.
        records: Trial id -> record.
        store: Address of the store, shown as a tag.
        final: Whether training is over, so that unfinished runs are shown as killed.
    """
    cells: dict[str, list[TrialRecord | None]] = {arm.name: [] for arm in plan.arms}
    for trial in plan.trials:
        cells.setdefault(trial.arm, []).append(records.get(trial.id))
    yield Draft(
        key=SWEEP,
        inputs=(plan, final, *(record for of_arm in cells.values() for record in of_arm)),
        build=lambda: _sweep(plan, records, store=store, final=final),
    )
    references = {contrast.arm: contrast.reference for contrast in reversed(plan.contrasts)}
    for arm in plan.arms:
        reference = references.get(arm.name, plan.baseline)
        yield Draft(
            key=("arm", arm.name),
            parent=SWEEP,
            inputs=(plan, final, *cells[arm.name], *cells.get(reference, ())),
            build=partial(_arm, plan, arm, reference, records, store=store, final=final),
        )
    for trial in plan.all_trials:
        record = records.get(trial.id)
        if record is not None:
            over = final or record.status is not Status.RUNNING
            yield Draft(
                key=("replicate", trial.arm, trial.id),
                parent=parent_of(plan, trial),
                inputs=(plan, record, over),
                build=partial(replicate_view, plan, trial, record, store, over=over),
            )


def _sweep(plan: PlanRecord, records: Records, *, store: str, final: bool) -> RunView:
    summary = summarize(plan, records)
    low = summary.against_chance.caution if summary.against_chance else ""
    note = [
        markdown_text(plan.question),
        *([markdown_text(low)] if low else []),
        f"Metric: `{plan.metric}` at {EPOCHS.get(plan.selection, plan.selection)}.",
        f"Baseline: {markdown_text(plan.baseline)}; {len(plan.arms)} arms, "
        f"{len(plan.trials)} trials.",
    ]
    if plan.source:
        note.append(f"Published numbers: {markdown_text(plan.source)}")
    view = RunView(
        key=SWEEP,
        name=plan.sweep,
        started_ms=to_ms(plan.declared_at),
        tags=as_tags(
            {
                **own_tags("sweep", plan, store),
                "mlflow.note.content": "\n\n".join(note),
                "mlflow.source.name": plan.command,
                VERDICT_TAG: verdicts(summary),
                TAG + "metric": plan.metric,
                TAG + "pack": plan.pack,
                TAG + "selection": plan.selection,
                TAG + "baseline": plan.baseline,
                TAG + "declared_at": plan.declared_at,
            }
        ),
        texts={PLAN: forms.copy(plan, indent=1).decode()},
    )
    return _with_progress(view, [records.get(t.id) for t in plan.trials], {}, final=final)


def _arm(
    plan: PlanRecord,
    arm: ArmRecord,
    reference: str,
    records: Records,
    *,
    store: str,
    final: bool,
) -> RunView:
    numbers = arm_numbers(plan, arm.name, reference, records)
    settings = {**plan.settings, **arm.changes}
    for name in ("seed", "fold"):  # an arm spans all seeds and folds
        settings.pop(name, None)
    levels = {name: level for name, level in arm.levels.items() if name not in settings}
    published = {f"{TAG}published/{key}": value for key, value in arm.published.items()}
    is_baseline = "yes" if arm.name == plan.baseline else "no"
    changes = ", ".join(f"{path}={value}" for path, value in arm.changes.items())
    view = RunView(
        key=("arm", arm.name),
        name=arm.name,
        parent=SWEEP,
        tags=as_tags(
            {
                **own_tags("arm", plan, store),
                **published,
                TAG + "arm": arm.name,
                TAG + "is_baseline": is_baseline,
                TAG + "changes": changes,
            }
        ),
        params=as_params({**levels, **settings}),
    )
    cells = [records.get(trial.id) for trial in plan.trials if trial.arm == arm.name]
    return _with_progress(view, cells, numbers, final=final)


def _with_progress(
    view: RunView,
    records: Sequence[TrialRecord | None],
    numbers: Mapping[str, float],
    *,
    final: bool,
) -> RunView:
    """Add the progress of a run's trials."""
    present = [record for record in records if record is not None]
    count = {status: sum(r.status is status for r in present) for status in Status}
    finished, failed = count[Status.FINISHED], count[Status.FAILED] + count[Status.DIVERGED]
    if finished and finished + count[Status.PRUNED] == len(records):
        status = "FINISHED"
    elif finished + failed == len(records):
        status = "FAILED"
    else:
        status = "KILLED" if final else "RUNNING"
    started = earliest(started_ms(record) for record in present)
    ended = latest(ended_ms(record) for record in present)
    at = ended if ended is not None else view.started_ms or 0
    counts = {
        PLANNED: len(records),
        FINISHED: finished,
        FAILED: failed,
    }
    points = [
        Point(key=as_key(name), value=float(value), step=finished, timestamp_ms=at)
        for name, value in {**numbers, **counts}.items()
    ]
    return replace(
        view,
        status=status,
        started_ms=earliest((view.started_ms, started)),
        ended_ms=None if status == "RUNNING" else ended,
        summary=tuple(points),
    )


def parent_of(plan: PlanRecord, trial: TrialKey) -> Key:
    """Return a trial's parent run: its arm, or the sweep for a prerequisite."""
    return SWEEP if trial in plan.prerequisites else ("arm", trial.arm)


def replicate_view(
    plan: PlanRecord, trial: TrialKey, record: TrialRecord, store: str, *, over: bool
) -> RunView:
    """Show one trial as a replicate of one arm.

    Args:
        plan: Plan of the sweep.
        trial: Trial to show.
        record: Record of the trial.
        store: Address of the store, shown as a tag.
        over: Whether training is over, so that its record is uploaded for reports.
    """
    started = started_ms(record)
    ended = ended_ms(record) if record.status is not Status.RUNNING else None
    epochs = _epochs(record, started or 0)
    last = epochs[-1][0].timestamp_ms if epochs and epochs[-1] else started or 0
    costs = {key: value for key, value in asdict(record.cost).items() if key != "device"}
    finals: dict[str, float] = {}
    if record.status is not Status.RUNNING:
        finals |= {f"cost/{key}": value for key, value in costs.items()}
    if record.status is Status.FINISHED:
        selection = plan.selection_of(trial.arm)
        at_selection = record.metrics_at(selection)
        finals |= {f"final/{k}": v for k, v in at_selection.items() if k.startswith("val/")}
        best = epoch_of(selection) == "best"
        finals["final/epoch"] = record.best_epoch if best else len(epochs)
    error = record.error.strip()
    attempt = record.cost.attempts
    return RunView(
        key=("replicate", trial.arm, trial.id),
        name=f"{trial.arm} · seed {trial.seed} · fold {trial.fold}",
        parent=parent_of(plan, trial),
        status=_STATUS[record.status],
        started_ms=started,
        ended_ms=ended,
        tags=as_tags(
            {
                **own_tags("replicate", plan, store),
                TAG + "trial_id": trial.id,
                TAG + "arm": trial.arm,
                TAG + "seed": trial.seed,
                TAG + "fold": trial.fold,
                TAG + "status": record.status.value,
                TAG + "device": record.cost.device,
                TAG + "error": record.error_line,
                "mlflow.source.git.commit": record.provenance.get("git_commit", ""),
                "mlflow.source.name": plan.command,
                **{f"provenance.{key}": text for key, text in record.provenance.items()},
            }
        ),
        params=flat_params(record.experiment),
        epochs=epochs,
        summary=tuple(
            Point(key=as_key(key), value=float(value), step=attempt, timestamp_ms=ended or last)
            for key, value in finals.items()
        ),
        dataset=_dataset(record),
        texts={
            **({f"error-attempt-{attempt}.txt": record.error} if error else {}),
            **({RECORD: forms.copy(record).decode()} if over else {}),
        },
    )


def _epochs(record: TrialRecord, started_ms: int) -> tuple[tuple[Point, ...], ...]:
    """Date each epoch by summing durations, so that repeated uploads agree."""
    elapsed_s = 0.0
    epochs = []
    for epoch in record.epochs:
        elapsed_s += max(0.0, epoch.metrics.get(catalog.EPOCH_S, 0.0))
        at = started_ms + round(elapsed_s * 1000)
        points = [
            Point(key=as_key(key), value=float(value), step=epoch.epoch, timestamp_ms=at)
            for key, value in epoch.metrics.items()
        ]
        epochs.append(tuple(points))
    return tuple(epochs)


def _dataset(record: TrialRecord) -> Dataset | None:
    if "name" not in record.data:
        return None
    fingerprint = as_text(record.data.get("fingerprint", "unknown"))
    facts = {key: value for key, value in record.data.items() if key != "initial"}
    return Dataset(
        name=as_text(record.data["name"])[:500],
        digest=fingerprint.removeprefix("sha256:")[:MAX_DATASET_DIGEST],
        source=fingerprint,
        profile=json.dumps(facts, default=str),
    )


def own_tags(kind: str, plan: PlanRecord, store: str) -> dict[str, str]:
    """Return the tags that every run of a sweep carries."""
    return {
        TAG + "kind": kind,
        TAG + "sweep": plan.sweep,
        TAG + "store": store,
        TAG + "in_plan": "yes",
        "mlflow.source.type": "LOCAL",
    }


def started_ms(record: TrialRecord) -> int | None:
    """Return when the first attempt began, in milliseconds since 1970."""
    return to_ms(record.provenance.get("started_at"))


def ended_ms(record: TrialRecord) -> int | None:
    """Return when the last attempt ended, in milliseconds since 1970."""
    return to_ms(record.provenance.get("ended_at"))


def arm_numbers(
    plan: PlanRecord, arm: str, reference: str, records: Mapping[str, TrialRecord]
) -> dict[str, float]:
    """Return an arm's numbers over its finished replicates.

    Args:
        plan: Plan that names the metric and the epoch.
        arm: Name of the arm.
        reference: Arm to compare with; may be the same arm.
        records: Trial id -> record.

    Returns:
        For each validation metric `/mean`, `/n` and, from three replicates on, `/low` and `/high`
        (95 % interval); for every arm but the reference also `/difference`, arm minus reference
        over common blocks, if the report compares them, with its interval unless that depends on
        the other contrasts that were declared. All are the report's numbers in the unit in which
        trials store them; n counts what the interval counts. Also the cost of a replicate.
    """
    primary = lookup(plan.metric)
    arms = {
        summary.name: summary
        for summary in summarize_arms(plan, records, metric=primary, only=(arm, reference))
    }
    summary, other = arms[arm], arms.get(reference)
    declared = any((c.arm, c.reference) == (arm, reference) for c in plan.contrasts)
    alone = not declared or (plan.num_declared == 1 and not plan.cap)
    numbers: dict[str, float] = {}
    # The primary metric's mean comes first: the comparison page plots the first one it finds.
    for key, measure in summary.measures.items():
        scale, interval = measure.metric.scale, measure.interval
        numbers |= {f"{key}/mean": interval.mean / scale, f"{key}/n": interval.n}
        if interval.low is not None and interval.high is not None:
            numbers |= {f"{key}/low": interval.low / scale, f"{key}/high": interval.high / scale}
        if other is None or other is summary:
            continue
        compared = Compared(plan=plan, records=records, metric=METRICS[key], mixed=False)
        gap = compared.difference(summary, other)
        if gap is None:
            continue
        gap = possible(gap, metric=METRICS[key], weights=(1, -1))
        numbers[f"{key}/difference"] = gap.mean / scale
        if alone and gap.low is not None and gap.high is not None:
            numbers |= {
                f"{key}/difference_low": gap.low / scale,
                f"{key}/difference_high": gap.high / scale,
            }
    if summary.cost and any(cell.status is Status.FINISHED for cell in summary.cells):
        numbers["cost/seconds"] = summary.cost.seconds
        numbers["cost/num_params"] = summary.cost.num_params
        numbers["cost/macs"] = summary.cost.macs
    return numbers
