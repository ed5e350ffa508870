"""What is wrong with a plan's names and with the family of its contrasts, apart from settings."""

from __future__ import annotations

import math
from collections.abc import Sequence

from orchestrator.ablation import Contrast


def mistakes_of_arm_names(names: Sequence[str]) -> list[str]:
    """Return what keeps arms' names from being told apart in a table, one sentence each."""
    mistakes = []
    for place, name in enumerate(names, start=1):
        if not name.strip():
            mistakes.append(f"arm {place} is called {name!r}; give it a name that a table can show")
        elif not name.isprintable():
            mistakes.append(
                f"arm {place} is called {name!r}, with characters that no table can show; write "
                "it on one line, without tabs, control characters or special spaces"
            )
    alike: dict[str, list[str]] = {}
    for name in dict.fromkeys(name for name in names if name.strip()):
        alike.setdefault("".join(name.split()).casefold(), []).append(name)
    for found in alike.values():
        if len(found) > 1:
            mistakes.append(
                f"arms {' and '.join(map(repr, found))} differ by case or white space alone; give "
                "them names that a reader can tell apart"
            )
    return mistakes


def mistakes_of_contrasts(contrasts: Sequence[Contrast]) -> list[str]:
    """Return the contrasts that are asked for twice: each would be paid for in the correction."""
    mistakes = []
    before: set[frozenset[str]] = set()
    for contrast in contrasts:
        pair = frozenset((contrast.arm, contrast.reference))
        if pair in before and len(pair) == 2:
            mistakes.append(
                f"the contrast of {contrast.arm!r} and {contrast.reference!r} is declared twice, "
                "and every p is corrected for both; a pair is compared once, in one direction"
            )
        before.add(pair)
    return mistakes


def mistakes_of_margin(margin: float) -> list[str]:
    """Return what keeps a margin from being one."""
    if math.isfinite(margin) and margin >= 0:
        return []
    return [f"its margin is {margin}; a margin is a finite number above 0, or 0 for none"]
