r"""A LaTeX macro for every number of the report, so that papers quote measured values.

After `\input{numbers.tex}`, `\AdaptorLambdaNoAdaptorTopOneMean` is the mean of the arm `no adaptor`
of the sweep `adaptor_lambda`. Names come from the sweep, the arm and the metric, not from positions
in the table, so that a new arm changes no other name. Names that letters cannot express (`基线`) or
distinguish (`Model a`, `model A`) end in five letters derived from the whole name: a text that
quoted the first of two such arms stops compiling when the second is added, and never quotes the
wrong one. Two sweeps whose combined names collide (`a`, arm `c d`; `a_c`, arm `d`) do not compile
in one text.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator

from orchestrator.analysis.evidence import Evidence
from orchestrator.analysis.rows import ArmSummary, Measure
from orchestrator.analysis.summary import Summary
from orchestrator.report.render.latex import escape
from orchestrator.report.wording.contrasts import places_of_level
from orchestrator.report.wording.notes import cautions, fast_sentence, headline
from orchestrator.report.wording.numbers import (
    NONE,
    decimals,
    duration,
    end_text,
    number,
    p_text,
    quantity,
)
from orchestrator.stats import MeanInterval
from orchestrator.terminal.text import visible

DIGITS = ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")
SIGNS = {
    **{"+": "Plus", "%": "Percent", "×": "Times", "<": "Less", ">": "Greater", "&": "And"},
    **{"−": "Minus", "±": "Plus Minus", "≠": "Not Equal", "≈": "About", "≤": "At Most"},
    **{"≥": "At Least", "∞": "Infinity", "√": "Root", "→": "To", "°": "Degrees", "⁄": "Over"},
    **{"ß": "ss", "æ": "ae", "Æ": "AE", "ø": "o", "Ø": "O", "œ": "oe", "Œ": "OE"},
    **{"ł": "l", "Ł": "L"},
}
SEPARATORS = "–—·…‐‑“”‘’"
"""Non-ASCII characters that a name may lose without ambiguity."""


def to_numbers(summary: Summary) -> str:
    r"""Return one `\newcommand` per number, rounded as in the table, for text and math.

    Unknown numbers have no macro, so that a text that quotes one does not compile.
    """
    sweep = words(summary.plan.sweep)
    lines = [f"% {visible(headline(summary))}"]
    lines += [f"% {visible(text)}" for text in (fast_sentence(summary), *cautions(summary)) if text]
    for heading, numbers in _groups(summary):
        lines.append(f"% {visible(heading)}")
        lines += [rf"\newcommand{{\{sweep}{name}}}{{{_value(value)}}}" for name, value in numbers]
    return "\n".join(lines) + "\n"


def words(text: str) -> str:
    """Return a name with only letters for a macro: `λ=0.1` becomes `LambdaZeroPointOne`.

    Args:
        text: Name of an arm, a sweep or a metric.
    """
    text = re.sub(r"(?<=\d)[.,](?=\d)", " point ", text)
    text = re.sub(r"(?<![\w)])[-−](?=\d)|(?<=\d[eE])[-−](?=\d)", " minus ", text)
    text = re.sub("[⁰¹²³⁴-⁹⁺⁻]+", lambda match: f" to the {match[0]}", text)
    text = "".join(_letters(character) for character in text)
    return "".join(word[0].upper() + word[1:] for word in text.split())


def _groups(summary: Summary) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield each arm, contrast or effect with the names and values of its numbers."""
    arms = _names([arm.name for arm in summary.arms])
    effects = _names([effect.record.name for effect in summary.effects])
    for arm in summary.arms:
        yield arm.name, list(_of_arm(arms[arm.name], arm, summary))
    others = {(c.arm, c.reference): c for c in summary.other_contrasts}
    for (arm, reference), contrast in others.items():
        name = f"{arms[arm]}Against{arms[reference]}"
        yield f"{arm} against {reference}", list(_of_finding(name, contrast, summary))
    for effect in summary.effects:
        name = f"Effect{effects[effect.record.name]}"
        yield f"effect {effect.record.name}", list(_of_finding(name, effect, summary))


def _names(texts: list[str]) -> dict[str, str]:
    """Return the words of each text, with unique letters appended to ambiguous ones."""
    counts = Counter(map(words, dict.fromkeys(texts)))
    return {
        text: words(text) + (_own(text) if counts[words(text)] > 1 or not _told(text) else "")
        for text in texts
    }


def _told(text: str) -> bool:
    """Return whether the words of a text identify it."""
    return bool(words(text)) and all(
        c.isascii() or c in SEPARATORS or c.isspace() or _letters(c).strip()
        for c in unicodedata.normalize("NFC", text)
    )


def _own(text: str) -> str:
    """Return five letters derived from a text, with twelve million possible results."""
    number = int.from_bytes(hashlib.sha256(text.encode(errors="surrogatepass")).digest())
    letters = (chr(ord("a") + number // 26**i % 26) for i in range(5))
    return "".join(letters).capitalize()


def _of_arm(name: str, arm: ArmSummary, summary: Summary) -> Iterator[tuple[str, str]]:
    primary = words(summary.metric.title)
    for measure in arm.measures.values():
        metric = words(measure.metric.title)
        yield f"{name}{metric}N", str(measure.interval.n)
        if len(measure.values) != measure.interval.n:
            yield f"{name}{metric}Trials", str(len(measure.values))
        yield from _level(f"{name}{metric}", measure)
    if arm.to_baseline:
        yield from _difference(f"{name}{primary}", arm.to_baseline)
        yield f"{name}{primary}DifferenceN", str(arm.to_baseline.n)
    contrast = summary.against_baseline(arm.name)
    if contrast:
        yield from _p_values(f"{name}{primary}", contrast)
    published = arm.record.published.get(summary.metric.key)
    if published is not None:
        yield f"{name}{primary}Published", f"{published:g}"
    if arm.cost:
        costs = {
            "Params": quantity(arm.cost.num_params),
            "Macs": quantity(arm.cost.macs),
            "TrialTime": duration(arm.cost.seconds),
            "ClipsPerSecond": quantity(arm.cost.clips_per_s),
        }
        yield from ((name + key, value) for key, value in costs.items() if value != NONE)


def _of_finding(name: str, evidence: Evidence, summary: Summary) -> Iterator[tuple[str, str]]:
    name += words(summary.metric.title)
    if evidence.difference:
        yield from _difference(name, evidence.difference)
        yield f"{name}DifferenceN", str(evidence.difference.n)
    yield from _p_values(name, evidence)


def _p_values(name: str, evidence: Evidence) -> Iterator[tuple[str, str]]:
    if evidence.difference and evidence.difference.p_value is not None:
        yield f"{name}P", p_text(evidence.difference.p_value)
    if evidence.adjusted_p is not None:
        yield f"{name}AdjustedP", p_text(evidence.adjusted_p)
    found = evidence.over_recordings
    if found and found.low is not None and found.high is not None:
        places = decimals(found.half_width)
        yield f"{name}DifferenceRecordingsLow", end_text(found.low, places, signed=True)
        yield f"{name}DifferenceRecordingsHigh", end_text(found.high, places, signed=True)


def _level(name: str, measure: Measure) -> Iterator[tuple[str, str]]:
    """Yield an arm's mean with its interval: `TopOneMean`, `TopOneHalfWidth`, `TopOneLow`."""
    interval = measure.interval
    places = places_of_level(interval, measure.metric)
    yield f"{name}Mean", number(interval.mean, places)
    if interval.half_width is not None and interval.is_even:
        yield f"{name}HalfWidth", number(interval.half_width, places)
    yield from _ends(name, interval, places)


def _difference(name: str, interval: MeanInterval) -> Iterator[tuple[str, str]]:
    """Yield a difference with its interval, whose halves are unequal: `TopOneDifferenceLow`."""
    places = decimals(interval.half_width)
    yield f"{name}Difference", number(interval.mean, places, signed=True)
    yield from _ends(f"{name}Difference", interval, places, signed=True)


def _ends(
    name: str, interval: MeanInterval, places: int, *, signed: bool = False
) -> Iterator[tuple[str, str]]:
    for end, value in (("Low", interval.low), ("High", interval.high)):
        if value is not None:
            yield f"{name}{end}", end_text(value, places, signed=signed)


def _value(text: str) -> str:
    """Write a value that compiles both in a sentence and in a formula."""
    return re.sub(r"(?<=\d) (?=[A-Za-z])(.*)", r"~\\textrm{\1}", escape(text))


def _letters(character: str) -> str:
    if character in SIGNS:
        return f" {SIGNS[character]} " if not character.isalpha() else SIGNS[character]
    name = unicodedata.name(character, "")
    if character.isdecimal():
        return f" {DIGITS[unicodedata.decimal(character)]} "
    if name.startswith("GREEK ") and " LETTER " in name:
        letter = name.split(" LETTER ")[1].split()[0].lower().replace("lamda", "lambda")
        return f" {letter.capitalize() if 'CAPITAL' in name else letter} "
    plain = unicodedata.normalize("NFKD", character)
    if plain != character:
        return "".join(map(_letters, plain))
    if character.isascii() and character.isalpha():
        return character
    return "" if unicodedata.combining(character) else " "
