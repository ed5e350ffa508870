"""What all commands share: exit codes, one message instead of a traceback, completion."""

from __future__ import annotations

import argparse
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
    mistake: int = MISTAKE,
) -> int:
    """Run a command and return its exit code.

    Args:
        work: The command; returns its exit code.
        mistakes: User errors, reported in one message with the exit code of a mistake, as are full,
            read-only, or forbidden paths.
        interrupted: Message for Ctrl-C, with exit code 130, unless the interrupt has its own.
        mistake: Exit code of a mistake, where 2 has a meaning of its own.

    Returns:
        The exit code; 0 if the reader of the output (such as `head`) has closed the pipe before the
        command knew its own.
    """
    code = 0
    try:
        code = work()
        sys.stdout.flush()
        return code
    except mistakes as error:
        _say(f"error: {error}")
    except BrokenPipeError:
        _close(sys.stdout)
        return code
    except KeyboardInterrupt as interrupt:
        _say(str(interrupt) or interrupted)
        return INTERRUPTED
    except OSError as error:
        if error.errno not in _WAYS_OUT:
            raise
        where = f" {error.filename!r}" if error.filename else ""
        _say(f"error: cannot use{where} ({error.strerror}); {_WAYS_OUT[error.errno]}")
        if not error.filename:
            _close(sys.stdout)  # the buffer may hold what did not fit
    return mistake


def completing(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Return the parser, or answer the shell that asks what completes a line, and exit.

    The shell asks through argcomplete's hook those programs whose first lines have its mark.
    """
    if "_ARGCOMPLETE" in os.environ:
        with suppress(ImportError):
            import argcomplete

            argcomplete.autocomplete(parser)
    return parser


def shorten_interrupts() -> None:
    """Shorten Ctrl-C to one line outside `run_command` too, for example during imports."""
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not issubclass(kind, KeyboardInterrupt):
            before(kind, error, trace)
            return
        _say("interrupted")
        os._exit(INTERRUPTED)  # Python itself would exit by the signal

    sys.excepthook = hook


def _say(text: str) -> None:
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def _close(stream: object) -> None:
    """Discard buffered output, so that it cannot fail at exit."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # type: ignore[attr-defined]
