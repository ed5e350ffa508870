"""Say on the terminal what a block waits for, so that no wait is silent."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator

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
    """Say what is waited for once a block takes long, and again at intervals.

    Args:
        what: a line without its end, for example "waiting for the Ray cluster at host:6379".
        say: writes one line; standard error if not given. Called from a thread.
        after_s: how long a block may take without a word.
        every_s: between two lines.
    """
    done = threading.Event()
    started = time.monotonic()

    def tell() -> None:
        pause_s = after_s
        while not done.wait(pause_s):
            pause_s = every_s
            say(f"{what} ({time.monotonic() - started:.0f} s so far)")

    thread = threading.Thread(target=tell, name="waiting", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
