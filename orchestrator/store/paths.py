"""From what the user writes after `--store` to files that can be read and written."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from orchestrator.errors import StoreError
from orchestrator.store.files import Files, blame
from orchestrator.store.local import LocalFiles
from orchestrator.store.remote import RemoteFiles


def open_files(uri: str | Path, *, create: bool) -> tuple[Files, str]:
    """Open a folder or a file-system URI.

    Args:
        uri: a path, `file:///...`, or any URI that pyarrow or fsspec knows (`s3://`, `gs://`).
        create: make the place if it is not there, and check that it can be written.

    Returns:
        The files, and the absolute address that opens the same place from another process.

    Raises:
        StoreError: the place cannot be made, read or written.
    """
    text = os.fspath(uri)
    if not text:
        raise StoreError("the store has no place; give a folder or a URI with --store")
    if text.startswith("file://"):
        text = text.removeprefix("file://")
    if "://" not in text:
        return _open_local(Path(text).expanduser().absolute(), create=create)
    return _open_remote(text, create=create)


def _open_local(root: Path, *, create: bool) -> tuple[Files, str]:
    if create:
        with blame("make a store at", str(root)):
            root.mkdir(parents=True, exist_ok=True)
            probe = root / f".probe-{secrets.token_hex(4)}.tmp"
            probe.touch()
            probe.unlink()
    elif not root.is_dir():
        raise StoreError(f"there is no store at {root}; name one with --store")
    return LocalFiles(root), str(root)


def _open_remote(uri: str, *, create: bool) -> tuple[Files, str]:
    from pyarrow.fs import FileSystem, FileType, FSSpecHandler, PyFileSystem

    with blame("open the store", uri):
        try:
            system, root = FileSystem.from_uri(uri)
        except ValueError as unknown_scheme:
            try:
                import fsspec

                inner, root = fsspec.core.url_to_fs(uri)
            except (ValueError, ImportError):
                raise StoreError(
                    f"cannot open the store {uri!r} ({unknown_scheme}); give a folder or a URI "
                    "such as s3://bucket/folder with --store"
                ) from unknown_scheme
            system = PyFileSystem(FSSpecHandler(inner))
        files = RemoteFiles(system, root, uri)
        if create:
            probe = f"logs/.probe-{secrets.token_hex(4)}"
            files.write(probe, b"")
            files.delete(probe)
        elif system.get_file_info(files.root).type == FileType.NotFound:
            raise StoreError(f"there is no store at {uri}; name one with --store")
    return files, files.uri
