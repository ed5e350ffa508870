"""Report on the terminal what a block waits for, so that no wait is silent."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator

from orchestrator.errors import without_passwords

AFTER_S = 4.0
EVERY_S = 30.0


def to_terminal(text: str) -> None:
    """Write one line to standard error."""
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def waiting(
    what: str,
    *,
    say: Callable[[str], None] = to_terminal,
    after_s: float = AFTER_S,
    every_s: float = EVERY_S,
) -> Iterator[None]:
    """Report what a block waits for once it takes long, and again at intervals.

    Args:
        what: A line without its end, for example "waiting for the Ray cluster at host:6379".
        say: Function that writes one line, to standard error by default. Called from a thread.
        after_s: Seconds before the first line.
        every_s: Seconds between two lines.
    """
    done = threading.Event()
    started = time.monotonic()

    def tell() -> None:
        pause_s = after_s
        while not done.wait(pause_s):
            pause_s = every_s
            say(f"{without_passwords(what)} ({time.monotonic() - started:.0f} s so far)")

    thread = threading.Thread(target=tell, name="waiting", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
