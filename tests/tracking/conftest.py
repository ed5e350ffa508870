import pytest

from orchestrator.store import Store
from tests.tracking_server import MlflowServer


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
