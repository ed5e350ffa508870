import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from orchestrator.store import Store


class MlflowServer:
    """A real server on a port of its own, with SQLite behind it, that can be killed."""

    def __init__(self, folder):
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        command = [
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"),
            *("--port", str(self.port), "--workers", "1"),
            *("--backend-store-uri", f"sqlite:///{self.folder}/server.db"),
            *("--artifacts-destination", f"{self.folder}/artifacts"),
        ]
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
                env={
                    **os.environ,
                    "MLFLOW_DISABLE_TELEMETRY": "true",
                    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # else 8 more processes
                },
            )
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=2) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                assert self.process.poll() is None, (self.folder / "server.log").read_text()
                time.sleep(0.1)
        raise TimeoutError((self.folder / "server.log").read_text())

    def kill(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@pytest.fixture(scope="session")
def server(tmp_path_factory, empty_database):
    server = MlflowServer(tmp_path_factory.mktemp("mlflow"))
    (server.folder / "server.db").write_bytes(empty_database.read_bytes())
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """A migrated SQLite file to copy, for the migration takes seconds."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    from orchestrator.tracking.mlflow_server import Server

    @event.listens_for(Engine, "connect")
    def leave_the_disk_its_time(connection, _) -> None:
        # Hundreds of commits, none of which has to outlive a power cut.
        connection.execute("PRAGMA synchronous=OFF")

    path = tmp_path_factory.mktemp("database") / "mlflow.db"
    Server(f"sqlite:///{path}", None)
    return path


@pytest.fixture
def store(tmp_path, empty_database) -> Store:
    """A store with an empty tracking database in the default place."""
    store = Store.open(tmp_path / "store")
    (tmp_path / "store" / "mlflow.db").write_bytes(empty_database.read_bytes())
    return store
