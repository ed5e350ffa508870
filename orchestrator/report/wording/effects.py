"""Sentences about main effects and interactions of a factorial design."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.analysis.sequential import remarks, turned
from orchestrator.metrics import Metric
from orchestrator.records import EffectRecord
from orchestrator.report.wording.contrasts import (
    AT_CHANCE,
    count_words,
    evidence,
    half_width,
    interval_words,
    p_words,
    sentence,
    too_few,
    with_unit,
)
from orchestrator.report.wording.numbers import decimals, number
from orchestrator.stats import ALPHA, PairedDifference, Sequential, Verdict


def effect_sentence(
    effect: EffectRecord,
    difference: PairedDifference | None,
    *,
    others: Sequence[str],
    metric: Metric,
    verdict: Verdict,
    adjusted_p: float | None,
    smallest_adjusted_p: float,
    num_contrasts: int,
    num_planned: int | None = None,
    decided: Sequential | None = None,
    at_chance: bool = False,
) -> str:
    """Say in a few sentences what an effect shows, and what it cannot be told from.

    Args:
        effect: as declared.
        difference: its weighted sum within blocks; None where no block has all of its arms.
        others: the factors of the design that it is averaged over.
        metric: what is compared.
        verdict: what may be said.
        adjusted_p: after Holm's correction over all that was declared.
        smallest_adjusted_p: the least that these numbers of blocks could have given.
        num_contrasts: how many contrasts and effects were declared.
        num_planned: planned replicates; said where fewer are there.
        decided: how a study until decided came to its verdict; None for any other.
        at_chance: none of its arms beats chance, so nothing is ruled out.
    """
    aliased = ""
    if effect.aliases:
        aliased = f" In this fraction it cannot be told from {' or '.join(effect.aliases)}."
    mean_over = f" (mean over {' and '.join(others)})" if others else ""
    if len(effect.factors) == 1:
        first, second = _settings(effect)[0]
        said = sentence(
            second + mean_over,
            first,
            difference,
            metric=metric,
            verdict=verdict,
            adjusted_p=adjusted_p,
            smallest_adjusted_p=smallest_adjusted_p,
            num_contrasts=num_contrasts,
            num_planned=num_planned,
            decided=decided,
            at_chance=at_chance,
        )
        return said + aliased
    if difference is None:
        return (
            f"{_subject(effect)}: no block has finished in all of the {len(effect.weights)} arms, "
            f"so nothing can be said.{aliased}"
        )
    if difference.n == 1 or difference.p_value is None:
        what = "the only block" if difference.n == 1 else f"each of {difference.n} blocks"
        return (
            f"{_subject(effect)}: {_more(effect, difference, metric)}{mean_over} in "
            f"{what}; that has no spread to test it against, so nothing can be said.{aliased}"
        )
    more = remarks(decided, difference, verdict) + (AT_CHANCE if at_chance else "")
    places = decimals(half_width(difference))
    called = verdict in (Verdict.BETTER, Verdict.WORSE)
    # Where the size is said without its sign, the interval's bounds turn with it.
    flip = -1 if difference.mean < 0 and (called or len(effect.factors) == 2) else 1
    shown = evidence(difference, places, adjusted_p, num_contrasts, num_planned, flip)
    if decided and turned(difference, verdict, sign=metric.sign):
        how = "help" if verdict is Verdict.BETTER else "hinder"
        return (
            f"{_joined(effect)} were called to {how} each other by block "
            f"{decided.looked} ({p_words(difference, adjusted_p, num_contrasts)}), "
            f"which stays; over all {difference.n} blocks the interaction is "
            f"{_amount(difference.mean, difference, metric, signed=True)} of {metric.title}"
            f"{mean_over} ({interval_words(difference, places, 1)}, "
            f"{count_words(difference, num_planned)}).{more}{aliased}"
        )
    if called:
        how = "help" if verdict is Verdict.BETTER else "hinder"
        size = _amount(abs(difference.mean), difference, metric)
        said = f"{_joined(effect)} {how} each other by {size} of {metric.title} ({shown})"
        if len(effect.factors) == 2:
            said += f": {_more(effect, difference, metric)}"
        said += mean_over
    else:
        raw = difference.p_value <= ALPHA and verdict is not Verdict.UNDECIDED
        state = "is not yet decided" if verdict is Verdict.UNDECIDED else "is not distinguishable"
        said = (
            f"{_subject(effect)} {state} from none{' after correction' if raw else ''}: "
            f"{_more(effect, difference, metric)}{mean_over} ({shown})"
        )
        low, high = difference.low, difference.high
        if not at_chance and half_width(difference) and low is not None and high is not None:
            bound = max(abs(low), abs(high))
            said += f"; the data rule out more than {_amount(bound, difference, metric)}"
    return f"{said}.{too_few(difference, smallest_adjusted_p, num_contrasts)}{more}{aliased}"


def _settings(effect: EffectRecord) -> list[tuple[str, str]]:
    """Return first and second level per factor, with the factor's name where a level needs it."""
    every = [level for pair in effect.levels.values() for level in pair]

    def named(factor: str, level: str) -> str:
        clear = every.count(level) == 1 and any(c.isalpha() for c in level)
        return level if clear else f"{factor} {level}"

    return [
        (named(factor, pair[0]), named(factor, pair[1])) for factor, pair in effect.levels.items()
    ]


def _joined(effect: EffectRecord) -> str:
    seconds = [second for _, second in _settings(effect)]
    return f"{', '.join(seconds[:-1])} and {seconds[-1]}"


def _subject(effect: EffectRecord) -> str:
    return f"The interaction of {_joined(effect)}"


def _more(effect: EffectRecord, difference: PairedDifference, metric: Metric) -> str:
    """Say what the weighted sum is, for two factors as the difference of differences."""
    settings = _settings(effect)
    if len(settings) > 2:
        return f"{_amount(difference.mean, difference, metric, signed=True)} of {metric.title}"
    (without, with_), (first, second) = settings
    size = _amount(abs(difference.mean), difference, metric)
    # Of a change, which may itself be a fall, only higher and lower are clear.
    return (
        f"the change of {metric.title} from {without} to {with_} is {size} "
        f"{'lower' if difference.mean < 0 else 'higher'} with {second} than with {first}"
    )


def _amount(
    value: float, difference: PairedDifference, metric: Metric, *, signed: bool = False
) -> str:
    places = decimals(half_width(difference))
    return with_unit(number(value, places, signed=signed), metric)
