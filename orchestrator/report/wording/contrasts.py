"""Sentences about contrasts that claim only what the numbers support."""

from __future__ import annotations

import math
import statistics

from orchestrator.analysis.evidence import Evidence
from orchestrator.metrics import Metric
from orchestrator.report.wording.numbers import decimals, end_text, number, p_text
from orchestrator.stats import (
    ALPHA,
    CrossedInterval,
    Equivalence,
    MeanInterval,
    PairedDifference,
    Verdict,
    pairs_needed,
    smallest_p,
)

AT_CHANCE = " None of these arms beats chance, so this says nothing of which is better."


def unit_of_difference(metric: Metric) -> str:
    """Return the unit of a difference, which is points for percentages."""
    return "points" if metric.unit == "%" else metric.unit


def with_unit(text: str, metric: Metric) -> str:
    """Return a written difference with its unit, singular after a plain 1."""
    unit = unit_of_difference(metric)
    one = text.lstrip("+\N{MINUS SIGN}-") == "1" and len(unit) > 1
    return f"{text} {unit.removesuffix('s') if one else unit}".rstrip()


def scope_words(difference: PairedDifference) -> str:
    """Name what a paired difference, its interval and its p hold for."""
    return "for other clips" if difference.test_per_train else "for other seeds on these clips"


def half_width(interval: MeanInterval | None) -> float | None:
    """Return half of an interval's width; None without a spread.

    A few replicates that tie, as accuracies over few clips do, say nothing about the spread.
    """
    if interval is None or interval.low is None or interval.high is None:
        return None
    if interval.half_width is None:
        return None
    rounding = 1e-9 * max(abs(interval.low), abs(interval.high))
    return interval.half_width if interval.half_width > rounding else None


def places_of(difference: PairedDifference | None) -> int:
    """Return the number of decimals that a difference supports.

    Where too few pairs have no interval, two standard errors stand for its half width.
    """
    half = half_width(difference)
    if half is None and difference is not None and difference.n > 1:
        values = difference.differences.values()
        half = 2 * statistics.stdev(values) / math.sqrt(difference.n)
    return decimals(half)


def places_of_level(interval: CrossedInterval | None, metric: Metric) -> int:
    """Return the number of decimals that an arm's own level supports.

    Two values, which have no interval, are listed at least as precisely as a single one, and so
    precisely that their difference shows.
    """
    default = 1 if metric.unit == "%" else 3
    half = half_width(interval)
    if half is None and interval is not None and interval.n == 2 and not interval.is_flat:
        return max(default, decimals(max(interval.values) - min(interval.values)))
    return decimals(half, default=default)


def comparison_sentence(arm: str, reference: str, evidence: Evidence) -> str:
    """Describe in a few sentences what a comparison shows.

    Args:
        arm: Name of the arm, or of what several arms have in common.
        reference: Name of the other side.
        evidence: Evidence for arm minus reference.
    """
    difference, metric, verdict = evidence.difference, evidence.metric, evidence.verdict
    if difference is None:
        return f"{arm} against {reference}: no block has finished in both, so nothing can be said."
    places, scope = places_of(difference), scope_words(difference)
    mean = with_unit(number(difference.mean, places, signed=True), metric)
    if difference.n == 1:
        return (
            f"{arm} against {reference}: {mean} of "
            f"{metric.title} in the only pair; one pair has no interval and no test, so nothing "
            "can be said."
        )
    flip = -1 if difference.mean < 0 and evidence.called else 1
    more = remarks(evidence, difference, flip)
    if evidence.decided and evidence.turned:
        return (
            f"{arm} was called {verdict} than {reference} by block {evidence.decided.looked} "
            f"({p_words(evidence, difference)}), which stays; over all "
            f"{difference.n} blocks the mean is {mean} of {metric.title} {scope} "
            f"({interval_words(evidence, difference, places, 1)}, "
            f"{count_words(evidence, difference)}).{more}"
        )
    if evidence.called and difference.num_equal == difference.n and evidence.tie_break:
        return (
            f"{arm} is {verdict} than {reference} by {evidence.tie_break.title} alone {scope}: "
            f"equal in {metric.title} in all {difference.n} pairs "
            f"({evidence_words(evidence, difference, places, 1)}).{more}"
        )
    if evidence.called:
        verb = "helps" if verdict is Verdict.BETTER else "hurts"
        return (
            f"{arm} {verb} by {with_unit(number(abs(difference.mean), places), metric)} of "
            f"{metric.title} against {reference} {scope} "
            f"({evidence_words(evidence, difference, places, flip)}).{more}"
        )
    if difference.p_value is None:
        return (
            f"{arm} against {reference}: {mean} of {metric.title} in each of "
            f"{difference.n} {difference.replicate}s; equal differences have no "
            "spread to test them against, so nothing can be said."
        )
    shown = evidence_words(evidence, difference, places, 1)
    first = could_not(evidence, difference, f"{arm} against {reference}")
    if not any(difference.differences.values()):
        where = "" if difference.test_per_train else " on these clips"
        text = f"{arm} equals {reference} in all {difference.n} pairs{where} ({shown})"
        if verdict is Verdict.UNDECIDED:
            text = (
                f"{arm} is not yet decided against {reference} {scope}: equal in all "
                f"{difference.n} pairs so far ({shown})"
            )
    elif first:
        text = f"{mean} of {metric.title} {scope} ({shown})"
    else:
        raw = difference.p_value is not None and difference.p_value <= ALPHA
        after = " after correction" if raw else ""
        relation = "not distinguishable from"
        if verdict is Verdict.UNDECIDED:
            relation, after = "not yet decided against", ""
        text = f"{arm} is {relation} {reference}{after}: {mean} of {metric.title} {scope} ({shown})"
        if bounds := ruled_out(evidence, difference):
            text += f"; the data rule out {bounds}"
    return f"{first}{text}.{more}"


def ruled_out(evidence: Evidence, difference: PairedDifference) -> str:
    """Name the differences on either side that the interval rules out; empty without one."""
    low, high = difference.low, difference.high
    if evidence.at_chance or half_width(difference) is None or low is None or high is None:
        return ""
    places = places_of(difference)
    above, below = (end_text(end, places, signed=True) for end in (high, low))
    return f"differences above {above} and below {with_unit(below, evidence.metric)}"


def equivalence_sentence(equivalence: Equivalence, *, metric: Metric) -> str:
    """Describe the result against the margin that was declared beforehand."""
    within = with_unit(f"{equivalence.margin:g}", metric)
    test, scope = "sign-flip", "for other seeds on these clips"
    if "corrected" in equivalence.test_method:
        test, scope = "corrected resampled t", "for other clips"
    if equivalence.equivalent:
        return (
            f"Equivalent within {within} {scope} (two one-sided {test} tests, p "
            f"{p_text(equivalence.p_equivalent)} uncorrected)."
        )
    claim = "It is" if equivalence.not_worse else "Not shown to be"
    return (
        f"{claim} no worse by more than {within} {scope} (one-sided {test} test, p "
        f"{p_text(equivalence.p_not_worse)} uncorrected)."
    )


def evidence_words(evidence: Evidence, difference: PairedDifference, places: int, flip: int) -> str:
    """Return interval, p and n for the parentheses of a sentence.

    Args:
        evidence: Evidence to describe.
        difference: Difference of the evidence, which must exist.
        places: Number of decimals.
        flip: -1 if the sentence states a loss as a positive number.
    """
    return (
        f"{interval_words(evidence, difference, places, flip)}, {p_words(evidence, difference)}, "
        f"{count_words(evidence, difference)}"
    )


def interval_words(evidence: Evidence, difference: PairedDifference, places: int, flip: int) -> str:
    """Return the interval with its bounds in order; arguments as in `evidence_words`."""
    level = f"{100 * difference.confidence:g} %"
    if difference.low is None or difference.high is None:
        if evidence.called and not evidence.decided:
            return f"no {level} interval beside the other comparisons"
        pairs = evidence.decided.n if evidence.decided else difference.n
        return f"no {level} interval from {pairs} pairs"
    if half_width(difference) is None:
        return "equal differences have no spread to make an interval from"
    low, high = sorted(flip * end for end in (difference.low, difference.high))
    texts = [end_text(end, places) for end in (low, high)]
    if evidence.called and not low:
        texts[0] = f"above {texts[0]}"
    if evidence.called and not high:
        texts[1] = f"below {texts[1]}"
    return f"{level} {difference.interval_method} {texts[0]} to {texts[1]}"


def p_words(evidence: Evidence, difference: PairedDifference) -> str:
    """Return p, and adjusted p if several comparisons were declared."""
    adjusted = f", adjusted {p_text(evidence.adjusted_p)}" if evidence.num_declared > 1 else ""
    return f"p {p_text(difference.p_value)}{adjusted}"


def count_words(evidence: Evidence, difference: PairedDifference) -> str:
    """Return n, the planned number if larger, and the counted unit if it is not blocks."""
    short = evidence.num_planned is not None and evidence.num_planned > difference.n
    planned = f" of {evidence.num_planned}" if short else ""
    what = f" {difference.replicate}s" if difference.reason else ""
    return f"n {difference.n}{planned}{what}"


def could_not(evidence: Evidence, difference: PairedDifference, subject: str) -> str:
    """Say that nothing could have been called, whatever came out; empty where that is not sure.

    The smallest attainable p is a bound: beside other contrasts, a contrast below it may have been
    out of reach, too, and is then said to be not distinguishable.
    """
    least, smallest, n = evidence.smallest_adjusted_p, difference.smallest_p, difference.n
    if least <= ALPHA or evidence.called:
        return ""
    tied, pairs = difference.num_tied, n - difference.num_tied
    if tied == n:  # said in other words
        if n >= pairs_needed():
            return ""
        tied, pairs, smallest = 0, n, smallest_p(n)
    adjusted = f" ({p_text(least)} adjusted)" if smallest * (1 + 1e-9) < least < 1 else ""
    needed = f"that takes {pairs_needed()} {difference.replicate}s at least"
    if smallest <= ALPHA:
        needed = "the other contrasts need a test, too"
    why = f"with n {pairs}"
    if tied:
        why = f"{tied} of {n} pairs are tied, and with the other {pairs}"
        needed += " that are not tied" * (smallest > ALPHA)
    return (
        f"{subject} could not have been called, whatever came out: {why} the smallest attainable "
        f"p is 2/2^{pairs} = {p_text(smallest)}{adjusted}; {needed}. "
    )


def remarks(evidence: Evidence, difference: PairedDifference, flip: int) -> str:
    """Explain the limits of a sentence: its ties, its scope, p from other blocks, arms at chance.

    Arguments as in `evidence_words`.
    """
    remark, decided = tie_words(evidence, difference), evidence.decided
    remark += recordings_words(evidence, flip)
    if decided and difference.n > decided.n:
        remark += (
            f" p and interval rest on {_first_blocks(decided.n)}, since block {decided.n + 1} is "
            f"not whole; mean and n are of all {difference.n} blocks that have what is compared."
        )
    return remark + (AT_CHANCE if evidence.at_chance else "")


def tie_words(evidence: Evidence, difference: PairedDifference) -> str:
    """Say that the metric that breaks ties decides the call, and how; empty where it does not."""
    if not evidence.tie_break_decides or evidence.tie_break is None:
        return ""
    title, metric = evidence.tie_break.title, evidence.metric.title
    tied = f"sums of pairs tie in {metric} and are ordered by it"
    if equal := difference.num_equal:
        tied = f"{equal} of {difference.n} pairs are tied in {metric} and ordered by it"
    adjusted = "adjusted " * (evidence.num_declared > 1)
    return (
        f" {title[0].upper()}{title[1:]} decides this: {tied}; {metric} alone has {adjusted}p "
        f"{p_text(evidence.with_ties)}."
    )


def recordings_words(evidence: Evidence, flip: int) -> str:
    """Say what the comparison shows on other recordings, too; empty if that is not known.

    Args:
        evidence: Evidence to describe.
        flip: See `evidence_words`.
    """
    found = evidence.over_recordings
    if found is None or found.low is None or found.high is None or half_width(found) is None:
        return ""
    places = places_of(evidence.difference)
    low, high = (end_text(end, places) for end in sorted((flip * found.low, flip * found.high)))
    shown = ""
    if evidence.called:
        shown = (
            ", so it is not shown there"
            if found.low <= 0 <= found.high
            else ", so it is shown there, too"
        )
    return (
        f" For other seeds and other recordings the interval is {low} to {high}{shown}; more "
        f"{' or '.join(found.narrowed_by)} would narrow it most."
    )


def _first_blocks(count: int) -> str:
    if not count:
        return "no block"
    return "the first block" if count == 1 else f"the first {count} blocks"
