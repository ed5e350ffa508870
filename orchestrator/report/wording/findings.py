"""Sentences about evidence: contrasts, main effects and interactions."""

from __future__ import annotations

from orchestrator.analysis.evidence import (
    ContrastEvidence,
    EffectEvidence,
    Evidence,
    TrainedEpochs,
)
from orchestrator.metrics import Metric
from orchestrator.records import EffectRecord
from orchestrator.report.wording.contrasts import (
    comparison_sentence,
    could_not,
    count_words,
    equivalence_sentence,
    evidence_words,
    interval_words,
    p_words,
    places_of,
    remarks,
    ruled_out,
    scope_words,
    with_unit,
)
from orchestrator.report.wording.numbers import number
from orchestrator.stats import ALPHA, PairedDifference, Verdict


def name_of(evidence: Evidence) -> str:
    """Return the name of a comparison in a table: `arm − reference`, or an effect's own."""
    if isinstance(evidence, ContrastEvidence):
        return f"{evidence.arm} − {evidence.reference}"
    return evidence.record.name if isinstance(evidence, EffectEvidence) else ""


def finding_sentence(evidence: Evidence) -> str:
    """Describe in a few sentences what a contrast, a main effect or an interaction shows.

    Raises:
        TypeError: `evidence` is neither.
    """
    if isinstance(evidence, ContrastEvidence):
        subject = f"{evidence.arm} against {evidence.reference}"
        text = comparison_sentence(evidence.arm, evidence.reference, evidence)
    elif isinstance(evidence, EffectEvidence):
        subject, text = f"The effect of {evidence.record.name}", effect_sentence(evidence)
    else:
        raise TypeError(f"evidence of a contrast or an effect has words, not {type(evidence)}")
    if evidence.mixed:
        text = withheld(f"{subject} is not compared", evidence.mixed, sweep=evidence.sweep)
    if evidence.epochs:
        text += _epochs(evidence.epochs)
    if evidence.equivalence:
        text += f" {equivalence_sentence(evidence.equivalence, metric=evidence.metric)}"
    return text


def withheld(text: str, mixed: str, *, sweep: str) -> str:
    """Complete a sentence on what arms are not compared in by the reason and the way out.

    Args:
        text: What is not compared, as a clause about several arms.
        mixed: What makes their trials incomparable.
        sweep: Stored name of the study.
    """
    return (
        f"{text}: their trials come from {mixed}. Train them again, or "
        f"`python -m orchestrator.report {sweep} --allow-mixed` compares them all the same."
    )


def _epochs(trained: TrainedEpochs) -> str:
    listed = ", ".join(
        f"{arm} {' and '.join(map(str, epochs))}" for arm, epochs in trained.by_arm.items()
    )
    return f" They differ in epochs{', as declared' if trained.declared else ''}: {listed}."


def effect_sentence(evidence: EffectEvidence) -> str:
    """Describe in a few sentences what an effect shows, and what it is confounded with."""
    effect, difference = evidence.record, evidence.difference
    metric, verdict = evidence.metric, evidence.verdict
    aliased = ""
    if effect.aliases:
        aliased = f" In this fraction it cannot be told from {' or '.join(effect.aliases)}."
    mean_over = f" (mean over {' and '.join(evidence.others)})" if evidence.others else ""
    if len(effect.factors) == 1:
        first, second = _settings(effect)[0]
        return comparison_sentence(second + mean_over, first, evidence) + aliased
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
    places = places_of(difference)
    # If the size is given without its sign, the interval's bounds flip with it.
    flip = -1 if difference.mean < 0 and (evidence.called or len(effect.factors) == 2) else 1
    more = remarks(evidence, difference, flip)
    shown, scope = evidence_words(evidence, difference, places, flip), scope_words(difference)
    if evidence.decided and evidence.turned:
        how = "help" if verdict is Verdict.BETTER else "hinder"
        return (
            f"{_joined(effect)} were called to {how} each other by block "
            f"{evidence.decided.looked} ({p_words(evidence, difference)}), "
            f"which stays; over all {difference.n} blocks the interaction is "
            f"{_amount(difference.mean, difference, metric, signed=True)} of {metric.title}"
            f"{mean_over} {scope} ({interval_words(evidence, difference, places, 1)}, "
            f"{count_words(evidence, difference)}).{more}{aliased}"
        )
    first = could_not(evidence, difference, _subject(effect))
    if evidence.called and difference.num_equal == difference.n and evidence.tie_break:
        how = "help" if verdict is Verdict.BETTER else "hinder"
        text = (
            f"{_joined(effect)} {how} each other by {evidence.tie_break.title} alone {scope}: "
            f"there is no interaction in {metric.title} in any of {difference.n} blocks ({shown})"
            f"{mean_over}"
        )
    elif evidence.called:
        how = "help" if verdict is Verdict.BETTER else "hinder"
        size = _amount(abs(difference.mean), difference, metric)
        text = f"{_joined(effect)} {how} each other by {size} of {metric.title} {scope} ({shown})"
        if len(effect.factors) == 2:
            text += f": {_more(effect, difference, metric)}"
        text += mean_over
    else:
        raw = difference.p_value <= ALPHA and verdict is not Verdict.UNDECIDED
        state = "is not yet decided" if verdict is Verdict.UNDECIDED else "is not distinguishable"
        size = f"{_more(effect, difference, metric)}{mean_over} {scope} ({shown})"
        after = " after correction" if raw else ""
        text = f"{_subject(effect)} {state} from none{after}: {size}"
        if first:
            text = size[0].upper() + size[1:]
        if bounds := ruled_out(evidence, difference):
            text += f"; the data rule out {bounds}"
    return f"{first}{text}.{more}{aliased}"


def _settings(effect: EffectRecord) -> list[tuple[str, str]]:
    """Return both levels per factor, with the factor's name if a level needs it."""
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
    """Describe the weighted sum, for two factors as a difference of differences."""
    settings = _settings(effect)
    if len(settings) > 2:
        return f"{_amount(difference.mean, difference, metric, signed=True)} of {metric.title}"
    (without, with_), (first, second) = settings
    size = _amount(abs(difference.mean), difference, metric)
    # A change may be a fall, so only "higher" and "lower" are clear.
    return (
        f"the change of {metric.title} from {without} to {with_} is {size} "
        f"{'lower' if difference.mean < 0 else 'higher'} with {second} than with {first}"
    )


def _amount(
    value: float, difference: PairedDifference, metric: Metric, *, signed: bool = False
) -> str:
    places = places_of(difference)
    return with_unit(number(value, places, signed=signed), metric)
