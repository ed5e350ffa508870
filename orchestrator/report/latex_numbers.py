r"""A LaTeX macro for every number of the report, so that a text quotes what was measured.

`\input{numbers.tex}` once, and `\AdaptorLambdaNoAdaptorTopOneMean` stands for the mean of the
arm `no adaptor` of the sweep `adaptor_lambda`. Names are made of the sweep, the arm and the
metric and not of places in the table: an arm that is added moves no number of another.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from orchestrator.report.digits import NONE, decimals, duration, number, p_text, quantity
from orchestrator.report.latex_text import comment, escape
from orchestrator.report.rows import ArmSummary, Finding, Summary
from orchestrator.stats import MeanInterval

DIGITS = ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")
SIGNS = {"+": "Plus", "%": "Percent", "×": "Times", "<": "Less", ">": "Greater", "&": "And"}


def to_numbers(summary: Summary) -> str:
    r"""Return one `\newcommand` per number, rounded as in the table, for text and for mathematics.

    What is not known has no macro, so that a text that quotes it does not compile.
    """
    sweep = words(summary.plan.sweep)
    lines = [f"% {comment(summary.headline)}"]
    used: set[str] = set()
    for heading, numbers in _groups(summary):
        lines.append(f"% {comment(heading)}")
        for name, value in numbers:
            macro = sweep + name
            while macro in used:
                macro += "Too"
            used.add(macro)
            lines.append(rf"\newcommand{{\{macro}}}{{{_value(value)}}}")
    return "\n".join(lines) + "\n"


def words(text: str) -> str:
    """Return a name as LaTeX allows it in a macro: letters alone, `λ=0.1` is `LambdaZeroPointOne`.

    Args:
        text: of an arm, a sweep or a metric.
    """
    text = re.sub(r"(?<=\d)[.,](?=\d)", " point ", text)
    text = re.sub(r"(?<![\w)])[-−](?=\d)", " minus ", text)
    text = "".join(_letters(character) for character in text)
    return "".join(word[0].upper() + word[1:] for word in text.split())


def _groups(summary: Summary) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    for arm in summary.arms:
        yield arm.name, list(_of_arm(arm, summary))
    for contrast in summary.contrasts:
        if contrast.reference != summary.plan.baseline:
            name = f"{words(contrast.arm)}Against{words(contrast.reference)}"
            numbers = list(_of_finding(name, contrast, summary))
            yield f"{contrast.arm} against {contrast.reference}", numbers
    for effect in summary.effects:
        name = f"Effect{words(effect.record.name)}"
        yield f"effect {effect.record.name}", list(_of_finding(name, effect, summary))


def _of_arm(arm: ArmSummary, summary: Summary) -> Iterator[tuple[str, str]]:
    name, primary = words(arm.name), words(summary.metric.title)
    for measure in arm.measures.values():
        metric = words(measure.metric.title)
        yield f"{name}{metric}N", str(len(measure.values))
        yield from _interval(f"{name}{metric}", "Mean", measure.interval)
    if arm.to_baseline:
        yield from _interval(f"{name}{primary}", "Difference", arm.to_baseline, signed=True)
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


def _of_finding(name: str, found: Finding, summary: Summary) -> Iterator[tuple[str, str]]:
    name += words(summary.metric.title)
    if found.difference:
        yield from _interval(name, "Difference", found.difference, signed=True)
        yield f"{name}DifferenceN", str(found.difference.n)
    yield from _p_values(name, found)


def _p_values(name: str, found: Finding) -> Iterator[tuple[str, str]]:
    if found.difference and found.difference.p_value is not None:
        yield f"{name}P", p_text(found.difference.p_value)
    if found.adjusted_p is not None:
        yield f"{name}AdjustedP", p_text(found.adjusted_p)


def _interval(
    name: str, middle: str, interval: MeanInterval, *, signed: bool = False
) -> Iterator[tuple[str, str]]:
    """Yield a mean with its interval, `TopOneMean` and `TopOneLow` or `...DifferenceLow`."""
    places = decimals(interval.half_width)
    ends = "" if middle == "Mean" else middle
    yield f"{name}{middle}", number(interval.mean, places, signed=signed)
    for end, value in (
        ("HalfWidth", interval.half_width),
        ("Low", interval.low),
        ("High", interval.high),
    ):
        if value is not None:
            yield f"{name}{ends}{end}", number(value, places, signed=signed and end != "HalfWidth")


def _value(text: str) -> str:
    """Write a value that compiles in a sentence and in a formula alike."""
    text = re.sub(r"\$(.+?)\$", r"\\ensuremath{\1}", escape(text))
    text = text.replace(r"\textless{}", r"\ensuremath{<}")
    return re.sub(r"(?<=\d) (?=[A-Za-z])(.*)", r"~\\textrm{\1}", text)


def _letters(character: str) -> str:
    if character in SIGNS:
        return f" {SIGNS[character]} "
    name = unicodedata.name(character, "")
    if character.isdecimal():
        return f" {DIGITS[unicodedata.decimal(character)]} "
    if name.startswith("GREEK ") and " LETTER " in name:
        letter = name.split(" LETTER ")[1].split()[0].lower().replace("lamda", "lambda")
        return f" {letter.capitalize() if 'CAPITAL' in name else letter} "
    plain = unicodedata.normalize("NFKD", character)
    kept = "".join(c for c in plain if c.isascii() and c.isalpha())
    return kept if kept or unicodedata.combining(character) else " "
