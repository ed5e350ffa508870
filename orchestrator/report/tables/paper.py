"""Papers' tables with a study's arms below the printed rows, in the same columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from models.zoo.paper_tables import PRINTED, PrintedTable
from orchestrator.analysis.datasets import known_dataset
from orchestrator.analysis.outcomes import Loader, Outcomes, class_name, no_predictions
from orchestrator.analysis.paper_cells import class_scores, ensemble_map, runs
from orchestrator.analysis.rows import ArmSummary
from orchestrator.analysis.summary import Summary
from orchestrator.errors import ConfigError, unknown
from orchestrator.metrics import METRICS
from orchestrator.metrics.catalog import VAL_MACRO_F1
from orchestrator.records import ArmRecord, PlanRecord
from orchestrator.report.tables.table import Column, Table, spread
from orchestrator.report.wording.footnotes import published_footnotes
from orchestrator.report.wording.notes import interval_over, spread_notes
from orchestrator.report.wording.numbers import NONE, align, decimals, number, quantity
from orchestrator.stats import CONFIDENCE

MAX_CLASS_COLUMNS = 12
"""With more classes, the table is turned: classes down, arms across."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study for a paper's table.

    Attributes:
        summary: Join of its plan and records.
        predictions: Function that reads a trial's predictions at the plan's epoch.
    """

    summary: Summary
    predictions: Loader = no_predictions

    @property
    def dataset(self) -> str:
        """Name of the data set in papers."""
        return known_dataset(self.summary.plan)


def paper_table_key(plan: PlanRecord) -> str:
    """Return the key of the printed table with most of a plan's published numbers; else empty."""
    keys = {table.source: key for key, table in PRINTED.items()}
    named = [keys[s] for arm in plan.arms if arm.published and (s := _source(arm, plan)) in keys]
    return Counter(named).most_common(1)[0][0] if named else ""


def own_paper_table(study: Study) -> Table | None:
    """Return the paper's table with a study's published numbers, if any."""
    key = paper_table_key(study.summary.plan)
    return paper_table(key, [study]) if key else None


def paper_table(key: str, studies: Sequence[Study]) -> Table:
    """Return a paper's table: rows as printed, then the arms of the studies.

    Args:
        key: Key of `PRINTED`.
        studies: One study, or several if the table's columns are data sets.

    Raises:
        ConfigError: No table has that key, or the table takes only one study.
    """
    if key not in PRINTED:
        raise ConfigError(unknown("paper table", key, PRINTED))
    printed = PRINTED[key]
    if len(studies) > 1 and printed.layout != "datasets":
        raise ConfigError(
            f"paper table {key!r} shows one study, {len(studies)} were given; those with a column "
            "per data set are "
            f"{', '.join(k for k, t in PRINTED.items() if t.layout == 'datasets')}"
        )
    title = f"In the shape of {printed.paper}'s {printed.place} ({printed.caption})."
    return replace(_LAYOUTS[printed.layout](printed, studies), key=key, title=title)


def _metrics(printed: PrintedTable, studies: Sequence[Study]) -> Table:
    study = studies[0]
    summary = study.summary
    columns = [Column(key=c.key, title=c.title, unit=c.unit) for c in printed.columns]
    cells = {c.key: _column(c.key, study) for c in printed.columns}
    notes = []
    if any("±" in text for texts in cells.values() for text in texts):
        notes.append(f"± is the half width of the {100 * CONFIDENCE:g} % {interval_over(summary)}.")
    shown = [key for key in cells if key in METRICS]
    notes += spread_notes(
        arm.measures[key].interval for arm in summary.arms for key in shown if key in arm.measures
    )
    if "ensemble/map" in cells:
        notes.append(ensemble_note(study))
    missing = [c.title for c in columns if all(t.strip() == NONE for t in cells[c.key])]
    if missing and summary.arms:
        notes.append(f"Not recorded by these trials: {', '.join(missing)}.")
    rows = {arm.name: [cells[c.key][i] for c in columns] for i, arm in enumerate(summary.arms)}
    return _joined(printed, columns, rows, studies, notes)


def _datasets(printed: PrintedTable, studies: Sequence[Study]) -> Table:
    columns = [Column(key=c.key, title=c.title, unit=c.unit) for c in printed.columns]
    for study in studies:
        if study.dataset not in [column.key for column in columns]:
            columns.append(Column(key=study.dataset, title=study.dataset, unit="%"))
    names = dict.fromkeys(arm.name for study in studies for arm in study.summary.arms)
    rows = {name: [NONE] * len(columns) for name in names}
    counts: set[tuple[int, int]] = set()
    for study in studies:
        place = [column.key for column in columns].index(study.dataset)
        for arm in study.summary.arms:
            if result := runs(arm, "val/top1"):
                counts.add((result.n, result.num_folds))
                places = decimals(result.std)
                text = number(result.mean, places)
                text += "" if result.std is None else f" ±{number(result.std, places)}"
                if rows[arm.name][place] not in (NONE, text):
                    raise ConfigError(
                        f"arm {arm.name!r} is in two sweeps of {study.dataset}, with "
                        f"{rows[arm.name][place]} and {text}; leave one of them out"
                    )
                rows[arm.name][place] = text
    notes = [
        f"± of this study is the standard deviation over {n} run{'s' if n > 1 else ''} (seeds)"
        + (f", each the mean over {folds} folds" if folds > 1 else ", of one fold")
        + "; intervals and tests are in the main table."
        for n, folds in sorted(counts)
    ]
    return _joined(printed, columns, rows, studies, notes)


def _classes(printed: PrintedTable, studies: Sequence[Study]) -> Table:
    study = studies[0]
    summary = study.summary
    outcomes = Outcomes(summary, study.predictions)
    by_arm = {arm.name: class_scores(arm, outcomes, plan=summary.plan) for arm in summary.arms}
    indices = sorted({i for scores in by_arm.values() if scores for i in scores.by_class})
    names = [class_name(summary, i) for i in indices]
    titles = {column.key: column.title for column in printed.columns}
    same = [*names, ""] == list(titles)
    columns = [Column(key=n, title=titles[n] if same else n) for n in names]
    columns.append(Column(key="", title="average"))
    levels = [scores.average if scores else None for scores in by_arm.values()]
    averages = spread(levels, METRICS[VAL_MACRO_F1])
    rows = {
        name: [
            *(number(scores.by_class.get(i) if scores else None, 1) for i in indices),
            averages[place],
        ]
        for place, (name, scores) in enumerate(by_arm.items())
    }
    notes = [
        "F1 of this study, in percent, is of clips, a clip's likeliest class being its guess; the "
        f"mean with the half width of its {100 * CONFIDENCE:g} % {interval_over(summary)}. Trials "
        "record no onsets and offsets, so that there is no event-based F1, by collars or by "
        "intersection, to stand beside the printed one."
    ]
    notes += spread_notes(levels)
    if not indices:
        notes.append("No predictions are at hand, so that no class can be scored.")
    elif len(columns) > MAX_CLASS_COLUMNS + 1:
        return _turned(columns, rows, notes)
    return _joined(printed, columns, rows, studies, notes)


_LAYOUTS: Mapping[str, Callable[[PrintedTable, Sequence[Study]], Table]] = {
    "metrics": _metrics,
    "datasets": _datasets,
    "classes": _classes,
}


def _joined(
    printed: PrintedTable,
    columns: Sequence[Column],
    arm_rows: Mapping[str, Sequence[str]],
    studies: Sequence[Study],
    notes: Sequence[str],
) -> Table:
    """Put printed rows above our own, without those whose columns are other classes."""
    keys = [column.key for column in printed.columns]
    here = [column.key for column in columns]
    fits = printed.layout != "classes" or keys == here
    printed_rows = [(name, dict(zip(keys, cells, strict=True))) for name, cells in printed.rows]
    texts = []
    for i, key in enumerate(here):
        cells = [
            *(row.get(key) or NONE for _, row in printed_rows if fits),
            *(c[i] for c in arm_rows.values()),
        ]
        # Words, and sizes with their own units, share no decimal point.
        texts.append(cells if key in ("pretrain", "params") else align(cells))
    names = [*(name for name, _ in printed_rows if fits), *arm_rows]
    start = len(names) - len(arm_rows)
    of = f" ({printed.dataset})" if printed.dataset else ""
    headings = {0: f"As printed in {printed.source}{of}"} if fits else {}
    headings[start] = f"This study: {'; '.join(dict.fromkeys(map(content_of, studies)))}"
    baseline = studies[0].summary.plan.baseline
    if fits:
        shown_notes = [
            *notes,
            *([printed.note] if printed.note else ()),
            *comparable(printed, studies),
        ]
    else:
        shown_notes = [*notes, f"The rows of {printed.source} are of other classes and left out."]
    return Table(
        columns=(Column(key="arm", title="model"), *columns),
        rows=tuple(zip(names, *texts, strict=True)),
        baseline=start + list(arm_rows).index(baseline) if baseline in arm_rows else -1,
        notes=tuple(shown_notes),
        headings=headings,
    )


def _turned(
    columns: Sequence[Column], rows: Mapping[str, Sequence[str]], notes: Sequence[str]
) -> Table:
    """Return the table with classes down and arms across."""
    return Table(
        columns=(
            Column(key="class", title="class"),
            *(Column(key=name, title=name, unit="%") for name in rows),
        ),
        rows=tuple(
            (column.title, *(align([row[i] for row in rows.values()])))
            for i, column in enumerate(columns)
        ),
        notes=tuple(notes),
    )


def _column(key: str, study: Study) -> list[str]:
    arms = study.summary.arms
    if key == "params":
        return [quantity(arm.cost.num_params if arm.cost else None) for arm in arms]
    if key == "pretrain":
        return [_pretrained(arm, study.summary.plan) for arm in arms]
    if key == "ensemble/map":
        ensembles = [ensemble_map(arm, study.predictions) for arm in arms]
        return [number(made.value if made else None, 3) for made in ensembles]
    if key not in METRICS:
        return [NONE] * len(arms)
    levels = [arm.measures[key].interval if key in arm.measures else None for arm in arms]
    return spread(levels, METRICS[key])


def _pretrained(arm: ArmSummary, plan: PlanRecord) -> str:
    initial = arm.record.changes.get("initial", plan.settings.get("initial", "scratch"))
    return "no" if initial == "scratch" else "yes"


def _source(arm: ArmRecord, plan: PlanRecord) -> str:
    return arm.source or plan.source


def ensemble_note(study: Study) -> str:
    """Describe the ensembles of a study."""
    arms = study.summary.arms
    counts = [len({c.seed for c in arm.cells if c.value is not None}) for arm in arms]
    some = (
        f"{min(counts)} to {max(counts)}" if len(set(counts)) > 1 else f"{max(counts, default=0)}"
    )
    return (
        f"Ensemble of this study: the mean of the class probabilities of an arm's {some} seeds, "
        "one number without an interval; its single models are of unaveraged weights."
    )


def content_of(study: Study) -> str:
    """Describe the basis of a study's numbers: data set, seeds, folds."""
    summary = study.summary
    seeds = len({cell.seed for cell in summary.cells})
    folds = len({cell.fold for cell in summary.cells})
    counted = [f"{seeds} seed{'s' if seeds != 1 else ''}"]
    counted += [f"{folds} folds"] if folds > 1 else []
    return ", ".join([study.dataset or "data not recorded", *counted])


def comparable(printed: PrintedTable, studies: Sequence[Study]) -> list[str]:
    """Describe whether the printed rows are comparable, naming the arms if they differ."""
    datasets = [printed.dataset] if printed.dataset else [column.key for column in printed.columns]
    sentences = []
    for study in studies:
        notes = published_footnotes(study.summary.plan, study.summary.comparability)
        texts = {mark: text for mark, text in notes.texts.items() if printed.source in text}
        if study.dataset not in datasets:
            here = study.dataset or "data that were not recorded"
            sentences.append(
                f"Printed rows are not comparable: {' or '.join(datasets)} there, {here} here."
            )
        for mark, text in texts.items() if study.dataset in datasets else ():
            arms = ", ".join(arm for arm, other in notes.marks.items() if other == mark)
            sentences.append(f"{arms}: {text}" if len(texts) > 1 else text)
        if study.dataset in datasets and not texts:
            sentences.append("The data set is the same by name; other conditions were not checked.")
    return list(dict.fromkeys(sentences))
