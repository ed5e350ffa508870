"""Sentences about the study as a whole: completeness and cautions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from orchestrator.analysis.confounds import code_of, mixed_epochs
from orchestrator.analysis.rows import Cell, ContrastSummary, EffectSummary, Finding, Summary
from orchestrator.metrics import METRICS, Metric
from orchestrator.records import PlanRecord, Status, TrialRecord
from orchestrator.report.wording.contrasts import half_width
from orchestrator.report.wording.numbers import NONE, number
from orchestrator.stats import EXACT_UP_TO, SEQUENTIAL_METHOD, PairedDifference, Verdict

NAMED = 3
"""More findings than this are counted in a caution, not named."""


def headline(cells: Sequence[tuple[Status, bool]]) -> str:
    """Say whether every planned trial counts.

    Args:
        cells: status, and whether the trial has a value, per planned trial.
    """
    if not cells:
        return "INCOMPLETE: no trial was planned, so there is no number."
    counted = sum(has_value for _, has_value in cells)
    if counted == len(cells):
        return f"Complete: all {len(cells)} planned trials finished."
    gaps = Counter(
        "finished without a number" if status is Status.FINISHED else str(status)
        for status, has_value in cells
        if not has_value
    )
    listed = ", ".join(f"{count} {what}" for what, count in gaps.items())
    return (
        f"INCOMPLETE: {counted} of {len(cells)} planned trials count ({listed}); "
        "every number below rests on those alone."
    )


def best_of(plan: PlanRecord, metric: Metric, best: tuple[str, float] | None) -> str:
    """Say what a study whose arms were trained once can say; empty for any other study.

    Args:
        plan: as declared.
        metric: the metric that is shown.
        best: the arm with the best value, and that value in the metric's unit.
    """
    per_arm = Counter(arm for arm, _, _ in {(t.arm, t.seed, t.fold) for t in plan.trials})
    if len(plan.arms) < 2 or max(per_arm.values(), default=0) != 1:
        return ""
    if best is None:
        return "Every arm is trained once, and none has finished yet."
    value = f"{number(best[1], 1 if metric.unit == '%' else 3)} {metric.unit}".rstrip()
    return (
        "Every arm is trained once, so no difference has an interval or a test. The best of "
        f"{len(plan.arms)} by {metric.title} is {best[0]} with {value}: an optimistic number, "
        "since chance helped to choose it. Repeat it on fresh seeds before you quote it."
    )


def cautions(
    plan: PlanRecord, records: Mapping[str, TrialRecord], metric: Metric, *, mixed: bool = False
) -> list[str]:
    """Return the sentences that bound what the numbers mean, those that apply only.

    Args:
        plan: as declared.
        records: id -> record.
        metric: the metric that is shown.
        mixed: whether trials of different code, data or epochs were compared.
    """
    said = []
    folds = {trial.fold for trial in plan.trials}
    if metric.key != plan.metric:
        said.append(
            f"{metric.key} is not the metric that was declared before the runs ({plan.metric}); "
            "read these contrasts as exploratory."
        )
    if len(folds) > 1:
        said.append(
            f"The {len(folds)} folds share training clips, so a trial is no replicate: intervals "
            "of arms, differences, classes and curves are over means, of seeds over all folds or "
            "of folds over all seeds, the latter widened."
        )
    if plan.cap:
        said.append(
            f"Blocks were added until every contrast was decided, {plan.cap} at most. The p values "
            "hold at whatever block it ended; the intervals are those of a fixed number of blocks, "
            "and after an early end a little optimistic."
        )
    if plan.selection == "best":
        said.append(
            "Each trial's epoch was chosen on the clips that it is scored on, so the level of "
            f"{metric.title} is optimistic; differences between arms less so."
        )
    others = [key for key in chosen_by(plan, records) if key != metric.key]
    if others:
        said.append(
            f"The best epochs were chosen by {_titles(others)}, not by {metric.title}: another "
            f"epoch may be better by {metric.title}."
        )
    planned = Counter((trial.arm, trial.seed, trial.fold) for trial in plan.trials)
    if twice := sum(count > 1 for count in planned.values()):
        said.append(
            f"{twice} {'trials are' if twice > 1 else 'trial is'} planned more than once; each "
            "counts once."
        )
    idle = [arm.name for arm in plan.arms if arm.name not in {name for name, _, _ in planned}]
    if idle and planned:
        said.append(f"no trial of {' or '.join(idle)} was planned, so nothing can be said of it.")
    found = [records[trial.id] for trial in plan.trials if trial.id in records]
    compared = "; they were compared all the same, as asked" if mixed else ""
    for what, values in (
        ("devices", {r.cost.device for r in found if r.status is Status.FINISHED}),
        (
            "code versions",
            {
                code_of(r) or "not recorded"
                for r in found
                if r.status is Status.FINISHED or code_of(r)
            },
        ),
        ("data fingerprints", {str(r.data.get("fingerprint", "")) for r in found} - {""}),
    ):
        if len(values) > 1:
            said.append(
                f"The trials come from {len(values)} {what}: {', '.join(sorted(values))}{compared}."
            )
    done = [t for t in plan.trials if t.id in records and records[t.id].epochs]
    done = [trial for trial in done if records[trial.id].status is Status.FINISHED]
    if unsigned := sum(not r.has_digest for r in {r.id: r for r in found}.values()):
        said.append(
            f"{unsigned} of {len({r.id for r in found})} records were written by an earlier "
            "version without a digest of their content: a number edited since is noticed only "
            "where the stored predictions contradict it."
        )
    if epochs := mixed_epochs(plan, records, done):
        said.append(f"Trials that were planned alike come from {epochs}{compared}.")
    return said


def chosen_by(plan: PlanRecord, records: Mapping[str, TrialRecord]) -> tuple[str, ...]:
    """Return the metrics by which finished trials' best epochs were chosen; none if not read."""
    if plan.selection != "best":
        return ()
    found = [records[t.id] for t in plan.trials if t.id in records]
    return tuple(sorted({r.chosen_by for r in found if r.status is Status.FINISHED}))


def epoch_words(summary: Summary) -> str:
    """Say at which epoch the table's numbers are, and by which metric it was chosen."""
    if set(summary.chosen_by) <= {summary.metric.key}:
        return f"the {summary.plan.selection} epoch"
    return f"the epoch that is best by {_titles(summary.chosen_by)}"


def interval_over(summary: Summary) -> str:
    """Name the interval of an arm's own mean, and what its n counts."""
    found = [
        arm.measures[summary.metric.key].interval
        for arm in summary.arms
        if summary.metric.key in arm.measures
    ]
    said = (
        f"{i.interval_method} over n {i.replicate} means"
        if i.reason
        else f"{i.interval_method} over n {i.replicate}s"
        for i in found
    )
    return " or ".join(dict.fromkeys(said)) or "t interval"


def without_spread(summary: Summary) -> str:
    """Say why replicates of the table have no interval; empty where all that are several do."""
    key = summary.metric.key
    shown = [arm.measures[key].interval for arm in summary.arms if key in arm.measures]
    shown += [arm.to_baseline for arm in summary.arms if arm.to_baseline]
    if any(found.n > 1 and half_width(found) is None for found in shown):
        return f"{NONE} for ±: equal values have no spread to make an interval from."
    return ""


def paired_over(summary: Summary) -> str:
    """Name what differences count and their interval, where that is not each trial; or nothing."""
    shown = [arm.to_baseline for arm in summary.arms if arm.to_baseline] + _differences(summary)
    said = (f"{d.replicate} means, with its {d.interval_method}" for d in shown if d.reason)
    return " or ".join(dict.fromkeys(said))


def tests_used(summary: Summary) -> str:
    """Name the tests that the p values of what was declared come from."""
    if summary.plan.cap:
        return SEQUENTIAL_METHOD
    names = (d.test_method.partition(",")[0] for d in _differences(summary))
    return " or ".join(dict.fromkeys(names)) or "sign-flip test"


def reasons(findings: Sequence[Finding]) -> list[str]:
    """Say why differences do not take each trial for a replicate, and where p is sampled."""
    found = [c.difference for c in findings if c.difference is not None]
    said = [f"Differences, {d.test_method}: {d.reason}." for d in found if d.reason]
    if any(d.p_error for d in found):
        said.append(
            f"Beyond {EXACT_UP_TO} pairs p values are sampled; their standard error is at most "
            "0.002."
        )
    return list(dict.fromkeys([*said, *_disagreeing(findings)]))


def gap_text(cell: Cell) -> str:
    """Name a trial that has no value, and why."""
    status = "no number" if cell.status is Status.FINISHED else str(cell.status)
    return f"{status}: {cell.arm}, seed {cell.seed}, fold {cell.fold}: {cell.reason}"


def last_line(text: str) -> str:
    """Return the last line of an error text that says something, without its error's module."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return re.sub(r"^(?:\w+\.)+(?=\w+:)", "", lines[-1]) if lines else ""


def _titles(keys: Sequence[str]) -> str:
    return " or ".join(METRICS[key].title if key in METRICS else key for key in keys)


def _differences(summary: Summary) -> list[PairedDifference]:
    return [c.difference for c in summary.findings if c.difference is not None]


def _disagreeing(findings: Sequence[Finding]) -> list[str]:
    """Say once that an interval is not the test, where the two disagree about 0."""
    names = []
    for found in findings:
        own = found.difference
        if own is None or own.low is None or own.high is None or half_width(own) is None:
            continue
        if found.verdict is Verdict.NOT_TESTED:
            continue
        called = found.verdict in (Verdict.BETTER, Verdict.WORSE)
        if called == (own.low <= 0 <= own.high):
            names.append(_name(found))
    if not names:
        return []
    listed = ", ".join(names)
    if len(names) > NAMED:
        listed = f"{len(names)} of the {len(findings)} that were declared"
    several = f" and not corrected for the {len(findings)} that were declared"
    return [
        f"Interval and test disagree about 0 for {listed}: the test decides; the interval is made "
        f"in another way{several if len(findings) > 1 else ''}."
    ]


def _name(found: Finding) -> str:
    if isinstance(found, ContrastSummary):
        return f"{found.arm} against {found.reference}"
    return found.record.name if isinstance(found, EffectSummary) else "a comparison"
