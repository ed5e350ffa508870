"""One directory per trial and one per sweep.

trials/<id>/record.json, predictions-{last,best}{,-validation}.arrow
trials/<id>/predictions-{last,best}-pack-<digest>.arrow (of a teacher)
trials/<id>/attempts/<lease>, <lease>.<attempt>
trials/<id>/checkpoints/{last,best}.json, {last,best}-<digest>.safetensors
sweeps/<sweep>/plan.json, plans.jsonl (every declaration), points.json and optuna.log (of a search),
    synced-*.json, verified.json, uploads/ (leases of those who upload it)
packs/, logs/, uploads/
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from orchestrator.errors import CheckpointError, StoreError, unknown
from orchestrator.records import PlanRecord, TrialRecord
from orchestrator.store import checkpoints, forms, locks, tables
from orchestrator.store.files import Files, LocalFiles, open_files

if TYPE_CHECKING:
    import torch

    from orchestrator.metrics.predictions import Predictions

Which = Literal["last", "best"]
Made = Literal["last", "best", "last-validation", "best-validation"]
"""Name of predictions: an epoch's on the reported clips, or on the validation clips."""
_THREADS = 16


class Store:
    """Records, predictions, checkpoints and plans. Safe to use from threads and to pickle.

    Attributes:
        files: Whole files below the store's folder, by relative path.
        uri: Absolute folder, or file-system URI, that opens this store from anywhere.
    """

    def __init__(self, files: Files, uri: str):
        self.files = files
        self.uri = uri

    @classmethod
    def open(cls, uri: str | Path, *, create: bool = True) -> Store:
        """Open a store.

        Args:
            uri: A folder, or a URI such as `s3://bucket/folder`.
            create: Create it if it does not exist, and check that it is writable.

        Raises:
            StoreError: The place cannot be created or written, or does not exist.
        """
        return cls(*open_files(uri, create=create))

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return Store.open, (self.uri,)

    def __repr__(self) -> str:
        return f"Store({self.uri!r})"

    @property
    def local_path(self) -> Path | None:
        """The folder, or None if the store is not on a local file system."""
        return self.files.root if isinstance(self.files, LocalFiles) else None

    @property
    def packs_uri(self) -> str:
        """Where packs lie: a folder or a URI."""
        return self.files.where("packs")

    # Plans

    def write_plan(self, plan: PlanRecord) -> PlanRecord:
        """Store a declaration and add it to the sweep's history.

        A plan that declares the same as the stored one keeps the stored one's time and command.

        Returns:
            What the store now holds: the plan, or the equal one declared before.

        Raises:
            StoreError: It cannot be written, or the name belongs to another pack.
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
        """Return a sweep's latest declaration; None if there is none.

        Raises:
            StoreError: It is damaged.
        """
        path = f"{forms.sweep_folder(sweep)}/plan.json"
        data = self.files.read(path)
        return None if data is None else forms.parse_plan(data, where=self.files.where(path))

    def require_plan(self, sweep: str) -> PlanRecord:
        """Return a sweep's latest declaration.

        Raises:
            StoreError: There is no such sweep; names those that exist.
        """
        plan = self.read_plan(sweep)
        if plan is None:
            hint = f"The store is {self.uri}; another is given with --store."
            raise StoreError(unknown("sweep", sweep, self.sweeps(), hint=hint))
        return plan

    def sweeps(self) -> list[str]:
        """Return the sorted names of the declared sweeps."""
        names = self.files.names("sweeps")
        versions = self.files.versions([f"sweeps/{name}/plan.json" for name in names])
        return [name for name, version in zip(names, versions, strict=True) if version]

    def trials(self) -> list[str]:
        """Return the sorted ids of all trials that left anything here."""
        return [name for name in self.files.names("trials") if not name.startswith(".")]

    def read_points(self, sweep: str) -> list[dict[str, Any]]:
        """Return the points that earlier runs of a search tried, in order, as path -> value.

        Raises:
            StoreError: They are damaged.
        """
        path = _points_path(sweep)
        data = self.files.read(path)
        return [] if data is None else forms.parse_points(data, where=self.files.where(path))

    def write_points(self, sweep: str, points: Sequence[Mapping[str, Any]]) -> None:
        """Save all points of a search, for later runs."""
        self.files.write(_points_path(sweep), json.dumps([dict(p) for p in points]).encode())

    # Records

    def write_record(self, record: TrialRecord) -> None:
        """Replace a trial's record atomically.

        Raises:
            StoreError: It cannot be written.
        """
        self.files.write(forms.record_path(record.id), forms.dump(record))

    def read_record(self, trial_id: str) -> TrialRecord | None:
        """Return a trial's record; None before its first.

        Raises:
            StoreError: It is damaged, edited or unreadable.
        """
        path = forms.record_path(trial_id)
        data = self.files.read(path)
        if data is None:
            return None
        return forms.parse_record(trial_id, data, where=self.files.where(path))

    def read_records(self, ids: Iterable[str]) -> dict[str, TrialRecord]:
        """Return the records of those trials that have one, in the requested order.

        Raises:
            StoreError: Some are damaged or edited; names all of them.
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
        """Return a text per trial that changes whenever its record does; empty without one."""
        wanted = list(ids)
        return dict(
            zip(
                wanted,
                self.files.versions([forms.record_path(trial_id) for trial_id in wanted]),
                strict=True,
            )
        )

    # Predictions

    def write_predictions(self, trial_id: str, which: Made, predictions: Predictions) -> str:
        """Replace a trial's per-clip predictions atomically.

        Args:
            trial_id: Id of the trial.
            which: After the last or the best epoch, of reported or of validation clips.
            predictions: One row per clip.

        Returns:
            The digest of the file, for the trial's record, which is written after it.

        Raises:
            StoreError: They cannot be written.
        """
        data = tables.dump(predictions)
        self.files.write(forms.predictions_path(trial_id, which), data)
        return forms.digest_of(data)

    def read_predictions(
        self, trial_id: str, which: Made, *, digest: str = ""
    ) -> Predictions | None:
        """Return a trial's per-clip predictions; None if there are none.

        Args:
            trial_id: Id of the trial.
            which: After the last or the best epoch, of reported or of validation clips.
            digest: Digest of the file in the trial's record; empty if it has none.

        Raises:
            StoreError: The file is damaged, or does not match the record.
        """
        path = forms.predictions_path(trial_id, which)
        data = self.files.read(path)
        if data is None:
            return None
        return tables.parse(data, where=self.files.where(path), digest=digest)

    def write_pack_predictions(self, trial_id: str, which: Which, predictions: Predictions) -> str:
        """Store a trial's predictions of all clips of its pack; return the digest of the file.

        The caller holds the trial's lease. They are written once: students learn from these bits.

        Raises:
            StoreError: They cannot be written.
        """
        data = tables.dump(predictions)
        digest = forms.digest_of(data)
        self.files.write(forms.pack_predictions_path(trial_id, which, digest), data)
        return digest

    def read_pack_predictions(self, trial_id: str, which: Which) -> tuple[Predictions, str] | None:
        """Return a trial's predictions of all clips of its pack and the digest of their file.

        Returns:
            None if they were not made yet.

        Raises:
            CheckpointError: The file is damaged; other trials can go on without it.
        """
        start = f"predictions-{which}-pack-"
        names = self.files.names(forms.trial_folder(trial_id))
        for name in names:
            if name.startswith(start) and name.endswith(".arrow"):
                digest = name.removeprefix(start).removesuffix(".arrow")
                path = forms.pack_predictions_path(trial_id, which, digest)
                data = self.files.read(path)
                if data is None:
                    continue
                where = self.files.where(path)
                if forms.digest_of(data) != digest:
                    raise CheckpointError(
                        f"{where} was edited or damaged after it was written; put it back from a "
                        "copy, or delete it, and the next student predicts these clips again"
                    )
                return tables.parse(data, where=where), digest
        return None

    def set_aside(self, trial_id: str) -> list[str]:
        """Rename a trial's record and predictions to `<name>.damaged-<n>`, so that it trains again.

        Its checkpoints stay: the trial goes on from them. The caller holds the trial's lease.

        Returns:
            The new names.
        """
        paths = [forms.record_path(trial_id)]
        folder = forms.trial_folder(trial_id)
        paths += [
            f"{folder}/{name}"
            for name in self.files.names(folder)
            if name.startswith("predictions-") and name.endswith(".arrow")
        ]
        return [name for path in paths if (name := self.files.set_aside(path))]

    # Checkpoints

    def save_checkpoint(
        self,
        trial_id: str,
        which: Which,
        tensors: Mapping[str, torch.Tensor],
        meta: Mapping[str, Any],
        *,
        keeps_before: bool = False,
    ) -> None:
        """Replace a trial's last or best checkpoint; a crash leaves the old or the new one.

        Args:
            trial_id: Id of the trial.
            which: After the last or the best epoch; only these two are kept.
            tensors: Name -> tensor on any device; shared storage is written out twice.
            meta: Whatever else is needed to resume, as JSON.
            keeps_before: Keep the replaced one for `recover_checkpoint`.

        Raises:
            StoreError: It cannot be written.
        """
        folder = forms.checkpoint_folder(trial_id)
        checkpoints.save(self.files, folder, which, tensors, meta, keeps_before=keeps_before)

    def recover_checkpoint(
        self, trial_id: str, which: Which
    ) -> tuple[tuple[dict[str, torch.Tensor], dict[str, Any]] | None, list[str]]:
        """Read a checkpoint to resume from, or the one before it if it is damaged.

        Damaged files are renamed to `<name>.damaged-<n>`. The caller holds the trial's lease.

        Returns:
            Tensors and meta, as `load_checkpoint`; None if none is whole. And what was wrong with
            each damaged one.
        """
        return checkpoints.recover(self.files, forms.checkpoint_folder(trial_id), which)

    def set_aside_checkpoint(self, trial_id: str, which: Which) -> list[str]:
        """Rename a checkpoint and the one before it, so that nothing resumes from them.

        Returns:
            The new names.
        """
        return checkpoints.set_aside(self.files, forms.checkpoint_folder(trial_id), which)

    def forget_checkpoint_before(self, trial_id: str, which: Which) -> None:
        """Delete the checkpoint that `keeps_before` kept."""
        checkpoints.forget_before(self.files, forms.checkpoint_folder(trial_id), which)

    def checkpoint_files(self, trial_id: str) -> list[str]:
        """Return the names of the files that hold a trial's checkpoints.

        Raises:
            CheckpointError: The JSON of one is damaged.
        """
        folder = forms.checkpoint_folder(trial_id)
        pointers = {w: checkpoints.read_pointer(self.files, folder, w) for w in get_args(Which)}
        found = {which: pointer for which, pointer in pointers.items() if pointer}
        return [name for w, p in found.items() for name in (f"{w}.json", p["file"])]

    def load_checkpoint(
        self, trial_id: str, which: Which
    ) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
        """Return tensors (in CPU memory) and meta; None if there is no checkpoint.

        Raises:
            CheckpointError: The digest does not match.
        """
        return checkpoints.load(self.files, forms.checkpoint_folder(trial_id), which)

    def require_checkpoint(
        self, trial_id: str, which: Which, *, lease: int | None = None
    ) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Return the checkpoint of a finished trial that another one learns from.

        A trial without a whole one is set aside, record and all: the same command trains it again.

        Args:
            trial_id: Id of the finished trial.
            which: After the last or the best epoch.
            lease: Number of the trial's lease if the caller holds it.

        Returns:
            Tensors (in CPU memory) and meta.

        Raises:
            CheckpointError: There is no whole one.
        """
        try:
            found = self.load_checkpoint(trial_id, which)
            reason = f"trial {trial_id} has no {which} checkpoint in {self.uri}"
        except CheckpointError as error:
            found, reason = None, str(error).partition(";")[0]
        if found is not None:
            return found
        try:
            with contextlib.ExitStack() as stack:
                if lease is None:
                    lease = stack.enter_context(self.try_lock(trial_id, owner="another trial"))
                attempt = self.attempt(trial_id, lease=lease)
                names = attempt.set_aside_checkpoint(trial_id, which) + attempt.set_aside(trial_id)
        except (locks.LockHeld, locks.Superseded):
            raise CheckpointError(f"{reason}; another process is at it, so try again") from None
        raise CheckpointError(
            f"{reason}. It was set aside ({', '.join(names)}); the same command trains trial "
            f"{trial_id} again, and then this one"
        )

    # Leases and attempts

    def lock(
        self,
        trial_id: str,
        *,
        owner: str,
        timeout_s: float | None = None,
        on_wait: locks.OnWait | None = None,
    ) -> AbstractContextManager[int]:
        """Hold a trial's lease, so that no other launch trains it; yields its number.

        It is free at once when its holder, a process of this machine, has ended, and two minutes
        after its holder died on another; see `locks`.

        Args:
            trial_id: Id of the trial.
            owner: Name of this process in other processes' messages.
            timeout_s: Time to wait in seconds; 0 tries once, None waits forever.
            on_wait: Called with the holder when the wait begins and once a minute.

        Raises:
            LockHeld: On entry, if another process still holds it when the time is up.
        """
        return locks.lease(
            self.files,
            forms.attempts_folder(trial_id),
            f"trial {trial_id}",
            owner=owner,
            timeout_s=timeout_s,
            on_wait=on_wait,
        )

    def holder(self, trial_id: str) -> locks.Holder | None:
        """Return who holds a trial's lease now; None if it is free."""
        return locks.holder(self.files, forms.attempts_folder(trial_id))

    def try_lock(self, trial_id: str, *, owner: str) -> AbstractContextManager[int]:
        """Hold a trial now or raise `LockHeld`."""
        return self.lock(trial_id, owner=owner, timeout_s=0.0)

    def attempt(self, trial_id: str, *, lease: int | None = None) -> Store:
        """Begin an attempt at a trial; nothing of it can be changed by earlier attempts anymore.

        A change is refused just before it would become visible. On an object store, which has no
        conditional put, one that is under way at that moment is not.

        Args:
            trial_id: Id of the trial.
            lease: Number of the lease that it was started under; None takes the newest.

        Returns:
            This store for the attempt, which raises `locks.Superseded` for every change to the
            trial once a newer one has begun. It loses this when pickled.

        Raises:
            Superseded: A newer lease was taken meanwhile.
        """
        what, folder = f"trial {trial_id}", f"{forms.trial_folder(trial_id)}/"
        check = locks.begin(self.files, forms.attempts_folder(trial_id), what, lease=lease)

        def guard(path: str) -> None:
            if path.startswith(folder):
                check()

        return Store(self.files.guarded(guard), self.uri)


def _refuse_another_pack(current: PlanRecord, plan: PlanRecord) -> None:
    packs = [str(one.dataset.get("fingerprint") or "") for one in (current, plan)]
    if all(packs) and packs[0] != packs[1]:
        raise StoreError(
            f"sweep {plan.sweep} in the store is of {current.pack}, and this plan of {plan.pack}; "
            "a plan is not overwritten by that of another pack: run it under another name"
        )


def _points_path(sweep: str) -> str:
    return f"{forms.sweep_folder(sweep)}/points.json"
