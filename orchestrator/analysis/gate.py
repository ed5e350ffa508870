"""Is HEAD proven no worse than BASE by a margin? Paired by block, one-sided, exact over seeds.

There are two claims, each tested at `ALPHA`: that a loss of the margin is ruled out
(`orchestrator.stats.equivalence`), and that there is a loss at all. So a HEAD that loses the margin
or more passes in 5 % of studies at most, and one that loses nothing is called worse in as many.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.analysis.rows import Block
from orchestrator.errors import ConfigError
from orchestrator.metrics import Metric
from orchestrator.stats import (
    ALPHA,
    PairedDifference,
    crossed_test,
    equivalence,
    pairs_for,
    pairs_needed,
    pooled_spread,
)


class GateVerdict(StrEnum):
    """What the pairs say of HEAD."""

    NOT_WORSE = "not worse"
    WORSE = "worse"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, kw_only=True)
class Gate:
    """HEAD against BASE.

    Attributes:
        verdict: Not worse by the margin, worse, or neither is proven.
        margin: A loss that would matter, in the metric's unit.
        difference: HEAD minus BASE, whose two ends each hold at `1 - ALPHA`.
        p_not_worse: One-sided p against a loss of the margin or more.
        p_worse: One-sided p against no loss.
        gain: Mean difference with the sign of the metric's direction.
        spread: Upper limit of the spread of a difference over seeds, to plan with; 0 where the
            pairs give none.
        fewest: Fewest seeds that can tell at all.
        diverged: Blocks in which HEAD diverged and BASE did not; with one, nothing is proven to be
            not worse.
    """

    verdict: GateVerdict
    margin: float
    difference: PairedDifference
    p_not_worse: float
    p_worse: float
    gain: float
    spread: float
    fewest: int
    diverged: tuple[Block, ...]

    @property
    def seeds(self) -> int | None:
        """Seeds that would tell with 80 % power at the difference seen.

        None without a spread, or beyond `orchestrator.stats.planning.MAX_PAIRS`.
        """
        return self._seeds(self.gain)

    @property
    def seeds_if_equal(self) -> int | None:
        """The same if HEAD is in truth as good as BASE."""
        return self._seeds(0.0)

    def _seeds(self, gain: float) -> int | None:
        """Return the fewest seeds that prove either claim."""
        if not self.spread:
            return None
        provable = [self.margin + gain] if self.margin + gain > 0 else []
        provable += [-gain] if gain < 0 else []
        # A one-sided test at ALPHA is the lower half of a two-sided one at twice that.
        found = (pairs_for(size, spread=self.spread, alpha=2 * ALPHA) for size in provable)
        return min((n for n in found if n is not None), default=None)


def gate(
    head: Mapping[Block, float],
    base: Mapping[Block, float],
    *,
    metric: Metric,
    margin: float,
    num_folds: int | None = None,
    diverged: Collection[Block] = (),
) -> Gate:
    """Test HEAD against BASE over the blocks that both have.

    Args:
        head: Block -> value in the metric's unit.
        base: Block -> value in the metric's unit.
        metric: Metric of the values.
        margin: A loss that would matter, above 0.
        num_folds: Folds that the clips were split into; those that occur if None.
        diverged: Blocks in which HEAD diverged and BASE finished.

    Raises:
        ConfigError: No block is in both.
    """
    blocks = [block for block in base if block in head]
    if not blocks:
        raise ConfigError(
            f"BASE and HEAD have no finished block in common: BASE has {_listed(base)}, HEAD "
            f"{_listed(head)}; train both with the same seeds and folds"
        )
    difference = crossed_test(
        {block: head[block] - base[block] for block in blocks},
        num_folds=num_folds,
        confidence=1 - 2 * ALPHA,
    )
    sign = metric.sign
    against = equivalence(
        difference.differences.values(),
        margin=margin,
        sign=sign,
        test_per_train=difference.test_per_train,
    )
    p_worse = 1.0
    if difference.p_value is not None and difference.mean:
        half = difference.p_value / 2
        p_worse = half if sign * difference.mean < 0 else 1 - half
    if against.not_worse and not diverged:
        verdict = GateVerdict.NOT_WORSE
    elif p_worse <= ALPHA:
        verdict = GateVerdict.WORSE
    else:
        verdict = GateVerdict.CANNOT_TELL
    return Gate(
        verdict=verdict,
        margin=margin,
        difference=difference,
        p_not_worse=against.p_not_worse,
        p_worse=p_worse,
        gain=sign * difference.mean,
        spread=_spread(difference),
        # Several folds need as many whole seeds as the test of no difference, which they are
        # averaged for.
        fewest=pairs_needed(alpha=2 * ALPHA) if difference.replicate != "fold" else pairs_needed(),
        diverged=tuple(diverged),
    )


def _spread(difference: PairedDifference) -> float:
    """Return the upper limit of the spread over seeds; 0 where it is not known."""
    values = list(difference.differences.values())
    if difference.replicate == "fold" or len(values) < 2:
        return 0.0
    return pooled_spread([values], [{"head": 1.0, "base": -1.0}]).upper


def _listed(values: Mapping[Block, float]) -> str:
    return ", ".join(f"seed {seed} fold {fold}" for seed, fold in values) or "none"
