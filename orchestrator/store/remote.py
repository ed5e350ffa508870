"""Files on any file system that pyarrow reaches, for example in a bucket.

An object store's put is atomic by itself. On a network file system that is reached through pyarrow
rather than mounted, a reader may meet half a file; mount it and give its path instead.
"""

# The methods are documented where `Files` declares them.
# ruff: noqa: D102

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestrator.store.files import TEMPORARY, blame

_CHUNK_BYTES = 8 << 20


class RemoteFiles:
    """Files under a folder of a `pyarrow.fs.FileSystem`, for example a bucket."""

    def __init__(self, system: Any, root: str, uri: str):
        self.system = system
        self.root = root.rstrip("/")
        self.uri = uri.rstrip("/")

    def where(self, path: str) -> str:
        return f"{self.uri}/{path}"

    def read(self, path: str) -> bytes | None:
        with blame("read", self.where(path)):
            try:
                with self.system.open_input_stream(self._at(path), compression=None) as stream:
                    return stream.read()
            except FileNotFoundError:
                return None

    def write(self, path: str, data: bytes) -> None:
        with blame("write", self.where(path)), self._output(path) as stream:
            stream.write(data)

    def append(self, path: str, data: bytes) -> None:
        self.write(path, (self.read(path) or b"") + data)

    def scratch(self, path: str) -> Path:
        return Path(tempfile.gettempdir()) / f"{secrets.token_hex(8)}{TEMPORARY}"

    def adopt(self, source: Path, path: str) -> None:
        with blame("write", self.where(path)):
            with open(source, "rb") as data, self._output(path) as stream:
                while chunk := data.read(_CHUNK_BYTES):
                    stream.write(chunk)
            source.unlink()

    def fetch(self, path: str, target: Path) -> bool:
        with blame("read", self.where(path)):
            try:
                source = self.system.open_input_stream(self._at(path), compression=None)
            except FileNotFoundError:
                return False
            with source, open(target, "wb") as stream:
                while chunk := source.read(_CHUNK_BYTES):
                    stream.write(chunk)
        return True

    def names(self, folder: str) -> list[str]:
        from pyarrow.fs import FileSelector

        with blame("list", self.where(folder)):
            found = self.system.get_file_info(FileSelector(self._at(folder), allow_not_found=True))
        return sorted(info.base_name for info in found)

    def delete(self, path: str) -> None:
        with blame("delete", self.where(path)):
            try:
                self.system.delete_file(self._at(path))
            except FileNotFoundError:
                pass

    def versions(self, paths: Sequence[str]) -> list[str]:
        with blame("read", self.uri):
            found = self.system.get_file_info([self._at(path) for path in paths])
        return [f"{info.mtime_ns}-{info.size}" if info.is_file else "" for info in found]

    def _at(self, path: str) -> str:
        return f"{self.root}/{path}" if self.root else path

    def _output(self, path: str) -> Any:
        target = self._at(path)
        try:
            return self.system.open_output_stream(target, compression=None)
        except FileNotFoundError:
            self.system.create_dir(target.rpartition("/")[0], recursive=True)
            return self.system.open_output_stream(target, compression=None)
