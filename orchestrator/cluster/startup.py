"""What `ray up` would start from a cluster file, and what an hour of it costs."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from orchestrator.cluster.check import ClusterFile


@dataclass(frozen=True, kw_only=True)
class Nodes:
    """Nodes of one type.

    Attributes:
        name: Name of the type.
        machine: What the provider calls the machine; for hosts of one's own their addresses.
        least: Nodes that are there without work.
        most: Nodes that are there at most.
        is_head: Whether the one node is the head.
        is_spot: Whether the provider may take a node away.
        price: Price of one node per hour; None if the file does not say.
    """

    name: str
    machine: str
    least: int
    most: int
    is_head: bool = False
    is_spot: bool = False
    price: float | None = None


def startup(file: ClusterFile, prepared: dict[str, Any]) -> list[Nodes]:
    """Return what `ray up` starts, the head first.

    Args:
        file: A checked file.
        prepared: Its content as Ray completes it.
    """
    metadata = file.config.get("metadata") or {}
    prices = metadata.get("price_per_hour") or {}
    provider = prepared["provider"]
    if file.kind == "local":
        workers = [str(address) for address in provider.get("worker_ips", ())]
        (node_type,) = prepared["available_node_types"].values()
        return [
            Nodes(name="head", machine=str(provider["head_ip"]), least=1, most=1, is_head=True),
            Nodes(
                name="workers",
                machine=", ".join(workers),
                least=node_type["min_workers"],
                most=node_type["max_workers"],
            ),
        ]
    head = prepared["head_node_type"]
    found = [_nodes(head, prepared["available_node_types"][head], prices, is_head=True)]
    for name, node_type in prepared["available_node_types"].items():
        if name != head or node_type.get("max_workers"):
            most = min(node_type["max_workers"], prepared["max_workers"])
            found.append(_nodes(name, node_type | {"max_workers": most}, prices))
    return found


def _nodes(name: str, node_type: dict[str, Any], prices: dict[str, Any], *, is_head=False) -> Nodes:
    node = node_type["node_config"]
    arm = node.get("azure_arm_parameters", {})
    scheduling = node.get("scheduling", {})
    flags = scheduling if isinstance(scheduling, list) else [scheduling]
    price = prices.get(name)
    return Nodes(
        name=name,
        machine=node.get("InstanceType") or node.get("machineType") or arm.get("vmSize") or "?",
        least=1 if is_head else node_type["min_workers"],
        most=1 if is_head else node_type["max_workers"],
        is_head=is_head,
        is_spot=node.get("InstanceMarketOptions", {}).get("MarketType") == "spot"
        or any(flag.get("preemptible") for flag in flags)
        or arm.get("priority") == "Spot",
        price=float(price) if isinstance(price, int | float) else None,
    )


def cost_per_hour(nodes: list[Nodes], max_workers: int) -> tuple[float, float] | None:
    """Return the price of an idle and of a fully busy hour; None if a price is missing.

    Busy, the dearest nodes come first, up to `max_workers` beside the head.
    """
    priced = [(one, one.price) for one in nodes if one.price is not None]
    if len(priced) < len(nodes):
        return None
    idle = sum(price * one.least for one, price in priced)
    left, busy = max_workers - sum(one.least for one in nodes if not one.is_head), idle
    for one, price in sorted(priced, key=lambda pair: -pair[1]):
        more = 0 if one.is_head else min(one.most - one.least, max(left, 0))
        busy, left = busy + price * more, left - more
    return idle, busy


def lines(file: ClusterFile, prepared: dict[str, Any]) -> Iterator[str]:
    """Yield lines that say what starts, what it costs, and the commands that belong to it."""
    nodes = startup(file, prepared)
    name, path = prepared["cluster_name"], shlex.quote(str(file.document.path))
    yield f"`ray up {path}` starts {name!r} on {file.kind}:"
    for one in nodes:
        number = str(one.least) if one.least == one.most else f"{one.least} to {one.most}"
        spot = ", may be taken away (spot)" if one.is_spot else ""
        yield f"  {one.name}: {number} x {one.machine}{spot}"
    if file.kind != "local":
        minutes = prepared["idle_timeout_minutes"]
        yield f"  workers go after {minutes:g} idle minutes; the head stays"
        cost = cost_per_hour(nodes, prepared["max_workers"])
        if cost is None:
            yield "  cost: not known; give metadata.price_per_hour a number per node type"
        else:
            currency = (file.config.get("metadata") or {}).get("currency", "")
            idle, busy = (f"{part:.2f} {currency}".strip() for part in cost)
            yield f"  an hour costs {idle} idle, {busy} with all workers, and disks and traffic"
    yield f"store: {file.settings['ORCHESTRATOR_STORE'][0]}"
    if tracking := file.settings.get("MLFLOW_TRACKING_URI"):
        yield f"MLflow: {tracking[0]}"
        if tracking[0].startswith("sqlite:"):
            served = f"mlflow ui --backend-store-uri {tracking[0]} --port 5000"
            yield "MLflow from here, at http://127.0.0.1:5000 until Ctrl-C:"
            yield f"  ray exec {path} {shlex.quote(served)} --port-forward 5000"
    yield "nothing is left running once this says so:"
    yield f"  ray down {path} && python -m orchestrator.cluster nodes {path}"
