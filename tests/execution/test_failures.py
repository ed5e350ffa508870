"""Ways in which trials end before their time, caused for real: what is said, and what goes on."""

import io
import os
import re
import select
import signal
import subprocess
import sys
import time

import pytest
from rich.console import Console

from orchestrator.design.factors import Trial
from orchestrator.errors import TrainingError
from orchestrator.execution.costs import unfinished, untrained
from orchestrator.execution.failures import FailedAlike
from orchestrator.execution.progress import SweepProgress
from orchestrator.execution.ray_session import ray_session
from orchestrator.execution.tune import fail_stale_trials, run_trials
from orchestrator.experiment.config import Component, Runtime
from orchestrator.records import Status
from tests import tiny
from tests.commands import ROOT, environment


@pytest.fixture(scope="module")
def ray_here():
    with ray_session(Runtime()):
        yield


def trial_of(arm: str, **changes) -> Trial:
    experiment = tiny.experiment(**changes)
    return Trial(
        arm=arm, seed=experiment.seed, fold=experiment.fold, experiment=experiment, id=experiment.id
    )


def doomed(does: str, **changes) -> Trial:
    model = Component("tests.own_parts:Doomed", does=does)
    return trial_of(f"{does} {changes.get('batch_size', '')}", model=model, **changes)


class KillTwice(SweepProgress):
    """Kills the worker of one arm twice, each time once it has saved another epoch."""

    def __init__(self, trials, store, arm):
        self.out = io.StringIO()
        super().__init__(Console(file=self.out, width=250), trials)
        self.store, self.arm, self.num_killed = store, arm, 0

    def epoch(self, trial_id, epoch, metrics):
        super().epoch(trial_id, epoch, metrics)
        if self.trials[trial_id].arm == self.arm and epoch >= (1, 30, 99)[self.num_killed]:
            self.num_killed += 1
            deadline = time.monotonic() + 60
            while not self.is_saved(trial_id, epoch):
                assert time.monotonic() < deadline
                time.sleep(0.02)
            pid = int(self.store.read_record(trial_id).provenance["pid"])
            os.kill(pid, signal.SIGKILL)

    def is_saved(self, trial_id, epoch) -> bool:
        saved = self.store.load_checkpoint(trial_id, "last")
        return saved is not None and len(saved[1]["epochs"]) >= epoch


@pytest.mark.slow
def test_lost_workers_do_not_count_unless_a_trial_stands_still(ray_here, tmp_path):
    often, never, nan = trial_of("often", epochs=40), doomed("dies"), doomed("diverges", epochs=2)
    trials = [often, never, nan]
    store = tiny.store_with_pack(tmp_path, often.experiment)
    runtime = Runtime(store=store.uri, retries=1)
    with KillTwice(trials, store, "often") as progress:
        run_trials(trials, runtime=runtime, store=store, progress=progress)
        fail_stale_trials(trials, store, reasons=progress.lost)
    said = progress.out.getvalue()
    records = store.read_records(trial.id for trial in trials)
    record = records[often.id]
    assert record.status is Status.FINISHED, record.error
    assert progress.num_killed == 2 and record.cost.attempts == progress.num_killed + 1
    assert said.count("its worker process was killed or crashed; another worker goes on") == 3
    record = records[never.id]
    assert record.status is Status.FAILED and record.cost.attempts == 2
    assert "lost 2 workers in a row without finishing another epoch" in record.error
    record = records[nan.id]
    assert record.status is Status.DIVERGED and record.cost.attempts == 1
    assert len(record.epochs) == 1
    assert "DivergedError: the loss is nan at epoch 2, step 1 of 3" in record.error_line
    assert untrained(trials, records) == [never]
    assert unfinished(trials, records) == [never, nan]


@pytest.mark.slow
def test_bug_that_all_arms_share_ends_the_sweep_after_one_trial_of_each(ray_here, tmp_path):
    arms = [{"batch_size": 5}, {"batch_size": 4}, {"batch_size": 3}]
    trials = [doomed("raises", seed=seed, **arm) for seed in range(8) for arm in arms]
    store = tiny.store_with_pack(tmp_path, trials[0].experiment)
    with SweepProgress(Console(file=io.StringIO()), trials) as progress:
        with pytest.raises(TrainingError) as caught:
            run_trials(trials, runtime=Runtime(store=store.uri), store=store, progress=progress)
    message = str(caught.value)
    assert re.match(r"the first \d trials, among them one of each arm, failed alike", message)
    assert "so the others were not begun: KeyError: 'gain'" in message
    assert re.search(
        r"own_parts.py, line \d+, in logits: return made\[:, {}\[\"gain\"\]\]", message
    )
    assert len(progress.done) < len(trials)
    records = store.read_records(trial.id for trial in trials)
    failed = [record for record in records.values() if record.status is Status.FAILED]
    assert [record.cost.attempts for record in failed] == [1] * len(failed)


DAWDLE = """
import fcntl, os, sys, termios
from pathlib import Path
from orchestrator.design.factors import Trial
from orchestrator.execution.progress import SweepProgress
from orchestrator.execution.ray_session import ray_session, terminal
from orchestrator.execution.tune import run_trials
from orchestrator.experiment.config import Runtime
from orchestrator.store import Store
from tests.execution.test_failures import doomed
fcntl.ioctl(0, termios.TIOCSCTTY)
store, trials = Store.open(sys.argv[1]), [doomed("dawdles", batch_size=3)]
with (
    terminal(Path(sys.argv[1], "log")) as console,
    SweepProgress(console, trials) as progress,
    ray_session(Runtime()),
):
    run_trials(trials, runtime=Runtime(store=store.uri), store=store, progress=progress)
"""


@pytest.mark.slow
def test_terminal_that_hangs_up_lets_the_step_be_saved(tmp_path):
    trial = doomed("dawdles", batch_size=3)
    store = tiny.store_with_pack(tmp_path, trial.experiment)
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", DAWDLE, tmp_path],
        cwd=ROOT,
        env=environment(),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown, deadline = b"", time.monotonic() + 100
    while not ((record := store.read_record(trial.id)) and record.epochs):
        assert time.monotonic() < deadline and process.poll() is None, shown[-3000:]
        if select.select([ours], [], [], 0.1)[0]:
            shown += os.read(ours, 1 << 16)
    os.close(ours)
    process.wait(60)
    _, facts = store.load_checkpoint(trial.id, "last")
    assert len(facts["epochs"]) in (1, 2) and 0 < len(facts["losses_so_far"]) < 5


class InterruptOnce(SweepProgress):
    """Presses Ctrl-C when it hears of an epoch."""

    def __init__(self, trials):
        self.out = io.StringIO()
        super().__init__(Console(file=self.out, width=250), trials)

    def epoch(self, trial_id, epoch, metrics):
        super().epoch(trial_id, epoch, metrics)
        if epoch == 1:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.slow
def test_first_interrupt_saves_the_step_and_begins_nothing(ray_here, tmp_path):
    trials = [doomed("dawdles", seed=seed, batch_size=3) for seed in range(2)]
    store = tiny.store_with_pack(tmp_path, trials[0].experiment)
    runtime = Runtime(store=store.uri, max_concurrent=1)
    with InterruptOnce(trials) as progress:
        with pytest.raises(KeyboardInterrupt):
            run_trials(trials, runtime=runtime, store=store, progress=progress)
    said = progress.out.getvalue()
    assert "stopping: the running trial saves what it has" in said and ": saved" in said
    (record,) = store.read_records(trial.id for trial in trials).values()
    assert record.status is Status.RUNNING and len(record.epochs) in (1, 2)
    _, facts = store.load_checkpoint(record.id, "last")
    assert len(facts["epochs"]) == len(record.epochs) and 0 < len(facts["losses_so_far"]) < 5
    with SweepProgress(Console(file=io.StringIO()), trials) as progress:
        run_trials(trials, runtime=runtime, store=store, progress=progress)
    assert set(progress.done.values()) == {Status.FINISHED}
    assert store.read_record(record.id).cost.attempts == 2


@pytest.mark.parametrize(("num_seeds", "words"), [(1, "all 2 trials"), (2, "were not begun")])
def test_trials_that_all_failed_leave_no_others(num_seeds, words):
    trials = [doomed("raises", seed=seed, batch_size=size) for seed in range(2) for size in (4, 5)]
    begun = trials[: 2 * num_seeds]
    alike = FailedAlike((trial.arm for trial in begun), store="store")
    first, second = (
        alike.ended(trial, note="KeyError: 'gain'", place="own.py, line 3") for trial in trials[:2]
    )
    assert not first and words in second
    assert ("others" in second) == (num_seeds == 2)
