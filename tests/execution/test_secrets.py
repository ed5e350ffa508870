"""No secret of the user's environment or command line is written or shown anywhere."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from orchestrator.errors import ConfigError
from orchestrator.execution import prepare
from tests.commands import environment

ROOT = Path(__file__).resolve().parents[2]
SECRET = "hunter2-of-the-test"
SMALL = ("--demo", "--epochs", "1", "--seeds", "1", "--dataset", "synthetic:clips_per_class=10")


def arguments_of(process: psutil.Popen) -> list[str]:
    found = []
    for one in [process, *process.children(recursive=True)]:
        try:
            found += one.cmdline()
        except psutil.Error:
            continue
    return found


def written_with(secret: str, folder: Path) -> list[str]:
    return [
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and secret.encode() in path.read_bytes()
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://me:pa:ss@w0rd@host:1/a no answer", "http://me:***@host:1/a no answer"),
        (
            "postgresql://me:x@db/mlflow and s3://a:b@c",
            "postgresql://me:***@db/mlflow and s3://a:***@c",
        ),
        ("http://host:5000/path@x", "http://host:5000/path@x"),
        ("s3://bucket/folder, a:b@c", "s3://bucket/folder, a:b@c"),
    ],
)
def test_message_shows_no_password_of_an_address(text, shown):
    assert str(ConfigError(text)) == shown


def test_stored_command_shows_no_password_of_an_address(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["sweep.py", "--tracking-uri", f"http://me:{SECRET}@host"])
    assert prepare._command() == "python sweep.py --tracking-uri 'http://me:***@host'"


@pytest.mark.slow
def test_secret_is_in_no_file_no_output_and_no_process_argument():
    with tempfile.TemporaryDirectory(prefix="t") as short:  # paths of Ray's sockets are limited
        run_twice(Path(short))


def run_twice(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    env = environment(
        HOME=str(home),
        XDG_CACHE_HOME=str(home / "cache"),
        TMPDIR=str(tmp_path),
        RAY_TMPDIR=str(tmp_path),
        AWS_ACCESS_KEY_ID=SECRET,
        AWS_SECRET_ACCESS_KEY=SECRET,
        HF_TOKEN=SECRET,
        WANDB_API_KEY=SECRET,
        MLFLOW_TRACKING_PASSWORD=SECRET,
        MLFLOW_TRACKING_TOKEN=SECRET,
        RAY_AUTH_TOKEN=SECRET * 3,
    )
    # Nothing listens on port 1: the server is named in messages and uploads are left for later.
    address = f"http://me:{SECRET}@127.0.0.1:1"
    for extra, uri in (
        (("--arms", "no adaptor"), ""),
        (("--arms", "λ=0.5"), address),
    ):
        words = [str(ROOT / "sweeps" / "adaptor_lambda.py"), *SMALL, *extra]
        process = psutil.Popen(
            [sys.executable, *words],
            cwd=tmp_path,
            env=env | ({"MLFLOW_TRACKING_URI": uri} if uri else {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        shown: list[str] = []
        while process.poll() is None:
            shown += arguments_of(process)
            time.sleep(0.5)
        output = process.stdout.read()
        assert process.returncode == 0, output[-3000:]
        assert not [word for word in shown if SECRET in word]
        assert SECRET not in output
    assert os.listdir(tmp_path / "store" / "trials")
    assert written_with(SECRET, tmp_path) == []
