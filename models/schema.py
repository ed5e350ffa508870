"""Check plain values against the annotations of a signature, without importing its module."""

from __future__ import annotations

import types
import typing
from typing import Any, Literal

MAX_BITS = 64
"""Upper limit on whole numbers."""


def coerce(value: Any, kind: Any) -> tuple[Any, str]:
    """Return the value in its declared type, and the problem with it (empty if none)."""
    if type(value) is int and value.bit_length() > MAX_BITS:
        return value, f"is a whole number of {value.bit_length()} bits; give {MAX_BITS} at most"
    if kind is Any:
        return value, ""
    origin, options = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        if value in options and type(value) in {type(option) for option in options}:
            return value, ""
        return value, f"is {_shown(value)}; it must be one of {', '.join(map(repr, options))}"
    if origin in (typing.Union, types.UnionType):
        for option in options:
            coerced, problem = coerce(value, option)
            if not problem:
                return coerced, ""
        return value, f"is {_shown(value)}; it must be {name_of(kind)}"
    if origin is tuple and isinstance(value, tuple | list):
        endless = len(options) == 2 and options[1] is Ellipsis
        wanted = [options[0]] * len(value) if endless else list(options)
        items = [coerce(item, option) for item, option in zip(value, wanted, strict=False)]
        if len(wanted) == len(value) and not any(problem for _, problem in items):
            return tuple(item for item, _ in items), ""
    elif kind is float and type(value) is int:
        return float(value), ""
    elif isinstance(kind, type) and isinstance(value, kind):
        if kind is bool or not isinstance(value, bool):
            return value, ""
    elif kind is type(None) and value is None:
        return value, ""
    return value, f"is {_shown(value)}; it must be {name_of(kind)}"


def _shown(value: Any) -> str:
    try:
        return repr(value)
    except ValueError:  # Python writes out no whole number of more than 4300 digits
        return f"a {type(value).__name__} with a whole number of more than {MAX_BITS} bits"


def name_of(kind: Any) -> str:
    """Return the name of a type as in source code."""
    if kind is type(None):
        return "None"
    return kind.__name__ if isinstance(kind, type) and not typing.get_args(kind) else str(kind)
