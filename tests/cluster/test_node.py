"""`node.sh`: the login environment it writes, and whom it stops."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "cluster" / "node.sh"
ADDRESS = "198.18.255.1:6399"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the nodes run Linux")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "audio-ablation-orchestrator"
    folder.mkdir()
    shutil.copy(SCRIPT, folder)
    return tmp_path


def node(home: Path, *arguments: str) -> None:
    script = home / "audio-ablation-orchestrator" / "node.sh"
    subprocess.run(["bash", script, *arguments], env={**os.environ, "HOME": str(home)}, check=True)


def shell(home: Path, command: str, *, launcher: bool) -> str:
    """Run a command as Ray's launcher does, or as typed into an interactive shell."""
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "SSH_CONNECTION": "a 1 ::7 22"}
    given = ["-c", "-i", f"source ~/.bashrc; {command}"] if launcher else ["-i"]
    done = subprocess.run(
        ["bash", *given],
        input="" if launcher else f"source ~/.bashrc; {command}\n",
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_write_environment_twice_sets_expanded_values_once(home: Path) -> None:
    for store in ("/old", "/shared/store"):
        node(home, "write_environment", "ADDRESS=$NODE_IP:6399", f"STORE={store}", "DB=$HOME/x y")
    seen = shell(home, 'echo "$ADDRESS|$STORE|$DB|$RAY_AUTH_MODE|$PATH"', launcher=True)
    *values, path = seen.split("|")
    assert values == ["::7:6399", "/shared/store", f"{home}/x y", "token"]
    assert path.split(":")[0] == str(home / "audio-ablation-orchestrator" / ".venv" / "bin")
    assert path.count(".venv/bin") == os.environ["PATH"].count(".venv/bin") + 1
    assert (home / ".bashrc").read_text().count("environment.sh") == 1


def test_write_environment_leaves_the_shells_of_people_alone(home: Path) -> None:
    (home / ".bashrc").write_text("export MINE=1\n")
    node(home, "write_environment", "STORE=/shared/store")
    assert shell(home, 'echo "$MINE|$STORE|$RAY_AUTH_MODE"', launcher=False) == "1||"


@pytest.fixture
def pretended() -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Processes with the command lines of a cluster at ADDRESS and of its neighbors."""
    lines = {
        "raylet": ["--gcs-address=198.18.255.1:6399", "--x"],
        "gcs": ["--gcs_server_port=6399", "--x", "--node-ip-address=198.18.255.1"],
        "other port": ["--gcs-address=198.18.255.1:6379"],
        "longer port": ["--gcs-address=198.18.255.1:63990"],
        "other head": ["--gcs_server_port=6399", "--node-ip-address=198.18.255.10"],
    }
    sleep = "import sys, time; print(flush=True); time.sleep(60)"
    running = {
        name: subprocess.Popen([sys.executable, "-c", sleep, *line], stdout=subprocess.PIPE)
        for name, line in lines.items()
    }
    for process in running.values():
        assert process.stdout is not None
        process.stdout.readline()
    yield running
    for process in running.values():
        process.kill()
        process.communicate()


def test_stop_ends_only_the_processes_of_its_address(
    home: Path, pretended: dict[str, subprocess.Popen[bytes]]
) -> None:
    node(home, "stop", ADDRESS)
    stopped = {name for name, process in pretended.items() if process.poll() is not None}
    assert stopped == {"raylet", "gcs"}
    node(home, "stop", ADDRESS)
