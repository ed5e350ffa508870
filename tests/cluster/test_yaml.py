"""The cluster files: valid for Ray, whole, and safe for what else runs on the hosts."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILES = [ROOT / "cluster" / name for name in ("gpu.yaml", "gcp.yaml", "onprem.yaml")]
HOME = "~/audio-ablation-orchestrator/"
LOCKS = [
    ROOT / "requirements.lock",
    *((ROOT / "cluster" / f"{one}.lock") for one in ("aws", "gcp")),
]

every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def load(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text())


def commands(config: dict[str, Any]) -> list[str]:
    return [command for key in config if key.endswith("_commands") for command in config[key]]


@every_file
def test_cluster_file_passes_ray_validation(path: Path) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = prepare_config(load(path))
    for node_type in config["available_node_types"].values():
        node_type.setdefault("resources", {})  # the AWS provider looks these up by instance type
    validate_config(config)
    ours = set(commands(load(path)))
    assert set(commands(config)) <= ours, "a default command of the provider would run too"


@every_file
def test_cluster_name_has_no_colon(path: Path) -> None:
    assert ":" not in load(path)["cluster_name"]


@every_file
def test_file_mounts_bring_all_that_the_package_is_built_from(path: Path) -> None:
    mounts = load(path)["file_mounts"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = {"orchestrator", "models", "setup.py", "pyproject.toml", "requirements.lock"}
    needed |= {project["project"]["readme"]}
    needed |= set(project["project"]["license-files"])
    assert {name: mounts.get(HOME + name) for name in needed} == {name: name for name in needed}
    assert mounts[HOME + "node.sh"] == "cluster/node.sh"
    assert mounts["~/.ray/auth_token"] == "~/.ray/auth_token"
    sources = [source for source in mounts.values() if not source.startswith("~")]
    assert [source for source in sources if not (ROOT / source).exists()] == []


@every_file
def test_commands_name_one_port(path: Path) -> None:
    named = re.findall(r"(?:--port=|_IP:)(\d+)", " ".join(commands(load(path))))
    assert len(named) >= 3 and len(set(named)) == 1


@every_file
def test_environment_reaches_the_command_line_of_a_sweep(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestrator.execution.options import parse

    (install,) = (c for c in load(path)["setup_commands"] if "node.sh install" in c)
    settings = dict(re.findall(r"'(\w+)=([^']*)'", install))
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    runtime = parse([], description="").runtime
    assert runtime.address == settings["ORCHESTRATOR_ADDRESS"]
    assert runtime.store == settings["ORCHESTRATOR_STORE"]
    assert settings["MLFLOW_TRACKING_URI"].startswith("sqlite:///$HOME/")


def test_gpu_file_gives_trials_a_gpu_without_any_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestrator.execution.options import parse

    monkeypatch.setenv("ORCHESTRATOR_GPUS_PER_WORKER", "1")
    assert parse([], description="").runtime.gpus_per_worker == 1


def test_gpu_file_has_a_head_without_gpu_and_workers_that_scale_to_zero() -> None:
    config = load(ROOT / "cluster" / "gpu.yaml")
    head, gpu = config["available_node_types"]["head"], config["available_node_types"]["gpu"]
    assert not head["node_config"]["InstanceType"].startswith(("g", "p"))
    assert gpu["node_config"]["InstanceType"].startswith(("g", "p"))
    assert gpu["min_workers"] == 0 < gpu["max_workers"] <= config["max_workers"]
    assert config["idle_timeout_minutes"] > 0


def test_onprem_file_never_stops_the_ray_of_others() -> None:
    config = load(ROOT / "cluster" / "onprem.yaml")
    for key in ("head_start_ray_commands", "worker_start_ray_commands"):
        stop, start = config[key]
        assert "node.sh stop" in stop and "ray start" in start
    assert not any(re.search(r"\bray stop\b", command) for command in commands(config))


def test_onprem_template_counts_its_workers() -> None:
    config = load(ROOT / "cluster" / "onprem.yaml")
    assert config["min_workers"] == config["max_workers"] == len(config["provider"]["worker_ips"])


def test_locks_agree_and_hold_hashes_but_no_addresses() -> None:
    locks = [re.split(r"\n(?=\S)", lock.read_text().strip()) for lock in LOCKS]
    for entries in locks:
        assert all("==" in entry and "--hash=sha256:" in entry for entry in entries)
        assert not any("://" in entry for entry in entries)
    # A cloud's lock is installed over the first.
    packages = {entry.partition("==")[0] for entry in locks[0]}
    for entry in (*locks[1], *locks[2]):
        assert entry in locks[0] or entry.partition("==")[0] not in packages


def test_kuberay_file_has_the_locked_ray_a_token_and_no_way_in_from_outside() -> None:
    config = load(ROOT / "cluster" / "kuberay.yaml")
    spec = config["spec"]
    locked = re.search(r"(?m)^ray==(\S+)", LOCKS[0].read_text())
    assert locked and spec["rayVersion"] == locked[1]
    assert spec["authOptions"]["mode"] == "token"
    assert spec["headGroupSpec"]["serviceType"] == "ClusterIP"
    assert "enableIngress" not in spec["headGroupSpec"]
    for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        (container,) = group["template"]["spec"]["containers"]
        named = {one["name"]: one["value"] for one in container["env"]}
        assert named["ORCHESTRATOR_STORE"].startswith("s3://")
        assert "ports" not in container and not [name for name in named if "TOKEN" in name]
