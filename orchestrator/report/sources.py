"""Where a report's plan and records come from: a store, or a tracking server alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from orchestrator.analysis.clip_tests import Recordings
from orchestrator.analysis.outcomes import Loader
from orchestrator.data.addresses import MANIFEST
from orchestrator.errors import StoreError
from orchestrator.records import PlanRecord, TrialRecord
from orchestrator.report.files import PICTURES, report_folder
from orchestrator.store import Store
from orchestrator.store.verification import loader, verify, verify_stored
from orchestrator.tracking.links import read_links


@dataclass(frozen=True, kw_only=True)
class Material:
    """All that a sweep's report is made of.

    Attributes:
        plan: as declared.
        records: trial id -> record, of the trials that have one.
        folder: where the report goes unless told otherwise.
        predictions: reads a trial's predictions at the plan's epoch; None where there are none.
        pictures: folder of `orchestrator.figures`; None where there are none.
        links: trial id -> address of its run.
        recordings: reads clip -> the recording it was cut from; None where no pack is at hand.
    """

    plan: PlanRecord
    records: Mapping[str, TrialRecord]
    folder: Path
    predictions: Loader | None = None
    pictures: Path | None = None
    links: Mapping[str, str] | None = None
    recordings: Recordings | None = None


class FromStore:
    """A store, with predictions, pictures and the links that its last upload left.

    Args:
        address: folder or URI.

    Raises:
        StoreError: there is none.
    """

    def __init__(self, address: str):
        self.place = address
        self._store = Store.open(address, create=False)

    def sweeps(self) -> list[str]:
        """Return the names of the stored sweeps."""
        return self._store.sweeps()

    def packs(self) -> dict[str, str]:
        """Return for each stored sweep which pack it is of."""
        packs = {}
        for sweep in self.sweeps():
            try:
                packs[sweep] = self._store.require_plan(sweep).pack
            except StoreError as error:
                packs[sweep] = str(error)
        return packs

    def material(self, sweep: str) -> Material:
        """Return a stored sweep.

        Raises:
            StoreError: a record or its predictions were edited or damaged; names every trial.
        """
        store = self._store
        plan = store.require_plan(sweep)
        records = store.read_records([key.id for key in plan.trials])
        verify_stored(store, plan, records)
        folder = report_folder(store, sweep)
        return Material(
            plan=plan,
            records=records,
            folder=folder,
            predictions=loader(store, plan, records),
            pictures=folder / PICTURES,
            links=read_links(store, sweep),
            recordings=lambda: self._recordings(plan),
        )

    def _recordings(self, plan: PlanRecord) -> dict[str, str]:
        """Return clip -> recording from the pack; empty where it does not lie in this store."""
        root = self._store.local_path
        folder = root / "packs" / str(plan.dataset.get("fingerprint", "")) if root else None
        if folder is None or not (folder / MANIFEST).is_file():
            return {}
        from orchestrator.data import open_pack

        pack = open_pack(folder.name, packs=str(folder.parent))
        return dict(zip(pack.clip_ids, pack.source_ids, strict=True))


class FromMlflow:
    """A tracking server, with the predictions and pictures that were uploaded to it.

    Args:
        uri: its address.

    Raises:
        ConfigError: it is no address.
        TrackingError: it does not answer.
    """

    def __init__(self, uri: str):
        from orchestrator.tracking.reader import Reader  # a report from a store needs no mlflow

        self.place = uri
        self._reader = Reader(uri)

    def sweeps(self) -> list[str]:
        """Return the names of the sweeps that the server shows."""
        return list(self.packs())

    def packs(self) -> dict[str, str]:
        """Return for each sweep that the server shows which pack it is of."""
        return self._reader.sweeps()

    def material(self, sweep: str) -> Material:
        """Return a sweep as it was uploaded.

        Raises:
            StoreError: a record or its predictions were edited or damaged; names every trial.
        """
        study = self._reader.study(sweep)
        verify(study.plan, study.records, study.predictions)
        self._pictures = TemporaryDirectory()
        study.pictures(Path(self._pictures.name))
        return Material(
            plan=study.plan,
            records=study.records,
            folder=Path("report") / sweep,
            predictions=study.predictions,
            pictures=Path(self._pictures.name),
            links=study.links,
        )


Source = FromStore | FromMlflow
"""Where sweeps come from that can be reported."""
