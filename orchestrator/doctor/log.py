"""Logs to compare with: recorded runs as JSON, and what a recipe's authors published.

A log that is written by hand, of another code base, has the same form. It may leave out any fact,
and give a `tolerance` to a value that it does not know better:

    {"doctor": 1, "of": "a colleague's AST", "facts": {
      "data.sample_rate": {"values": [16000]},
      "features.mean": {"values": [-6.63], "tolerance": 0.5}}}
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.doctor.facts import FACTS, Logged, Value, check_keys
from orchestrator.errors import ConfigError, unknown

FORM = 1
ALWAYS: Mapping[str, Logged] = {
    "eval.in_training": Logged(values=([],)),
    "eval.change": Logged(values=(0.0,)),
}
"""Facts of every healthy run, which no log has to state."""


@dataclass(frozen=True, kw_only=True)
class Log:
    """A log.

    Attributes:
        of: What it is of, in words.
        facts: Key -> fact.
    """

    of: str
    facts: Mapping[str, Logged]


def write_log(path: Path, runs: Sequence[Mapping[str, Value]], *, of: str) -> None:
    """Write runs of one experiment under several seeds as a log."""
    keys = [fact.key for fact in FACTS if all(fact.key in run for run in runs)]
    facts: dict[str, Any] = {}
    for key in keys:
        values = [run[key] for run in runs]
        alike = all(value == values[0] for value in values)
        # A number keeps a value per run also where all agree: agreement is a spread, too.
        numbers = all(isinstance(value, float) for value in values)
        facts[key] = {"values": values if numbers or not alike else values[:1]}
    text = json.dumps({"doctor": FORM, "of": of, "facts": facts}, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def read_log(path: Path) -> Log:
    """Read a log.

    Raises:
        ConfigError: It cannot be read, is none, or has facts that are not known.
    """
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["doctor"] != FORM:
            raise ConfigError(f"{path} is a log of form {stored['doctor']!r}, not {FORM}")
        facts = {
            key: Logged(values=tuple(fact["values"]), tolerance=fact.get("tolerance"))
            for key, fact in stored["facts"].items()
        }
    except OSError as error:
        raise ConfigError(
            f"cannot read {path} ({error.strerror}); give a log or a recipe"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(
            f"{path} is no log ({error!r}); write one by `python -m orchestrator.doctor SWEEP.py "
            "--record FILE`"
        ) from error
    if wrong := check_keys([*facts]):
        raise ConfigError(unknown(f"fact in {path}", wrong[0], (fact.key for fact in FACTS)))
    if empty := [key for key, fact in facts.items() if not fact.values]:
        raise ConfigError(f"{path} has no value of {empty[0]}; give one, or leave the fact out")
    return Log(of=str(stored.get("of", path)), facts={**ALWAYS, **facts})
