import logging
import secrets
from collections.abc import Callable, Iterator

import pytest
from pyarrow.fs import FileSystem, LocalFileSystem, SubTreeFileSystem

from orchestrator.store import Store
from orchestrator.store.files import RemoteFiles


@pytest.fixture(scope="session")
def new_bucket() -> Iterator[Callable[[], str]]:
    """Makes buckets on an S3 server of this process, which listens on loopback alone."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line per request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    port = server.get_host_and_port()[1]
    options = f"scheme=http&endpoint_override=127.0.0.1:{port}&region=us-east-1"

    def make() -> str:
        name = f"b{secrets.token_hex(4)}"
        uri = f"s3://{name}/store?{options}"
        FileSystem.from_uri(f"{uri}&allow_bucket_creation=true")[0].create_dir(name)
        return uri

    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "loopback")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield make
    server.stop()


@pytest.fixture(params=["local", "memory", "subtree", "s3"])
def any_store(request, tmp_path, monkeypatch) -> Store:
    """An empty store of each kind: local, fsspec through pyarrow, pyarrow's own, and on S3."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if request.param == "local":
        return Store.open(tmp_path / "store")
    if request.param == "memory":
        return Store.open(f"memory://{secrets.token_hex(4)}/store")
    if request.param == "s3":
        return Store.open(request.getfixturevalue("new_bucket")())
    system = SubTreeFileSystem(str(tmp_path), LocalFileSystem())
    return Store(RemoteFiles(system, "store", f"file://{tmp_path}/store"), f"{tmp_path}/store")


@pytest.fixture
def store(tmp_path) -> Store:
    return Store.open(tmp_path / "store")
