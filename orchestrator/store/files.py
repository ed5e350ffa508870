"""What the store needs of a file system: whole files, written atomically."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from orchestrator.errors import StoreError

TEMPORARY = ".tmp"


class Files(Protocol):
    """What the store needs of a file system. Paths are relative to the store, with slashes."""

    def where(self, path: str) -> str:
        """Return the full address of a path, for messages."""
        ...

    def read(self, path: str) -> bytes | None:
        """Return a file's content, or None where there is no such file."""
        ...

    def write(self, path: str, data: bytes) -> None:
        """Replace a file atomically; makes its folder."""
        ...

    def append(self, path: str, data: bytes) -> None:
        """Add to the end of a file; makes it and its folder."""
        ...

    def scratch(self, path: str) -> Path:
        """Return a new local name for a large file that `adopt` will put at `path`."""
        ...

    def adopt(self, source: Path, path: str) -> None:
        """Put a finished local file in place atomically; the source is gone afterwards."""
        ...

    def fetch(self, path: str, target: Path) -> bool:
        """Copy a file to a local path; False where there is no such file."""
        ...

    def names(self, folder: str) -> list[str]:
        """Return the names in a folder, sorted; empty where there is no such folder."""
        ...

    def delete(self, path: str) -> None:
        """Delete a file if it is there."""
        ...

    def versions(self, paths: Sequence[str]) -> list[str]:
        """Return for each path a text that changes whenever the file does; empty if absent."""
        ...


def is_full(error: BaseException) -> bool:
    """Whether an error comes from a place that takes no more, whoever tries next."""
    cause = error.__cause__ if isinstance(error, StoreError) else error
    return isinstance(cause, OSError) and cause.errno in (
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
    )


@contextmanager
def blame(doing: str, where: str) -> Iterator[None]:
    """Turn an operating system's error into one that names the place and the way out."""
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        way_out = (
            "free some space or give another place with --store"
            if error.errno in (errno.ENOSPC, errno.EDQUOT)
            else "give a place that can be read and written with --store"
        )
        raise StoreError(f"cannot {doing} {where} ({reason}); {way_out}") from error
