"""Build the runs of a tracking server from a plan and its records."""

from __future__ import annotations

import functools
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import NamedTuple

from orchestrator.analysis.comparisons import Compared
from orchestrator.analysis.curves import curves
from orchestrator.analysis.evidence import ContrastEvidence, EffectEvidence, Evidence, possible
from orchestrator.analysis.overview import verdicts
from orchestrator.analysis.summary import Summary, summarize
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
    NOTE_TAG,
    RUN_PAGE,
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

CURVES = ("val/loss", "train/loss")
"""Metrics besides the declared one whose means by epoch an arm shows."""

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
    study = functools.cache(lambda: summarize(plan, records))
    # An adjusted p depends on all arms, so every record is an input of every arm.
    every = tuple(records.get(trial.id) for trial in plan.trials)
    yield Draft(
        key=SWEEP,
        inputs=(plan, final, *every),
        build=lambda: _sweep(study(), records, store=store, final=final),
    )
    for arm in plan.arms:
        yield Draft(
            key=("arm", arm.name),
            parent=SWEEP,
            inputs=(plan, final, *every),
            build=lambda arm=arm: _arm(study(), arm, records, store=store, final=final),
        )
    for trial in plan.all_trials:
        record = records.get(trial.id)
        if record is not None:
            over = final or record.status is not Status.RUNNING
            yield Draft(
                key=("replicate", trial.arm, trial.id),
                parent=parent_of(plan, trial),
                inputs=(plan, record, over),
                build=functools.partial(replicate_view, plan, trial, record, store, over=over),
            )


def _sweep(summary: Summary, records: Records, *, store: str, final: bool) -> RunView:
    plan = summary.plan
    low = summary.against_chance.caution if summary.against_chance else ""
    note = [
        markdown_text(plan.question),
        *([markdown_text(low)] if low else []),
        "\n".join(f"- {_answer(finding)}" for finding in summary.findings),
        f"[Report]({RUN_PAGE}/artifacts/report/report.html), once the sweep has ended.",
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
                NOTE_TAG: "\n\n".join(filter(None, note)),
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
    of_trials = [records.get(trial.id) for trial in plan.trials]
    view, count = _with_progress(view, of_trials, final=final)
    counts = {PLANNED: len(of_trials), FINISHED: count.finished, FAILED: count.failed}
    return replace(view, summary=_points(counts, view, step=count.finished))


def _answer(finding: Evidence) -> str:
    """Return a comparison's verdict and numbers in Markdown."""
    name, size, unit = "", finding.difference, finding.metric.unit
    if isinstance(finding, ContrastEvidence):
        name = f"{finding.arm} − {finding.reference}"
    elif isinstance(finding, EffectEvidence):
        name = finding.record.name
    text = f"**{markdown_text(name)}: {finding.verdict}**"
    if size is None:
        return text
    text += f", {size.mean:+.3g} {'points' if unit == '%' else unit}".rstrip()
    text += f" of {finding.metric.title}"
    if size.low is not None and size.high is not None:
        text += f" (95 % {size.low:.3g} to {size.high:.3g})"
    adjusted = "adjusted p" if finding.num_declared > 1 else "p"
    p = "" if finding.adjusted_p is None else f", {adjusted} {finding.adjusted_p:.2g}"
    return f"{text}{p}, n {size.n}"


def _arm(summary: Summary, arm: ArmRecord, records: Records, *, store: str, final: bool) -> RunView:
    plan = summary.plan
    declared = [contrast for contrast in summary.contrasts if contrast.arm == arm.name]
    contrast = declared[0] if declared else None
    reference = contrast.reference if contrast else plan.baseline
    settings = {**plan.settings, **arm.changes}
    for name in ("seed", "fold"):  # an arm spans all seeds and folds
        settings.pop(name, None)
    levels = {name: level for name, level in arm.levels.items() if name not in settings}
    if plan.dose in levels:
        levels[plan.dose] = "0"  # a number in every arm, so that it can be an axis
    (cost,) = (row.cost for row in summary.arms if row.name == arm.name)
    # Last in the alphabet: MLflow's comparison opens on the first three parameters that differ.
    whole = {"num_params": cost.num_params, "macs": cost.macs} if cost else {}
    constants = {f"whole_chain.{name}": count for name, count in whole.items() if count}
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
                VERDICT_TAG: contrast.verdict if contrast else "",
                NOTE_TAG: "\n\n".join(map(_answer, declared)),
            }
        ),
        params=as_params({**levels, **settings, **constants}),
    )
    cells = [records.get(trial.id) for trial in plan.trials if trial.arm == arm.name]
    view, count = _with_progress(view, cells, final=final)
    progress = {TAG + "replicates": f"{count.finished} of {len(cells)}"}
    if count.failed:
        progress[TAG + "failed"] = str(count.failed)
    return replace(
        view,
        tags={**view.tags, **progress},
        # Values of a metric cannot be taken back, so the mean waits for all replicates.
        epochs=_mean_curves(summary, arm.name, records, view)
        if count.finished == len(cells)
        else (),
        summary=_points(
            arm_numbers(summary, arm.name, reference, records), view, step=count.finished
        ),
    )


def _mean_curves(
    summary: Summary, arm: str, records: Records, view: RunView
) -> tuple[tuple[Point, ...], ...]:
    """Return the mean over replicates at every epoch, with the ends of its 95 % interval.

    Keys are those of the trials, so that a chart shows arms and trials alike, with `/epoch_low` and
    `/epoch_high` for the ends.
    """
    own = replace(summary, arms=tuple(row for row in summary.arms if row.name == arm))
    points: dict[int, list[Point]] = defaultdict(list)
    for metric in dict.fromkeys((summary.metric, *map(lookup, CURVES))):
        for curve in curves(own, records, metric):
            for epoch, found in curve.epochs.items():
                ends = {"": found.mean, "/epoch_low": found.low, "/epoch_high": found.high}
                numbers = {
                    metric.key + end: value / metric.scale
                    for end, value in ends.items()
                    if value is not None
                }
                points[epoch] += _points(numbers, view, step=epoch)
    return tuple(tuple(points[epoch]) for epoch in sorted(points))


def _points(numbers: Mapping[str, float], view: RunView, *, step: int) -> tuple[Point, ...]:
    """Return a point per number, dated as the run ended or, before that, began."""
    at = view.ended_ms if view.ended_ms is not None else view.started_ms or 0
    return tuple(
        Point(key=as_key(name), value=float(value), step=step, timestamp_ms=at)
        for name, value in numbers.items()
    )


class _Count(NamedTuple):
    finished: int
    failed: int


def _with_progress(
    view: RunView, records: Sequence[TrialRecord | None], *, final: bool
) -> tuple[RunView, _Count]:
    """Add status and times of a run's trials; also return how many finished and failed."""
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
    view = replace(
        view,
        status=status,
        started_ms=earliest((view.started_ms, started)),
        ended_ms=None if status == "RUNNING" else ended,
    )
    return view, _Count(finished, failed)


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
    if record.status is Status.FINISHED:
        selection = plan.selection_of(trial.arm)
        at_selection = record.metrics_at(selection)
        scored = [key for key in at_selection if key.startswith("val/")]
        # The declared metric first: MLflow's comparison opens on the first that it finds.
        scored.sort(key=lambda key: key != plan.metric)
        finals |= {f"final/{key}": at_selection[key] for key in scored}
        best = epoch_of(selection) == "best"
        finals["final/epoch"] = record.best_epoch if best else len(epochs)
    if record.status is not Status.RUNNING:
        finals |= {f"cost/{key}": value for key, value in costs.items()}
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
    summary: Summary, arm: str, reference: str, records: Mapping[str, TrialRecord]
) -> dict[str, float]:
    """Return an arm's numbers over its finished replicates, those of the declared metric first.

    Args:
        summary: The study.
        arm: Name of the arm.
        reference: Arm to compare with; may be the same arm.
        records: Trial id -> record.

    Returns:
        For each validation metric `/mean`, `/n` and, from three replicates on, `/low` and `/high`
        (95 % interval); for every arm but the reference also `/difference`, arm minus reference
        over common blocks, if the report compares them, with its interval unless that depends on
        other contrasts by a metric that the study did not declare; for a declared contrast `/p`
        and, if there are several, `/adjusted_p`. All are the report's numbers in the unit in which
        trials store them; n counts what the interval counts. Also the cost of a replicate: the
        medians of the report.
    """
    plan, primary = summary.plan, summary.metric.key
    arms = {row.name: row for row in summary.arms}
    own, other = arms[arm], arms.get(reference)
    contrast = next(
        (c for c in summary.contrasts if (c.arm, c.reference) == (arm, reference)), None
    )
    alone = contrast is None or (plan.num_declared == 1 and not plan.cap)
    numbers: dict[str, float] = {}
    for key, measure in own.measures.items():
        scale, interval = measure.metric.scale, measure.interval
        numbers |= {f"{key}/mean": interval.mean / scale}
        if interval.low is not None and interval.high is not None:
            numbers |= {f"{key}/low": interval.low / scale, f"{key}/high": interval.high / scale}
        numbers[f"{key}/n"] = interval.n
        if other is None or other is own:
            continue
        if key == primary and contrast is not None:
            gap = contrast.difference
        else:
            compared = Compared(plan=plan, records=records, metric=METRICS[key], mixed=False)
            gap = compared.difference(own, other)
            gap = gap and possible(gap, metric=METRICS[key], weights=(1, -1))
        if gap is None:
            continue
        numbers[f"{key}/difference"] = gap.mean / scale
        if (alone or key == primary) and gap.low is not None and gap.high is not None:
            numbers |= {
                f"{key}/difference_low": gap.low / scale,
                f"{key}/difference_high": gap.high / scale,
            }
        if key == primary and contrast is not None:
            several = plan.num_declared > 1
            found = {"p": gap.p_value, "adjusted_p": contrast.adjusted_p if several else None}
            numbers |= {f"{key}/{name}": p for name, p in found.items() if p is not None}
    if own.cost and any(cell.status is Status.FINISHED for cell in own.cells):
        numbers["cost/seconds"] = own.cost.seconds
        if own.cost.clips_per_s:
            numbers["cost/clips_per_s"] = own.cost.clips_per_s
    return numbers
