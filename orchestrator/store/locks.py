"""One trainer per trial: a kernel lock on a local disk, a lease elsewhere."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestrator.errors import StoreError
from orchestrator.store.files import Files, blame

POLL_S = 0.2
LEASE_S = 120.0
SETTLE_S = 1.0
_REMIND_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Holder:
    """The holder of a lock.

    Attributes:
        owner: Name that the holder gives itself, for example the sweep.
        host: Host of the process.
        pid: Process id on that host.
        since: Start of the lock, UTC, ISO 8601.
    """

    owner: str = "unknown"
    host: str = "unknown"
    pid: int = 0
    since: str = "unknown"

    def __str__(self) -> str:
        return f"{self.owner} (process {self.pid} on {self.host}, since {self.since})"

    @classmethod
    def here(cls, owner: str) -> Holder:
        """Describe this process."""
        since = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(owner=owner, host=socket.gethostname(), pid=os.getpid(), since=since)


class LockHeld(StoreError):
    """Another process holds the lock; `holder` says which."""

    def __init__(self, what: str, holder: Holder):
        self.what = what
        self.holder = holder
        super().__init__(
            f"{what} is held by {holder}; wait for it, or end that process and run the "
            "command again"
        )

    def __reduce__(self) -> tuple[type[LockHeld], tuple[str, Holder]]:
        return LockHeld, (self.what, self.holder)


class Held:
    """A lock that this process holds."""

    def __init__(self) -> None:
        self._lost = threading.Event()

    @property
    def lost(self) -> bool:
        """Whether another process took over the lock; only a lease can be lost."""
        return self._lost.is_set()


OnWait = Callable[[Holder], None]


def patiently(
    attempt: Callable[[], None], *, timeout_s: float | None, on_wait: OnWait | None
) -> None:
    """Call `attempt` until it no longer raises `LockHeld` or the time is up.

    Args:
        attempt: Function that raises `LockHeld` while the lock is taken.
        timeout_s: Time to wait in seconds; 0 tries once, None waits forever.
        on_wait: Called when the wait begins, when the holder changes, and once a minute.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    told: Holder | None = None
    told_at = 0.0
    while True:
        try:
            return attempt()
        except LockHeld as held:
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                raise
            if on_wait and (held.holder != told or now - told_at > _REMIND_S):
                told, told_at = held.holder, now
                on_wait(held.holder)
        time.sleep(POLL_S)


@contextmanager
def flock(
    path: Path, what: str, *, owner: str, timeout_s: float | None, on_wait: OnWait | None
) -> Iterator[Held]:
    """Hold a lock that the kernel frees when the process ends, however it ends."""
    with blame("lock", str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:

        def attempt() -> None:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise LockHeld(what, _parse(os.pread(descriptor, 65536, 0))) from None

        with blame("lock", str(path)):
            patiently(attempt, timeout_s=timeout_s, on_wait=on_wait)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, _dump(Holder.here(owner)), 0)
        try:
            yield Held()
        finally:
            # The file stays: deleting it would let two processes lock two files of one name.
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


@contextmanager
def lease(
    files: Files,
    path: str,
    what: str,
    *,
    owner: str,
    timeout_s: float | None,
    on_wait: OnWait | None,
    lease_s: float = LEASE_S,
    settle_s: float = SETTLE_S,
) -> Iterator[Held]:
    """Hold a lease: a file that is renewed while the process lives and expires after it dies.

    Best effort: of two processes that start within `settle_s`, the last writer wins; a dead
    holder's lease is taken over after `lease_s`; clocks that differ by more than `lease_s` defeat
    it. Training twice wastes time but damages nothing, since the numbers are the same.

    Args:
        files: The store's files.
        path: Path of the lease.
        what: What it guards, for messages.
        owner: Name that this process gives itself.
        timeout_s: Time to wait in seconds; 0 tries once, None waits forever.
        on_wait: Called with the holder while waiting.
        lease_s: Lifetime of a lease that is not renewed, in seconds.
        settle_s: Pause in seconds before checking whether another process wrote the lease too.
    """
    token = secrets.token_hex(8)
    me = Holder.here(owner)

    def write() -> None:
        body = {**dataclasses.asdict(me), "token": token, "expires": time.time() + lease_s}
        files.write(path, json.dumps(body).encode())

    def attempt() -> None:
        current = _lease(files.read(path))
        if current["expires"] > time.time():
            raise LockHeld(what, _holder(current))
        write()
        time.sleep(settle_s)
        current = _lease(files.read(path))
        if current["token"] != token:
            raise LockHeld(what, _holder(current))

    patiently(attempt, timeout_s=timeout_s, on_wait=on_wait)
    held = Held()
    done = threading.Event()

    def renew() -> None:
        while not done.wait(lease_s / 6):
            try:
                if _lease(files.read(path))["token"] != token:
                    held._lost.set()
                    return
                write()
            except OSError:
                continue  # The network may come back before the lease is over.

    heart = threading.Thread(target=renew, name=f"lease of {what}", daemon=True)
    heart.start()
    try:
        yield held
    finally:
        done.set()
        heart.join()
        if not held.lost and _lease(files.read(path))["token"] == token:
            files.delete(path)


def _dump(holder: Holder) -> bytes:
    return json.dumps(dataclasses.asdict(holder)).encode()


def _parse(data: bytes) -> Holder:
    try:
        return Holder(**json.loads(data))
    except (ValueError, TypeError):
        return Holder()  # The holder has locked but not yet written its name.


def _lease(data: bytes | None) -> dict[str, Any]:
    try:
        return {"token": "", "expires": 0.0, **json.loads(data or b"{}")}
    except ValueError:
        return {"token": "", "expires": 0.0}


def _holder(lease: dict[str, Any]) -> Holder:
    names = {field.name for field in dataclasses.fields(Holder)}
    return Holder(**{key: value for key, value in lease.items() if key in names})
