"""From blocks of seeds and folds to replicates; `orchestrator.stats.folds` says why."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from orchestrator.stats.family import pairs_needed
from orchestrator.stats.values import finite

Seed = TypeVar("Seed", bound=Hashable)
Fold = TypeVar("Fold", bound=Hashable)


@dataclass(frozen=True, kw_only=True)
class Replicates:
    """What counts as one of the n, after blocks of seeds and folds were averaged.

    Attributes:
        values: replicate -> mean over what it holds.
        replicate: `seed` or `fold`.
        test_per_train: test clips over training clips where replicates are folds, which share
            training clips; 0 where they are independent.
        reason: why blocks were not taken as they come; empty where they were.
    """

    values: Mapping[Any, float]
    replicate: str
    test_per_train: float = 0.0
    reason: str = ""


def replicates_of(
    found: Mapping[tuple[Seed, Fold], float],
    *,
    num_folds: int | None = None,
    num_contrasts: int = 1,
) -> Replicates:
    """Average blocks of (seed, fold) to what may count as a replicate.

    One fold: seeds are the replicates. Several folds: seed means over the folds, if there are
    enough complete seeds for the sign-flip test to call one of the contrasts; otherwise fold means
    over the seeds, which share training clips. The choice looks at counts and never at values.
    Only seeds and folds that are complete are averaged, as many blocks as that can keep, since a
    mean over other folds is not comparable.

    Args:
        found: (seed, fold) -> value.
        num_folds: into how many folds the clips were split; those that occur where None.
        num_contrasts: how many were declared, for what "enough seeds" means.

    Raises:
        ValueError: there is no block, a value is not finite, or more folds occur than the clips
            were split into.
    """
    finite(found.values())
    seeds = list(dict.fromkeys(own for own, _ in found))
    folds = list(dict.fromkeys(fold for _, fold in found))
    split_into = len(folds) if num_folds is None else num_folds
    if split_into < len(folds):
        raise ValueError(f"{len(folds)} folds occur, but the clips were split into {split_into}")
    if len(folds) == 1:
        return Replicates(values=dict(found), replicate="seed")
    complete = [s for s in seeds if all((s, fold) in found for fold in folds)]
    if len(complete) >= pairs_needed(num_contrasts):
        return Replicates(
            values={s: math.fsum(found[s, fold] for fold in folds) / len(folds) for s in complete},
            replicate="seed",
            reason=f"{_left_out(seeds, complete, 'seed')}each of the {len(complete)} seeds is "
            f"averaged over the {len(folds)} folds, which share training clips; the result holds "
            "for other seeds on these clips",
        )
    kept_seeds, kept_folds = _largest_complete(found, seeds, folds, complete)
    left_out = _left_out(seeds, kept_seeds, "seed") + _left_out(folds, kept_folds, "fold")
    averaged = f", each averaged over {len(kept_seeds)} seeds," if len(kept_seeds) > 1 else ""
    return Replicates(
        values={
            f: math.fsum(found[s, f] for s in kept_seeds) / len(kept_seeds) for f in kept_folds
        },
        replicate="fold",
        test_per_train=1 / (split_into - 1),
        reason=f"{left_out}the {len(kept_folds)} folds{averaged} share training clips, so their "
        "variance is widened (Nadeau and Bengio 2003)",
    )


def _largest_complete(
    found: Mapping[tuple[Seed, Fold], float],
    seeds: Sequence[Seed],
    folds: Sequence[Fold],
    complete: Sequence[Seed],
) -> tuple[Sequence[Seed], Sequence[Fold]]:
    """Return seeds and folds that all have each other, of the ways to choose the fullest."""
    whole = [fold for fold in folds if all((s, fold) in found for s in seeds)]
    own = {s: [fold for fold in folds if (s, fold) in found] for s in seeds}
    fullest = max(seeds, key=lambda s: len(own[s]))
    ways = ((complete, folds), (seeds, whole), ([fullest], own[fullest]))
    return max(ways, key=lambda way: len(way[0]) * len(way[1]))


def _left_out(every: Sequence[Hashable], kept: Sequence[Hashable], what: str) -> str:
    missing = len(every) - len(kept)
    return f"{missing} incomplete {what}{'s' * (missing > 1)} left out; " if missing else ""
