"""The file operations of the store: whole files, written atomically, on any file system."""

# Both implementations share the documentation of `Files`.
# ruff: noqa: D102

from __future__ import annotations

import errno
import itertools
import os
import secrets
import stat
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from orchestrator.data import addresses
from orchestrator.errors import StoreError

TEMPORARY = ".tmp"
SET_ASIDE = ".damaged-"
_CHUNK_BYTES = 8 << 20
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""Numbers of the errors of a place that is full or read-only."""
_ATTEMPTS = 4


Guard = Callable[[str], None]
"""Is called with the path that is about to change, and raises a `StoreError` to refuse."""


def _allow(path: str) -> None:
    """Refuse nothing."""


class Files(Protocol):
    """The file operations of the store. Paths are relative to the store, with slashes."""

    def where(self, path: str) -> str:
        """Return the full address of a path, for messages."""
        ...

    def read(self, path: str) -> bytes | None:
        """Return a file's content; None if it does not exist."""
        ...

    def write(self, path: str, data: bytes) -> None:
        """Replace a file atomically; creates its folder."""
        ...

    def append(self, path: str, data: bytes) -> None:
        """Append to a file; creates it and its folder."""
        ...

    def create(self, path: str, data: bytes) -> str:
        """Create a file that no other process creates as well.

        Returns:
            Its path, which may be longer than the given one; empty if another process created it.
        """
        ...

    def scratch(self, path: str) -> Path:
        """Return a new local name for a large file that `adopt` will put at `path`."""
        ...

    def adopt(self, source: Path, path: str) -> None:
        """Move a finished local file into place atomically."""
        ...

    def names(self, folder: str) -> list[str]:
        """Return the sorted names in a folder; empty if it does not exist."""
        ...

    def sizes(self, folder: str) -> dict[str, int]:
        """Return path -> bytes of every file below a folder, sorted by path."""
        ...

    def delete(self, path: str) -> None:
        """Delete a file if it exists."""
        ...

    def set_aside(self, path: str) -> str:
        """Rename a file to `<name>.damaged-<n>`; return its new name, empty if there is none."""
        ...

    def versions(self, paths: Sequence[str]) -> list[str]:
        """Return a text per file that changes whenever the file does; empty for a missing file."""
        ...

    def guarded(self, guard: Guard) -> Files:
        """Return the same files, with a function that can refuse every change just before it."""
        ...


def is_full(error: BaseException) -> bool:
    """Whether an error means that the place is full or read-only, so a retry cannot help."""
    cause = error.__cause__ if isinstance(error, StoreError) else error
    return isinstance(cause, OSError) and cause.errno in FULL


@contextmanager
def blame(doing: str, where: str) -> Iterator[None]:
    """Turn an operating system's error into one that names the place and the remedy."""
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


def _open_file(path: str, flags: int) -> int:
    """Open a file; a pipe would wait for its writer forever, and a device may have no end."""
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    raise StoreError(f"cannot read {path} (a pipe or a device); remove it, or name another store")


class LocalFiles:
    """Files under a local folder.

    A file is written beside its final name, flushed to disk and renamed, so a reader sees the old
    or the new content and never a part.
    """

    def __init__(self, root: Path, guard: Guard = _allow):
        self.root = root
        self._guard = guard

    def guarded(self, guard: Guard) -> LocalFiles:
        return LocalFiles(self.root, guard)

    def where(self, path: str) -> str:
        return str(self.root / path)

    def read(self, path: str) -> bytes | None:
        with blame("read", self.where(path)):
            try:
                with open(self.root / path, "rb", opener=_open_file) as stream:
                    return stream.read()
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
                self._guard(path)
                os.replace(temporary, self.root / path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise

    def append(self, path: str, data: bytes) -> None:
        with blame("write", self.where(path)):
            target = self.root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            self._guard(path)
            with open(target, "ab") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())

    def create(self, path: str, data: bytes) -> str:
        with blame("write", self.where(path)):
            temporary = self.scratch(path)
            try:
                temporary.write_bytes(data)
                os.link(temporary, self.root / path)  # with its content, or not at all
            except FileExistsError:
                return ""
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
                    raise
                return self._create_empty_first(path, data)  # a disk without hard links
            finally:
                temporary.unlink(missing_ok=True)
        return path

    def _create_empty_first(self, path: str, data: bytes) -> str:
        try:
            with open(self.root / path, "xb") as stream:
                stream.write(data)
        except FileExistsError:
            return ""
        return path

    def scratch(self, path: str) -> Path:
        target = self.root / path
        with blame("write", self.where(path)):
            target.parent.mkdir(parents=True, exist_ok=True)
        return target.with_name(f".{target.name}.{secrets.token_hex(4)}{TEMPORARY}")

    def adopt(self, source: Path, path: str) -> None:
        with blame("write", self.where(path)):
            target = self.root / path
            _sync(source)
            self._guard(path)
            os.replace(source, target)
            _sync(target.parent)

    def names(self, folder: str) -> list[str]:
        with blame("list", self.where(folder)):
            try:
                return sorted(os.listdir(self.root / folder))
            except FileNotFoundError:
                return []

    def sizes(self, folder: str) -> dict[str, int]:
        found = {}
        for place, _, names in os.walk(self.root / folder):
            for name in names:
                with suppress(FileNotFoundError):
                    path = Path(place, name)
                    found[path.relative_to(self.root).as_posix()] = path.stat().st_size
        return dict(sorted(found.items()))

    def delete(self, path: str) -> None:
        with blame("delete", self.where(path)):
            self._guard(path)
            (self.root / path).unlink(missing_ok=True)

    def set_aside(self, path: str) -> str:
        target = _aside(self, path)
        with blame("set aside", self.where(path)):
            self._guard(path)
            try:
                os.replace(self.root / path, self.root / target)
            except FileNotFoundError:
                return ""
        return target.rpartition("/")[2]

    def versions(self, paths: Sequence[str]) -> list[str]:
        texts = []
        for path in paths:
            try:
                status = os.stat(self.root / path)
            except FileNotFoundError:
                texts.append("")
            else:
                texts.append(f"{status.st_mtime_ns}-{status.st_size}-{status.st_ino}")
        return texts


class RemoteFiles:
    """Files under a folder of a `pyarrow.fs.FileSystem`, for example a bucket.

    An object store's put is atomic. On a network file system reached through pyarrow, a reader may
    see half a file; mount it and give its path instead.
    """

    def __init__(self, system: Any, root: str, uri: str, guard: Guard = _allow):
        self.system = system
        self.root = root.rstrip("/")
        self.uri = uri.rstrip("/")
        self._guard = guard

    def guarded(self, guard: Guard) -> RemoteFiles:
        return RemoteFiles(self.system, self.root, self.uri, guard)

    def where(self, path: str) -> str:
        return addresses.join(self.uri, path)

    def read(self, path: str) -> bytes | None:
        # pyarrow asks S3 for the length, then for so many bytes. If another process replaces or
        # deletes the object between the two, it fails, or returns bytes of neither.
        with blame("read", self.where(path)):
            for attempt in itertools.count(1):
                try:
                    stream = self._input(path)
                except FileNotFoundError:
                    return None
                with stream:
                    version = stream.metadata()
                    try:
                        data = stream.read()
                    except OSError:
                        if attempt >= _ATTEMPTS and self._has_version(path, version):
                            raise
                        continue
                if not version or self._has_version(path, version):
                    return data
        raise AssertionError("unreachable")

    def _has_version(self, path: str, version: object) -> bool:
        try:
            with self._input(path) as stream:
                return stream.metadata() == version
        except FileNotFoundError:
            return False

    def _input(self, path: str) -> Any:
        return self.system.open_input_stream(self._at(path), compression=None)

    def write(self, path: str, data: bytes) -> None:
        with blame("write", self.where(path)):
            self._guard(path)
            with self._output(path) as stream:
                stream.write(data)

    def append(self, path: str, data: bytes) -> None:
        self.write(path, (self.read(path) or b"") + data)

    def create(self, path: str, data: bytes) -> str:
        # pyarrow cannot put an object only if there is none. So each process puts one of its own
        # name and then looks for others: of two, at most one sees itself alone.
        own = f"{path}-{secrets.token_hex(4)}"
        self.write(own, data)
        folder, _, name = path.rpartition("/")
        same = [other for other in self.names(folder) if other.rpartition("-")[0] == name]
        if same == [own.rpartition("/")[2]]:
            return own
        self.delete(own)
        return ""

    def scratch(self, path: str) -> Path:
        return Path(tempfile.gettempdir()) / f"{secrets.token_hex(8)}{TEMPORARY}"

    def adopt(self, source: Path, path: str) -> None:
        with blame("write", self.where(path)):
            self._guard(path)
            with open(source, "rb") as data, self._output(path) as stream:
                while chunk := data.read(_CHUNK_BYTES):
                    stream.write(chunk)
            source.unlink()

    def names(self, folder: str) -> list[str]:
        from pyarrow.fs import FileSelector

        with blame("list", self.where(folder)):
            infos = self.system.get_file_info(FileSelector(self._at(folder), allow_not_found=True))
        return sorted(info.base_name for info in infos)

    def sizes(self, folder: str) -> dict[str, int]:
        from pyarrow.fs import FileSelector

        selector = FileSelector(self._at(folder), recursive=True, allow_not_found=True)
        with blame("list", self.where(folder)):
            infos = self.system.get_file_info(selector)
        start = len(self._at(""))
        return dict(sorted((info.path[start:], info.size) for info in infos if info.is_file))

    def delete(self, path: str) -> None:
        with blame("delete", self.where(path)):
            self._guard(path)
            try:
                self.system.delete_file(self._at(path))
            except FileNotFoundError:
                pass

    def set_aside(self, path: str) -> str:
        target = _aside(self, path)
        with blame("set aside", self.where(path)):
            self._guard(path)
            try:
                self.system.move(self._at(path), self._at(target))
            except OSError:  # of S3 no `FileNotFoundError`
                if self.system.get_file_info(self._at(path)).is_file:
                    raise
                return ""
        return target.rpartition("/")[2]

    def versions(self, paths: Sequence[str]) -> list[str]:
        with blame("read", self.uri):
            infos = self.system.get_file_info([self._at(path) for path in paths])
        return [f"{info.mtime_ns}-{info.size}" if info.is_file else "" for info in infos]

    def _at(self, path: str) -> str:
        return f"{self.root}/{path}" if self.root else path

    def _output(self, path: str) -> Any:
        target = self._at(path)
        try:
            return self.system.open_output_stream(target, compression=None)
        except FileNotFoundError:
            self.system.create_dir(target.rpartition("/")[0], recursive=True)
            return self.system.open_output_stream(target, compression=None)


def open_files(uri: str | Path, *, create: bool) -> tuple[Files, str]:
    """Open a folder or a file-system URI.

    Args:
        uri: A path, `file:///...`, or any URI that pyarrow or fsspec knows (`s3://`, `gs://`).
        create: Create the place if it does not exist, and check that it is writable.

    Returns:
        The files, and the absolute address that opens the same place from another process.

    Raises:
        StoreError: The place cannot be created, read or written.
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


def _aside(files: Files, path: str) -> str:
    """Return the first free name for a file that is set aside."""
    folder, _, name = path.rpartition("/")
    taken = files.names(folder)
    number = next(n for n in itertools.count(1) if f"{name}{SET_ASIDE}{n}" not in taken)
    return f"{path}{SET_ASIDE}{number}"


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
