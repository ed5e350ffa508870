"""A stored study as pandas frames and matplotlib figures: `orchestrator.load_study`."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from orchestrator.analysis.evidence import Evidence
from orchestrator.analysis.outcomes import class_name, no_predictions, remembering
from orchestrator.analysis.rows import Cell
from orchestrator.analysis.summary import Summary
from orchestrator.metrics import METRICS, lookup
from orchestrator.metrics.classification import top_k_correct
from orchestrator.metrics.labels import TargetKind
from orchestrator.metrics.predictions import Loader, Predictions
from orchestrator.records import Status, TrialRecord
from orchestrator.report.sources import FromMlflow, FromStore, find_sweep, summary_of
from orchestrator.report.tables.arms import main_table
from orchestrator.report.wording.contrasts import unit_of_difference
from orchestrator.report.wording.findings import name_of
from orchestrator.report.wording.notes import answers, cautions, headline
from orchestrator.report.wording.numbers import tie

if TYPE_CHECKING:
    from pandas import DataFrame

    from orchestrator.report.figures import StudyFigure

THRESHOLD = 0.5
"""Probability from which a class counts as predicted where a clip has any number of them."""


@dataclass(frozen=True, kw_only=True)
class LoadedStudy:
    """A study's numbers, which are those of its report; `load_study` makes one.

    Columns named by a metric's key (`val/top1`) are in the metric's unit as in the report, percent
    for accuracies; metrics that the catalog does not know are as stored. Frames are made on first
    use. In a notebook the study shows itself as the table with its answers.

    Attributes:
        summary: Everything that the report says of the study.
        records: Trial id -> record, for trials that have one.
        load: Function that reads a trial's predictions at the reported epoch.
        recordings: Clip -> source recording; empty without the pack.
    """

    summary: Summary
    records: Mapping[str, TrialRecord]
    load: Loader
    recordings: Mapping[str, str]

    @functools.cached_property
    def arms(self) -> DataFrame:
        """A row per arm and metric: `arm, metric, unit, n, mean, low, high, trials`.

        n counts the replicates of the 95 % interval from low to high, trials the values.
        """
        rows = [
            {
                "arm": arm.name,
                "metric": key,
                "unit": measure.metric.unit,
                "n": measure.interval.n,
                "mean": measure.interval.mean,
                "low": measure.interval.low,
                "high": measure.interval.high,
                "trials": len(measure.values),
            }
            for arm in self.summary.arms
            for key, measure in arm.measures.items()
        ]
        return _frame(rows, ("arm", "metric", "unit", "n", "mean", "low", "high", "trials"))

    @functools.cached_property
    def trials(self) -> DataFrame:
        """A row per planned trial, also without a record.

        Columns: `trial` (id), `arm`, `seed`, `fold`, `status`, `reason` (why it is not counted);
        `level/FACTOR` for every factor, a name; in a dose series `dose`, a number, missing where
        there is none; the metrics at the reported epoch; `seconds` (training),
        `set_up_s`, `peak_memory_mb`, `num_params`, `macs` (of one clip), `clips_per_s`, `device`,
        `attempts`.
        """
        rows = []
        doses = {item.arm: item.dose for item in self.summary.doses}
        for arm in self.summary.arms:
            levels: dict[str, object] = {
                f"level/{name}": level for name, level in arm.record.levels.items()
            }
            if arm.name in doses:
                levels["dose"] = doses[arm.name]
            for cell in arm.cells:
                row = self._key(cell) | {"status": str(cell.status), "reason": cell.reason}
                rows.append(row | levels | self._outcome(cell, self.records.get(cell.id)))
        return _frame(rows, ("trial", "arm", "seed", "fold", "status", "reason"))

    @functools.cached_property
    def epochs(self) -> DataFrame:
        """A row per trial and epoch: `trial, arm, seed, fold, epoch` and its metrics.

        `time/epoch_s` is in seconds, `throughput/...` per second, `memory/...` in megabytes.
        """
        rows = [
            self._key(cell) | {"epoch": epoch.epoch} | _in_units(epoch.metrics)
            for cell in self.summary.cells
            if (record := self.records.get(cell.id))
            for epoch in record.epochs
        ]
        return _frame(rows, ("trial", "arm", "seed", "fold", "epoch"))

    @functools.cached_property
    def predictions(self) -> DataFrame:
        """A row per finished trial and held-out clip, at the reported epoch.

        Columns: `trial, arm, seed, fold, clip`; `recording` (the clip where unknown); `target` and
        `predicted`, a class's name, or a tuple of names where a clip has several heads or any
        number of classes (those with a probability of at least 0.5); `score`, the probability of
        the predicted class, or the largest; `correct`, whether all of it is right, where a class
        that ties for the largest is not.
        `predictions_of` has the logits.
        """
        import pandas

        names = ("trial", "arm", "seed", "fold", "clip", "recording")
        frames = []
        for cell in self.summary.cells:
            made = self.load(cell.id) if cell.status is Status.FINISHED else None
            if made is not None:
                frames.append(pandas.DataFrame(self._key(cell) | self._clips(made)))
        if not frames:
            return _frame([], (*names, "target", "predicted", "score", "correct"))
        return pandas.concat(frames, ignore_index=True)

    @functools.cached_property
    def contrasts(self) -> DataFrame:
        """A row per declared contrast.

        Columns: `name, arm, reference`; `metric`; `unit` of the difference; `n` pairs;
        `difference`, arm minus reference, with its 95 % interval `low` to `high`; `p`,
        `adjusted_p`, `verdict`; `low_recordings` and `high_recordings`, the interval over other
        seeds and other recordings, over `recordings` of these, and what would narrow it most,
        `narrowed_by`.
        """
        rows = [
            {"name": name_of(c), "arm": c.arm, "reference": c.reference} | _numbers(c)
            for c in self.summary.contrasts
        ]
        return _frame(rows, ("name", "arm", "reference", *_NUMBERS))

    @functools.cached_property
    def effects(self) -> DataFrame:
        """A row per declared effect: `name`, `factors` and the columns of `contrasts`."""
        rows = [
            {"name": e.record.name, "factors": tuple(e.record.factors)} | _numbers(e)
            for e in self.summary.effects
        ]
        return _frame(rows, ("name", "factors", *_NUMBERS))

    def predictions_of(self, trial: str) -> Predictions | None:
        """Return a trial's predictions with logits, targets and frames; None if there are none.

        Args:
            trial: Its id, as in the frames.
        """
        return self.load(trial)

    def forest(self) -> StudyFigure:
        """Draw the differences with their intervals; see `report.figures.forest_figure`."""
        from orchestrator.report.figures import forest_figure

        return forest_figure(self.summary)

    def curves(self, metric: str = "") -> StudyFigure:
        """Draw each arm's mean over epochs with its interval.

        Args:
            metric: Its key; empty is the study's.

        Raises:
            ConfigError: No metric has that key, or no finished trial has it by epoch.
        """
        from orchestrator.report.figures import curves_figure

        chosen = lookup(metric) if metric else self.summary.metric
        return curves_figure(self.summary, self.records, chosen)

    def dose(self) -> StudyFigure:
        """Draw the metric over the dose.

        Raises:
            ConfigError: The study is no dose series.
        """
        from orchestrator.report.figures import dose_figure

        return dose_figure(self.summary)

    def __repr__(self) -> str:
        return f"LoadedStudy({self.summary.plan.sweep!r})"

    def _repr_html_(self) -> str:
        """Return the answers, the table and what to be careful with."""
        summary, table = self.summary, main_table(self.summary)
        said = [headline(summary), *(answer.text for answer in answers(summary))]
        heads = "".join(
            f"<th>{escape(column.title)}{f' ({escape(column.unit)})' if column.unit else ''}</th>"
            for column in table.columns
        )
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(tie(cell.strip()))}</td>" for cell in row) + "</tr>"
            for row in table.rows
        )
        return (
            f"<p><b>{escape(summary.plan.question or summary.plan.sweep)}</b></p>"
            f"<ul>{_items(said)}</ul>"
            f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
            f"<ul>{_items(cautions(summary))}</ul>"
        )

    def _key(self, cell: Cell) -> dict[str, object]:
        return {"trial": cell.id, "arm": cell.arm, "seed": cell.seed, "fold": cell.fold}

    def _outcome(self, cell: Cell, record: TrialRecord | None) -> dict[str, object]:
        if record is None:
            return {}
        selection = self.summary.plan.selection_of(cell.arm)
        at_epoch = record.metrics_at(selection) if record.status is Status.FINISHED else {}
        measured: dict[str, object] = {
            key: value for key, value in _in_units(at_epoch).items() if key in METRICS
        }
        if cell.value is not None:  # also of a metric that the report computed from predictions
            measured[self.summary.metric.key] = cell.value
        costs = ("seconds", "set_up_s", "peak_memory_mb", "num_params", "macs", "clips_per_s")
        return measured | {
            name: getattr(record.cost, name) for name in (*costs, "device", "attempts")
        }

    def _clips(self, made: Predictions) -> dict[str, object]:
        """Return the columns of a trial's clips."""
        probabilities, targets = made.probabilities(), made.targets
        if made.kind is TargetKind.SINGLE_LABEL:
            correct = top_k_correct(made.logits, made.labels, k=1)
            guesses = probabilities.argmax(axis=1)
            target = [class_name(self.summary, i) for i in made.labels.tolist()]
            predicted = [class_name(self.summary, i) for i in guesses.tolist()]
        else:
            chosen = probabilities >= THRESHOLD
            if made.kind is TargetKind.HEADS:
                chosen[:] = False
                for part in targets.parts().values():
                    best = probabilities[:, part].argmax(axis=1) + part.start
                    chosen[range(len(made)), best] = True
            target = [self._names(row.nonzero()[0].tolist()) for row in targets.multi_hot()]
            predicted = [self._names(row.nonzero()[0].tolist()) for row in chosen]
            correct = (chosen == targets.multi_hot()).all(axis=1)
        return {
            "clip": made.clip_ids,
            "recording": [self.recordings.get(clip, clip) for clip in made.clip_ids],
            "target": target,
            "predicted": predicted,
            "score": probabilities.max(axis=1),
            "correct": correct,
        }

    def _names(self, classes: Iterable[int]) -> tuple[str, ...]:
        return tuple(class_name(self.summary, index) for index in classes)


def load_study(
    sweep: str,
    store: str = "store",
    *,
    metric: str = "",
    allow_mixed: bool = False,
    from_mlflow: str = "",
) -> LoadedStudy:
    """Load a stored sweep's numbers, checked as for its report.

    Args:
        sweep: Stored name, or a sweep file's path.
        store: Folder or URI of the store.
        metric: Key of another metric than the declared one.
        allow_mixed: Compare trials of different code or data all the same.
        from_mlflow: Address of a tracking server to read in place of a store.

    Raises:
        ConfigError: No sweep or metric has that name; the message lists those that there are.
        StoreError: Records or predictions were edited or damaged.
        TrackingError: The server does not answer.
    """
    source = FromMlflow(from_mlflow) if from_mlflow else FromStore(store)
    material = source.material(find_sweep(sweep, source.sweeps()))
    if material.predictions:
        material = dataclasses.replace(material, predictions=remembering(material.predictions))
    recordings = material.recordings() if material.recordings else {}
    material = dataclasses.replace(material, recordings=lambda: recordings)
    return LoadedStudy(
        summary=summary_of(source, material, metric=metric, mixed=allow_mixed),
        records=material.records,
        load=material.predictions or no_predictions,
        recordings=recordings,
    )


_NUMBERS = (
    *("metric", "unit", "n", "difference", "low", "high", "p", "adjusted_p", "verdict"),
    *("low_recordings", "high_recordings", "recordings", "narrowed_by"),
)


def _numbers(evidence: Evidence) -> dict[str, object]:
    """Return the columns of `_NUMBERS` for a comparison."""
    size, over = evidence.difference, evidence.over_recordings
    return {
        "metric": evidence.metric.key,
        "unit": unit_of_difference(evidence.metric),
        "n": size.n if size else 0,
        "difference": size.mean if size else None,
        "low": size.low if size else None,
        "high": size.high if size else None,
        "p": size.p_value if size else None,
        "adjusted_p": evidence.adjusted_p,
        "verdict": str(evidence.verdict),
        "low_recordings": over.low if over else None,
        "high_recordings": over.high if over else None,
        "recordings": over.num_recordings if over else None,
        "narrowed_by": " or ".join(over.narrowed_by) if over else "",
    }


def _in_units(metrics: Mapping[str, float]) -> dict[str, float]:
    return {
        key: value * METRICS[key].scale if key in METRICS else value
        for key, value in metrics.items()
    }


def _frame(rows: list[dict[str, object]], columns: tuple[str, ...]) -> DataFrame:
    """Return a frame that has these columns first, also without rows."""
    import pandas

    every = dict.fromkeys((*columns, *(key for row in rows for key in row)))
    return pandas.DataFrame(rows, columns=list(every))


def _items(texts: Iterable[str]) -> str:
    return "".join(f"<li>{escape(tie(text))}</li>" for text in texts)
