"""Evidence in words: the one place that says what a declared comparison shows."""

from __future__ import annotations

from orchestrator.analysis.evidence import (
    ContrastEvidence,
    EffectEvidence,
    Evidence,
    TrainedEpochs,
)
from orchestrator.report.wording.contrasts import contrast_sentence, equivalence_sentence
from orchestrator.report.wording.effects import effect_sentence


def finding_sentence(found: Evidence) -> str:
    """Say in a few sentences what a contrast, a main effect or an interaction shows.

    Args:
        found: a `ContrastEvidence` or an `EffectEvidence`.

    Raises:
        TypeError: it is evidence of neither.
    """
    if isinstance(found, ContrastEvidence):
        subject, text = f"{found.arm} against {found.reference}", contrast_sentence(found)
    elif isinstance(found, EffectEvidence):
        subject, text = f"The effect of {found.record.name}", effect_sentence(found)
    else:
        raise TypeError(f"evidence of a contrast or an effect has words, not {type(found)}")
    if found.mixed:
        text = (
            f"{subject} is not compared: their trials come from {found.mixed}. Train them again, "
            f"or `python -m orchestrator.report {found.sweep} --mixed` compares them all the same."
        )
    if found.epochs:
        text += _epochs(found.epochs)
    if found.equivalence:
        text += f" {equivalence_sentence(found.equivalence, metric=found.metric)}"
    return text


def _epochs(trained: TrainedEpochs) -> str:
    listed = ", ".join(
        f"{arm} {' and '.join(map(str, own))}" for arm, own in trained.by_arm.items()
    )
    return f" They differ in epochs{', as declared' if trained.declared else ''}: {listed}."
