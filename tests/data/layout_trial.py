"""From a folder of audio to its first trial and report, by what `--data-root` calls."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from orchestrator import Arm, Plan
from orchestrator.analysis.summary import summarize
from orchestrator.data import open_pack
from orchestrator.data.info import PackInfo
from orchestrator.data.pack import Pack
from orchestrator.execution.launch import declare, smoke, with_pack
from orchestrator.execution.options import parse
from orchestrator.execution.prepare import packs_of, prepare
from orchestrator.report.files import write_report
from orchestrator.store import Store
from tests import tiny


@dataclass(frozen=True)
class Trial:
    """What was shown before packing, what was packed, and the page of the report."""

    table: str
    info: PackInfo
    pack: Pack
    page: str


def tones(pcm: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return (4,) booleans: whether the tone of each class of `layout_folders.sound` is heard."""
    power = np.abs(np.fft.rfft(pcm / 32768.0)) / len(pcm)
    places = [round(300 * (label + 1) * len(pcm) / rate_hz) for label in range(4)]
    return (
        np.array([power[place - 1 : place + 2].max() for place in places]) > 0.1 / len(pcm) ** 0.5
    )


def plan() -> Plan:
    base = tiny.experiment()
    return Plan(
        name="layouts", question="Does it train?", base=base, demo=base, arms=(Arm(name="tiny"),)
    )


def trial(root: Path, place: Path, *flags: str) -> Trial:
    """Recognize a folder, pack it, train one epoch and write the report.

    Args:
        root: The folder.
        place: Folder for the store and the report.
        flags: More of the command line.
    """
    store = Store.open(place / "store")
    given = ["--smoke", "--data-root", str(root), "--store", store.uri, *flags]
    prepared = prepare(plan(), parse(given, description=""))
    assert smoke(prepared) == 0
    packed = with_pack(prepared)
    assert packed.data is not None
    record = declare(packed.plan, packed, store)
    records = store.read_records([one.id for one in record.trials])
    assert len(records) == 1
    paths = write_report(summarize(record, records), records, place / "report")
    page = paths.html.read_text()
    assert "tiny" in page
    pack = open_pack(packed.data.fingerprint, packs=packs_of(store.uri))
    return Trial(" ".join(prepared.overview.split()), packed.data, pack, page)
