"""Sentences about the whole study: completeness and cautions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.analysis.confounds import ChosenOn
from orchestrator.analysis.evidence import Evidence
from orchestrator.analysis.needed import seeds_needed
from orchestrator.analysis.rows import Cell
from orchestrator.analysis.summary import Summary
from orchestrator.metrics import METRICS
from orchestrator.metrics.chance import level_text
from orchestrator.metrics.postprocessing import VALIDATION
from orchestrator.records import EARLIER_BEST, EPOCHS, Status
from orchestrator.report.wording.contrasts import (
    places_of,
    scope_words,
    unit_of_difference,
)
from orchestrator.report.wording.findings import finding_sentence, name_of, withheld
from orchestrator.report.wording.numbers import NONE, decimals, end_text, number, p_text
from orchestrator.report.wording.search import searched
from orchestrator.stats import (
    FLIP_INTERVAL,
    MAX_PAIRS,
    MIN_REPLICATES,
    SEQUENTIAL_METHOD,
    CrossedInterval,
    Needed,
    PairedDifference,
    Verdict,
)

NOTHING_DECLARED = (
    "No declared contrast or effect is among these arms, so no difference between them is tested; "
    "choose both arms of one by --arms, or declare another."
)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A sentence that answers the question, and the conclusion that its numbers allow."""

    verdict: Verdict
    text: str


def headline(summary: Summary) -> str:
    """State whether every planned trial counts."""
    cells, gaps = summary.cells, summary.gaps
    if not cells:
        return "INCOMPLETE: no trial was planned, so there is no number."
    if not gaps and summary.pruned:
        return (
            f"Complete: {len(cells) - len(summary.pruned)} of {len(cells)} planned trials "
            f"finished, and the search left {len(summary.pruned)} early."
        )
    if not gaps:
        return f"Complete: all {len(cells)} planned trials finished."
    kinds = Counter(
        "finished without a number" if cell.status is Status.FINISHED else str(cell.status)
        for cell in gaps
    )
    listed = ", ".join(f"{count} {what}" for what, count in kinds.items())
    return (
        f"INCOMPLETE: {len(cells) - len(gaps)} of {len(cells)} planned trials count ({listed}); "
        "every number below rests on those alone."
    )


def answers(summary: Summary) -> tuple[Answer, ...]:
    """Return the main answers, with arms that do not beat chance first."""
    low, best = chance_sentence(summary), best_of(summary)
    first = (Answer(verdict=Verdict.NOT_TESTED, text=low),) if low else ()
    if summary.search:
        confirmed = answers(summary.following) if summary.following else ()
        if low and confirmed:  # what it says is not of the confirmation, which follows it
            own = f"In the search, {low[0].lower()}{low[1:]}"
            first = (Answer(verdict=Verdict.NOT_TESTED, text=own),)
        return (*first, *confirmed, Answer(verdict=Verdict.NOT_TESTED, text=searched(summary)))
    if best:
        return (*first, Answer(verdict=Verdict.NOT_TESTED, text=best))
    if len(summary.arms) > 1 and not summary.plan.num_declared:
        return (*first, Answer(verdict=Verdict.NOT_TESTED, text=NOTHING_DECLARED))
    others = (Answer(verdict=c.verdict, text=finding_sentence(c)) for c in summary.findings)
    return (*first, *others)


def chance_sentence(summary: Summary) -> str:
    """Name the arms that do not beat chance; empty if all do or chance is unknown."""
    return summary.against_chance.caution if summary.against_chance else ""


def chance_note(summary: Summary) -> str:
    """State the chance level, and what holds arms against it that have no interval over seeds."""
    held = summary.against_chance
    if held is None:
        unknown = "Chance is not known: neither plan nor trials recorded the classes."
        return unknown if summary.metric.chance else ""
    level = level_text(held.chance, unit=held.metric.unit)
    other = f" in {held.metric.title}" if held.metric != summary.metric else ""
    ways = []
    for what, counts, method in (
        ("clips", held.by_clips, "exact binomial interval"),
        ("recordings", held.by_recordings, "interval"),
    ):
        if counts:
            ends = dict.fromkeys((min(counts.values()), max(counts.values())))
            count = " to ".join(f"{end:,}" for end in ends)
            ways.append(f"the {method} over {count} {what} does")
    if held.by_values:
        ways.append("every value does")
    rule = ""
    if ways:
        rule = f" Fewer than {MIN_REPLICATES} seeds, or equal ones, beat it where "
        rule += f"{' or '.join(ways)}."
    return f"Chance{other}: {level}.{rule}"


def best_of(summary: Summary) -> str:
    """Describe what a study with one trial per arm can show; empty for other studies."""
    plan, metric, best = summary.plan, summary.metric, summary.best
    per_arm = Counter(arm for arm, _, _ in {(t.arm, t.seed, t.fold) for t in plan.trials})
    if len(plan.arms) < 2 or max(per_arm.values(), default=0) != 1:
        return ""
    if best is None:
        return "Every arm is trained once, and none has finished yet."
    means = {m.interval.mean for a in summary.arms if (m := a.measures.get(metric.key))}
    if len(means) == 1 and summary.num_measured > 1:
        return (
            "Every arm is trained once, so no difference has an interval or a test. All "
            f"{summary.num_measured} arms have the same {metric.title}."
        )
    value = f"{number(best[1], 1 if metric.unit == '%' else 3)} {metric.unit}".rstrip()
    return (
        "Every arm is trained once, so no difference has an interval or a test. The best of "
        f"{len(plan.arms)} by {metric.title} is {best[0]} with {value}: an optimistic number, "
        "since chance helped to choose it. Repeat it on fresh seeds before you quote it."
    )


def cautions(summary: Summary) -> tuple[str, ...]:
    """Return the applicable cautions about the numbers."""
    plan, metric, ran = summary.plan, summary.metric, summary.conditions
    notes = []
    if metric.key != plan.metric:
        notes.append(
            f"{metric.key} is not the metric that was declared before the runs ({plan.metric}); "
            "read these contrasts as exploratory."
        )
    if ran.num_folds > 1:
        notes.append(
            f"The {ran.num_folds} folds share training clips, so a trial is no replicate: "
            "intervals of arms, differences, classes and curves are over means, of seeds over all "
            "folds or of folds over all seeds, the latter widened."
        )
    if plan.cap:
        left = sum(finding.verdict is Verdict.UNDECIDED for finding in summary.findings)
        ends = f"are added until every contrast is decided, {plan.cap} at most; {left} of "
        ends += f"{plan.num_declared} {'is' if left == 1 else 'are'} not"
        if not left:
            ends = f"were added until every contrast was decided, {plan.cap} at most"
        notes.append(
            f"Blocks {ends}. p values and intervals hold at whatever block it ends; after an early "
            "end the means are optimistic: on average 1.1 to 1.2 times as far from 0 as a "
            "difference of one spread, three times as far as one of a quarter; read the intervals."
        )
    if winner := _winner(summary):
        notes.append(winner)
    notes += [chosen_on_sentence(chosen, metric.title) for chosen in summary.chosen_on]
    if len({plan.selection_of(arm.name) for arm in plan.arms}) > 1:
        listed = (f"{arm.name}: {EPOCHS[plan.selection_of(arm.name)]}" for arm in plan.arms)
        notes.append(f"Arms are read at epochs that were chosen differently. {'; '.join(listed)}.")
    others = [key for key in summary.chosen_by if key != metric.key]
    if others:
        notes.append(
            f"The best epochs were chosen by {_titles(others)}, not by {metric.title}: another "
            f"epoch may be better by {metric.title}."
        )
    if ran.num_twice:
        notes.append(
            f"{ran.num_twice} {'trials are' if ran.num_twice > 1 else 'trial is'} planned more "
            "than once; each counts once."
        )
    if ran.unplanned:
        notes.append(
            f"no trial of {' or '.join(ran.unplanned)} was planned, so nothing can be said of it."
        )
    compared = "; they were compared all the same, as asked" if ran.mixed else ""
    for what, values in (
        ("devices", ran.devices),
        ("code versions", {version or "not recorded" for version in ran.code_versions}),
        ("data fingerprints", ran.fingerprints),
    ):
        if len(values) > 1:
            notes.append(
                f"The trials come from {len(values)} {what}: {', '.join(sorted(values))}{compared}."
            )
    if ran.num_unsigned:
        notes.append(
            f"{ran.num_unsigned} of {ran.num_records} records were written by an earlier "
            "version without a digest of their content: a number edited since is noticed only "
            "where the stored predictions contradict it."
        )
    if ran.epochs:
        notes.append(f"Trials that were planned alike come from {ran.epochs}{compared}.")
    return (*notes, *_undeclared_mixed(summary), *reasons(summary.findings))


def _undeclared_mixed(summary: Summary) -> list[str]:
    """Say which arms have no Δ because of their trials; a declared contrast says so itself."""
    arms: dict[str, list[str]] = {}
    for arm in summary.arms:
        counts = arm.mixed and summary.metric.key in arm.measures
        if counts and summary.against_baseline(arm.name) is None:
            arms.setdefault(arm.mixed, []).append(arm.name)
    baseline, sweep = summary.plan.baseline, summary.plan.sweep
    return [
        withheld(f"No Δ of {', '.join(names)} from {baseline} is shown", mixed, sweep=sweep)
        for mixed, names in arms.items()
    ]


def next_study_sentence(summary: Summary) -> str:
    """Say how many seeds each metric would have needed for the first comparison not called.

    Empty where all are called, no arm beats chance, or fewer than two metrics have an effect.
    """
    values = {
        key: {arm.name: arm.measures[key].values for arm in summary.arms if key in arm.measures}
        for key in METRICS
    }
    for finding in (*summary.effects, *summary.contrasts):
        difference = finding.difference
        if finding.called or finding.at_chance or difference is None:
            continue
        if any(difference.differences.values()):
            needed = seeds_needed(summary.plan, values, finding.weights)
            text = needed_text(f"{name_of(finding)} at the effect seen", needed)
            return f"{text[0].upper()}{text[1:]}." if text else ""
    return ""


def needed_text(comparison: str, needed: Mapping[str, Needed]) -> str:
    """Say how many seeds each metric needs to find a comparison; empty for fewer than two metrics.

    Args:
        comparison: The comparison, with its effect.
        needed: Metric -> seeds.
    """
    if len(needed) < 2:
        return ""
    listed = (
        f"{METRICS[key].title} {_count(one.pairs)} ({_count(one.fewest)} to {_count(one.most)})"
        for key, one in needed.items()
    )
    return (
        f"seeds that would find {comparison}, by metric, with their 80 % intervals: "
        f"{', '.join(listed)}; read off the same seeds, so the metric that looks best looks too "
        "good: declare it in the next study, not in this one"
    )


def _count(pairs: int | None) -> str:
    return f"over {MAX_PAIRS:,}" if pairs is None else str(pairs)


def _winner(summary: Summary) -> str:
    """Say that the size of a called best of several is optimistic; empty if none is called."""
    compared = [c for c in summary.contrasts if c.reference == summary.plan.baseline]
    best = summary.best
    contrast = summary.against_baseline(best[0]) if best else None
    if contrast is None or contrast.verdict is not Verdict.BETTER or len(compared) < 2:
        return ""
    return (
        f"{contrast.arm} is the best of {len(compared)} arms by the seeds that measure it, so its "
        f"lead over {contrast.reference} is optimistic; the simultaneous interval allows for that."
    )


def fast_sentence(summary: Summary) -> str:
    """Say how many trials do not repeat to the bit; empty if all do, or none recorded it."""
    ran = summary.conditions
    if not ran.num_fast:
        return ""
    all_of_them = ran.num_fast == ran.num_finished
    share = f"All {ran.num_fast}" if all_of_them else f"{ran.num_fast} of {ran.num_finished}"
    return f"{share} finished trials ran --fast, whose numbers do not repeat to the bit."


def post_sentence(summary: Summary) -> str:
    """Say how predictions became decisions; empty where one value holds for every class."""
    post = summary.metric.post
    if post is None:
        return ""
    classes = [str(name) for name in summary.plan.dataset.get("class_names") or ()]

    def listed(values: float | tuple[float, ...] | str) -> str:
        if not isinstance(values, tuple):
            return ""
        names = classes if len(classes) == len(values) else [str(i) for i in range(len(values))]
        return ", ".join(f"{name} {x:g}" for name, x in zip(names, values, strict=True))

    parts: list[str] = []
    if post.threshold == VALIDATION:
        parts.append(
            "Thresholds: for each trial and class the one with the best F1 on the validation "
            "clips, none of which is reported."
        )
    elif named := listed(post.threshold):
        parts.append(f"Thresholds as declared: {named}.")
    if named := listed(post.median_s):
        parts.append(f"Median filters in seconds: {named}.")
    return " ".join(parts)


def epoch_words(summary: Summary) -> str:
    """Name the epoch of the table's numbers, and the metric and the clips that chose it."""
    plan = summary.plan
    if len({plan.selection_of(arm.name) for arm in plan.arms}) > 1:
        return "the epoch that each arm declares"
    words = EPOCHS.get(plan.selection, plan.selection)
    if set(summary.chosen_by) <= {summary.metric.key}:
        return words
    return words.replace("best", f"best by {_titles(summary.chosen_by)}")


def chosen_on_sentence(chosen: ChosenOn, title: str) -> str:
    """State which clips chose the epochs of trials, and what follows for a metric's level."""
    of_arms = f" of {', '.join(chosen.arms)}" if chosen.arms else ""
    low, high = chosen.num_clips
    if chosen.selection != "best_on_validation":
        by = " (best_on_test, a protocol of some papers)" * (chosen.selection != EARLIER_BEST)
        less = "differences between arms less so"
        if chosen.arms:
            less = "so are its differences from arms whose epochs were not"
        return (
            f"The epoch of each trial{of_arms} was chosen on the clips that it is scored on{by}, "
            f"so the level of {title} is optimistic; {less}."
        )
    count = "" if not high else f"{low} " if low == high else f"{low} to {high} "
    rules = f": {'; '.join(chosen.rules)}" if chosen.rules else ""
    return (
        f"The epoch of each trial{of_arms} was chosen on {count}validation clips, which neither "
        f"train nor are reported{rules}."
    )


def interval_over(summary: Summary) -> str:
    """Name the interval of an arm's mean, and what its n counts."""
    intervals = [
        arm.measures[summary.metric.key].interval
        for arm in summary.arms
        if summary.metric.key in arm.measures
    ]
    names = (
        f"{i.interval_method} over n {i.replicate}{' means' if i.reason else 's'}"
        f"{' on these clips' if i.replicate == 'seed' else ''}"
        for i in intervals
    )
    return " or ".join(dict.fromkeys(names)) or "t interval"


def spread_notes(intervals: Iterable[CrossedInterval | None]) -> list[str]:
    """Explain what stands for ± beside some means; empty if all of several replicates have it."""
    shown = [interval for interval in intervals if interval is not None]
    notes = []
    if any(interval.n == 2 and not interval.is_flat for interval in shown):
        notes.append("(a, b): the two values, too few for an interval.")
    if any(not (interval.is_even or interval.is_flat) for interval in shown):
        notes.append("[a, b]: the interval, which ends at a bound of the metric.")
    if any(interval.n > 1 and interval.is_flat for interval in shown):
        notes.append(f"{NONE} for ±: equal values have no spread to make an interval from.")
    return notes


def without_interval(summary: Summary) -> str:
    """Explain why differences have no interval; empty if all of several pairs have one."""
    called = [f for f in summary.findings if f.called and f.difference and f.difference.low is None]
    shown = [
        arm.to_baseline
        for arm in summary.arms
        if arm.to_baseline and summary.against_baseline(arm.name) is None
    ]
    shown += [f.difference for f in summary.findings if f.difference and not f.called]
    pairs = sorted(
        {
            d.n - d.num_tied
            for d in shown
            if d.n > 1 and d.low is None and any(d.differences.values())
        }
    )
    notes = []
    if pairs:
        listed = " or ".join(filter(None, (", ".join(map(str, pairs[:-1])), str(pairs[-1]))))
        notes.append(
            f"No interval: the test of {listed} pairs that are not tied rejects no value, however "
            "far off."
        )
    if any(finding.decided for finding in called):
        notes.append(
            "No interval of what was called: later blocks contradict the call, which stays."
        )
    if any(not finding.decided for finding in called):
        notes.append(
            "No interval of what was called: beside the others' spread no value far off is "
            "rejected, but 0 is, so the direction is shown and no size."
        )
    return " ".join(notes)


def difference_interval(summary: Summary) -> str:
    """Name the intervals of differences: of what was declared, and of the other arms alone."""
    declared = dict.fromkeys(d.interval_method for d in _differences(summary) if d.n > 1)
    compared = [arm for arm in summary.arms if arm.to_baseline and arm.to_baseline.n > 1]
    alone = dict.fromkeys(
        arm.to_baseline.interval_method
        for arm in compared
        if arm.to_baseline and summary.against_baseline(arm.name) is None
    )
    if not declared:
        return " or ".join(alone) or FLIP_INTERVAL
    text = " or ".join(declared)
    return f"{text} (undeclared: {' or '.join(alone)} of each alone)" if alone else text


def correction_used(summary: Summary) -> str:
    """Name the correction of the declared p values for being several."""
    if summary.plan.cap:
        return "Holm's correction"
    folds = dict.fromkeys(bool(d.test_per_train) for d in _differences(summary))
    names = ("Holm's correction" if over else "step-down by joint sign flips" for over in folds)
    return " or ".join(names) or "step-down by joint sign flips"


def paired_over(summary: Summary) -> str:
    """Name the replicates of differences; empty if each trial counts."""
    shown = [arm.to_baseline for arm in summary.arms if arm.to_baseline] + _differences(summary)
    names = (f"{d.replicate} means" for d in shown if d.reason)
    return " or ".join(dict.fromkeys(names))


def tests_used(summary: Summary) -> str:
    """Name the tests behind the declared p values."""
    if summary.plan.cap:
        return SEQUENTIAL_METHOD
    names = (d.test_method.partition(",")[0] for d in _differences(summary))
    return " or ".join(dict.fromkeys(names)) or "sign-flip test"


def ties_broken(summary: Summary) -> str:
    """Say by what, and in how many pairs, ties of the metric are broken; empty without a tie."""
    used = next((f.tie_break for f in summary.findings if f.with_ties is not None), None)
    tied = sum(d.num_equal - d.num_tied for d in _differences(summary) if d.ordered)
    if used is None or not tied:
        return ""
    pairs = sum(d.n for d in _differences(summary) if d.ordered)
    return (
        f" {tied} of {pairs} pairs are tied in {summary.metric.title}; {used.title} orders them, "
        "as declared, for the test but not for Δ."
    )


def reasons(findings: Sequence[Evidence]) -> list[str]:
    """Explain why a trial is not a replicate in differences, and which p values are sampled."""
    differences = [c.difference for c in findings if c.difference is not None]
    sentences = [f"Differences, {d.test_method}: {d.reason}." for d in differences if d.reason]
    errors = [max(c.adjusted_error, c.difference.p_error) for c in findings if c.difference]
    if error := max(errors, default=0.0):
        sentences.append(
            "There are too many sign patterns to go through, so p values are sampled; their "
            f"standard error is at most {error:.1g}."
        )
    return list(dict.fromkeys(sentences))


def gap_text(cell: Cell) -> str:
    """Name a trial without a value, and the reason."""
    status = "no number" if cell.status is Status.FINISHED else str(cell.status)
    return f"{status}: {cell.arm}, seed {cell.seed}, fold {cell.fold}: {cell.reason}"


def _titles(keys: Sequence[str]) -> str:
    return " or ".join(METRICS[key].title if key in METRICS else key for key in keys)


def _differences(summary: Summary) -> list[PairedDifference]:
    return [c.difference for c in summary.findings if c.difference is not None]


def pattern_sentence(summary: Summary) -> str:
    """Describe the whole design's interaction or trend; empty for other designs.

    A declared interaction is answered and corrected with the other declared comparisons.
    """
    declared = any(len(effect.record.factors) > 1 for effect in summary.effects)
    return ("" if declared else interaction_sentence(summary)) or trend_sentence(summary)


def _pattern_withheld(what: str, summary: Summary) -> str:
    return withheld(
        f"The {what} is not tested over these arms", summary.mixed, sweep=summary.plan.sweep
    )


def trend_sentence(summary: Summary) -> str:
    """Describe how the metric moves along the doses; empty if the study has no trend."""
    if summary.mixed and len(summary.doses) > 2:
        return _pattern_withheld(f"trend over {summary.plan.dose}", summary)
    shown = summary.trend
    if shown is None:
        return ""
    trend = shown.trend
    places, unit = decimals(trend.half_width), unit_of_difference(summary.metric)
    interval = f"no 95 % interval from {trend.n} seeds"
    if trend.low is not None:
        low, high = number(trend.low, places), number(trend.high, places)
        interval = f"95 % t interval {low} to {high}"
    steps = " < ".join("none" if dose is None else f"{dose:g}" for dose in shown.doses)
    return (
        f"Trend over {summary.plan.dose} ({steps}): {number(trend.mean, places, signed=True)} "
        f"{unit} of {summary.metric.title} a step for other seeds on these clips "
        f"({interval}, "
        f"{trend.test_method.partition(',')[0]}, p {p_text(trend.p_value)} uncorrected, "
        f"n {trend.n}{' seed means' if shown.by_fold else ''})."
    )


def interaction_sentence(summary: Summary) -> str:
    """Describe how much the effects of a 2 x 2 design depend on each other; empty otherwise."""
    grid = summary.grid if summary.mixed else None
    if grid and [len(levels) for levels in grid.levels] == [2, 2]:
        return _pattern_withheld(f"interaction of {' and '.join(grid.factors)}", summary)
    shown = summary.interaction
    if shown is None:
        return ""
    (a, b), (c, d), changed = shown.first, shown.second, shown.difference
    places, unit = places_of(changed), unit_of_difference(summary.metric)
    evidence = ""
    if changed.n > 1:
        interval = f"no 95 % interval from {changed.n} pairs"
        if changed.low is not None and changed.high is not None:
            low, high = end_text(changed.low, places), end_text(changed.high, places)
            interval = f"95 % {changed.interval_method} {low} to {high}"
        evidence = f", {interval}, p {p_text(changed.p_value)} uncorrected"
    return (
        f"Interaction: going from {c} to {d} changes {summary.metric.title} by "
        f"{number(changed.mean, places, signed=True)} {unit} more under {b} than under {a} "
        f"{scope_words(changed)}"
        f"{evidence} (n {changed.n}{f' {changed.replicate}s' if changed.reason else ''})."
    )
