"""Make a tracking server mirror the store; running it twice changes nothing.

Each run has a tag with the digest of the uploaded content, written last. A run with a matching tag
needs no update; a run without a tag was interrupted, and the server recognizes repeated values,
because a metric's time comes from the record and never from a clock.
"""

from __future__ import annotations

import hashlib
import json
import math
import shlex
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import TrackingError
from orchestrator.records import PlanRecord, TrialRecord, epoch_of
from orchestrator.store import Store, forms
from orchestrator.store.locks import LockHeld, lease
from orchestrator.tracking.links import run_address
from orchestrator.tracking.places import artifact_root
from orchestrator.tracking.sweep_views import drafts
from orchestrator.tracking.uploads import (
    IN_PLAN_TAG,
    PREDICTIONS,
    PREDICTIONS_TAG,
    REPORT_TAG,
    Shown,
    key_of,
    state_of,
    upload,
)
from orchestrator.tracking.views import SWEEP, Draft, Key, view_digest

if TYPE_CHECKING:
    from orchestrator.tracking.mlflow_server import FoundRun, Server

_LOCK_S = 60.0


@dataclass(frozen=True, kw_only=True)
class SyncResult:
    """Result of a reconciliation.

    Attributes:
        uploaded: New or changed runs (sweep, arms and replicates).
        unchanged: Runs that were up to date.
        failed: Runs that the server refused.
        message: One line for the user; names the first refusal.
    """

    uploaded: int
    unchanged: int
    failed: int
    message: str


class Tracker:
    """A view of a store's sweeps on one tracking server; not thread-safe.

    Args:
        tracking_uri: Address from `resolve_uri`.
        store: Source of truth.
    """

    def __init__(self, tracking_uri: str, *, store: Store):
        self.tracking_uri = tracking_uri
        self.store = store
        self._server: Server | None = None
        self._until = math.inf
        self._shown: dict[str, Shown] = {}
        self._uploads: dict[str, int] = {}

    def finish_within(self, limit_s: float) -> None:
        """Give up what is not uploaded in so many seconds from now; may be called by any thread."""
        self._until = time.monotonic() + limit_s
        if self._server is not None:
            self._server.until = self._until

    def reconcile(
        self, plan: PlanRecord, records: Mapping[str, TrialRecord], *, final: bool
    ) -> SyncResult:
        """Upload everything that the server does not show yet.

        Record objects that were in the last call are skipped.

        Args:
            plan: Plan of the sweep, which names the experiment.
            records: Trial id -> record, for trials that have one.
            final: Whether training is over.

        Raises:
            TrackingError: The server does not answer, or not in time; nothing is lost.
        """
        planned = list(drafts(plan, records, store=self.store.uri, final=final))
        uploaded = unchanged = 0
        refusals: list[str] = []
        try:
            with self._alone(plan.sweep):
                shown = self._find(plan.sweep)
                for draft in planned:
                    if shown.is_current(draft):
                        unchanged += 1
                        continue
                    try:
                        changed = self._show(shown, draft)
                        changed |= self._show_predictions(shown, draft.key, plan)
                        shown.remember(draft)
                    except TrackingError as error:
                        self._connect().ping()
                        refusals.append(f"{' '.join(draft.key)}: {error}")
                        continue
                    uploaded += changed
                    unchanged += not changed
                self._retire(shown, plan, planned)
        except TrackingError as error:
            self._shown.pop(plan.sweep, None)
            self._server = None
            waiting = len(planned) - uploaded - unchanged
            what = "is too slow" if time.monotonic() >= self._until else "does not answer"
            raise TrackingError(
                f"the tracking server {what} ({error}). Nothing is lost: {waiting} of "
                f"{len(planned)} runs wait in the store; `python -m orchestrator.sync "
                f"{plan.sweep} --store {shlex.quote(self.store.uri)}` uploads them."
            ) from error
        if refusals:
            self._shown.pop(plan.sweep, None)
        message = f"{plan.sweep}: {uploaded} runs uploaded, {unchanged} unchanged"
        if refusals:
            message += f", {len(refusals)} refused; the first: {refusals[0]}"
        return SyncResult(
            uploaded=uploaded, unchanged=unchanged, failed=len(refusals), message=message
        )

    def log_report(self, plan: PlanRecord, files: Sequence[Path]) -> int:
        """Upload changed report files to the sweep's run, under `report/`.

        Args:
            plan: Plan of a reconciled sweep.
            files: Local files, which replace files of the same name.

        Returns:
            The number of uploaded files.

        Raises:
            TrackingError: The server does not answer, or does not have the sweep.
        """
        with self._alone(plan.sweep):
            run = self._find(plan.sweep).runs.get(SWEEP)
            if run is None:
                raise TrackingError(f"sweep {plan.sweep} is not on {self.tracking_uri} yet")
            known = json.loads(run.tags.get(REPORT_TAG, "{}"))
            digests = {
                path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:12] for path in files
            }
            changed = [path for path in files if known.get(path.name) != digests[path.name]]
            for path in changed:
                self._connect().log_file(run, path, "report")
            if changed:
                text = json.dumps({**known, **digests})
                self._connect().log(run, points=(), params={}, tags={REPORT_TAG: text})
        return len(changed)

    def links(self, plan: PlanRecord) -> dict[str, str]:
        """Return trial id -> address of its run's page, if known.

        Raises:
            TrackingError: The server does not answer.
        """
        if not run_address(self.tracking_uri, "", ""):
            return {}
        shown = self._find(plan.sweep)
        return {
            key[2]: run_address(self.tracking_uri, shown.experiment, run.id)
            for key, run in shown.runs.items()
            if key[0] == "replicate"
        }

    def run_of(self, plan: PlanRecord, arm: str, trial: str) -> tuple[Server, FoundRun]:
        """Return the server and the run of a trial on it.

        Raises:
            TrackingError: The server does not answer, or does not have the trial.
        """
        with self._alone(plan.sweep):
            run = self._find(plan.sweep).runs.get(("replicate", arm, trial))
        if run is None:
            raise TrackingError(
                f"trial {trial} of {plan.sweep} is not on {self.tracking_uri} yet; `python -m "
                f"orchestrator.sync {plan.sweep} --store {shlex.quote(self.store.uri)}` uploads it"
            )
        return self._connect(), run

    def _connect(self) -> Server:
        if not self.tracking_uri:
            raise TrackingError(
                f"no tracking server is known for the store {self.store.uri}; give one with "
                "--tracking-uri"
            )
        if self._server is None:
            from orchestrator.tracking.mlflow_server import Server

            # Two processes must not migrate a new database at once.
            with self._alone(""):
                root = artifact_root(self.tracking_uri, self.store)
                self._server = Server(self.tracking_uri, root, until=self._until)
        return self._server

    @contextmanager
    def _alone(self, sweep: str) -> Iterator[None]:
        """Keep other processes from uploading the same sweep, and see what they did before."""
        folder = f"{forms.sweep_folder(sweep)}/uploads" if sweep else "uploads"
        held = lease(
            self.store.files, folder, "the upload", owner="sync", timeout_s=_LOCK_S, on_wait=None
        )
        try:
            with held as number:
                if self._uploads.get(sweep) != number - 1:  # another process uploaded meanwhile
                    self._shown.pop(sweep, None)
                self._uploads[sweep] = number
                yield
        except LockHeld as error:
            raise TrackingError(f"another process is uploading: {error.holder}") from error

    def _find(self, sweep: str) -> Shown:
        if sweep not in self._shown:
            server = self._connect()
            experiment = server.experiment(sweep)
            runs: dict[Key, FoundRun] = {}
            for run in sorted(server.runs(experiment), key=lambda run: (run.started_ms, run.id)):
                key = key_of(run.tags)
                if key in runs:
                    server.delete_run(run)
                elif key:
                    runs[key] = run
            self._shown[sweep] = Shown(experiment=experiment, runs=runs)
        return self._shown[sweep]

    def _show(self, shown: Shown, draft: Draft) -> bool:
        """Bring one run up to date; return whether that took an upload."""
        view = draft.build()
        parent_id = shown.parent_id(view.parent)
        if view.parent and not parent_id:
            raise TrackingError("the run it nests in could not be shown")
        run = shown.runs.get(view.key)
        wanted = view_digest(view, parent_id)
        changed = run is None or state_of(run).get("digest") != wanted
        if changed:
            shown.runs[view.key] = upload(
                self._connect(), view, run, experiment=shown.experiment, parent_id=parent_id
            )
        return changed

    def _show_predictions(self, shown: Shown, key: Key, plan: PlanRecord) -> bool:
        """Upload a finished trial's predictions if missing or changed; return whether it did."""
        run = shown.runs[key]
        if key[0] != "replicate" or run.status != "FINISHED":
            return False
        selection = plan.selection_of(key[1])
        path = forms.predictions_path(key[2], epoch_of(selection))
        (version,) = self.store.files.versions([path])
        wanted = f"{selection} {version}"
        data = None
        if version and run.tags.get(PREDICTIONS_TAG) != wanted:
            data = self.store.files.read(path)
        if data is None:
            return False
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / PREDICTIONS
            copy.write_bytes(data)
            self._connect().log_file(run, copy, "")
        self._connect().log(run, points=(), params={}, tags={PREDICTIONS_TAG: wanted})
        return True

    def _retire(self, shown: Shown, plan: PlanRecord, planned: Sequence[Draft]) -> None:
        """Mark runs of arms and trials that are no longer in the plan."""
        if shown.plan is plan:
            return
        trials = {("replicate", trial.arm, trial.id) for trial in plan.all_trials}
        kept = trials | {draft.key for draft in planned}
        for key, run in shown.runs.items():
            mark = {IN_PLAN_TAG: "yes" if key in kept else "no"}
            if not mark.items() <= run.tags.items():
                self._connect().log(run, points=(), params={}, tags=mark)
        shown.plan = plan
