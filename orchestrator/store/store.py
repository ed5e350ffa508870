"""One directory per trial and one per sweep.

trials/<id>/record.json, predictions-{last,best}.arrow, lock
trials/<id>/checkpoints/{last,best}.json, {last,best}-<digest>.safetensors
sweeps/<sweep>/plan.json, plans.jsonl (every declaration), points.json (those of a search),
    synced-*.json, verified.json
packs/, logs/
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.errors import StoreError, unknown
from orchestrator.records import PlanRecord, TrialRecord
from orchestrator.store import checkpoints, forms, locks, tables
from orchestrator.store.files import Files, LocalFiles, open_files

if TYPE_CHECKING:
    import torch

    from orchestrator.metrics.predictions import Predictions

Which = Literal["last", "best"]
_THREADS = 16


class Store:
    """Records, predictions, checkpoints and plans. Safe to use from threads and to pickle.

    Attributes:
        files: whole files below the store's folder, by relative path.
        uri: the absolute folder, or the file-system URI, that opens this store from anywhere.
    """

    def __init__(self, files: Files, uri: str):
        self.files = files
        self.uri = uri

    @classmethod
    def open(cls, uri: str | Path, *, create: bool = True) -> Store:
        """Open a store.

        Args:
            uri: a folder, or a URI such as `s3://bucket/folder`.
            create: make it if it is not there, and check that it can be written.

        Raises:
            StoreError: the place cannot be made or written, or is not there.
        """
        return cls(*open_files(uri, create=create))

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return Store.open, (self.uri,)

    def __repr__(self) -> str:
        return f"Store({self.uri!r})"

    @property
    def local_path(self) -> Path | None:
        """The folder, or None where the store is not on a local file system."""
        return self.files.root if isinstance(self.files, LocalFiles) else None

    @property
    def packs_uri(self) -> str:
        """Where packs lie: a folder or a URI."""
        return self.files.where("packs")

    # Plans

    def write_plan(self, plan: PlanRecord) -> PlanRecord:
        """Store a declaration and add it to the sweep's history.

        A plan that asks the same as the stored one leaves that one, with its time and command, as
        it is.

        Returns:
            What the store holds now: the plan, or the equal one that was declared before.

        Raises:
            StoreError: it cannot be written, or the store keeps the name for another pack.
        """
        current = self.read_plan(plan.sweep)
        if current is not None and forms.same_declaration(current, plan):
            return current
        if current is not None:
            _refuse_another_pack(current, plan)
        folder = forms.sweep_folder(plan.sweep)
        self.files.append(f"{folder}/plans.jsonl", forms.dump(plan) + b"\n")
        self.files.write(f"{folder}/plan.json", forms.dump(plan, indent=1))
        return plan

    def read_plan(self, sweep: str) -> PlanRecord | None:
        """Return a sweep's latest declaration, or None where there is none.

        Raises:
            StoreError: it is damaged.
        """
        path = f"{forms.sweep_folder(sweep)}/plan.json"
        data = self.files.read(path)
        return None if data is None else forms.parse_plan(data, where=self.files.where(path))

    def require_plan(self, sweep: str) -> PlanRecord:
        """Return a sweep's latest declaration.

        Raises:
            StoreError: there is no such sweep; names those that are there.
        """
        plan = self.read_plan(sweep)
        if plan is None:
            hint = f"The store is {self.uri}; another is given with --store."
            raise StoreError(unknown("sweep", sweep, self.sweeps(), hint=hint))
        return plan

    def sweeps(self) -> list[str]:
        """Return the names of the sweeps that were declared, sorted."""
        names = self.files.names("sweeps")
        versions = self.files.versions([f"sweeps/{name}/plan.json" for name in names])
        return [name for name, version in zip(names, versions, strict=True) if version]

    def read_points(self, sweep: str) -> list[dict[str, Any]]:
        """Return the points that earlier runs of a search have tried, in their order.

        A point maps an override path to its value.
        """
        data = self.files.read(_points_path(sweep))
        return json.loads(data) if data else []

    def write_points(self, sweep: str, points: Sequence[Mapping[str, Any]]) -> None:
        """Keep all points of a search, so that they are found again."""
        self.files.write(_points_path(sweep), json.dumps([dict(p) for p in points]).encode())

    # Records

    def write_record(self, record: TrialRecord) -> None:
        """Replace a trial's record atomically.

        Raises:
            StoreError: it cannot be written.
        """
        self.files.write(forms.record_path(record.id), forms.dump(record))

    def read_record(self, trial_id: str) -> TrialRecord | None:
        """Return a trial's record, or None before its first.

        Raises:
            StoreError: it is damaged, was edited or cannot be read.
        """
        path = forms.record_path(trial_id)
        data = self.files.read(path)
        if data is None:
            return None
        return forms.parse_record(trial_id, data, where=self.files.where(path))

    def read_records(self, ids: Iterable[str]) -> dict[str, TrialRecord]:
        """Return the records of those trials that have one, in the order asked for.

        Raises:
            StoreError: some are damaged or were edited; names all of them.
        """
        wanted = list(dict.fromkeys(ids))
        paths = [forms.record_path(trial_id) for trial_id in wanted]
        records: dict[str, TrialRecord] = {}
        damaged: list[str] = []
        with ThreadPoolExecutor(_THREADS) as pool:
            contents = pool.map(self.files.read, paths)
            for trial_id, path, data in zip(wanted, paths, contents, strict=True):
                if data is None:
                    continue
                try:
                    where = self.files.where(path)
                    records[trial_id] = forms.parse_record(trial_id, data, where=where)
                except StoreError as error:
                    damaged.append(str(error))
        if damaged:
            raise StoreError("\n".join(damaged))
        return records

    def record_versions(self, ids: Iterable[str]) -> dict[str, str]:
        """Return for each trial a text that changes when its record does; empty without one."""
        wanted = list(ids)
        return dict(
            zip(
                wanted,
                self.files.versions([forms.record_path(trial_id) for trial_id in wanted]),
                strict=True,
            )
        )

    # Predictions

    def write_predictions(self, trial_id: str, which: Which, predictions: Predictions) -> str:
        """Replace a trial's per-clip predictions atomically.

        Args:
            trial_id: the trial.
            which: after the last or the best epoch.
            predictions: one row per clip.

        Returns:
            The digest of the file, for the trial's record, which is written after it.

        Raises:
            StoreError: they cannot be written.
        """
        data = tables.dump(predictions)
        self.files.write(forms.predictions_path(trial_id, which), data)
        return forms.digest_of(data)

    def read_predictions(
        self, trial_id: str, which: Which, *, digest: str = ""
    ) -> Predictions | None:
        """Return a trial's per-clip predictions, or None where there are none.

        Args:
            trial_id: the trial.
            which: after the last or the best epoch.
            digest: of the file, as the trial's record has it; empty where it has none.

        Raises:
            StoreError: the file is damaged, or is not the one that the record was written with.
        """
        path = forms.predictions_path(trial_id, which)
        data = self.files.read(path)
        if data is None:
            return None
        return tables.parse(data, where=self.files.where(path), digest=digest)

    # Checkpoints

    def save_checkpoint(
        self,
        trial_id: str,
        which: Which,
        tensors: Mapping[str, torch.Tensor],
        meta: Mapping[str, Any],
    ) -> None:
        """Replace a trial's last or best checkpoint; a crash leaves the old or the new one.

        Args:
            trial_id: the trial.
            which: only these two are kept.
            tensors: name -> tensor on any device; shared storage is written out twice.
            meta: whatever else is needed to go on, as JSON.

        Raises:
            StoreError: it cannot be written.
        """
        checkpoints.save(self.files, forms.checkpoint_folder(trial_id), which, tensors, meta)

    def load_checkpoint(
        self, trial_id: str, which: Which
    ) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
        """Return tensors (in main memory) and meta, or None where there is no checkpoint.

        Raises:
            CheckpointError: the digest does not match.
        """
        return checkpoints.load(self.files, forms.checkpoint_folder(trial_id), which)

    # Locks

    def lock(
        self,
        trial_id: str,
        *,
        owner: str,
        timeout_s: float | None = None,
        on_wait: locks.OnWait | None = None,
    ) -> AbstractContextManager[locks.Held]:
        """Hold a trial, so that no other launch trains it.

        On a local file system the kernel frees the lock when the process ends, however it ends.
        Elsewhere it is a lease that expires two minutes after its holder died; see `locks.lease`.

        Args:
            trial_id: the trial.
            owner: what this process calls itself in other processes' messages.
            timeout_s: how long to wait; 0 tries once, None waits forever.
            on_wait: called with the holder when waiting begins and once a minute.

        Raises:
            LockHeld: when entered, if another holds it when the time is up.
        """
        path = f"{forms.trial_folder(trial_id)}/lock"
        what = f"trial {trial_id}"
        if isinstance(self.files, LocalFiles):
            place = self.files.root / path
            return locks.flock(place, what, owner=owner, timeout_s=timeout_s, on_wait=on_wait)
        return locks.lease(
            self.files, path, what, owner=owner, timeout_s=timeout_s, on_wait=on_wait
        )

    def try_lock(self, trial_id: str, *, owner: str) -> AbstractContextManager[locks.Held]:
        """Hold a trial now or raise `LockHeld`."""
        return self.lock(trial_id, owner=owner, timeout_s=0.0)


def _refuse_another_pack(current: PlanRecord, plan: PlanRecord) -> None:
    packs = [str(one.dataset.get("fingerprint") or "") for one in (current, plan)]
    if all(packs) and packs[0] != packs[1]:
        raise StoreError(
            f"sweep {plan.sweep} in the store is of {current.pack}, and this plan of {plan.pack}; "
            "a plan is not overwritten by that of another pack: run it under another name"
        )


def _points_path(sweep: str) -> str:
    return f"{forms.sweep_folder(sweep)}/points.json"
