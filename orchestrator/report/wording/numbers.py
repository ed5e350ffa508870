"""Number formats with no more digits than the spread supports."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Sequence

from orchestrator.stats import ALPHA
from orchestrator.terminal.text import HARD_SPACE

MINUS = "−"
NONE = "—"
MOST_PLACES = 9
POINT_SPACE, DIGIT_SPACE = "\u2008", "\u2007"
"""Spaces as wide as a decimal point and a digit."""


def decimals(half_width: float | None, *, default: int = 1, most: int = 4) -> int:
    """Return the number of decimals that an uncertainty supports.

    The rule of the Particle Data Group (Review of Particle Physics, section 5.3): two significant
    digits of the uncertainty if its first three are 100 to 354, one if they are 355 to 949, and two
    after rounding up beyond that.

    Args:
        half_width: Half width of the interval, in the number's unit.
        default: Result without an interval, or with one of zero width.
        most: Maximum.
    """
    if half_width is None or not math.isfinite(half_width) or half_width <= 0:
        return default
    exponent = math.floor(math.log10(half_width))
    lead = round(half_width / 10.0**exponent * 100)
    if lead >= 1000:
        exponent, lead = exponent + 1, 100
    if lead >= 950:
        exponent, lead = exponent + 1, 100
    return min(most, max(0, (1 if lead <= 354 else 0) - exponent))


def number(value: float | None, places: int, *, signed: bool = False) -> str:
    """Write a number with a true minus; `signed` adds a plus above zero."""
    if value is None:
        return NONE
    text = f"{abs(value):.{places}f}"
    if float(text) == 0:
        return text
    return (MINUS if value < 0 else "+" if signed else "") + text


def end_text(value: float, places: int, *, signed: bool = False) -> str:
    """Write an end of an interval, with more digits where rounding would move it to 0."""
    while value and places < MOST_PLACES and float(f"{value:.{places}f}") == 0:
        places += 1
    return number(value, places, signed=signed)


def bracket(low: float, high: float, places: int, *, called: bool) -> str:
    """Write an interval as `[low, high]`; a round bracket stands where 0 is left out.

    Args:
        low: Lower end.
        high: Upper end.
        places: Number of decimals.
        called: Whether the difference was called, so that an end of 0 is no part of the interval.
    """
    left, right = "(" if called and not low else "[", ")" if called and not high else "]"
    return f"{left}{end_text(low, places)}, {end_text(high, places)}{right}"


def p_text(p_value: float | None) -> str:
    """Write a p value with two digits, or more if rounding would reach the decision line."""
    if p_value is None:
        return NONE
    if p_value < 0.0001:
        return "<0.0001"
    if p_value >= 0.9995:
        return "1"
    if p_value >= 0.995:
        return f"{p_value:.3f}"
    text = f"{p_value:.2f}" if p_value >= 0.0995 else f"{p_value:.2g}"
    for digits in range(3, 12):
        if (float(text) <= ALPHA) == (p_value <= ALPHA):
            break
        text = f"{p_value:.{digits}g}"
    return text


def quantity(value: float | None) -> str:
    """Write a count with three digits and k, M, G or T; a dash for None."""
    if not value:
        return NONE
    for limit, suffix in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= limit * 0.9995:
            return f"{_three(value / limit)}{suffix}"
    return _three(value)


def duration(seconds: float | None) -> str:
    """Write a duration in a readable unit."""
    if not seconds:
        return NONE
    one, unit = _unit(seconds)
    return f"{_three(seconds / one)} {unit}"


def durations(column: Sequence[float | None]) -> list[str]:
    """Write the durations of a column in one unit with one precision; a dash for None.

    The middle duration decides, which gets three digits.
    """
    known = [seconds for seconds in column if seconds]
    one, unit = _unit(statistics.median_high(known)) if known else (1, "s")
    texts = rates([seconds and seconds / one for seconds in column])
    return [text if text == NONE else f"{text} {unit}" for text in texts]


def rates(column: Sequence[float | None]) -> list[str]:
    """Write measured values of a column, of which the middle one gets three digits."""
    known = [value for value in column if value]
    middle = statistics.median_high(known) if known else 1.0
    places = max(0, 2 - math.floor(math.log10(middle)))
    if any(not float(f"{value:.{places}f}") for value in known):  # too far apart for one precision
        return [_three(value) if value else NONE for value in column]
    return [number(value, places) if value else NONE for value in column]


def _unit(seconds: float) -> tuple[int, str]:
    """Return a readable unit of a duration, in seconds, and its name."""
    for limit, one, unit in ((172_800, 86_400, "d"), (7_200, 3_600, "h"), (120, 60, "min")):
        if seconds >= limit:
            return one, unit
    return 1, "s"


def tie(text: str) -> str:
    """Keep `95 %`, `p 0.03` and `n 8` on one line with non-breaking spaces."""
    return re.sub(r"(?<=\d) (?=%)|(?<=\b[pn]) (?=[\d<])", HARD_SPACE, text)


def digit_spaces(text: str) -> str:
    """Replace the padding of an aligned number by spaces as wide as digits and points.

    Marks after the number do not matter: `97† ` ends as wide as `95.6†`.
    """
    text = re.sub(
        r"(?<![.\d])(\d+[^\w\s.%]*)( {2,})(?= [±\[(]|$)",
        lambda match: match[1] + POINT_SPACE + DIGIT_SPACE * (len(match[2]) - 1),
        text,
    )
    # A number without an interval in a column with intervals.
    text = re.sub(
        r"(?<=\d)( {4,})$", lambda match: POINT_SPACE + DIGIT_SPACE * (len(match[1]) - 1), text
    )
    text = re.sub(r"(?<=\d) (?=[A-Za-z±])| (?=[±\[(])|(?<=,) ", HARD_SPACE, text)
    return text.replace(" ", DIGIT_SPACE)


def align(texts: Sequence[str]) -> list[str]:
    """Pad numbers with spaces to align their decimal points.

    A text without digits (a dash or empty) ends where the integers end.
    """
    heads = [_split(text)[0] for text in texts]
    tails = [_split(text)[1] for text in texts]
    head, tail = max(map(len, heads), default=0), max(map(len, tails), default=0)
    return [h.rjust(head) + t.ljust(tail) for h, t in zip(heads, tails, strict=True)]


def _split(text: str) -> tuple[str, str]:
    digits = next((i for i, c in enumerate(text) if c.isdigit()), len(text))
    end = digits
    while end < len(text) and text[end].isdigit():
        end += 1
    return text[:end], text[end:]


def _three(value: float) -> str:
    """Write three significant digits without an exponent."""
    if value >= 99.95:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"
