"""File digests."""

from __future__ import annotations

import hashlib
from pathlib import Path


def file_digest(path: Path, kind: str = "sha256") -> str:
    """Return a file's digest in hex.

    Args:
        path: An existing file.
        kind: A name of `hashlib`, `sha256` or `md5`.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()
