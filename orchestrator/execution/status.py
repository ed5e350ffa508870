"""Show what the sweeps of a store are doing.

python -m orchestrator.status                   all sweeps, and the trials that run now
python -m orchestrator.status SWEEP ...         these, with every failure
python -m orchestrator.status --watch           again and again, until Ctrl-C

It reads the store alone, so it works from any machine that reads it, also while nothing runs.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.command import completing, run_command
from orchestrator.errors import ConfigError, OrchestratorError
from orchestrator.execution.costs import duration, seconds_by_arm
from orchestrator.metrics import METRICS, USUAL
from orchestrator.records import PlanRecord, Status, TrialKey, TrialRecord
from orchestrator.store import Store
from orchestrator.terminal.text import (
    grid,
    laid_out,
    literal,
    local_time,
    name_table,
    terminal_width,
    visible,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

WATCH_S = 5.0
MAX_FAILURES = 5
"""Failures shown of a sweep that was not named."""


@dataclass(frozen=True, kw_only=True)
class Running:
    """A trial that a live process holds.

    Attributes:
        trial: The trial.
        record: Its record.
        holder: Host of the process, or what else is known of it.
    """

    trial: TrialKey
    record: TrialRecord
    holder: str


@dataclass(frozen=True, kw_only=True)
class SweepStatus:
    """Where a sweep is.

    Attributes:
        sweep: Its name.
        counts: Status -> number of trials; those that were left in the middle are `missing`.
        running: Trials that run now.
        failed: Trials that failed, each with the last line of its error.
        diverged: Trials that diverged, each with the last line of its error.
        left_s: Seconds until all that has no outcome yet has one; None if unknown or nothing runs.
        changed_at: Time of the last end of a trial, ISO 8601; empty before the first.
    """

    sweep: str
    counts: Counter[Status]
    running: tuple[Running, ...]
    failed: tuple[tuple[TrialKey, str], ...]
    diverged: tuple[tuple[TrialKey, str], ...]
    left_s: float | None
    changed_at: str

    @property
    def num_trials(self) -> int:
        """Number of declared trials, with those that others start from."""
        return self.counts.total()


class Observer:
    """Reads the state of a store; what has not changed since is not read again."""

    def __init__(self, store: Store):
        self.store = store
        self._records: dict[str, tuple[str, TrialRecord]] = {}

    def sweeps(self, names: Sequence[str] = ()) -> list[SweepStatus]:
        """Return the state of sweeps, those that run first, then the latest.

        Args:
            names: Their names; none are all.

        Raises:
            StoreError: A named sweep does not exist, or a plan or record is damaged.
        """
        plans = [self.store.require_plan(name) for name in names or self.store.sweeps()]
        records = self._read(list({trial.id for plan in plans for trial in plan.all_trials}))
        found = [self._of(plan, records) for plan in plans]
        found.sort(key=lambda one: one.changed_at, reverse=True)
        return sorted(found, key=lambda one: not one.running)

    def _read(self, ids: list[str]) -> dict[str, TrialRecord]:
        versions = self.store.record_versions(ids)
        known = {id_: version for id_, (version, _) in self._records.items()}
        changed = [
            id_ for id_, version in versions.items() if version and version != known.get(id_)
        ]
        for id_, record in self.store.read_records(changed).items():
            self._records[id_] = (versions[id_], record)
        return {id_: self._records[id_][1] for id_ in ids if versions[id_] and id_ in self._records}

    def _of(self, plan: PlanRecord, records: dict[str, TrialRecord]) -> SweepStatus:
        trials = {trial.id: trial for trial in plan.all_trials}
        own = {id_: records[id_] for id_ in trials if id_ in records}
        running: list[Running] = []
        counts = Counter[Status]()
        for id_, trial in trials.items():
            record = own.get(id_)
            status = record.status if record else Status.MISSING
            if record and status is Status.RUNNING:
                holder = self.store.holder(id_)
                if holder is None:
                    status = Status.MISSING  # its process has ended; the same command goes on
                else:
                    running.append(Running(trial=trial, record=record, holder=holder.host))
            counts[status] += 1

        def ended(status: Status) -> tuple[tuple[TrialKey, str], ...]:
            return tuple((trials[i], r.error_line) for i, r in own.items() if r.status is status)

        return SweepStatus(
            sweep=plan.sweep,
            counts=counts,
            running=tuple(running),
            failed=ended(Status.FAILED),
            diverged=ended(Status.DIVERGED),
            left_s=_left_s(trials, own, len(running)),
            changed_at=max((r.provenance.get("ended_at", "") for r in own.values()), default=""),
        )


def _left_s(
    trials: dict[str, TrialKey], records: dict[str, TrialRecord], num_running: int
) -> float | None:
    """Return the seconds until all trials are done, if as many go on running at a time as now."""
    whole_s = seconds_by_arm(trials.values(), records)
    if not num_running or not whole_s:
        return None
    left = 0.0
    for id_, trial in trials.items():
        record = records.get(id_)
        if record and (record.status.is_final or record.status in (Status.FAILED, Status.PRUNED)):
            continue
        epochs = int(record.experiment["epochs"]) if record else 1
        done = len(record.epochs) / epochs if record else 0.0
        left += (1 - done) * whole_s[trial.arm]
    return left / num_running


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    args = completing(_parser()).parse_args(argv)
    return run_command(lambda: _run(args), mistakes=OrchestratorError)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m orchestrator.status",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sweeps = parser.add_argument("sweeps", nargs="*", metavar="SWEEP", help="default: all")
    sweeps.completer = lambda parsed_args, **_: _observer(parsed_args).store.sweeps()  # type: ignore
    parser.add_argument("--store", default="store", help="folder or URI (default: %(default)s)")
    parser.add_argument(
        "--watch",
        type=float,
        nargs="?",
        const=WATCH_S,
        metavar="S",
        help=f"show it again every S seconds (default: {WATCH_S:g}) until Ctrl-C",
    )
    return parser


def _observer(args: argparse.Namespace) -> Observer:
    return Observer(Store.open(args.store, create=False))


def _run(args: argparse.Namespace) -> int:
    if args.watch is not None and not 0.1 <= args.watch < math.inf:
        raise ConfigError(
            f"--watch {args.watch:g}: give the seconds between two looks, 0.1 or more"
        )
    observer = _observer(args)
    if args.watch is None:
        parts = tuple(_parts(observer, args.sweeps))
        print(laid_out(*parts, width=terminal_width()).rstrip("\n"))
        return 0

    from rich.console import Console, Group
    from rich.live import Live

    with Live(console=Console(), auto_refresh=False) as live:
        while True:
            live.update(Group(*_parts(observer, args.sweeps)), refresh=True)
            time.sleep(args.watch)


def _parts(observer: Observer, names: Sequence[str]) -> Iterator[RenderableType]:
    found = observer.sweeps(names)
    if not found:
        yield literal(f"no sweep was declared in {observer.store.uri} yet")
        return
    heads = ("sweep", "finished", "running", "failed", "diverged", "left", "last end")
    rows = [
        (
            visible(one.sweep),
            f"{one.counts[Status.FINISHED]} of {one.num_trials}",
            str(len(one.running) or ""),
            str(len(one.failed) or ""),
            str(len(one.diverged) or ""),
            "" if one.left_s is None else f"about {duration(one.left_s)}",
            local_time(one.changed_at),
        )
        for one in found
    ]
    yield name_table(rows, heads=heads, width=terminal_width(), right=range(1, 5))
    for one in found:
        if one.running:
            yield ""
            yield literal(f"{one.sweep}: running")
            yield _running(one.running)
        for status, bad in ((Status.FAILED, one.failed), (Status.DIVERGED, one.diverged)):
            if not bad:
                continue
            shown = bad if names else bad[:MAX_FAILURES]
            yield ""
            yield literal(f"{one.sweep}: {status}")
            for trial, error in shown:
                yield literal(f"  {_name(trial)}: {error}")
            if len(shown) < len(bad):
                yield f"  and {len(bad) - len(shown)} more; name the sweep to see all"


def _running(running: Sequence[Running]) -> RenderableType:
    heads = ("trial", "arm", "seed", "fold", "epoch", "metric", "clips/s", "device", "host")
    rows = []
    for one in running:
        record = one.record
        metrics = record.epochs[-1].metrics if record.epochs else {}
        usual = next((METRICS[key] for key in USUAL.values() if key in metrics), None)
        rows.append(
            (
                one.trial.id[:7],
                visible(one.trial.arm),
                str(one.trial.seed),
                str(one.trial.fold),
                f"{len(record.epochs)}/{record.experiment['epochs']}",
                f"{usual.scale * metrics[usual.key]:.3g} {usual.unit}".strip() if usual else "",
                f"{record.cost.clips_per_s:.0f}" if record.cost.clips_per_s else "",
                visible(record.cost.device),
                visible(one.holder),
            )
        )
    return grid(rows, heads=heads, right=(2, 3, 4, 5, 6), whole=(0, 2, 3, 4, 5, 6), indent=2)


def _name(trial: TrialKey) -> str:
    return f"{trial.arm}, seed {trial.seed}, fold {trial.fold} ({trial.id[:7]})"


if __name__ == "__main__":
    sys.exit(main())
