import secrets

import pytest
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from orchestrator.store import Store
from orchestrator.store.files import RemoteFiles


@pytest.fixture(params=["local", "memory", "subtree"])
def any_store(request, tmp_path, monkeypatch) -> Store:
    """An empty store of each kind: local, fsspec through pyarrow, and pyarrow's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if request.param == "local":
        return Store.open(tmp_path / "store")
    if request.param == "memory":
        return Store.open(f"memory://{secrets.token_hex(4)}/store")
    system = SubTreeFileSystem(str(tmp_path), LocalFileSystem())
    return Store(RemoteFiles(system, "store", f"file://{tmp_path}/store"), f"{tmp_path}/store")


@pytest.fixture
def store(tmp_path) -> Store:
    return Store.open(tmp_path / "store")
