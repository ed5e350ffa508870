"""Read sweeps back from a tracking server, for a report without the store."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.analysis.overview import Overview
from orchestrator.errors import ConfigError, TrackingError
from orchestrator.metrics.predictions import Predictions
from orchestrator.predict.figures.shelf import INDEX, listed_files
from orchestrator.records import EpochRecord, PlanRecord, Status, TrialRecord
from orchestrator.store import forms, tables
from orchestrator.tracking.links import run_address
from orchestrator.tracking.mlflow_server import FoundRun, Server
from orchestrator.tracking.places import SQLITE, checked_uri, holds_runs
from orchestrator.tracking.sweep_views import FINISHED, PLAN, PLANNED, RECORD, VERDICT_TAG
from orchestrator.tracking.uploads import PREDICTIONS, PREDICTIONS_TAG, REPORT_TAG, key_of, state_of
from orchestrator.tracking.views import SWEEP, TAG, Key, from_ms


@dataclass(frozen=True, kw_only=True)
class Study:
    """A sweep as shown by a server.

    Attributes:
        plan: Plan as declared.
        records: Trial id -> record.
        links: Trial id -> address of its run's page, if known.
        predictions: Function that reads a trial's per-clip predictions; None if its run has none.
        pictures: Function that writes the report's pictures and their list to a folder.
    """

    plan: PlanRecord
    records: Mapping[str, TrialRecord]
    links: Mapping[str, str]
    predictions: Callable[[str], Predictions | None]
    pictures: Callable[[Path], None]


class Reader(Server):
    """A read-only tracking server.

    Args:
        uri: Address, for example `sqlite:////data/mlflow.db` or `http://host:5000`.

    Raises:
        ConfigError: The address is invalid, or the SQLite file does not exist or holds no runs.
        TrackingError: The server does not answer.
    """

    def __init__(self, uri: str):
        path = checked_uri(uri).removeprefix(SQLITE)
        # MLflow would create one, or its tables in one of another program.
        if path != uri and not os.path.isfile(path):
            raise ConfigError(f"there is no database {path!r}; give the address of a sweep's runs")
        if path != uri and not holds_runs(path):
            raise ConfigError(
                f"{path!r} holds no runs of MLflow; give the address of a sweep's runs"
            )
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        super().__init__(uri, None)
        self._copies = tempfile.TemporaryDirectory()

    def sweeps(self) -> dict[str, Overview]:
        """Return the uploaded sweeps, sorted: name -> its line in a list."""
        experiments = self._pages(self._client.search_experiments)
        runs = self._pages(
            self._client.search_runs,
            [experiment.experiment_id for experiment in experiments],
            filter_string=f"tags.`{TAG}kind` = 'sweep'",
        )
        found = {
            run.data.tags[f"{TAG}sweep"]: Overview(
                pack=run.data.tags.get(f"{TAG}pack", ""),
                changed_at=from_ms(run.info.end_time or run.info.start_time),
                finished=int(run.data.metrics.get(FINISHED, 0)),
                planned=int(run.data.metrics.get(PLANNED, 0)),
                verdict=run.data.tags.get(VERDICT_TAG, ""),
            )
            for run in runs
            if run.data.tags.get(f"{TAG}sweep")
        }
        return dict(sorted(found.items()))

    def study(self, sweep: str) -> Study:
        """Return an uploaded sweep.

        Args:
            sweep: Name in `sweeps`.

        Raises:
            StoreError: Uploaded data is damaged, edited or newer than this version.
            TrackingError: The server does not answer, or shows a trial without its record.
        """
        with self._speaking():
            experiment = self._client.get_experiment_by_name(sweep)
        if experiment is None:
            raise TrackingError(f"sweep {sweep} is not on {self.uri}")
        runs: dict[Key, FoundRun] = {}
        # Of two runs created by racing uploads, the first is kept.
        for run in sorted(
            self.runs(experiment.experiment_id), key=lambda run: (run.started_ms, run.id)
        ):
            runs.setdefault(key_of(run.tags) or (), run)
        if SWEEP not in runs:
            raise TrackingError(f"sweep {sweep} is not on {self.uri}")
        where = f"{PLAN} of sweep {sweep} on {self.uri}"
        plan = forms.parse_plan(self._read(runs[SWEEP], PLAN), where=where)
        mine = {key[2]: run for key, run in runs.items() if key and key[0] == "replicate"}
        records = {
            trial.id: self._record(trial.id, mine[trial.id], sweep)
            for trial in plan.trials
            if trial.id in mine
        }
        read = plan.epochs_read()
        digests = {trial: r.predictions.get(read[trial], "") for trial, r in records.items()}
        links = {
            trial: run_address(self.uri, experiment.experiment_id, run.id)
            for trial, run in mine.items()
        }
        return Study(
            plan=plan,
            records=records,
            links={trial: link for trial, link in links.items() if link},
            predictions=lambda trial: self._predictions(
                trial, mine.get(trial), digests.get(trial, "")
            ),
            pictures=lambda folder: self._pictures(runs[SWEEP], folder),
        )

    def _predictions(self, trial: str, run: FoundRun | None, digest: str) -> Predictions | None:
        """Return a run's predictions at the plan's epoch, downloaded once."""
        if run is None or PREDICTIONS_TAG not in run.tags:
            return None
        where = f"{PREDICTIONS} of trial {trial} on {self.uri}"
        copy = Path(self._copies.name) / run.id
        if not copy.exists():
            copy.write_bytes(self._read(run, PREDICTIONS))
        return tables.parse(copy.read_bytes(), where=where, digest=digest)

    def _pictures(self, run: FoundRun, folder: Path) -> None:
        try:
            names = dict(json.loads(run.tags.get(REPORT_TAG, "{}")))
        except (ValueError, TypeError):
            names = {}
        if INDEX not in names:
            return
        (folder / INDEX).write_bytes(self._report_file(run, INDEX, names))
        for name in listed_files(folder):
            if name in names:
                (folder / name).write_bytes(self._report_file(run, name, names))

    def _report_file(self, run: FoundRun, name: str, digests: Mapping[str, str]) -> bytes:
        data = self._read(run, f"report/{name}")
        if not forms.digest_of(data).startswith(digests[name]):
            raise TrackingError(
                f"report/{name} on {self.uri} is not the file that was uploaded: it was edited or "
                "damaged; run the sweep again, or `python -m orchestrator.report` on its store"
            )
        return data

    def _record(self, trial: str, run: FoundRun, sweep: str) -> TrialRecord:
        """Return a trial's record; for a running trial, only its progress."""
        status = run.tags.get(f"{TAG}status", "")
        state = state_of(run)
        if RECORD in state.get("texts", {}):
            where = f"{RECORD} of trial {trial} on {self.uri}"
            record = forms.parse_record(trial, self._read(run, RECORD), where=where)
            if record.status == status:
                return record
        if status != Status.RUNNING:
            raise TrackingError(
                f"trial {trial} on {self.uri} has no {RECORD}: it was uploaded by an older "
                f"version, or not to its end. `python -m orchestrator.sync {sweep} --store STORE "
                f"--tracking-uri {self.uri}` uploads it from its store."
            )
        done = range(1, state.get("epochs", 0) + 1)
        epochs = tuple(EpochRecord(epoch=epoch, metrics={}) for epoch in done)
        return TrialRecord(id=trial, status=Status.RUNNING, experiment={}, epochs=epochs)

    def _read(self, run: FoundRun, name: str) -> bytes:
        with self._speaking(), tempfile.TemporaryDirectory() as folder:
            return Path(self._client.download_artifacts(run.id, name, folder)).read_bytes()
