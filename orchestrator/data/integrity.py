"""Check that a pack still holds what was written, before its first use on a host.

A trial trusts a pack by its fingerprint, so its bytes are read once and compared with the digest
that `pack.json` recorded when they were written. This host's cache remembers whole packs by the
identity of their files (device, inode, size and times) and they are read again only if one of them
changes. A damaged pack is renamed, never deleted.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from models.cache import cache_folder
from models.digests import file_digest
from orchestrator.data import addresses
from orchestrator.data.info import DamagedPack, parse_manifest, read_manifest
from orchestrator.data.source import digest
from orchestrator.errors import DataError, printable
from orchestrator.terminal.waiting import waiting

SETTLED_NS = 1_000_000_000
"""Age of the newest change below which a check is not remembered: within a file system's clock tick
a later change could leave the same time behind."""
SAY_AFTER_S = 3.0

Identity = list[list[int]]


def check(path: Path, fingerprint: str, *, trust_memory: bool = True) -> None:
    """Check that a local pack holds what was written.

    `pack.json` is checked every time, the samples only if no earlier check of the same files is
    remembered. Concurrent processes read them once.

    Args:
        path: The pack's directory.
        fingerprint: Required name of the pack.
        trust_memory: False always reads the samples.

    Raises:
        DamagedPack: Something changed since it was written.
        DataError: There is no pack.
    """
    manifest = read_manifest(path)
    if manifest["fingerprint"] != fingerprint:
        raise DamagedPack(path, f"its pack.json says that it is pack {manifest['fingerprint']}")
    if trust_memory and _remembered(path) == identity(path):
        return
    with _alone(path):
        seen, started_ns = identity(path), time.time_ns()
        if trust_memory and _remembered(path) == seen:
            return
        manifest = read_manifest(path)
        size = f"{manifest['num_bytes'] / 1e9:.1f} GB"
        with waiting(f"checking pack {fingerprint}, {size}", say=say, after_s=SAY_AFTER_S):
            damage = _damage(path, manifest)
        if damage:
            raise DamagedPack(path, damage)
        if identity(path) == seen:
            _remember(path, seen, started_ns)


def whole_or_set_aside(packs: str, fingerprint: str) -> bool:
    """Check a pack and rename it if it is damaged, so that it can be made again in its place.

    For a pack in an object store only `pack.json` is checked; hosts check their copies.

    Args:
        packs: Where packs are kept.
        fingerprint: The pack's name.

    Returns:
        Whether a whole pack is there. A pack set aside is reported on standard error.

    Raises:
        DataError: The pack is damaged and cannot be renamed.
    """
    address = addresses.join(packs, fingerprint)
    if not addresses.is_local(packs):
        text = addresses.read_text(addresses.join(address, addresses.MANIFEST))
        if text is None:
            return False
        try:
            parse_manifest(text, address)
        except DamagedPack as damaged:
            _set_aside(packs, fingerprint, damaged)
            return False
        return True
    path = addresses.local_path(address)
    while path.is_dir():
        seen = identity(path)
        try:
            check(path, fingerprint)
            return True
        except DamagedPack as damaged:
            if identity(path) == seen:
                _set_aside(packs, fingerprint, damaged)
        except DataError:
            if path.is_dir():
                raise
        # Otherwise another process has set it aside or replaced it meanwhile.
    return False


def _set_aside(packs: str, fingerprint: str, damaged: DamagedPack) -> None:
    try:
        aside = _rename(packs, fingerprint)
    except OSError as error:
        raise DataError(
            f"{damaged.damage_of}; it cannot be set aside ({error}): make its place writable, or "
            "rename the pack, and run the command again"
        ) from error
    say(f"{damaged.damage_of}; it was set aside as {aside}")


def identity(path: Path) -> Identity:
    """Return device, inode, size and times of both files of a pack; zeros for a missing file."""
    files: Identity = []
    for name in (addresses.CLIPS, addresses.MANIFEST):
        try:
            stat = (path / name).stat()
        except OSError:
            files.append([0, 0, 0, 0, 0])
        else:
            times = [stat.st_mtime_ns, stat.st_ctime_ns]
            files.append([stat.st_dev, stat.st_ino, stat.st_size, *times])
    return files


def say(text: str) -> None:
    """Write a line to standard error."""
    print(printable(text), file=sys.stderr, flush=True)


def _damage(path: Path, manifest: dict[str, Any]) -> str:
    """Read all bytes; describe what changed since they were written, or return ""."""
    written = manifest.get("file_digest")
    if written is None:
        return _damage_of_older(path)
    try:
        found = file_digest(path / addresses.CLIPS)
    except OSError as error:
        return f"{addresses.CLIPS} cannot be read ({error.strerror})"
    if found != written:
        return (
            f"{addresses.CLIPS} was changed since it was written (sha256 {found[:16]}..., "
            f"written with {written[:16]}...)"
        )
    return ""


def _damage_of_older(path: Path) -> str:
    """Check a pack whose `pack.json` records no digest of bytes, by its contents, clip by clip."""
    from orchestrator.data.pack import Pack

    try:
        pack = Pack(path)
    except DamagedPack as damaged:
        return damaged.damage
    manifest = pack.manifest
    counts = dict(zip(pack.class_names, pack.targets.counts().tolist(), strict=True))
    longest = int(pack.num_samples.max())
    # The recorded length is rounded; the resampler may miss it by a sample.
    if counts != manifest["kept"] or abs(longest - manifest["num_samples"]) > 1:
        return "pack.json counts other clips or lengths than clips.arrow holds"
    if pack.content_digest() != manifest["content_digest"]:
        return "the clips, labels, folds or class names are not those that were written"
    return ""


def _rename(packs: str, fingerprint: str) -> str:
    address = addresses.join(packs, fingerprint)
    for number in itertools.count(1):
        aside = addresses.join(packs, f"{fingerprint}.damaged-{number}")
        if not addresses.is_local(address):
            filesystem, path = addresses.resolve(address)
            _, target = addresses.resolve(aside)
            if addresses.read_text(addresses.join(aside, addresses.MANIFEST)) is not None:
                continue
            filesystem.create_dir(target, recursive=True)
            # A store without renames copies. pack.json was written last, so it goes first here.
            for name in (addresses.CLIPS, addresses.MANIFEST):
                with contextlib.suppress(FileNotFoundError):
                    filesystem.move(f"{path}/{name}", f"{target}/{name}")
            return aside
        if not Path(aside).exists():
            with contextlib.suppress(FileNotFoundError):  # another process was first
                Path(address).rename(aside)
            return aside
    raise AssertionError("unreachable")


def _note_of(path: Path) -> Path:
    return cache_folder("checked") / f"{digest(str(path.resolve()))}.json"


def _remembered(path: Path) -> Identity | None:
    try:
        return json.loads(_note_of(path).read_text(encoding="utf-8"))["files"]
    except (OSError, RuntimeError, ValueError, KeyError, TypeError):
        return None


def _remember(path: Path, seen: Identity, started_ns: int) -> None:
    """Record which files are whole; without a cache, the next check reads them again."""
    if started_ns - max(times for file in seen for times in file[3:]) < SETTLED_NS:
        return
    with contextlib.suppress(OSError, RuntimeError):
        note = _note_of(path)
        addresses.write_text(str(note), json.dumps({"pack": str(path.resolve()), "files": seen}))
        for other in note.parent.glob("*.json"):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                if not Path(json.loads(other.read_text(encoding="utf-8"))["pack"]).exists():
                    other.unlink()


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let one process at a time check a pack, if the file system supports locks."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            file = stack.enter_context((path / addresses.CLIPS).open("rb"))
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def local_copy(pack_uri: str, cache_dir: str | None = None) -> Path:
    """Copy a pack to this host once, however many processes ask.

    Args:
        pack_uri: A pack's directory `<packs>/<fingerprint>`, local or remote.
        cache_dir: Directory for copies, by default a per-user cache. Not used for a local pack,
            which is mapped in place.

    Returns:
        A local directory with `clips.arrow` and `pack.json`.

    Raises:
        DataError: There is no finished pack at that address.
        DamagedPack: The copy does not hold what was written.
    """
    if addresses.is_local(pack_uri):
        return addresses.local_path(pack_uri)
    cache = Path(cache_dir or addresses.default_cache_dir()).expanduser()
    fingerprint = pack_uri.partition("?")[0].rstrip("/").rpartition("/")[2]
    final = cache / fingerprint
    if (final / addresses.MANIFEST).is_file():
        return final
    cache.mkdir(parents=True, exist_ok=True)
    # The kernel releases the lock when its holder dies, so nobody waits forever.
    with (cache / f".{fingerprint}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (final / addresses.MANIFEST).is_file():
            return final
        filesystem, path = addresses.resolve(pack_uri)
        with addresses.workshop(str(cache)) as making:
            for name in (addresses.MANIFEST, addresses.CLIPS):
                try:
                    with (
                        filesystem.open_input_stream(f"{path}/{name}") as stream,
                        (making / name).open("wb") as file,
                    ):
                        shutil.copyfileobj(stream, file, 1 << 22)
                except FileNotFoundError as error:
                    raise DataError(f"no pack at {pack_uri}: {name} is not there") from error
            _check_copy(making, pack_uri, fingerprint)
            addresses.publish(making, str(cache), fingerprint)
    return final


def _check_copy(copy: Path, pack_uri: str, fingerprint: str) -> None:
    """Check a copy before it takes its place; the message names its origin."""
    try:
        check(copy, fingerprint)
    except DamagedPack as damaged:
        raise DamagedPack(pack_uri, damaged.damage) from damaged
