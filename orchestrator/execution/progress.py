"""Progress of a running sweep: a bar with the time left, and one line per running trial.

On a terminal the lines are redrawn in place. Otherwise, each finished trial prints one line.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from orchestrator.design.factors import Trial
from orchestrator.execution.costs import duration
from orchestrator.metrics import METRICS, USUAL, catalog
from orchestrator.records import Status


class SweepProgress:
    """Shows the epochs and the ends of trials.

    Attributes:
        trials: Id -> trial to run.
        done: Id of an ended trial -> its status.
        lost: Id of a trial that was given up -> what became of its workers.
    """

    def __init__(self, console: Console, trials: Sequence[Trial]):
        """Create the progress display."""
        self.trials = {trial.id: trial for trial in trials}
        self.done: dict[str, Status] = {}
        self.lost: dict[str, str] = {}
        self._console = console
        self._started = time.monotonic()
        self._epochs: dict[str, int] = {}
        self._tasks: dict[str, TaskID] = {}
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            disable=not console.is_terminal,
            transient=True,
            redirect_stdout=False,  # both go to the log file while Ray runs
            redirect_stderr=False,
        )
        self._sweep = self._bar.add_task("trials", total=len(self.trials), note="")

    def __enter__(self) -> SweepProgress:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def add(self, trial: Trial) -> None:
        """Add one more trial to run."""
        self.trials[trial.id] = trial
        self._bar.update(self._sweep, total=len(self.trials))

    def started(self, trial_id: str) -> None:
        """Show a trial that has started."""
        trial = self.trials[trial_id]
        if trial_id not in self._tasks and trial_id not in self.done:
            self._tasks[trial_id] = self._bar.add_task(
                name_of(trial), total=trial.experiment.epochs, note="epochs"
            )

    def waits(self, trial_id: str, holder: str) -> None:
        """Report that another process holds a trial, whose result will be used.

        Args:
            trial_id: Id of the trial.
            holder: Who holds it, and after a colon the details.
        """
        self.say(f"{name_of(self.trials[trial_id])}: waits for {holder}")
        self.note(trial_id, f"waits for {holder.partition(':')[0]}")

    def note(self, trial_id: str, text: str) -> None:
        """Show what a trial does beside its bar."""
        if trial_id in self._tasks:
            self._bar.update(self._tasks[trial_id], note=text)

    def recovers(self, trial_id: str, reason: str) -> None:
        """Report that a trial's worker was lost, and that another goes on with it."""
        self.say(f"{name_of(self.trials[trial_id])}: {reason}; another worker goes on with it")

    def stopped(self, trial_id: str) -> None:
        """Report that a trial has saved what it has."""
        self.say(f"{name_of(self.trials[trial_id])}: saved")

    def starved(self, trial_id: str, at_a_time: str) -> None:
        """Report that a trial ran out of memory and trains again with fewer beside it."""
        self.say(
            f"{name_of(self.trials[trial_id])}: out of memory; it and what is left train "
            f"{at_a_time}, once the running trials have ended"
        )

    def epoch(self, trial_id: str, epoch: int, metrics: Mapping[str, float]) -> None:
        """Show an epoch of a running trial."""
        self.started(trial_id)
        self._epochs[trial_id] = epoch
        if trial_id in self._tasks:
            usual = METRICS[next(key for key in USUAL.values() if key in metrics)]
            note = (
                f"epochs  loss {metrics[catalog.TRAIN_LOSS]:.3f}  "
                f"{usual.title} {usual.scale * metrics[usual.key]:.{1 if usual.unit else 3}f} "
                f"{usual.unit}"
            ).rstrip()
            self._bar.update(self._tasks[trial_id], completed=epoch, note=note)
        self._bar.update(self._sweep, note=self._left())

    def ended(self, trial_id: str, status: Status, note: str = "") -> None:
        """Count an ended trial once."""
        if trial_id in self.done:
            return
        self.done[trial_id] = status
        task = self._tasks.pop(trial_id, None)
        if task is not None:
            self._bar.remove_task(task)
        self._bar.update(self._sweep, completed=len(self.done), note=self._left())
        if status is Status.FAILED or not self._console.is_terminal:
            count = f"[{len(self.done)}/{len(self.trials)}]"
            line = f"{count} {name_of(self.trials[trial_id])}: {status.value}"
            self._console.print(
                f"{line}{', ' + note if note else ''}  {self._left()}", markup=False, soft_wrap=True
            )

    def say(self, text: str) -> None:
        """Write one line above the bars."""
        self._console.print(text, markup=False, soft_wrap=True)

    def last_word(self, text: str) -> None:
        """Write one line and take the bars away, before this process ends."""
        self._bar.stop()
        self.say(text)

    def _left(self) -> str:
        whole = sum(trial.experiment.epochs for trial in self.trials.values())
        finished = sum(
            trial.experiment.epochs if id_ in self.done else self._epochs.get(id_, 0)
            for id_, trial in self.trials.items()
        )
        if not finished or finished == whole:
            return ""
        left_s = (time.monotonic() - self._started) / finished * (whole - finished)
        return f"about {duration(left_s)} left"


def name_of(trial: Trial) -> str:
    """Return a readable name of a trial: arm, seed, fold."""
    return f"{trial.arm} · seed {trial.seed} · fold {trial.fold}"
