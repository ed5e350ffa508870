"""From a plan and its records to the runs that show them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from orchestrator.analysis.summary import summarize
from orchestrator.metrics.chance import caution_text
from orchestrator.records import ArmRecord, PlanRecord, Status, TrialKey, TrialRecord
from orchestrator.store import forms
from orchestrator.text import markdown_text
from orchestrator.tracking.replicates import (
    ended_ms,
    own_tags,
    parent_of,
    replicate_view,
    started_ms,
)
from orchestrator.tracking.summary import arm_numbers
from orchestrator.tracking.views import (
    SWEEP,
    TAG,
    Draft,
    Point,
    RunView,
    as_key,
    as_params,
    as_tags,
    earliest,
    latest,
    to_ms,
)

PLAN = "plan.json"
"""The artifact that holds all of a sweep's plan."""

Records = Mapping[str, TrialRecord]
Summary = Mapping[str, Mapping[str, float]]


def drafts(
    plan: PlanRecord, records: Records, *, store: str, final: bool, summary: Summary | None = None
) -> Iterator[Draft]:
    """Yield every run of a sweep, parents first. A trial without a record has no run yet.

    Args:
        plan: what was declared.
        records: trial id -> record.
        store: its address, shown as a tag.
        final: nobody is training any more, so what is not finished is shown as killed.
        summary: arm -> metric -> value; made here from the records where it is not given.
    """
    all_records = [records.get(trial.id) for trial in plan.trials]
    yield Draft(
        key=SWEEP,
        inputs=(plan, final, *all_records),
        build=lambda: _sweep(plan, records, store, final),
    )
    cells: dict[str, list[TrialKey]] = {arm.name: [] for arm in plan.arms}
    for trial in plan.trials:
        cells.setdefault(trial.arm, []).append(trial)
    references = {contrast.arm: contrast.reference for contrast in reversed(plan.contrasts)}
    for arm in plan.arms:
        reference = references.get(arm.name, plan.baseline)
        of_arm = [records.get(cell.id) for cell in cells[arm.name]]
        of_reference = [records.get(cell.id) for cell in cells.get(reference, ())]
        given = summary.get(arm.name) if summary else None

        def build(arm: ArmRecord = arm, reference: str = reference, given=given) -> RunView:
            if given is not None:
                numbers: Mapping[str, float] = given
            else:
                numbers = arm_numbers(plan, arm.name, reference, records)
            return _arm(plan, arm, cells[arm.name], records, numbers, store, final)

        yield Draft(
            key=("arm", arm.name),
            parent=SWEEP,
            inputs=(plan, final, given, *of_arm, *of_reference),
            build=build,
        )
    for trial in plan.all_trials:
        record = records.get(trial.id)
        if record is not None:
            over = final or record.status is not Status.RUNNING

            def shown(trial=trial, record=record, over=over) -> RunView:
                return replicate_view(plan, trial, record, store, over=over)

            yield Draft(
                key=("replicate", trial.arm, trial.id),
                parent=parent_of(plan, trial),
                inputs=(plan, record, over),
                build=shown,
            )


def _sweep(plan: PlanRecord, records: Records, store: str, final: bool) -> RunView:
    found = summarize(plan, records)
    low = caution_text(
        found.chance,
        found.at_chance,
        num_arms=found.num_measured,
        title=found.metric.title,
        unit=found.metric.unit,
    )
    note = [
        markdown_text(plan.question),
        *([markdown_text(low)] if low else []),
        f"Metric: `{plan.metric}` at the {plan.selection} epoch.",
    ]
    note += [
        f"Baseline: {markdown_text(plan.baseline)}; {len(plan.arms)} arms, "
        f"{len(plan.trials)} trials."
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
                TAG + "metric": plan.metric,
                TAG + "pack": plan.pack,
                TAG + "selection": plan.selection,
                TAG + "baseline": plan.baseline,
                TAG + "declared_at": plan.declared_at,
            }
        ),
        texts={PLAN: forms.copy(plan, indent=1).decode()},
    )
    return _with_progress(view, [records.get(trial.id) for trial in plan.trials], {}, final)


def _arm(
    plan: PlanRecord,
    arm: ArmRecord,
    cells: Sequence[TrialKey],
    records: Records,
    numbers: Mapping[str, float],
    store: str,
    final: bool,
) -> RunView:
    settings = {**plan.settings, **arm.changes}
    for name in ("seed", "fold"):  # an arm spans all of them
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
    return _with_progress(view, [records.get(cell.id) for cell in cells], numbers, final)


def _with_progress(
    view: RunView,
    records: Sequence[TrialRecord | None],
    numbers: Mapping[str, float],
    final: bool,
) -> RunView:
    """Add how far the trials below a run are."""
    present = [record for record in records if record is not None]
    count = {status: sum(r.status is status for r in present) for status in Status}
    finished, failed = count[Status.FINISHED], count[Status.FAILED]
    if finished == len(records):
        status = "FINISHED"
    elif finished + failed == len(records):
        status = "FAILED"
    else:
        status = "KILLED" if final else "RUNNING"
    started = earliest(started_ms(record) for record in present)
    ended = latest(ended_ms(record) for record in present)
    at = ended if ended is not None else view.started_ms or 0
    counts = {
        "replicates/planned": len(records),
        "replicates/finished": finished,
        "replicates/failed": failed,
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
