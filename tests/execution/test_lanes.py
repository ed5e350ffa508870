"""The two lanes on a real Ray: equal numbers, and nothing lost when a worker is killed."""

import contextlib
import dataclasses
import io
import os
import signal
import time

import numpy as np
import pytest
from rich.console import Console

from orchestrator.design.factors import Trial
from orchestrator.execution.progress import SweepProgress
from orchestrator.execution.ray_session import ray_session
from orchestrator.execution.tune import fail_stale_trials, run_trials, this_launch
from orchestrator.experiment.config import Component, Runtime
from orchestrator.records import Status
from tests import tiny

NUMBERS = ("train/loss", "val/loss", "val/top1", "val/top5", "selection/loss", "selection/top1")


def trial_of(experiment, arm: str = "arm") -> Trial:
    return Trial(
        arm=arm, seed=experiment.seed, fold=experiment.fold, experiment=experiment, id=experiment.id
    )


def numbers(record) -> list[list[float]]:
    return [[epoch.metrics[k] for k in NUMBERS if k in epoch.metrics] for epoch in record.epochs]


class KillOnce(SweepProgress):
    """Kills the process that trains, as soon as its first epoch is heard of."""

    def __init__(self, trials, store, times: int = 1):
        super().__init__(Console(file=io.StringIO()), trials)
        self.store, self.left, self.killed = store, times, []

    def epoch(self, trial_id, epoch, metrics):
        super().epoch(trial_id, epoch, metrics)
        if self.left:
            self.left -= 1
            pid = int(self.store.read_record(trial_id).provenance["pid"])
            os.kill(pid, signal.SIGKILL)
            self.killed.append(pid)


class HearsLate(SweepProgress):
    """Listens to no epoch until the trial has ended."""

    def __init__(self, trials, store):
        super().__init__(Console(file=io.StringIO()), trials)
        self.store, self.heard = store, []

    def epoch(self, trial_id, epoch, metrics):
        deadline = time.monotonic() + 60
        while self.store.read_record(trial_id).status is Status.RUNNING:
            assert time.monotonic() < deadline, "the trial waits for its report"
            time.sleep(0.05)
        self.heard.append(epoch)


class LetsGo(SweepProgress):
    """Gives a lease back once it is said who holds it."""

    def __init__(self, trials, store, owner):
        super().__init__(Console(file=io.StringIO()), trials)
        self._lease = contextlib.ExitStack()
        self._lease.enter_context(store.lock(trials[0].id, owner=owner))
        self.said = []

    def say(self, text):
        self.said.append(text)
        self._lease.close()


@pytest.fixture(scope="module")
def ray_here():
    with ray_session(Runtime()):
        yield


def run(experiment, path, runtime, progress_of=None):
    store = tiny.store_with_pack(path, experiment)
    trial = trial_of(experiment)
    runtime = dataclasses.replace(runtime, store=store.uri)
    progress = (progress_of or (lambda t, s: SweepProgress(Console(file=io.StringIO()), t)))(
        [trial], store
    )
    with progress:
        run_trials([trial], runtime=runtime, store=store, progress=progress)
        fail_stale_trials([trial], store, reasons=progress.lost)
    return store.read_record(trial.id), progress, store


SPECTROGRAM = Component("log_spectrogram", seconds=0.5, n_fft=256, hop_length=320)
NORMED = {"frontend": SPECTROGRAM, "model": Component("vggsound_resnet_laptop")}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(
            {"model__drop_path_rate": 0.0, "batch_size": 6}, id="plain", marks=pytest.mark.slow
        ),
        # Of the 15 clips, 3 choose the epoch.
        pytest.param(
            {"model__drop_path_rate": 0.0, "batch_size": 9, "selection": "best"},
            id="validation",
            marks=pytest.mark.slow,
        ),
        # One clip in the last step: the second worker has none, and must not count.
        pytest.param(
            {**NORMED, "batch_size": 7, "accumulation_steps": 2},
            id="batch norms",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_two_workers_give_the_losses_of_one(ray_here, tmp_path, changes):
    experiment = tiny.experiment(augmentation=Component("none"), **changes)
    one, _, _ = run(experiment, tmp_path / "one", Runtime())
    two, _, store = run(experiment, tmp_path / "two", Runtime(num_workers=2))
    assert one.status is two.status is Status.FINISHED, two.error
    assert two.cost.num_workers == 2
    # 15 clips in batches of 6: the last step shares 3 clips unevenly.
    np.testing.assert_allclose(numbers(one), numbers(two), rtol=2e-4, atol=1e-6)
    predictions = store.read_predictions(two.id, "last")
    assert predictions is not None and len(predictions.clip_ids) == two.data["num_val"]
    assert one.best_epoch == two.best_epoch and one.data == two.data


def test_killed_worker_resumes_to_the_same_bits(ray_here, tmp_path):
    experiment = tiny.experiment(epochs=6, selection="best")
    calm, _, calm_store = run(experiment, tmp_path / "calm", Runtime())
    shot, progress, shot_store = run(experiment, tmp_path / "shot", Runtime(), KillOnce)
    assert len(progress.killed) == 1
    assert shot.status is Status.FINISHED, shot.error
    assert shot.cost.attempts == 2
    assert numbers(shot) == numbers(calm) and shot.best_epoch == calm.best_epoch
    for which in ("last", "best"):
        ours = shot_store.read_predictions(shot.id, which)
        theirs = calm_store.read_predictions(calm.id, which)
        np.testing.assert_array_equal(ours.logits, theirs.logits)


def test_trial_trains_on_while_the_sweep_is_busy(ray_here, tmp_path):
    record, progress, _ = run(tiny.experiment(), tmp_path, Runtime(), HearsLate)
    assert record.status is Status.FINISHED, record.error
    assert progress.heard == [1, 2, 3]


@pytest.mark.parametrize(
    ("own", "words"),
    [
        (True, "an earlier attempt of its own, until its lease ends: the launch of process "),
        (False, "another launch: the launch on gpu3 (process "),
    ],
    ids=["its own", "another"],
)
def test_trial_that_waits_says_who_holds_it(ray_here, tmp_path, own, words):
    def lets_go(trials, store):
        return LetsGo(trials, store, this_launch() if own else "the launch on gpu3")

    record, progress, _ = run(tiny.experiment(epochs=1), tmp_path, Runtime(), lets_go)
    assert record.status is Status.FINISHED, record.error
    assert progress.said[0].startswith(f"arm · seed 0 · fold 1: waits for {words}")


@pytest.mark.slow
def test_killed_worker_of_two_resumes_to_the_same_losses(ray_here, tmp_path):
    experiment = tiny.experiment(epochs=4)
    calm, _, _ = run(experiment, tmp_path / "calm", Runtime(num_workers=2))
    shot, progress, _ = run(experiment, tmp_path / "shot", Runtime(num_workers=2), KillOnce)
    assert len(progress.killed) == 1
    assert shot.status is Status.FINISHED, shot.error
    assert numbers(shot) == numbers(calm)
