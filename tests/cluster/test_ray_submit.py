"""`ray up`, `ray submit` as typed, `ray down`, on a real host of a bed."""

import json
import re
import subprocess
import sys
from pathlib import Path

import hosts
import pytest

RAY = str(Path(sys.executable).with_name("ray"))
SWEEP = "sweeps/adaptor_lambda.py"


def ray(bed: hosts.Bed, *arguments: str | Path, timeout_s: int = 120) -> str:
    done = subprocess.run(
        [RAY, *map(str, arguments)],
        cwd=hosts.REPOSITORY,
        env=bed.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_s,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout


@pytest.mark.slow
def test_ray_submit_runs_a_sweep_on_the_cluster_and_leaves_a_report(bed: hosts.Bed) -> None:
    cluster = bed.fill_in(hosts.REPOSITORY / "cluster" / "onprem.yaml")
    ray(bed, "get-auth-token", "--generate")
    ray(bed, "up", "-y", "--no-config-cache", cluster)

    listening = ray(bed, "exec", cluster, "ss -Hltn | sed 's/^/port /'")
    ports = {int(port) for port in re.findall(r"^port \S+ +\d+ +\d+ +\S*:(\d+)", listening, re.M)}
    assert {22, 6399} <= ports
    unexplained = {port for port in ports - {22, *range(6399, 6404)} if not 11002 <= port <= 11999}
    assert not unexplained, listening

    small = ("--epochs", "1", "--dataset", "synthetic:clips_per_class=10")
    sweep = ("--demo", "--seeds", "2", *small)
    said = ray(bed, "submit", cluster, SWEEP, "--", *sweep, timeout_s=180)

    store = bed.shared / "store"
    records = sorted(store.glob("trials/*/record.json"))
    statuses = [json.loads(record.read_text())["status"] for record in records]
    assert statuses == ["finished"] * 12, said[-6000:]
    assert list(store.rglob("report.html")), said[-6000:]
    assert (bed.hosts[0].home / "mlflow.db").exists()

    again = ray(bed, "submit", cluster, SWEEP, "--", *sweep)
    assert "all 12 trials are in the store" in again

    ray(bed, "down", "-y", cluster)
    left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert f"--gcs-address={bed.hosts[0].address}" not in left
