"""What a cluster has and may get, and what is said of a trial that it cannot hold."""

import re
from collections.abc import Iterator

import pytest
import ray
import yaml
from ray.cluster_utils import Cluster

from orchestrator.errors import ConfigError
from orchestrator.execution import tune
from orchestrator.execution.capacity import (
    Capacity,
    NodeType,
    capacity,
    require_capacity,
    waits_for,
    with_cpu_share,
)
from orchestrator.execution.packing import Host
from orchestrator.experiment.config import Runtime

HEAD = Host(cpus=4, gpus=0)
GPU = Host(cpus=8, gpus=2)


def grows(*types: tuple[Host | None, int], most: int = 4, workers: tuple[Host, ...] = ()):
    kinds = [NodeType(name=f"type{i}", host=host, most=n) for i, (host, n) in enumerate(types)]
    return Capacity(head=HEAD, workers=workers, types=tuple(kinds), most_workers=most)


FIXED = Capacity(head=HEAD, workers=(GPU,))
FROM_NOTHING = grows((GPU, 3))
OWN_HOSTS = grows((None, 2), most=2, workers=(GPU,))


@pytest.mark.parametrize(
    ("has", "runtime", "now", "at_most"),
    [
        (FIXED, Runtime(), 12, 12),
        (FIXED, Runtime(cpus_per_worker=3), 3, 3),
        (FIXED, Runtime(gpus_per_worker=1, cpus_per_worker=4), 2, 2),
        (FIXED, Runtime(gpus_per_worker=0.5, cpus_per_worker=4), 2, 2),  # CPUs run out first
        (FIXED, Runtime(cpus_per_worker=9), 0, 0),
        (FROM_NOTHING, Runtime(), 4, 28),
        (FROM_NOTHING, Runtime(gpus_per_worker=1, cpus_per_worker=4), 0, 6),
        (grows((GPU, 9)), Runtime(gpus_per_worker=1), 0, 8),  # as many as the file allows in all
        (grows((HEAD, 4), (GPU, 1)), Runtime(gpus_per_worker=1), 0, 2),
        (grows((HEAD, 4), (GPU, 1)), Runtime(), 4, 24),  # one of the larger, three of the others
        (OWN_HOSTS, Runtime(gpus_per_worker=1), 2, 2),
    ],
)
def test_workers_are_counted_node_by_node(has, runtime, now, at_most):
    assert (has.now(runtime), has.at_most(runtime)) == (now, at_most)


@pytest.mark.parametrize(
    ("has", "runtime", "words"),
    [
        (FIXED, Runtime(cpus_per_worker=4), "of which 1 are free$"),  # busy
        (FIXED, Runtime(cpus_per_worker=9), r"no autoscaler .* `ray start .* --cpus-per-worker"),
        (FROM_NOTHING, Runtime(gpus_per_worker=1), "its autoscaler adds nodes .* 3 of type type0"),
        (OWN_HOSTS, Runtime(gpus_per_worker=3), "has joined is large enough, and 1 are to join"),
    ],
)
def test_wait_names_who_can_end_it(has, runtime, words):
    text = waits_for(runtime, has, {"CPU": 1})
    assert text.startswith("waiting for the cluster: a trial asks for ")
    assert re.search(words, text), text


@pytest.fixture(scope="module")
def growing(tmp_path_factory) -> Iterator[str]:
    """The address of a head of one CPU whose autoscaler may add two nodes of four."""
    place = tmp_path_factory.mktemp("autoscaler") / "bootstrap.yaml"
    commands = ("initialization", "setup", "head_setup", "worker_setup")
    starts = ("head_start_ray", "worker_start_ray")
    config = {
        "cluster_name": "growing",
        "provider": {"type": "fake_multinode"},
        "auth": {"ssh_user": "nobody"},
        "max_workers": 2,
        "upscaling_speed": 1.0,
        "idle_timeout_minutes": 5,
        "head_node_type": "ray.head.default",
        "available_node_types": {
            "ray.head.default": {"resources": {"CPU": 1}, "node_config": {}, "max_workers": 0},
            "big": {"resources": {"CPU": 4, "GPU": 1}, "node_config": {}, "max_workers": 9},
        },
        **{f"{name}_commands": [] for name in (*commands, *starts)},
        **{"docker": {}, "file_mounts": {}, "cluster_synced_files": []},
        **{"file_mounts_sync_continuously": False, "rsync_exclude": [], "rsync_filter": []},
    }
    place.write_text(yaml.safe_dump(config))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_FAKE_CLUSTER", "1")
        patch.setenv("RAY_enable_autoscaler_v2", "0")
        head = {"num_cpus": 1, "autoscaling_config": str(place)}
        started = Cluster(initialize_head=True, head_node_args=head)
    try:
        ray.init(address=started.address, log_to_driver=False)
        yield started.address
    finally:
        ray.shutdown()
        started.shutdown()


@pytest.mark.slow
def test_types_of_an_autoscaler_decide_what_is_refused_and_how_many_run(growing):
    def asking(**changes) -> Runtime:
        return Runtime(address=growing, **changes)

    has = capacity(asking())
    assert str(has) == "the head (1 CPUs), at most 2 of type big (4 CPUs and 1 GPUs)"
    assert with_cpu_share(asking(cpus_per_worker=0, gpus_per_worker=1)).cpus_per_worker == 4
    require_capacity(asking(num_workers=2, gpus_per_worker=1))
    with pytest.raises(ConfigError, match=r"3 workers of 1 CPU and 1 GPU each.* never .*2 of type"):
        require_capacity(asking(num_workers=3, gpus_per_worker=1))
    with pytest.raises(ConfigError, match=r"8 CPU, and this cluster never has that"):
        require_capacity(asking(cpus_per_worker=8))
    # Two trials of four workers at a time, although only the head is there.
    assert tune._concurrency(asking(num_workers=4)) == 2
    assert tune._concurrency(asking(num_workers=4, max_concurrent=1)) == 1
    assert tune._concurrency(asking(gpus_per_worker=1)) == 2
