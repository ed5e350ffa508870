"""Sentences about clips: comparisons of two trials, and clips that flipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.analysis.clip_tests import ClipComparison, single_pairs
from orchestrator.analysis.confusion import flips
from orchestrator.analysis.missed import Missed, MissedAlike
from orchestrator.analysis.outcomes import Loader, Outcomes, class_name
from orchestrator.analysis.summary import Summary
from orchestrator.analysis.tracks import Track
from orchestrator.metrics import METRICS
from orchestrator.records import TrialKey
from orchestrator.report.wording.numbers import decimals, number, p_text
from orchestrator.stats import CAVEAT

MAX_SHOWN = 6


def clip_sentences(comparison: ClipComparison) -> list[str]:
    """Describe what the clips show, ending with the caveat."""
    run, reference, test = comparison.run, comparison.reference, comparison.mcnemar
    any_test = test or next(iter(comparison.tests.values()))
    pair = (
        f"{_named(run)} against {_named(reference)}, over the same {any_test.num_clips} held-out "
        "clips"
    )
    sentences = [
        f"{pair}: {test.only_run} are right in the first alone and {test.only_reference} in the "
        f"second alone ({test.method}, p {p_text(test.p_value)})."
        if test
        else f"{pair}, of any number of classes each."
    ]
    for key, result in comparison.tests.items():
        low, high = result.low, result.high
        half = None if low is None or high is None else 50 * (high - low)
        places = decimals(half)
        ends = " to ".join(number(None if b is None else 100 * b, places) for b in (low, high))
        sentences.append(
            f"{METRICS[key].title}: {number(100 * result.difference, places, signed=True)} points "
            f"({100 * result.confidence:g} % interval over clips {ends}, "
            f"p {p_text(result.p_value)}, {result.method})."
        )
    if run.seed != reference.seed:
        sentences.append("The two differ in their seed besides.")
    return [*sentences, comparison.caveat]


def single_pair_sentences(summary: Summary, load: Loader | None) -> list[str]:
    """Describe the clips of a study with one trial per arm; empty for other studies."""
    pairs = single_pairs(summary, load)
    sentences = [sentence for pair in pairs for sentence in clip_sentences(pair)[:-1]]
    return [*sentences, CAVEAT] if sentences else []


def clips_to_show(summary: Summary, outcomes: Outcomes) -> dict[str, str]:
    """Return the first flipped clips of the first contrast, with a sentence about each."""
    shown = {}
    for contrast in summary.contrasts[:1]:
        for c in flips(contrast, outcomes)[:MAX_SHOWN]:
            if not c.gained + c.lost:
                continue
            name, wrong = class_name(summary, c.label), c.mistaken.most_common(1)[0][0]
            ways = [f"wrong → right in {c.gained}"] if c.gained else []
            ways += [f"right → wrong in {c.lost}"] if c.lost else []
            shown[c.clip] = (
                f"{name}: {', '.join(ways)} of {c.pairs} pairs, from {contrast.reference} to "
                f"{contrast.arm}; most often mistaken for {class_name(summary, wrong)}."
            )
    return shown


def missed_to_show(summary: Summary, found: MissedAlike) -> dict[str, str]:
    """Return the clips that all good trials miss alike, with a sentence about each."""
    return {
        missed.clip: f"{missed_text(summary, missed)}, by all of {missed.num_trials} trials."
        for missed in found.clips[:MAX_SHOWN]
    }


def missed_text(summary: Summary, missed: Missed) -> str:
    """Return in words what is listed of a clip, and what all trials hear instead."""

    def names(classes: Sequence[int]) -> str:
        return ", ".join(class_name(summary, label) for label in classes)

    parts = [f"Listed as {names(missed.listed)}" if missed.listed else "Nothing is listed"]
    if missed.unheard and missed.unheard != missed.listed:
        parts.append(f"{names(missed.unheard)} not heard")
    parts.append(f"{names(missed.heard)} heard" if missed.heard else "none of it heard")
    return "; ".join(parts)


def silent_sentences(found: Mapping[str, Track]) -> list[str]:
    """Name the arms without a single detected event, whose tracks and maps are empty."""
    return [
        f"{arm} detects no event in any of its {len(track.clip_ids)} held-out clips: no frame "
        "score is above 0.5."
        for arm, track in found.items()
        if not len(track.detected)
    ]


def _named(trial: TrialKey) -> str:
    return f"{trial.arm} (seed {trial.seed}, fold {trial.fold}, {trial.id})"
