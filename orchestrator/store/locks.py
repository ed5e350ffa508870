"""One trainer per trial: leases that processes and clusters share, and fencing of older writers.

Everything is a name in one folder, a trial's `attempts/`: `7` is the seventh lease, with its
holder and the time it expires; `7.2` is the second attempt that began under it. The largest name
wins. A lease is renewed while its holder lives. It is free once it was released, once it expired,
or at once where its holder was a process of this machine that has ended. On one machine it expires
by the time since the boot, which nobody sets; between machines by their clocks, or, if these
disagree, once it was seen not to be renewed. Whoever takes it over
makes a larger name, and from then on what was begun under a smaller one is refused (`Superseded`),
whether its process was killed, stopped or only cut off and comes back.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from orchestrator.errors import StoreError
from orchestrator.store.files import Files

T = TypeVar("T")

POLL_S = 0.2
LEASE_S = 120.0
_REMIND_S = 60.0
_NAME = re.compile(r"(\d+)(?:\.(\d+))?(?:-[0-9a-f]+)?")


@dataclass(frozen=True, kw_only=True)
class Holder:
    """The holder of a lease.

    Attributes:
        owner: Name that the holder gives itself, for example the sweep.
        host: Host of the process.
        pid: Process id on that host.
        since: Start of the lease, UTC, ISO 8601.
        machine: Boot and process namespace in which the process id is valid; empty if unknown.
        born: Start of the process in ticks after the boot; empty if unknown.
    """

    owner: str = "unknown"
    host: str = "unknown"
    pid: int = 0
    since: str = "unknown"
    machine: str = ""
    born: str = ""

    def __str__(self) -> str:
        return f"{self.owner} (process {self.pid} on {self.host}, since {self.since})"

    @classmethod
    def here(cls, owner: str) -> Holder:
        """Describe this process."""
        return cls(
            owner=owner,
            host=socket.gethostname(),
            pid=os.getpid(),
            since=datetime.now(UTC).isoformat(timespec="seconds"),
            machine=_machine(),
            born=_born(os.getpid()),
        )

    @property
    def has_ended(self) -> bool:
        """Whether it was a process of this machine that has ended, as far as can be seen here."""
        return bool(self.machine) and self.machine == _machine() and _born(self.pid) != self.born


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


class Superseded(StoreError):
    """A newer attempt at the trial has begun; this one may not write anymore."""


OnWait = Callable[[Holder], None]


def patiently(attempt: Callable[[], T], *, timeout_s: float | None, on_wait: OnWait | None) -> T:
    """Call `attempt` until it no longer raises `LockHeld` or the time is up.

    Args:
        attempt: Function that raises `LockHeld` while the lease is taken.
        timeout_s: Time to wait in seconds; 0 tries once, None waits forever.
        on_wait: Called when the wait begins, when the holder changes, and once a minute.

    Returns:
        What `attempt` returns.
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
def lease(
    files: Files,
    folder: str,
    what: str,
    *,
    owner: str,
    timeout_s: float | None,
    on_wait: OnWait | None,
    lease_s: float = LEASE_S,
) -> Iterator[int]:
    """Hold a lease and yield its number, which is larger than that of every lease before.

    A holder that cannot renew it for `lease_s`, because it was stopped or cut off, may lose it to
    another process, as may one whose clock is behind by as much: its attempts are then refused.

    Args:
        files: The store's files.
        folder: Folder of the leases and attempts.
        what: What it guards, for messages.
        owner: Name that this process gives itself.
        timeout_s: Time to wait in seconds; 0 tries once, None waits forever.
        on_wait: Called with the holder while waiting.
        lease_s: Lifetime of a lease that is not renewed, in seconds.

    Raises:
        LockHeld: On entry, if another process still holds it when the time is up.
    """
    me = Holder.here(owner)

    def body() -> bytes:
        expires = {"expires": time.time() + lease_s, "expires_here": time.monotonic() + lease_s}
        return json.dumps({**dataclasses.asdict(me), **expires}).encode()

    seen: dict[str, tuple[bytes, float]] = {}

    def is_renewed(name: str, content: bytes) -> bool:
        now = time.monotonic()
        if name not in seen or seen[name][0] != content:
            seen[name] = content, now
        return now - seen[name][1] < lease_s

    def attempt() -> tuple[int, str]:
        names = files.names(folder)
        number = max((lease for lease, _, _ in _tokens(names)), default=0)
        if holder := _holder(files, folder, names, is_renewed):
            raise LockHeld(what, holder)
        path = files.create(f"{folder}/{number + 1}", body())
        own = path.rpartition("/")[2]
        names = [name for name in files.names(folder) if name != own]
        holder = _holder(files, folder, names, is_renewed)
        tokens = _tokens(names)
        # Others may have come, or come and gone, since the names were listed. Of two that claim
        # different numbers at once, the one that looks last sees the other.
        if holder or not path or any(lease > number + 1 for lease, _, _ in tokens):
            if path:
                files.delete(path)
            raise LockHeld(what, holder or Holder())
        for lease, _, name in tokens:
            if lease <= number:
                files.delete(f"{folder}/{name}")
        return number + 1, path

    number, path = patiently(attempt, timeout_s=timeout_s, on_wait=on_wait)
    done = threading.Event()

    def renew() -> None:
        while not done.wait(lease_s / 6):
            with suppress(OSError):  # the network may come back before the lease is over
                if any(lease > number for lease, _, _ in _tokens(files.names(folder))):
                    return
                files.write(path, body())

    heart = threading.Thread(target=renew, name=f"lease of {what}", daemon=True)
    heart.start()
    try:
        yield number
    finally:
        done.set()
        heart.join()
        with suppress(StoreError):  # it expires
            files.create(f"{folder}/{number}.0", b"")  # numbers never go down
            files.delete(path)


def holder(files: Files, folder: str) -> Holder | None:
    """Return who holds the lease of a folder now; None if it is free."""
    return _holder(files, folder, files.names(folder))


def begin(files: Files, folder: str, what: str, *, lease: int | None) -> Callable[[], None]:
    """Begin an attempt, which refuses every attempt before it.

    Args:
        files: The store's files.
        folder: Folder of the leases and attempts.
        what: What is attempted, for messages.
        lease: Number of the lease that it was started under; None takes the newest.

    Returns:
        Function that raises `Superseded` once a newer lease or attempt has begun.

    Raises:
        Superseded: A newer lease was taken meanwhile.
    """
    leases = _tokens(files.names(folder))
    newest, last, _ = max(leases, default=(0, 0, ""))
    number = newest if lease is None else lease
    if newest > number:
        raise _superseded(what)
    attempt = (last if newest == number else 0) + 1
    path = files.create(f"{folder}/{number}.{attempt}", b"")
    if not path:
        raise _superseded(what)
    own = path.rpartition("/")[2]

    def check() -> None:
        names = files.names(folder)
        if own not in names or max(_tokens(names))[:2] != (number, attempt):
            raise _superseded(what)

    return check


def _superseded(what: str) -> Superseded:
    return Superseded(f"a newer attempt at {what} has begun, so this one stops and writes no more")


def _tokens(names: Sequence[str]) -> list[tuple[int, int, str]]:
    """Return lease, attempt (0 for the lease itself) and name of each name."""
    found = ((_NAME.fullmatch(name), name) for name in names)
    return [(int(match[1]), int(match[2] or 0), name) for match, name in found if match]


def _holder(
    files: Files,
    folder: str,
    names: Sequence[str],
    is_renewed: Callable[[str, bytes], bool] = lambda name, content: True,
) -> Holder | None:
    """Return who holds one of the leases; None if all are free.

    A clock that jumps ends no lease of this machine, and one that is ahead elsewhere prolongs none:
    `is_renewed` tells from a lease's name and content whether it changed lately.

    A lease without readable content counts as free. Its holder may not have written it yet, and
    will then be refused.
    """
    fields = {field.name for field in dataclasses.fields(Holder)}
    for _, _, name in _tokens(names):
        if "." in name:
            continue
        try:
            content = files.read(f"{folder}/{name}") or b""
            stored: dict[str, Any] = json.loads(content)
            holder = Holder(**{key: value for key, value in stored.items() if key in fields})
            if holder.machine and holder.machine == _machine() and "expires_here" in stored:
                lasts = stored["expires_here"] > time.monotonic()
            else:
                lasts = stored["expires"] > time.time() and is_renewed(name, content)
            if lasts and not holder.has_ended:
                return holder
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return None


def _machine() -> str:
    with suppress(OSError):  # Linux only
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}-{os.stat('/proc/self/ns/pid').st_ino}"
    return ""


def _born(pid: int) -> str:
    """Return when a process started, in ticks after the boot; empty if it has ended."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else fields[19]
    return ""
