"""What a worker gets of its host."""

import contextlib
import fcntl
import io
import os

import pytest
import ray
from rich.console import Console

from orchestrator.design.factors import Arm, Trial
from orchestrator.design.plan import Plan
from orchestrator.design.search_space import LogUniform, Search
from orchestrator.execution.capacity import with_cpu_share
from orchestrator.execution.launch import _fitted
from orchestrator.execution.packing import (
    Footprint,
    Host,
    at_a_time,
    cpu_share,
    fewer_at_a_time,
    share_of_gpu,
)
from orchestrator.execution.progress import SweepProgress
from orchestrator.execution.ray_session import QUIET
from orchestrator.execution.tune import run_search, run_trials
from orchestrator.experiment.config import Component, Runtime
from orchestrator.records import Status
from tests import tiny


def trial_of(experiment) -> Trial:
    return Trial(
        arm="arm",
        seed=experiment.seed,
        fold=experiment.fold,
        experiment=experiment,
        id=experiment.id,
    )


@pytest.mark.parametrize(
    ("hosts", "gpus_per_worker", "share"),
    [
        ([(4, 1)], 1, 4),
        ([(4, 1)], 0.25, 1),
        ([(16, 1)], 1 / 3, 5),
        ([(16, 1)], 0.3333, 5),
        ([(16, 2)], 0.5, 4),
        ([(96, 8)], 1, 12),
        ([(96, 8)], 4, 48),
        ([(2, 8)], 0.5, 1),  # fewer CPUs than workers
        ([(64, 1), (8, 1)], 1, 8),  # the smallest share fits everywhere
        ([(64, 0), (8, 1)], 1, 8),  # a head without GPUs
        ([(64, 0)], 1, 1),  # no GPU host has come yet
        ([(64, 1)], 2, 1),
        ([(64, 4)], 0, 1),  # on the CPU
        ([], 1, 1),
    ],
)
def test_share_of_the_cpus_of_a_gpu_host(hosts, gpus_per_worker, share):
    made = [Host(cpus=cpus, gpus=gpus) for cpus, gpus in hosts]
    assert cpu_share(made, gpus_per_worker) == share


@contextlib.contextmanager
def ray_of(**resources):
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    ray.init(address="local", include_dashboard=False, log_to_driver=False, **resources)
    try:
        yield
    finally:
        ray.shutdown()


def test_share_is_read_from_the_hosts_of_ray():
    with ray_of(num_cpus=8, num_gpus=2):
        shared = with_cpu_share(Runtime(gpus_per_worker=0.5, cpus_per_worker=0))
        assert shared.cpus_per_worker == 2
        assert with_cpu_share(Runtime(cpus_per_worker=0)).cpus_per_worker == 1
        assert with_cpu_share(Runtime(gpus_per_worker=1, cpus_per_worker=3)).cpus_per_worker == 3


@pytest.mark.parametrize(
    ("runtime", "steps"),
    [
        (Runtime(gpus_per_worker=0.125), ["4 on a card", "2 on a card", "1 on a card"]),
        (Runtime(gpus_per_worker=0.3333), ["1 on a card", "1 on a card"]),
        (Runtime(gpus_per_worker=1), []),
        (Runtime(), ["2 at a time", "1 at a time"]),
        (Runtime(cpus_per_worker=2, max_concurrent=8), ["1 at a time"]),
        (Runtime(max_concurrent=3), ["1 at a time"]),
        (Runtime(max_concurrent=1), []),
        (Runtime(num_workers=2), []),
    ],
)
def test_fewer_at_a_time_until_a_trial_shares_memory_with_none(runtime, steps):
    taken = []
    while (runtime := fewer_at_a_time(runtime, cpus=5)) is not None:
        taken.append(at_a_time(runtime))
    assert taken == steps


@pytest.mark.slow
def test_trial_that_runs_out_of_memory_trains_again_with_fewer_beside_it(tmp_path):
    alone = Component("tests.own_parts:Alone", folder=str(tmp_path))
    trials = [trial_of(tiny.experiment(epochs=2, model=alone, seed=seed)) for seed in range(3)]
    store = tiny.store_with_pack(tmp_path / "store", trials[0].experiment)
    said = io.StringIO()
    with (
        ray_of(num_cpus=2),
        SweepProgress(Console(file=said, width=200), trials) as progress,
    ):
        runtime = run_trials(trials, runtime=Runtime(), store=store, progress=progress)
    records = [store.read_record(trial.id) for trial in trials]
    assert [record.status for record in records] == [Status.FINISHED] * 3, records[1].error
    ran_out = [record.provenance.get("out_of_memory") for record in records]
    # The third may have begun beside the first before Tune heard of the second.
    assert sorted(map(str, ran_out)) in (["1", "None", "None"], ["1", "1", "None"])
    assert runtime.max_concurrent == 1
    assert "out of memory; it and what is left train 1 at a time" in said.getvalue()
    assert set(progress.done.values()) == {Status.FINISHED}


@pytest.mark.slow
def test_search_goes_on_with_fewer_trials_at_a_time_where_memory_runs_out(tmp_path):
    alone = Component("tests.own_parts:Alone", folder=str(tmp_path))
    base = tiny.experiment(epochs=1, model=alone)
    plan = Plan(name="found", question="?", base=base, arms=(Arm(name="control"),), seeds=(0, 1))
    search = Search(
        plan=plan, space={"optimizer.learning_rate": LogUniform(1e-4, 1e-2)}, num_points=4
    )
    store = tiny.store_with_pack(tmp_path / "store", base)
    points, said = [], io.StringIO()
    with ray_of(num_cpus=2), SweepProgress(Console(file=said, width=200), []) as progress:
        run_search(
            search,
            points,
            runtime=Runtime(),
            store=store,
            progress=progress,
            on_point=points.append,
        )
    assert len(points) == 4 and len(progress.done) == 8
    assert set(progress.done.values()) == {Status.FINISHED}
    records = [store.read_record(trial_id) for trial_id in progress.done]
    assert {record.status for record in records} == {Status.FINISHED}
    assert any(record.provenance.get("out_of_memory") for record in records)
    assert "out of memory; it and what is left train 1 at a time" in said.getvalue()


@pytest.mark.slow
def test_trial_that_runs_out_of_memory_alone_is_a_failed_trial(tmp_path):
    alone = Component("tests.own_parts:Alone", folder=str(tmp_path))
    (trial,) = [trial_of(tiny.experiment(epochs=1, model=alone))]
    store = tiny.store_with_pack(tmp_path / "store", trial.experiment)
    with (
        (tmp_path / "lock").open("w") as lock,
        ray_of(num_cpus=1),
        SweepProgress(Console(file=io.StringIO()), [trial]) as progress,
    ):
        fcntl.lockf(lock, fcntl.LOCK_EX)
        run_trials([trial], runtime=Runtime(), store=store, progress=progress)
    record = store.read_record(trial.id)
    assert record.status is Status.FAILED and "OutOfMemoryError: made up" in record.error_line
    assert list(progress.done.values()) == [Status.FAILED]


@pytest.mark.parametrize(
    ("footprint", "cpus_per_gpu", "trials"),
    [
        ({"peak_mb": 3e3, "total_mb": 140e3, "busy": 0.04}, 16, 16),  # small: as the CPUs allow
        ({"peak_mb": 3e3, "total_mb": 140e3, "busy": 0.04}, 96, 25),  # until the card is busy
        ({"peak_mb": 17.4e3, "total_mb": 140e3, "busy": 0.62}, 16, 2),
        ({"peak_mb": 17.4e3, "total_mb": 24e3, "busy": 0.1}, 16, 1),
        ({"peak_mb": 3e3, "total_mb": 24e3, "busy": 0.1}, 16, 7),  # as the memory allows
        ({"peak_mb": 80e3, "total_mb": 24e3, "busy": 1.0}, 16, 1),
        ({"peak_mb": 1.0, "total_mb": 140e3, "busy": 0.0}, 1e4, 100),
        ({"peak_mb": 3e3, "total_mb": 140e3, "busy": 0.5}, 0.5, 1),
    ],
)
def test_as_many_trials_as_memory_time_and_cpus_allow(footprint, cpus_per_gpu, trials):
    assert Footprint(arm="a", **footprint).trials_per_gpu(cpus_per_gpu) == trials


@pytest.mark.parametrize("trials", range(1, 101))
def test_share_of_a_gpu_holds_that_many(trials):
    assert Host(cpus=1, gpus=2).workers(share_of_gpu(trials)) == 2 * trials


@pytest.mark.slow
def test_pilot_that_fails_leaves_a_gpu_to_each_trial(tmp_path):
    # Ray is told of a GPU that is not there.
    plan = Plan(name="sizes", question="?", base=tiny.experiment(), arms=(Arm(name="one"),))
    store = tiny.store_with_pack(tmp_path, tiny.experiment())
    said = []
    with ray_of(num_cpus=2, num_gpus=1):
        runtime = _fitted(plan, Runtime(gpus_per_worker=1), store=store, say=said.append)
    assert runtime.gpus_per_worker == 1
    assert said[1].startswith("pilot: failed (RuntimeError: "), said
