"""Every error that a user can cause: one root, and children that also inherit the builtin.

A message says what was given, what is allowed, the nearest name and what to do. The command line
turns an `OrchestratorError` into one message on standard error and exit code 2.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Sequence


class OrchestratorError(Exception):
    """The root of all errors that the user can fix; its message is safe on a terminal.

    It shows no password of an address.
    """

    def __str__(self) -> str:
        return without_passwords(printable(super().__str__()))


class ConfigError(OrchestratorError, ValueError):
    """An experiment or an override that cannot be built."""


class PlanError(OrchestratorError, ValueError):
    """A plan with mistakes; `mistakes` holds all of them."""

    def __init__(self, mistakes: Sequence[str]):
        self.mistakes = tuple(mistakes)
        count = len(self.mistakes)
        head = "the plan has a mistake:" if count == 1 else f"the plan has {count} mistakes:"
        super().__init__("\n".join([head, *(f"  - {mistake}" for mistake in self.mistakes)]))


class DataError(OrchestratorError, ValueError):
    """A dataset that cannot be read, packed or trusted."""


class StoreError(OrchestratorError, OSError):
    """A store that cannot be read or written."""


class CheckpointError(OrchestratorError, ValueError):
    """A checkpoint that does not match, is damaged or is not safe to read."""


class TrainingError(OrchestratorError, RuntimeError):
    """A trial that cannot go on, for example a loss that is not finite."""


class DivergedError(TrainingError):
    """A loss or a prediction that is not finite: what the experiment gives, whenever it runs."""


class TrackingError(OrchestratorError, ConnectionError):
    """A tracking server that does not answer."""


def unknown(kind: str, given: object, valid: Iterable[object], *, hint: str = "") -> str:
    """Return a sentence that a name is unknown, with the valid names and the nearest one.

    Args:
        kind: What the name is of, for example "model".
        given: The name that was given.
        valid: Every valid name.
        hint: A closing sentence that says what to do.
    """
    names = sorted(str(name) for name in valid)
    nearest = difflib.get_close_matches(str(given), names, n=1, cutoff=0.5)
    meant = f"; did you mean {nearest[0]!r}?" if nearest else ""
    listed = ", ".join(names) if names else "none"
    tail = f" {hint}" if hint else ""
    return f"unknown {kind} {given!r}{meant} (valid: {listed}){tail}"


def without_passwords(text: str) -> str:
    """Return text in which the passwords of addresses (`scheme://user:password@host`) are `***`."""
    return re.sub(r"(://[^/\s:@]*:)[^/\s]+@", r"\1***@", text)


def is_control(character: str) -> bool:
    """Whether a character moves the cursor, reorders text or cannot be encoded.

    Includes line breaks and tabs, but not the joiners that words of some scripts need.
    """
    controls = ("Cc", "Cf", "Cs", "Zl", "Zp")
    return unicodedata.category(character) in controls and character not in "\u200c\u200d"


def printable(text: str) -> str:
    """Return text with its control characters as escapes, except for line breaks and tabs."""
    if text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode()
        if character not in "\n\t" and is_control(character)
        else character
        for character in text
    )


def shown(value: object) -> str:
    """Return a value's repr for a message: at most 80 characters, without control characters."""
    text = printable(repr(value))
    return text if len(text) <= 80 else f"{text[:77]}..."
