"""Sentences about contrasts that say what the numbers carry, and nothing else."""

from __future__ import annotations

from orchestrator.analysis.sequential import remarks, turned
from orchestrator.metrics import Metric
from orchestrator.report.wording.numbers import decimals, number, p_text
from orchestrator.stats import (
    ALPHA,
    Equivalence,
    MeanInterval,
    PairedDifference,
    Sequential,
    Verdict,
    pairs_needed,
)

AT_CHANCE = " None of these arms beats chance, so this says nothing of which is better."


def unit_of_difference(metric: Metric) -> str:
    """Return the unit of a difference: percentages differ by points."""
    return "points" if metric.unit == "%" else metric.unit


def with_unit(text: str, metric: Metric) -> str:
    """Return a written difference with its unit, in the singular behind a plain 1."""
    unit = unit_of_difference(metric)
    one = text.lstrip("+\N{MINUS SIGN}-") == "1" and len(unit) > 1
    return f"{text} {unit.removesuffix('s') if one else unit}".rstrip()


def half_width(found: MeanInterval | None) -> float | None:
    """Return half of an interval's width; None where equal values have no spread to make one.

    A few replicates that tie, as accuracies over few clips do, say nothing of how others vary.
    """
    if found is None or found.low is None or found.high is None or found.half_width is None:
        return None
    rounding = 1e-9 * max(abs(found.low), abs(found.high))
    return found.half_width if found.half_width > rounding else None


def sentence(
    arm: str,
    reference: str,
    difference: PairedDifference | None,
    *,
    metric: Metric,
    verdict: Verdict,
    adjusted_p: float | None,
    smallest_adjusted_p: float,
    num_contrasts: int = 1,
    num_planned: int | None = None,
    decided: Sequential | None = None,
    at_chance: bool = False,
) -> str:
    """Say in a few sentences what a contrast shows.

    Args:
        arm: name of the arm.
        reference: name of the arm it is compared with.
        difference: arm minus reference in the metric's unit; None where no block has both.
        metric: what is compared.
        verdict: from `orchestrator.stats.verdict`.
        adjusted_p: after Holm's correction over the declared contrasts.
        smallest_adjusted_p: the least that these numbers of pairs could have given.
        num_contrasts: how many were declared.
        num_planned: planned pairs, or the most of a study until decided; said where fewer are
            there.
        decided: how a study until decided came to its verdict; None for any other.
        at_chance: neither arm beats chance, so nothing is ruled out.
    """
    if difference is None:
        return f"{arm} against {reference}: no block has finished in both, so nothing can be said."
    places = decimals(half_width(difference))
    mean = with_unit(number(difference.mean, places, signed=True), metric)
    if difference.n == 1:
        return (
            f"{arm} against {reference}: {mean} of "
            f"{metric.title} in the only pair; one pair has no interval and no test, so nothing "
            "can be said."
        )
    more = remarks(decided, difference, verdict) + (AT_CHANCE if at_chance else "")
    if decided and turned(difference, verdict, sign=metric.sign):
        return (
            f"{arm} was called {verdict} than {reference} by block {decided.looked} "
            f"({p_words(difference, adjusted_p, num_contrasts)}), which stays; over all "
            f"{difference.n} blocks the mean is {mean} of {metric.title} "
            f"({interval_words(difference, places, 1)}, "
            f"{count_words(difference, num_planned)}).{more}"
        )
    if verdict in (Verdict.BETTER, Verdict.WORSE):
        flip = -1 if difference.mean < 0 else 1
        verb = "helps" if verdict is Verdict.BETTER else "hurts"
        return (
            f"{arm} {verb} by {with_unit(number(abs(difference.mean), places), metric)} of "
            f"{metric.title} against {reference} "
            f"({evidence(difference, places, adjusted_p, num_contrasts, num_planned, flip)}).{more}"
        )
    if difference.p_value is None:
        return (
            f"{arm} against {reference}: {mean} of {metric.title} in each of "
            f"{difference.n} {difference.replicate}s; equal differences have no "
            "spread to test them against, so nothing can be said."
        )
    shown = evidence(difference, places, adjusted_p, num_contrasts, num_planned, 1)
    if not any(difference.differences.values()):
        said = f"{arm} equals {reference} in all {difference.n} pairs ({shown})"
        if verdict is Verdict.UNDECIDED:
            said = (
                f"{arm} is not yet decided against {reference}: equal in all {difference.n} pairs "
                f"so far ({shown})"
            )
    else:
        raw = difference.p_value is not None and difference.p_value <= ALPHA
        after = " after correction" if raw else ""
        relation = "not distinguishable from"
        if verdict is Verdict.UNDECIDED:
            relation, after = "not yet decided against", ""
        said = f"{arm} is {relation} {reference}{after}: {mean} of {metric.title} ({shown})"
        low, high = difference.low, difference.high
        if not at_chance and half_width(difference) and low is not None and high is not None:
            bound = max(abs(low), abs(high))
            said += "; the data rule out differences larger than "
            said += with_unit(number(bound, places), metric)
    return f"{said}.{too_few(difference, smallest_adjusted_p, num_contrasts)}{more}"


def equivalence_sentence(found: Equivalence, *, metric: Metric) -> str:
    """Say what the differences show against a margin that was declared beforehand."""
    within = with_unit(f"{found.margin:g}", metric)
    test = "corrected resampled t" if "corrected" in found.test_method else "sign-flip"
    if found.equivalent:
        return (
            f"Equivalent within {within} (two one-sided {test} tests, p "
            f"{p_text(found.p_equivalent)} uncorrected)."
        )
    said = "It is" if found.not_worse else "Not shown to be"
    return (
        f"{said} no worse by more than {within} (one-sided {test} test, p "
        f"{p_text(found.p_not_worse)} uncorrected)."
    )


def evidence(
    difference: PairedDifference,
    places: int,
    adjusted_p: float | None,
    num_contrasts: int,
    num_planned: int | None,
    flip: int,
) -> str:
    """Return interval, p and n, as they stand in brackets.

    Args:
        difference: whose.
        places: decimals.
        adjusted_p: after Holm's correction.
        num_contrasts: how many were declared.
        num_planned: replicates; said where fewer are there.
        flip: -1 where the sentence names a loss as a positive number.
    """
    return (
        f"{interval_words(difference, places, flip)}, "
        f"{p_words(difference, adjusted_p, num_contrasts)}, {count_words(difference, num_planned)}"
    )


def interval_words(difference: PairedDifference, places: int, flip: int) -> str:
    """Return the interval with its bounds in order; `flip` as in `evidence`."""
    if half_width(difference) is None:
        return "equal differences have no spread to make an interval from"
    bounds = sorted(flip * b for b in (difference.low, difference.high) if b is not None)
    low, high = (number(bound, places) for bound in bounds)
    return f"{100 * difference.confidence:g} % {difference.interval_method} {low} to {high}"


def p_words(difference: PairedDifference, adjusted_p: float | None, num_contrasts: int) -> str:
    """Return p, and the adjusted one where several were declared."""
    adjusted = f", adjusted {p_text(adjusted_p)}" if num_contrasts > 1 else ""
    return f"p {p_text(difference.p_value)}{adjusted}"


def count_words(difference: PairedDifference, num_planned: int | None) -> str:
    """Return n, what was planned where it is more, and what is counted where it is not blocks."""
    short = num_planned is not None and num_planned > difference.n
    planned = f" of {num_planned}" if short else ""
    what = f" {difference.replicate}s" if difference.reason else ""
    return f"n {difference.n}{planned}{what}"


def too_few(difference: PairedDifference, smallest_adjusted_p: float, num_contrasts: int) -> str:
    """Say that so few replicates could have called nothing; empty where they could."""
    if smallest_adjusted_p <= ALPHA:
        return ""
    n = difference.n
    family = f" and {num_contrasts} contrasts" if num_contrasts > 1 else ""
    adjusted = f" ({p_text(smallest_adjusted_p)} adjusted)" if num_contrasts > 1 else ""
    return (
        f" With n {n}{family} the smallest attainable p is 2/2^{n} = "
        f"{p_text(difference.smallest_p)}{adjusted}, so nothing could be called; "
        f"that takes {pairs_needed(num_contrasts)} {difference.replicate}s at least."
    )
