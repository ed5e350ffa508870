"""A sweep in a line: how much of it has finished, when, and the verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.analysis.summary import Summary, summarize
from orchestrator.errors import OrchestratorError
from orchestrator.records import PlanRecord, Status, TrialRecord


@dataclass(frozen=True, kw_only=True)
class Overview:
    """A line of the list of sweeps.

    Attributes:
        pack: Name and fingerprint of the data.
        changed_at: Time of the last end of a trial, or of the declaration, ISO 8601.
        finished: Number of finished trials.
        planned: Number of planned trials.
        verdict: What `verdicts` returns, or why it is unknown.
    """

    pack: str = ""
    changed_at: str = ""
    finished: int = 0
    planned: int = 0
    verdict: str = ""


def overview(plan: PlanRecord, records: Mapping[str, TrialRecord]) -> Overview:
    """Return a sweep's line; a metric that records lack has no verdict, as nothing is scored.

    Args:
        plan: The sweep as declared.
        records: Trial id -> record.
    """
    done = [records[trial.id] for trial in plan.trials if trial.id in records]
    ended = [record.provenance.get("ended_at", "") for record in done]
    try:
        verdict = verdicts(summarize(plan, records))
    except OrchestratorError as error:  # such as a metric of the user's own, which is not loaded
        verdict = str(error).splitlines()[0]
    return Overview(
        pack=plan.pack,
        changed_at=max(ended, default="") or plan.declared_at,
        finished=sum(record.status is Status.FINISHED for record in done),
        planned=len(plan.trials),
        verdict=verdict,
    )


def verdicts(summary: Summary) -> str:
    """Count the declared comparisons by verdict, such as `1 better, 2 not distinguishable`.

    A single comparison needs no number. Empty for a search, whose result another sweep has, and
    for a single arm.
    """
    if not summary.plan.num_declared and len(summary.arms) > 1 and summary.search is None:
        return "nothing declared"
    counts = Counter(str(finding.verdict) for finding in summary.findings)
    if counts.total() == 1:
        return next(iter(counts))
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
