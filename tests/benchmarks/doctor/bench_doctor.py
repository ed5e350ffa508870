"""Plant twelve faults into healthy runs, and count how many the doctor names first.

python -m tests.benchmarks.doctor.bench_doctor --esc10 DIR -o tests/benchmarks/doctor/doctor.md

On made-up sounds and on ESC-10: a log of five healthy runs (seeds 0 to 4), ten clean runs under
other seeds, and every fault once, under a seed of its own.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from orchestrator.data import open_pack, prepare
from orchestrator.doctor.facts import FACTS, Finding, compare
from orchestrator.doctor.log import Log, read_log, write_log
from orchestrator.doctor.observe import observe
from orchestrator.execution.trial import features_folder
from orchestrator.experiment.identity import CompletedExperiment
from orchestrator.experiment.overrides import override
from tests.benchmarks.doctor.faults import FAULTS, Fault, healthy

LOG_SEEDS = range(5)
CLEAN_SEEDS = range(100, 110)
FAULT_SEED = 200


class Bench:
    """Healthy and faulty runs on one data set.

    Args:
        folder: Where packs go.
        base: `synthetic` or `esc`.
        root: Folder of the files, if there are any.
        data: Arguments of the data set.
    """

    def __init__(self, folder: Path, base: str, root: str | None = None, **data: Any):
        self._packs, self._root = str(folder / "packs"), root
        self._folder = folder
        self._base = healthy(base, **data)

    def observe(
        self, seed: int, changes: Mapping[str, Any] | None = None, *, trains: bool = True
    ) -> dict[str, Any]:
        """Return the facts of a run."""
        made = override(self._base, {**(changes or {}), "seed": seed})
        found = prepare(
            made.dataset.name,
            {k: v for k, v in made.dataset.arguments.items() if k != "fingerprint"},
            root=self._root,
            packs=self._packs,
        )
        pinned = override(made, {"dataset.fingerprint": found.fingerprint})
        pack = open_pack(found.fingerprint, packs=self._packs)
        assert isinstance(pinned, CompletedExperiment)
        return observe(pinned, pack, features=features_folder(pack), trains=trains)

    def log(self, seeds: Sequence[int] = LOG_SEEDS) -> Log:
        """Record healthy runs, and read them as a colleague would."""
        path = self._folder / "log.json"
        write_log(path, [self.observe(seed) for seed in seeds], of="healthy runs")
        return read_log(path)

    def clean(self, log: Log) -> Iterator[list[Finding]]:
        """Yield what departs in clean runs."""
        for seed in CLEAN_SEEDS:
            yield departures(self.observe(seed), log)

    def faulty(self, log: Log) -> Iterator[tuple[Fault, list[Finding]]]:
        """Yield every fault, and what departs with it."""
        for fault in FAULTS:
            yield fault, departures(self.observe(FAULT_SEED, fault.changes), log)


def departures(observed: Mapping[str, Any], log: Log) -> list[Finding]:
    """Return the departures in causal order."""
    return [one for one in compare(observed, log.facts) if one.departure]


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--esc10", default="", metavar="DIR", help="folder of ESC-10")
    parser.add_argument("-o", dest="output", default="", metavar="FILE.md")
    args = parser.parse_args()
    torch.set_num_threads(1)
    started, spent = time.perf_counter(), time.process_time()
    benches = {"made-up sounds": ("synthetic", None)}
    if args.esc10:
        benches["ESC-10"] = ("esc", args.esc10)
    alarms: list[str] = []
    rows: list[tuple[str, str, str, str, int]] = []
    num_clean = 0
    for data, (base, root) in benches.items():
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(Path(folder), base, root)
            log = bench.log()
            for found in bench.clean(log):
                num_clean += 1
                alarms += [f"{data}: {one.fact.key} {one.departure}" for one in found]
            for fault, found in bench.faulty(log):
                first = found[0] if found else None
                named = first is not None and first.fact.key in fault.first
                text = f"{first.fact.title}: {first.departure}" if first else "nothing"
                rows.append((fault.name, data, "yes" if named else "no", text, len(found)))
                print(*rows[-1], sep=" | ", flush=True)
    spent_s, wall_s = time.process_time() - spent, time.perf_counter() - started
    named = sum(row[2] == "yes" for row in rows)
    lines = [
        "# Planted faults",
        "",
        f"`{(__doc__ or '').splitlines()[2]}`",
        "",
        f"{named} of {len(rows)} planted faults are named first; {len(alarms)} false alarms in "
        f"{num_clean} clean runs of {len(FACTS)} facts at most. {spent_s:.0f} s of one CPU thread, "
        f"{wall_s:.0f} s on a machine shared with other work.",
        "",
        "A log is of five healthy runs, seeds 0 to 4; clean runs and faults have other seeds.",
        "",
        "| fault | data | named first | first departure | departures in all |",
        "|---|---|---|---|---|",
        *("| " + " | ".join(map(str, row)) + " |" for row in rows),
        "",
        *(["False alarms:", "", *(f"- {alarm}" for alarm in alarms)] if alarms else []),
    ]
    text = "\n".join(lines).rstrip() + "\n"
    print(text)
    if args.output:
        Path(args.output).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
