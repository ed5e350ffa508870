"""Publish a store: MLflow during the sweep, then the table and the page."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

from orchestrator.analysis.missed import missed_alike
from orchestrator.analysis.outcomes import Outcomes, remembering
from orchestrator.analysis.summary import Summary, summarize
from orchestrator.errors import OrchestratorError, TrackingError, without_passwords
from orchestrator.predict.figures.shelf import INDEX
from orchestrator.records import PlanRecord, TrialRecord
from orchestrator.report.files import PICTURES, report_folder, write_report
from orchestrator.report.render.text import WIDEST, render_text, table_text
from orchestrator.report.sources import (
    FromStore,
    following_summary,
    recordings_of,
    sounds_of,
)
from orchestrator.report.tables.missed import missed_tables
from orchestrator.report.wording.clips import clips_to_show, missed_to_show
from orchestrator.store import Store
from orchestrator.store.verification import loader, verify_stored
from orchestrator.terminal.text import terminal_width
from orchestrator.terminal.waiting import waiting
from orchestrator.tracking.links import read_links
from orchestrator.tracking.live import LiveSync, SweepSync
from orchestrator.tracking.places import is_synced, resolve_uri
from orchestrator.tracking.tracker import Tracker

STOP_S = 120.0
LAST_S = 300.0
"""Most seconds for the last upload; `python -m orchestrator.sync` has no limit."""


class Publisher:
    """Updates a sweep's views while it runs, and completes them at its end.

    A failure of the tracking server never stops the sweep: it is printed at the end, with the
    command that uploads the rest.
    """

    def __init__(self, plan: PlanRecord, *, store: Store, tracking_uri: str):
        """Choose the tracking server without sending anything.

        Args:
            plan: Sweep as declared.
            store: Source of truth.
            tracking_uri: Address from the command line; empty leaves the choice to the environment
                and the store.

        Raises:
            ConfigError: MLflow cannot use the address.
        """
        self._plan = plan
        self._store = store
        self._uri = resolve_uri(tracking_uri, os.environ, store)
        self._live: LiveSync | None = None

    def __enter__(self) -> Publisher:
        self._watch()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            # Two threads must not import mlflow at once, so wait for this one before `finish`.
            with self._waiting():
                self._live.stop(final=False, timeout_s=0 if error else STOP_S)

    def declare(self, plan: PlanRecord) -> None:
        """Follow a plan that has grown, as in a search."""
        self._plan = plan
        if self._live is not None:
            self._live.declare(plan)

    def finish(self) -> None:
        """Print the table, bring MLflow up to date and write the report.

        Raises:
            StoreError: Records or predictions were edited or damaged; the message names every
                trial.
        """
        plan, store = self._plan, self._store
        records = store.read_records([key.id for key in plan.trials])
        verify_stored(store, plan, records)
        self._predictions = remembering(loader(store, plan, records))
        width = terminal_width(widest=WIDEST)
        print()
        summary = summarize(
            plan,
            records,
            predictions=self._predictions,
            recordings=recordings_of(store, plan),
            following=following_summary(FromStore(store.uri), plan),
        )
        print(render_text(summary, width), flush=True)
        for table in missed_tables(summary, records, self._predictions):
            print(table_text(table, width), flush=True)
        folder = report_folder(store, plan.sweep)
        whole = self._uri and is_synced(plan, store=store, tracking_uri=self._uri)
        if whole and (folder / "report.html").exists():
            print(f"report: {folder / 'report.html'}")
            print(self._how_to_look())
            return
        problem = self._sync()
        pictures = self._pictures(records, summary, folder / PICTURES)
        paths = write_report(
            summary,
            records,
            folder,
            predictions=self._predictions,
            links=read_links(store, plan.sweep),
            pictures=folder / PICTURES,
            sounds=sounds_of(store, plan),
        )
        print(f"report: {paths.html}")
        files = [*paths.every, *pictures]
        print(problem or self._upload(files))

    def _watch(self) -> None:
        if self._uri:
            from orchestrator.tracking.mlflow_server import load

            load()  # before its thread and Ray import at the same time
            self._live = LiveSync(self._plan, store=self._store, tracking_uri=self._uri).start()

    def _sync(self) -> str:
        """Bring the runs up to date; return the problem, or an empty string."""
        if not self._uri:
            return (
                "MLflow: a store that is not on a disk needs --tracking-uri or MLFLOW_TRACKING_URI"
            )
        try:
            self._tracker = Tracker(self._uri, store=self._store)
            self._tracker.finish_within(LAST_S)
            sync = SweepSync(plan=self._plan, store=self._store, tracker=self._tracker)
            with self._waiting():
                result = sync.once(final=True)
        except TrackingError as error:
            return f"MLflow: {error}"
        return f"MLflow: {result.message}" if result.failed else ""

    def _upload(self, files: Sequence[Path]) -> str:
        try:
            with self._waiting():
                self._tracker.log_report(self._plan, files)
        except TrackingError as error:
            return f"MLflow: {error}"
        return self._how_to_look()

    def _waiting(self) -> AbstractContextManager[None]:
        return waiting(
            f"MLflow: waiting, at most {LAST_S:g} s, for {self._uri} to take what it does not show"
        )

    def _how_to_look(self) -> str:
        if self._uri.startswith("sqlite:"):
            beside = Path(sys.executable).with_name("mlflow")
            program = "mlflow" if shutil.which("mlflow") else shlex.quote(str(beside))
            return f"MLflow: {program} ui --backend-store-uri {shlex.quote(self._uri)}"
        return f"MLflow: {without_passwords(self._uri)}"

    def _pictures(
        self, records: Mapping[str, TrialRecord], summary: Summary, folder: Path
    ) -> list[Path]:
        """Make the pictures; a failure affects nothing else."""
        from orchestrator.predict.figures.make import make_pictures

        try:
            clips = missed_to_show(summary, missed_alike(summary, records, self._predictions))
            clips |= clips_to_show(summary, Outcomes(summary, self._predictions))
            pictures = make_pictures(self._plan, records, self._store, folder, clips=clips)
        except (OrchestratorError, OSError, RuntimeError, ValueError) as error:
            print(f"pictures: none, {str(error).strip().splitlines()[0]}")
            return []
        return [folder / picture.file for picture in pictures] + (
            [folder / INDEX] if pictures else []
        )
