"""Keep a tracking server up to date during a sweep."""

from __future__ import annotations

import shlex
import threading
import time
from dataclasses import dataclass, field

from orchestrator.errors import OrchestratorError, without_passwords
from orchestrator.records import PlanRecord, TrialRecord
from orchestrator.store import Store
from orchestrator.tracking.links import write_links
from orchestrator.tracking.places import is_synced, mark_synced, versions
from orchestrator.tracking.tracker import SyncResult, Tracker

_BACK_OFF_S = 60.0


@dataclass(kw_only=True)
class SweepSync:
    """Reconciles one sweep repeatedly, reading only changed records.

    Attributes:
        plan: Plan of the sweep.
        store: Source of truth.
        tracker: View on the server.
    """

    plan: PlanRecord
    store: Store
    tracker: Tracker
    _records: dict[str, TrialRecord] = field(default_factory=dict)
    _seen: dict[str, str] = field(default_factory=dict)

    def once(self, *, final: bool) -> SyncResult:
        """Reconcile; once everything is final, note that and the links to the runs.

        Raises:
            StoreError: A record is damaged.
            TrackingError: The server does not answer.
        """
        seen = versions(self.plan, self.store)
        changed = [trial for trial, version in seen.items() if version != self._seen.get(trial)]
        self._records |= self.store.read_records([trial for trial in changed if seen[trial]])
        for trial in changed:
            if not seen[trial]:
                self._records.pop(trial, None)
        self._seen = seen
        result = self.tracker.reconcile(self.plan, self._records, final=final)
        if final and not result.failed:
            uri = self.tracker.tracking_uri
            links = self.tracker.links(self.plan)
            write_links(self.store, self.plan.sweep, links, tracking_uri=uri)
            mark_synced(self.plan, seen, store=self.store, tracking_uri=uri)
        return result


class LiveSync:
    """A thread that shows a running sweep and never raises into it.

    A sweep noted as complete costs neither an import of mlflow nor a request.

    Args:
        plan: Plan of the sweep, as stored.
        store: Source of truth.
        tracking_uri: Address from `resolve_uri`.
        every_s: Pause between reads of the store.

    Attributes:
        problem: Latest problem, for the user; empty if there is none.
        result: Result of the last successful reconciliation.
    """

    def __init__(self, plan: PlanRecord, *, store: Store, tracking_uri: str, every_s: float = 5.0):
        self.problem = ""
        self.result: SyncResult | None = None
        self._plan = plan
        self._store = store
        self._uri = tracking_uri
        self._every_s = every_s
        self._sync = SweepSync(plan=plan, store=store, tracker=Tracker(tracking_uri, store=store))
        self._stop = threading.Event()
        self._final = False
        self._thread = threading.Thread(target=self._run, name="tracking", daemon=True)

    def start(self) -> LiveSync:
        """Start the thread."""
        self._thread.start()
        return self

    def declare(self, plan: PlanRecord) -> None:
        """Follow a plan that has grown, from the next read on."""
        self._plan = plan
        self._sync.plan = plan

    def stop(self, *, final: bool = True, timeout_s: float = 60.0) -> SyncResult | None:
        """Reconcile once more and stop.

        Args:
            final: Whether training is over.
            timeout_s: Time to wait; then the upload ends with its request, and `python -m
                orchestrator.sync` finishes it.

        Returns:
            The last result, or None without one; `problem` says why.
        """
        self._final = final
        self._stop.set()
        if self._thread.ident is None:
            return None
        self._sync.tracker.finish_within(timeout_s)
        self._thread.join(timeout_s)
        if self._thread.is_alive() and not self.problem:
            store = shlex.quote(self._store.uri)
            self.problem = without_passwords(
                f"{self._uri} was still being written after {timeout_s:g} s. Nothing is lost: "
                f"`python -m orchestrator.sync {self._plan.sweep} --store {store}` "
                "uploads the rest."
            )
        return self.result

    def _run(self) -> None:
        pause_s = self._every_s
        while True:
            stopping = self._stop.wait(pause_s)
            started = time.monotonic()
            ok = self._once(final=stopping and self._final)
            if stopping:
                return
            # Uploads take at most half of the time, and a dead server gets few requests.
            took_s = time.monotonic() - started
            pause_s = max(self._every_s, took_s if ok else min(_BACK_OFF_S, 2 * pause_s))

    def _once(self, *, final: bool) -> bool:
        try:
            if is_synced(self._plan, store=self._store, tracking_uri=self._uri):
                self.result = SyncResult(
                    uploaded=0,
                    unchanged=0,
                    failed=0,
                    message=f"{self._plan.sweep}: shown already",
                )
            else:
                self.result = self._sync.once(final=final)
            self.problem = self.result.message if self.result.failed else ""
            return True
        except OrchestratorError as error:
            self.problem = str(error)
        except Exception as error:  # a problem of the view must not stop the sweep
            self.problem = without_passwords(f"tracking failed ({type(error).__name__}: {error})")
        return False
