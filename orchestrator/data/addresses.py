"""Reading and writing at an address: a local directory, or anything that pyarrow can open.

A local pack is written beside its final place and renamed, so it appears whole or not at all. An
object store cannot rename: there `pack.json` is uploaded last, and a pack without it does not
exist. A remote pack is copied once per host and then memory-mapped like a local one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from models.cache import cache_folder
from orchestrator.errors import DataError

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

CLIPS = "clips.arrow"
MANIFEST = "pack.json"
_STALE_AFTER_S = 24 * 3600


def is_local(address: str) -> bool:
    """Whether an address names a directory on this host."""
    return "://" not in address or address.startswith("file://")


def local_path(address: str) -> Path:
    """Turn a local path or `file://` address into a path; `~` is the home directory."""
    return Path(address.removeprefix("file://")).expanduser()


def join(address: str, *parts: str) -> str:
    """Append names to a path or address, in front of an address's options (`?region=...`)."""
    if is_local(address):
        return str(local_path(address).joinpath(*parts))
    place, mark, options = address.partition("?")
    return "/".join([place.rstrip("/"), *parts]) + mark + options


def resolve(address: str) -> tuple[FileSystem, str]:
    """Open a remote address.

    Raises:
        DataError: Pyarrow does not know the scheme, or cannot reach the place.
    """
    from pyarrow.fs import FileSystem

    try:
        return FileSystem.from_uri(address)
    except (OSError, ValueError) as error:
        raise DataError(
            f"cannot open {address!r}: {error}; give a local directory or an address that "
            "pyarrow.fs understands (s3://, gs://, abfs://, hdfs://)"
        ) from error


def read_text(address: str) -> str | None:
    """Read a small file; None if it does not exist.

    Bytes that are not UTF-8 become replacement characters, which the caller reports as damage.

    Raises:
        DataError: It cannot be read, or is not a regular file.
    """
    try:
        if is_local(address):
            path = local_path(address)
            if not stat.S_ISREG(path.stat().st_mode):  # reading a pipe would block forever
                raise DataError(f"{path} is not a file; remove it and run the command again")
            return path.read_text(encoding="utf-8", errors="replace")
        filesystem, path = resolve(address)
        with filesystem.open_input_stream(path) as stream:
            return stream.read().decode(errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DataError(f"cannot read {address}: {error}") from error


def write_text(address: str, text: str) -> None:
    """Write a small file atomically: a reader sees the old one or the new one."""
    if is_local(address):
        path = local_path(address)
        path.parent.mkdir(parents=True, exist_ok=True)
        file = tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, prefix=".making-", delete=False
        )
        try:
            with file:
                file.write(text)
            # Temporary files are private; everyone may read what this one replaces.
            os.chmod(file.name, 0o644)
            os.replace(file.name, path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
        return
    filesystem, path = resolve(address)
    filesystem.create_dir(path.rpartition("/")[0], recursive=True)
    with filesystem.open_output_stream(path) as stream:
        stream.write(text.encode())


@contextlib.contextmanager
def workshop(packs: str, *, key: str = "") -> Iterator[Path]:
    """Yield a directory to make a pack in, on the file system that `publish` renames within.

    It is removed afterwards. What an interrupted or killed process left behind is removed after a
    day, or given to the next process with the same key, unless another one works in it.

    Args:
        packs: Where packs are kept.
        key: Name of what is made; "" is made anew every time.
    """
    parent = local_path(packs) if is_local(packs) else Path(tempfile.gettempdir())
    with contextlib.ExitStack() as held:
        try:
            parent.mkdir(parents=True, exist_ok=True)
            making = _taken_over(parent / f".making-{key}", held) if key else None
            if making is None:
                making = Path(tempfile.mkdtemp(prefix=".making-", dir=parent))
        except OSError as error:
            raise DataError(f"cannot write packs to {packs!r}: {error}") from error
        if is_local(packs):
            _sweep_out(parent)
        try:
            yield making
        except BaseException as error:
            if isinstance(error, Exception) or not key:  # else interrupted, and goes on from here
                shutil.rmtree(making, ignore_errors=True)
            raise
        shutil.rmtree(making, ignore_errors=True)


def _taken_over(folder: Path, held: contextlib.ExitStack) -> Path | None:
    """Make a folder, or take over that of a dead process; None if a living one works in it."""
    folder.mkdir(exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    held.callback(os.close, descriptor)  # frees the lock
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Until it was locked another process may have finished and renamed it.
        return folder if os.path.samestat(os.fstat(descriptor), os.stat(folder)) else None
    except (BlockingIOError, FileNotFoundError):
        return None


def publish(making: Path, packs: str, fingerprint: str) -> None:
    """Move a finished pack to its place; a pack that is already there stays."""
    if is_local(packs):
        final = local_path(packs) / fingerprint
        # mkdtemp makes it private; everyone on the host may read a pack.
        making.chmod(0o755)
        try:
            making.rename(final)
        except OSError:
            if not (final / MANIFEST).is_file():
                raise
        return
    filesystem, path = resolve(join(packs, fingerprint))
    filesystem.create_dir(path, recursive=True)
    for name in (CLIPS, MANIFEST):
        with (
            (making / name).open("rb") as file,
            filesystem.open_output_stream(f"{path}/{name}") as stream,
        ):
            shutil.copyfileobj(file, stream, 1 << 22)


def default_cache_dir() -> str:
    """Return the default directory for copies of remote packs."""
    return str(cache_folder("packs"))


def _sweep_out(parent: Path) -> None:
    for left in parent.glob(".making-*"):
        with contextlib.suppress(OSError):
            newest = max(path.stat().st_mtime for path in [left, *left.glob("*")])
            if time.time() - newest > _STALE_AFTER_S:
                shutil.rmtree(left) if left.is_dir() else left.unlink()
