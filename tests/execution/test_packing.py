"""What a worker gets of its host."""

import pytest
import ray

from orchestrator.execution.packing import Host, cpu_share
from orchestrator.execution.ray_session import with_cpu_share
from orchestrator.experiment.config import Runtime


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


def test_share_is_read_from_the_hosts_of_ray():
    ray.init(address="local", num_cpus=8, num_gpus=2, include_dashboard=False)
    try:
        shared = with_cpu_share(Runtime(gpus_per_worker=0.5, cpus_per_worker=0))
        assert shared.cpus_per_worker == 2
        assert with_cpu_share(Runtime(cpus_per_worker=0)).cpus_per_worker == 1
        assert with_cpu_share(Runtime(gpus_per_worker=1, cpus_per_worker=3)).cpus_per_worker == 3
    finally:
        ray.shutdown()
