"""Sources of a report's plan and records: a store or a tracking server."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from orchestrator.analysis.clip_tests import Recordings
from orchestrator.analysis.outcomes import Loader
from orchestrator.analysis.overview import Overview, overview
from orchestrator.analysis.summary import Summary, summarize
from orchestrator.data.addresses import MANIFEST
from orchestrator.design.tuning import is_beside
from orchestrator.errors import ConfigError, StoreError, unknown
from orchestrator.records import PlanRecord, TrialRecord
from orchestrator.report.files import PICTURES, report_folder
from orchestrator.store import Store
from orchestrator.store.verification import loader, verify, verify_stored
from orchestrator.tracking.links import read_links

if TYPE_CHECKING:
    import numpy as np

    from orchestrator.data.pack import Pack

Sounds = Callable[[Iterable[str]], Mapping[str, bytes]]
"""Function that returns clip -> Ogg Opus file, for those clips of a list that can be had."""

MAX_SECONDS = 10.0
"""Length of a sound; longer clips are cut at the end."""

MAX_BYTES = 2**20
"""Size of all sounds together, to keep the page small enough to send."""

OPUS_RATES = (8000, 12000, 16000, 24000, 48000)


@dataclass(frozen=True, kw_only=True)
class Material:
    """Everything behind a sweep's report.

    Attributes:
        plan: Plan as declared.
        records: Trial id -> record, for trials that have one.
        folder: Default folder of the report.
        predictions: Function that reads a trial's predictions at the plan's epoch; None without
            predictions.
        pictures: Folder of `orchestrator.predict.figures`; None without pictures.
        links: Trial id -> address of its run.
        recordings: Function that reads clip -> source recording; None without a pack.
        sounds: Function that reads clips to listen to; None without a pack.
    """

    plan: PlanRecord
    records: Mapping[str, TrialRecord]
    folder: Path
    predictions: Loader | None = None
    pictures: Path | None = None
    links: Mapping[str, str] | None = None
    recordings: Recordings | None = None
    sounds: Sounds | None = None


def recordings_of(store: Store, plan: PlanRecord) -> dict[str, str]:
    """Return clip -> recording from a plan's pack; empty if the pack is not in the store."""
    pack = _pack(store, plan)
    return dict(zip(pack.clip_ids, pack.source_ids, strict=True)) if pack else {}


def sounds_of(store: Store, plan: PlanRecord) -> Sounds:
    """Return a function that reads clips to listen to from a plan's pack, as far as it is there.

    Clips that would exceed `MAX_BYTES` together are left out, the last ones first.
    """

    def read(clips: Iterable[str]) -> dict[str, bytes]:
        pack, made, left = _pack(store, plan), dict[str, bytes](), MAX_BYTES
        places = {clip: place for place, clip in enumerate(pack.clip_ids)} if pack else {}
        for clip in clips:
            if pack and clip in places:
                sound = opus(pack.waveform(places[clip]), pack.sample_rate)
                left -= len(sound)
                if left < 0:
                    break
                made[clip] = sound
        return made

    return read


def opus(pcm: np.ndarray, sample_rate: int) -> bytes:
    """Encode the beginning of a clip for listening.

    Args:
        pcm: (time,) int16 samples.
        sample_rate: Their rate in Hz; Opus takes the next higher of `OPUS_RATES`.

    Returns:
        An Ogg Opus file of about 25 kbit/s.
    """
    import soundfile
    import soxr

    file = io.BytesIO()
    rate = next((one for one in OPUS_RATES if one >= sample_rate), OPUS_RATES[-1])
    heard = pcm[: round(MAX_SECONDS * sample_rate)]
    if rate != sample_rate:
        heard = soxr.resample(heard, sample_rate, rate)
    soundfile.write(file, heard, rate, format="OGG", subtype="OPUS")
    return file.getvalue()


def _pack(store: Store, plan: PlanRecord) -> Pack | None:
    """Return a plan's pack; None if it is not in the store."""
    root, fingerprint = store.local_path, str(plan.dataset.get("fingerprint", ""))
    packs = root / "packs" if root else None
    # A fingerprint is the name of a folder, which a path out of the store is not.
    if packs is None or not (packs / Path(fingerprint).name / MANIFEST).is_file():
        return None
    from orchestrator.data import open_pack

    return open_pack(fingerprint, packs=str(packs))


class FromStore:
    """A store, with predictions, pictures and the links of its last upload.

    Args:
        address: Folder or URI of the store.

    Raises:
        StoreError: The store does not exist.
    """

    def __init__(self, address: str):
        self.place = address
        self._store = Store.open(address, create=False)

    def sweeps(self) -> list[str]:
        """Return the names of the stored sweeps."""
        return self._store.sweeps()

    def plan(self, sweep: str) -> PlanRecord:
        """Return the plan of a stored sweep."""
        return self._store.require_plan(sweep)

    def overviews(self) -> dict[str, Overview]:
        """Return stored sweep -> its line in a list; a damaged one has the reason as its verdict.

        Records are not held to their predictions, as they are for a report.
        """
        found = {}
        for sweep in self.sweeps():
            try:
                plan = self._store.require_plan(sweep)
                found[sweep] = overview(plan, self._store.read_records([t.id for t in plan.trials]))
            except StoreError as error:
                found[sweep] = Overview(verdict=str(error))
        return found

    def material(self, sweep: str) -> Material:
        """Return a stored sweep.

        Raises:
            StoreError: Records or predictions were edited or damaged; the message names every
                trial.
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
            recordings=lambda: recordings_of(store, plan),
            sounds=sounds_of(store, plan),
        )


class FromMlflow:
    """A tracking server, with the uploaded predictions and pictures.

    Args:
        uri: Address of the server.

    Raises:
        ConfigError: The address is invalid.
        TrackingError: The server does not answer.
    """

    def __init__(self, uri: str):
        from orchestrator.tracking.reader import Reader  # reports from a store need no mlflow

        self.place = uri
        self._reader = Reader(uri)
        self._pictures: list[TemporaryDirectory[str]] = []

    def sweeps(self) -> list[str]:
        """Return the names of the server's sweeps."""
        return list(self.overviews())

    def overviews(self) -> dict[str, Overview]:
        """Return sweep on the server -> its line in a list."""
        return self._reader.sweeps()

    def material(self, sweep: str) -> Material:
        """Return a sweep as it was uploaded.

        Raises:
            StoreError: Records or predictions were edited or damaged; the message names every
                trial.
        """
        study = self._reader.study(sweep)
        verify(study.plan, study.records, study.predictions)
        folder = TemporaryDirectory()
        self._pictures.append(folder)
        pictures = Path(folder.name)
        study.pictures(pictures)
        return Material(
            plan=study.plan,
            records=study.records,
            folder=Path("report") / sweep,
            predictions=study.predictions,
            pictures=pictures,
            links=study.links,
        )


Source = FromStore | FromMlflow
"""Source of sweeps to report."""


def find_sweep(given: str, stored: Sequence[str]) -> str:
    """Find a stored sweep by its name or the path of its sweep file.

    Args:
        given: Stored name, or a path such as `sweeps/adaptor_lambda.py`.
        stored: All stored names.

    Raises:
        ConfigError: No sweep or several match; the message names them.
    """
    if given in stored:
        return given
    stem = Path(given).stem if given.endswith(".py") else given
    matches = [name for name in stored if name == stem or name.startswith(f"{stem}-")]
    # What a search or a tuning runs beside its sweep is shown in that one's report.
    matches = [name for name in matches if not any(is_beside(name, one) for one in matches)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise ConfigError(
            f"{given!r} names {len(matches)} stored sweeps; give one of them: {', '.join(matches)}"
        )
    raise ConfigError(
        unknown("sweep", stem, stored, hint="Run it first, or name its store with --store.")
    )


def following_summary(
    source: Source, plan: PlanRecord, *, metric: str = "", mixed: bool = False
) -> Summary | None:
    """Return the study that goes on with arms of a plan; None without one.

    Args:
        source: Source of both.
        plan: Plan whose `followed_by` names it.
        metric: Key that replaces the plan's metric.
        mixed: Compare even trials of different code, data or epochs.
    """
    if not plan.followed_by or plan.followed_by not in source.sweeps():
        return None
    other = source.material(plan.followed_by)
    return summary_of(source, other, metric=metric, mixed=mixed)


def summary_of(
    source: Source, material: Material, *, metric: str = "", mixed: bool = False
) -> Summary:
    """Return the numbers of a sweep, with those of the study that goes on with its arms.

    Args:
        source: Source of both.
        material: The sweep.
        metric: Key that replaces the plan's metric.
        mixed: Compare even trials of different code, data or epochs.
    """
    return summarize(
        material.plan,
        material.records,
        metric=metric,
        mixed=mixed,
        predictions=material.predictions,
        recordings=material.recordings() if material.recordings else None,
        following=following_summary(source, material.plan, metric=metric, mixed=mixed),
    )
