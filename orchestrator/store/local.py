"""Files on a local disk.

A file is written beside its name, flushed to the disk and renamed, so that a reader sees the old
or the new content and never a part.
"""

# The methods are documented where `Files` declares them.
# ruff: noqa: D102

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path

from orchestrator.store.files import TEMPORARY, blame


class LocalFiles:
    """Files under a local folder."""

    def __init__(self, root: Path):
        self.root = root

    def where(self, path: str) -> str:
        return str(self.root / path)

    def read(self, path: str) -> bytes | None:
        with blame("read", self.where(path)):
            try:
                return (self.root / path).read_bytes()
            except FileNotFoundError:
                return None

    def write(self, path: str, data: bytes) -> None:
        with blame("write", self.where(path)):
            temporary = self.scratch(path)
            try:
                with open(temporary, "wb") as stream:
                    stream.write(data)
                    stream.flush()
                    os.fsync(stream.fileno())
                os.replace(temporary, self.root / path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise

    def append(self, path: str, data: bytes) -> None:
        with blame("write", self.where(path)):
            target = self.root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(target, "ab") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())

    def scratch(self, path: str) -> Path:
        target = self.root / path
        with blame("write", self.where(path)):
            target.parent.mkdir(parents=True, exist_ok=True)
        return target.with_name(f".{target.name}.{secrets.token_hex(4)}{TEMPORARY}")

    def adopt(self, source: Path, path: str) -> None:
        with blame("write", self.where(path)):
            target = self.root / path
            _sync(source)
            os.replace(source, target)
            _sync(target.parent)

    def fetch(self, path: str, target: Path) -> bool:
        with blame("read", self.where(path)):
            try:
                shutil.copyfile(self.root / path, target)
            except FileNotFoundError:
                return False
        return True

    def names(self, folder: str) -> list[str]:
        with blame("list", self.where(folder)):
            try:
                return sorted(os.listdir(self.root / folder))
            except FileNotFoundError:
                return []

    def delete(self, path: str) -> None:
        with blame("delete", self.where(path)):
            (self.root / path).unlink(missing_ok=True)

    def versions(self, paths: Sequence[str]) -> list[str]:
        found = []
        for path in paths:
            try:
                stat = os.stat(self.root / path)
            except FileNotFoundError:
                found.append("")
            else:
                found.append(f"{stat.st_mtime_ns}-{stat.st_size}-{stat.st_ino}")
        return found


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
