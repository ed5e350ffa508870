"""What a cluster has, and what its autoscaler may add."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orchestrator.errors import ConfigError
from orchestrator.execution.packing import Host, cpu_share
from orchestrator.experiment.config import Runtime

_ANSWER_S = 30.0
_HEAD = "node:__internal_head__"
_FLAGS = "--num-workers, --cpus-per-worker or --gpus-per-worker"


@dataclass(frozen=True, kw_only=True)
class NodeType:
    """Nodes that an autoscaler may add.

    Attributes:
        name: Name in the cluster file.
        host: Resources of one node; None where only a node that has joined knows them, as on hosts
            of one's own.
        most: Largest number of these nodes, the head not counted.
    """

    name: str
    host: Host | None
    most: int


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """Nodes of a cluster, now and at most.

    Attributes:
        head: The node of the control store; None if it is away.
        workers: The other nodes that are alive.
        types: Types of nodes that the autoscaler may add; empty without an autoscaler.
        most_workers: Largest number of nodes beside the head that the autoscaler allows.
    """

    head: Host | None
    workers: tuple[Host, ...]
    types: tuple[NodeType, ...] = ()
    most_workers: int = 0

    @property
    def alive(self) -> tuple[Host, ...]:
        """Nodes that are alive."""
        return (*([self.head] if self.head else ()), *self.workers)

    @property
    def hosts(self) -> tuple[Host, ...]:
        """Nodes that are alive, and one of each type that may be added."""
        return (*self.alive, *(one.host for one in self.types if one.host and one.most))

    @property
    def is_whole(self) -> bool:
        """Whether no node can join whose resources are not known yet.

        Without an autoscaler, somebody may start a node by hand at any time.
        """
        known = all(one.host is not None for one in self.types if one.most)
        return bool(self.types) and (known or len(self.workers) >= self.most_workers)

    def now(self, runtime: Runtime) -> int:
        """Return how many workers of trials the nodes hold that are alive, if nothing else runs."""
        return sum(host.holds(runtime) for host in self.alive)

    def at_most(self, runtime: Runtime) -> int:
        """Return how many workers of trials the cluster holds once it has grown."""
        grown, left = self.head.holds(runtime) if self.head else 0, self.most_workers
        each = [(one.host.holds(runtime), one.most) for one in self.types if one.host]
        for holds, most in sorted(each, reverse=True):
            grown, left = grown + holds * min(most, left), left - min(most, left)
        return max(self.now(runtime), grown)

    def __str__(self) -> str:
        parts = [*(f"the head ({self.head})" for _ in range(1 if self.head else 0))]
        parts += [
            f"{self.workers.count(host)} x {host}" for host in dict.fromkeys(self.workers).keys()
        ]
        parts += [
            f"at most {min(one.most, self.most_workers)} of type {one.name} "
            f"({one.host or 'resources known once one has joined'})"
            for one in self.types
            if one.most
        ]
        return ", ".join(parts) or "none"


def capacity(runtime: Runtime) -> Capacity:
    """Return what the connected Ray cluster has and may get.

    Args:
        runtime: Runtime of the session; Ray that was started here has no autoscaler.
    """
    import ray

    head, workers = None, []
    for node in ray.nodes():
        if node["Alive"]:
            has = node["Resources"]
            host = Host(cpus=has.get("CPU", 0), gpus=has.get("GPU", 0))
            if _HEAD in has:
                head = host
            else:
                workers.append(host)
    types, config = [], _autoscaler() if runtime.address else {}
    for name, node_type in config.get("available_node_types", {}).items():
        has = node_type.get("resources") or {}
        host = Host(cpus=has.get("CPU", 0), gpus=has.get("GPU", 0)) if has else None
        types.append(NodeType(name=name, host=host, most=int(node_type.get("max_workers") or 0)))
    most = int(config.get("max_workers") or sum(one.most for one in types))
    return Capacity(head=head, workers=tuple(workers), types=tuple(types), most_workers=most)


def _autoscaler() -> dict[str, Any]:
    """Return the configuration of the connected cluster's autoscaler; empty if none is known."""
    import ray
    from ray.exceptions import RayError

    try:
        return _autoscaler_of(ray.get_runtime_context().gcs_address)
    except RayError:
        return {}  # the head is too busy to answer


@functools.cache
def _autoscaler_of(address: str) -> dict[str, Any]:
    """Let the head look up the file that its autoscaler was started with.

    Ray tells nobody which nodes may be added. On Kubernetes there is no such file.
    """
    import ray

    ask: Any = ray.remote(num_cpus=0, resources={_HEAD: 0.001}, max_retries=0)(_config_here)
    return ray.get(ask.remote(address), timeout=_ANSWER_S)


def _config_here(address: str) -> dict[str, Any]:
    import yaml

    flag = "--autoscaling-config="
    for arguments in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = arguments.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue  # it has ended
        files = [word.removeprefix(flag) for word in words if word.startswith(flag)]
        if not files or f"--gcs-address={address}" not in words:
            continue
        try:
            config = yaml.safe_load(Path(files[0]).expanduser().read_text())
        except (OSError, yaml.YAMLError):
            return {}
        return {key: config.get(key) for key in ("available_node_types", "max_workers")}
    return {}


def with_cpu_share(runtime: Runtime) -> Runtime:
    """Fill in the CPUs of a worker from the nodes that the connected Ray cluster has or may get."""
    if runtime.cpus_per_worker:
        return runtime
    hosts = capacity(runtime).hosts
    return replace(runtime, cpus_per_worker=cpu_share(hosts, runtime.gpus_per_worker))


def require_capacity(runtime: Runtime) -> None:
    """Raise a `ConfigError` if the connected cluster never holds the workers of one trial.

    A cluster without an autoscaler is waited for: somebody may start a node.
    """
    has = capacity(runtime)
    if has.is_whole and has.at_most(runtime) < runtime.num_workers:
        raise ConfigError(
            f"one trial asks for {asks(runtime)}, and this cluster never has that: its nodes are "
            f"{has}; lower {_FLAGS}, or add larger nodes to the cluster file and type `ray up`"
        )


def asks(runtime: Runtime) -> str:
    """Describe the resources of one trial."""
    wanted = {"CPU": max(1, runtime.cpus_per_worker), "GPU": runtime.gpus_per_worker}
    each = " and ".join(f"{number:g} {kind}" for kind, number in wanted.items() if number)
    return f"{runtime.num_workers} workers of {each} each" if runtime.num_workers > 1 else each


def waits_for(runtime: Runtime, has: Capacity, free: Mapping[str, float]) -> str:
    """Describe what a trial waits for, and who or what can give it.

    Args:
        runtime: Resources of the trial.
        has: What the cluster has and may get.
        free: Resources that nobody uses, by kind.
    """
    kinds = {"CPU": sum(host.cpus for host in has.alive), "GPU": sum(h.gpus for h in has.alive)}
    if not runtime.gpus_per_worker:
        del kinds["GPU"]
    total = " and ".join(
        f"{number:g} {kind}s, of which {free.get(kind, 0):g} are free"
        for kind, number in kinds.items()
    )
    text = f"waiting for the cluster: a trial asks for {asks(runtime)}; it has {total}"
    if has.now(runtime) >= runtime.num_workers:
        return text
    if has.at_most(runtime) >= runtime.num_workers:
        return f"{text}; its autoscaler adds nodes (it may have {has})"
    if has.types:
        missing = has.most_workers - len(has.workers)
        return f"{text}; none that has joined is large enough, and {missing} are to join ({has})"
    return (
        f"{text}; its nodes do not hold that ({has}), and no autoscaler is known that adds any: "
        f"start larger ones with `ray start --address=...`, or lower {_FLAGS}"
    )
