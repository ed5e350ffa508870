"""A week's sweep on machines that vanish, simulated: wall time against the ideal.

    python -m tests.benchmarks.execution.bench_week

10,000 trials on spot machines, event by event. Trials come in the order of `QueueSearcher`, those
that lost their worker before new ones, and go on from the checkpoint of their last epoch. One that
loses more than `Runtime.retries` workers without getting an epoch further has failed, and trains in
the next run of the command. The lease of a lost worker ends `LEASE_S` after it was last renewed;
until then its trial holds a slot and waits. A lost machine is replaced. The time to notice a lost
host, the start of a process and the work between two trials are entered as measured (`sweep.md`).

The ideal is the work over the slots: nothing is lost, nothing waits, and all slots end together.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from orchestrator.execution.searchers import QueueSearcher
from orchestrator.experiment.config import Runtime
from orchestrator.store.locks import LEASE_S

NOTICED_S = 30.0  # Ray's health check: 5 periods of 3 s and its timeout
PROCESS_S = 10.0  # import of torch and the first batch, once per process
BETWEEN_S = 0.2  # from a trial's last step to the next one's first
RENEWED_S = LEASE_S / 6


@dataclass
class Work:
    """A trial.

    Attributes:
        epochs: Epochs to train.
        epoch_s: Seconds of an epoch.
        done: Epochs whose checkpoint is in the store.
        lost: Workers lost since the last of them.
        free_at: When the lease of its last worker has ended.
        begun_at: When its worker began to train.
    """

    epochs: int
    epoch_s: float
    done: int = 0
    lost: int = 0
    free_at: float = 0.0
    begun_at: float = 0.0


@dataclass
class Machine:
    """A spot machine.

    Attributes:
        busy: The trial of each slot that has one.
        is_up: Whether it is there.
        processes: Slots whose process has started.
    """

    slots: int
    is_up: bool = True
    busy: dict[int, Work] = field(default_factory=dict)
    processes: set[int] = field(default_factory=set)
    starts: int = 0


class Week:
    """A simulation.

    Attributes:
        counts: How often something happened, and the seconds of slots that it took.
        now: Seconds since the start.
    """

    def __init__(
        self, trials: list[Work], *, machines: int, slots: int, boot_s: float, mtbf_s: float
    ) -> None:
        """Start with all machines up and every trial in the queue."""
        self.machines = [Machine(slots) for _ in range(machines)]
        self.counts: Counter[str] = Counter()
        self.now = 0.0
        self._rng = random.Random(0)
        self._boot_s, self._mtbf_s = boot_s, mtbf_s
        self._events: list[tuple[float, int, Any, tuple[Any, ...]]] = []
        self._numbers = itertools.count()
        self._left = len(trials)
        self._failed: list[Work] = []
        self._again: list[Work] = []
        self._queue = self._searcher(trials)
        for machine in self.machines:
            self._lose_some_day(machine)

    def _searcher(self, trials: list[Work]) -> Iterator[Work]:
        searcher = QueueSearcher([SimpleNamespace(work=one) for one in trials])  # type: ignore
        while isinstance(suggested := searcher.suggest(""), dict):
            yield suggested["trials"][0].work

    def run(self) -> float:
        """Train everything; return the wall seconds."""
        self._fill()
        while self._left:
            self.now, _, act, arguments = heapq.heappop(self._events)
            act(*arguments)
        return self.now

    def _at(self, when: float, act: Any, *arguments: Any) -> None:
        heapq.heappush(self._events, (when, next(self._numbers), act, arguments))

    def _lose_some_day(self, machine: Machine) -> None:
        if self._mtbf_s:
            self._at(self.now + self._rng.expovariate(1 / self._mtbf_s), self._lose, machine)

    def _fill(self) -> None:
        for machine in self.machines:
            for slot in range(machine.slots if machine.is_up else 0):
                if slot not in machine.busy and (work := self._next()):
                    self._begin(machine, slot, work)

    def _next(self) -> Work | None:
        """Return the trial to start: one to try again before one that has not begun."""
        if self._again:
            return self._again.pop(0)
        if work := next(self._queue, None):
            return work
        running = any(machine.busy for machine in self.machines)
        if self._failed and not running and not self._again:
            # The command ends with an error, and is typed again.
            self.counts["commands"] += 1
            self._queue, self._failed = self._searcher(self._failed), []
            return next(self._queue, None)
        return None

    def _begin(self, machine: Machine, slot: int, work: Work) -> None:
        machine.busy[slot] = work
        waits = max(0.0, work.free_at - self.now)
        starts = BETWEEN_S if slot in machine.processes else PROCESS_S
        machine.processes.add(slot)
        self.counts["lease_s"] += waits
        self.counts["start_s"] += starts
        work.begun_at = self.now + waits + starts
        end = work.begun_at + (work.epochs - work.done) * work.epoch_s
        self._at(end, self._end, machine, slot, work, machine.starts)

    def _end(self, machine: Machine, slot: int, work: Work, starts: int) -> None:
        if machine.starts != starts or machine.busy.get(slot) is not work:
            return  # its machine was lost
        del machine.busy[slot]
        self._left -= 1
        self._fill()

    def _lose(self, machine: Machine) -> None:
        self.counts["machines"] += 1
        machine.is_up, machine.starts = False, machine.starts + 1
        machine.processes.clear()
        for work in machine.busy.values():
            trained = max(0.0, self.now - work.begun_at)
            whole = min(int(trained / work.epoch_s), work.epochs - work.done - 1)
            self.counts["again_s"] += trained - whole * work.epoch_s
            self.counts["workers"] += 1
            work.done += whole
            work.lost = 1 if whole else work.lost + 1
            work.free_at = self.now + LEASE_S - self._rng.uniform(0, RENEWED_S)
            self._at(self.now + NOTICED_S, self._notice, work)
        machine.busy.clear()
        self._at(self.now + self._boot_s, self._replace, machine)

    def _notice(self, work: Work) -> None:
        if work.lost > Runtime().retries:
            self.counts["failed"] += 1
            work.lost = 0
            self._failed.append(work)
        else:
            self._again.append(work)
        self._fill()

    def _replace(self, machine: Machine) -> None:
        machine.is_up = True
        self._lose_some_day(machine)
        self._fill()


def made_up(count: int, *, mean_s: float, epochs: int) -> list[Work]:
    """Return trials of a dozen arms whose epochs take from half to twice the time of the mean."""
    rng = random.Random(1)
    arms = [rng.uniform(0.5, 1.5) for _ in range(12)]
    mean = sum(arms) / len(arms)
    return [
        Work(epochs=epochs, epoch_s=mean_s / epochs * arms[i % 12] / mean * rng.uniform(0.95, 1.05))
        for i in range(count)
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000, help="(%(default)s)")
    parser.add_argument("--machines", type=int, default=16, help="(%(default)s)")
    parser.add_argument("--slots", type=int, default=4, help="trials of a machine (%(default)s)")
    parser.add_argument("--epochs", type=int, default=50, help="of a trial (%(default)s)")
    parser.add_argument("--hours", type=float, default=168, help="ideal wall time (%(default)s)")
    parser.add_argument("--boot-minutes", type=float, default=5, help="(%(default)s)")
    parser.add_argument(
        "--lost-after-hours",
        type=float,
        nargs="*",
        default=[0, 168, 24, 6, 1],
        help="mean life of a machine, 0 for ever (%(default)s)",
    )
    options = parser.parse_args()
    slots = options.machines * options.slots
    mean_s = options.hours * 3600 * slots / options.trials
    print(
        f"{options.trials:,} trials of {mean_s / 3600:.2f} h on average, {slots} slots on "
        f"{options.machines} machines, {options.boot_minutes:g} minutes until one is replaced\n"
    )
    heads = ("life of a machine h", "ideal h", "wall h", "over ideal", "machines lost")
    more = ("workers lost", "trained again", "waits for leases", "starts", "failed", "commands")
    print("|", " | ".join((*heads, *more)), "|\n|" + "--:|" * (len(heads) + len(more)))
    for life in options.lost_after_hours:
        trials = made_up(options.trials, mean_s=mean_s, epochs=options.epochs)
        work_s = sum(one.epochs * one.epoch_s for one in trials)
        week = Week(
            trials,
            machines=options.machines,
            slots=options.slots,
            boot_s=60 * options.boot_minutes,
            mtbf_s=3600 * life,
        )
        wall, counts = week.run(), week.counts
        ideal = work_s / slots
        shares = (counts[key] / (wall * slots) for key in ("again_s", "lease_s", "start_s"))
        print(
            f"| {f'{life:g}' if life else 'for ever'} | {ideal / 3600:.1f} | {wall / 3600:.1f} "
            f"| {wall / ideal - 1:.2%} | {counts['machines']} | {counts['workers']} | "
            + " | ".join(f"{share:.2%}" for share in shares)
            + f" | {counts['failed']} | {1 + counts['commands']} |"
        )


if __name__ == "__main__":
    main()
