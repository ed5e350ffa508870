"""A trial on several devices or hosts: the only file that imports ray.train.

The trial function that calls `run_parallel` holds the trial's lease and does no work. Ray Train
starts the workers and ends all of them when one dies; a new trial function resumes from the store.
"""

from __future__ import annotations

import os
from typing import Any

from orchestrator.errors import StoreError
from orchestrator.execution.stopping import StopRequest
from orchestrator.experiment.config import Runtime
from orchestrator.experiment.identity import CompletedExperiment
from orchestrator.records import EpochRecord, Status, TrialRecord
from orchestrator.store import Store
from orchestrator.store.files import FULL

BACKENDS = "cpu:gloo,cuda:nccl"


def run_parallel(
    trial_id: str,
    experiment: CompletedExperiment,
    *,
    lease: int,
    store: Store,
    runtime: Runtime,
    storage_path: str,
    request: StopRequest,
) -> TrialRecord:
    """Train a trial on `runtime.num_workers` data-parallel workers.

    Must be called inside a Tune trial. gloo connects CPUs, nccl connects GPUs. Each worker is a
    process with a device of its own, which Ray Train chooses, as it does the worker's rank. The
    workers are packed on as few hosts as possible, because gradients travel faster within one.

    Args:
        trial_id: Id of the experiment.
        experiment: Experiment to train.
        lease: Number of the lease that the caller holds.
        store: Store for all results, reachable from every host.
        runtime: Number of workers and resources per worker.
        storage_path: Folder for Ray Train's bookkeeping.
        request: Request to stop, which the workers watch.

    Returns:
        The trial's record in the store.

    Raises:
        Stopped: The workers were asked to stop, and have saved what they need to go on.
        StoreError: The store is full or read-only.
        TrainingFailedError: A worker was lost.
    """
    import uuid

    import ray.train
    from ray.train import TrainingFailedError
    from ray.train.torch import TorchConfig, TorchTrainer
    from ray.tune.integration.ray_train import TuneReportCallback

    from orchestrator.training.trainer import Stopped

    uses_gpu = runtime.gpus_per_worker > 0
    resources: dict[str, float] = {"CPU": runtime.cpus_per_worker}
    if uses_gpu:
        resources["GPU"] = runtime.gpus_per_worker
    trainer = TorchTrainer(
        _work,
        train_loop_config={
            "trial_id": trial_id,
            "experiment": experiment,
            "lease": lease,
            "store": store,
            "runtime": runtime,
            "request": request,
        },
        torch_config=TorchConfig(backend=BACKENDS if uses_gpu else "gloo"),
        scaling_config=ray.train.ScalingConfig(
            num_workers=runtime.num_workers,
            use_gpu=uses_gpu,
            resources_per_worker=resources,
            placement_strategy="PACK",
        ),
        run_config=ray.train.RunConfig(
            # A new name per launch: the store resumes a trial, not Ray Train.
            name=f"{trial_id}-{uuid.uuid4().hex[:8]}",
            storage_path=storage_path,
            callbacks=[TuneReportCallback()],
        ),
    )
    earlier = store.read_record(trial_id)
    try:
        trainer.fit()
    except TrainingFailedError as error:
        # Ray Train passes a worker's error on as text.
        if Stopped.__name__ in str(error):
            raise Stopped from None
        for reason in FULL:
            if os.strerror(reason) in str(error):
                cause = OSError(reason, os.strerror(reason))
                raise StoreError(f"cannot write {store.uri} ({cause.strerror})") from cause
        record = store.read_record(trial_id)
        before = earlier.cost.attempts if earlier else 0
        if record is None or record.cost.attempts == before or record.status is Status.RUNNING:
            raise
        return record
    record = store.read_record(trial_id)
    assert record is not None, "the leading worker writes a record before its first epoch"
    return record


def _work(config: dict[str, Any]) -> None:
    import ray.train
    import torch
    from ray.train.torch import get_device

    from orchestrator.execution.trial import TrialRun

    runtime: Runtime = config["runtime"]
    torch.set_num_threads(runtime.cpus_per_worker)

    def report(record: EpochRecord) -> None:
        ray.train.report({"epoch": record.epoch, **record.metrics})

    ray.train.report({"at_work": 1})  # the workers have their resources
    with config["request"].watched() as stop:
        TrialRun(
            store=config["store"],
            trial_id=config["trial_id"],
            experiment=config["experiment"],
            device=str(get_device()) if runtime.gpus_per_worker > 0 else "cpu",
            runtime=runtime,
            lease=config["lease"],
            on_epoch=report,
            stop=stop,
        ).run()
