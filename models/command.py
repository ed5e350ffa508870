"""How every command ends: with an exit code and at most one message, never with a traceback."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

INTERRUPTED = 130
MISTAKE = 2
_WAYS_OUT = {
    errno.ENOSPC: "free some space there and run the same command again",
    errno.EDQUOT: "free some of your quota there and run the same command again",
    errno.EROFS: "give a place that can be written",
    errno.EACCES: "give a place that you may read and write",
    errno.EPERM: "give a place that you may read and write",
}


def run_command(
    work: Callable[[], int],
    *,
    mistakes: type[Exception] | tuple[type[Exception], ...],
    interrupted: str = "interrupted",
) -> int:
    """Run a command's work and return its exit code.

    Args:
        work: returns the exit code of what went its way.
        mistakes: errors that are the user's to mend: one message and exit code 2. So is a place
            that is full, read-only or not the user's.
        interrupted: the line for Ctrl-C, whose exit code is 130.

    Returns:
        The exit code; 0 also where the reader of the output, for example `head`, has gone.
    """
    try:
        code = work()
        sys.stdout.flush()
        return code
    except mistakes as error:
        _say(f"error: {error}")
    except BrokenPipeError:
        _close(sys.stdout)
        return 0
    except KeyboardInterrupt:
        _say(interrupted)
        return INTERRUPTED
    except OSError as error:
        if error.errno not in _WAYS_OUT:
            raise
        where = f" {error.filename!r}" if error.filename else ""
        _say(f"error: cannot use{where} ({error.strerror}); {_WAYS_OUT[error.errno]}")
        if not error.filename:
            _close(sys.stdout)  # what is still buffered may be what had no place
    return MISTAKE


def shorten_interrupts() -> None:
    """Make Ctrl-C outside of `run_command`, for example while imports last, one line as well."""
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not issubclass(kind, KeyboardInterrupt):
            before(kind, error, trace)
            return
        _say("interrupted")
        os._exit(INTERRUPTED)  # Python itself would end by the signal

    sys.excepthook = hook


def _say(text: str) -> None:
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def _close(stream: object) -> None:
    """Send what is still buffered nowhere, so that the end of the process does not fail on it."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # type: ignore[attr-defined]
