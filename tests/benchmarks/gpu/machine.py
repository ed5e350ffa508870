"""What the scripts beside this one share: facts of the machine, tables, processes, clocks, data."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch

from orchestrator.data import prepare
from orchestrator.experiment.config import Component, Runtime
from orchestrator.experiment.identity import CompletedExperiment
from orchestrator.records import EpochRecord, Status
from orchestrator.store import Store

ROOT = Path(__file__).resolve().parents[3]
DATASET = Component("synthetic", clips_per_class=40, num_folds=5, seconds=5.0, sample_rate=16000)
"""Made-up sounds in the shape of ESC-10 at 16 kHz."""

# Its processes start with everything imported, and it never touches the GPU itself.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["timm", "orchestrator.training.trainer", __name__])


def arguments(doc: str | None, **more: Any) -> argparse.Namespace:
    """Parse a script's command line.

    Args:
        doc: Its docstring.
        **more: Further options: name -> default.
    """
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda", help="cuda; cpu takes laptop sizes")
    parser.add_argument("--out", type=Path, default=Path("."), help="folder of the results")
    parser.add_argument("--only", default="", help="cases whose name contains one of A,B,..")
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no case after these")
    for name, default in more.items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    return parser.parse_args(namespace=argparse.Namespace(started=time.perf_counter()))


def begins(arguments: argparse.Namespace, name: str) -> bool:
    """Whether a case is asked for, and there is time left for it."""
    in_time = time.perf_counter() - arguments.started < arguments.seconds
    return in_time and any(word in name for word in arguments.only.split(","))


def tidy_up_when_ended() -> None:
    """Leave every `with` block in order when `timeout` ends this process."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("out of time"))


def facts(device: str) -> dict[str, str]:
    """Return the hardware, the versions, the commit and the command of this process."""
    command = sys.orig_argv[1:]
    found = {
        "device": platform.machine(),
        "CPU cores": str(os.cpu_count()),
        "driver": "none",
        "torch": torch.__version__,
        "timm": timm.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "commit": _output("git", "rev-parse", "--short", "HEAD") or "not a checkout",
        "command": f"python {' '.join(command)}",
    }
    if device.startswith("cuda"):
        found["device"] = torch.cuda.get_device_name()
        query = ("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
        found["driver"] = _output(*query) or "unknown"
        found["cuda"] = torch.version.cuda or "unknown"
        found["cudnn"] = str(torch.backends.cudnn.version())
    return found


class Table:
    """Rows that are on the disk, as JSON and as a Markdown table, as soon as they are known.

    Attributes:
        rows: What was added.
    """

    def __init__(self, path: Path, title: str, *, about: str, device: str):
        """Begin an empty table.

        Args:
            path: Of both files, without a suffix.
            title: Title of the Markdown page.
            about: What the columns mean.
            device: Device as PyTorch names it.
        """
        self.rows: list[dict[str, Any]] = []
        self._path, self._title, self._about = path, title, about
        self._facts = facts(device)
        path.parent.mkdir(parents=True, exist_ok=True)

    def add(self, **row: Any) -> None:
        """Add a row and write both files."""
        self.rows.append(row)
        text = json.dumps({"facts": self._facts, "rows": self.rows}, indent=1)
        self._path.with_suffix(".json").write_text(text + "\n")
        lines = [f"# {self._title}", "", *(f"- {k}: {v}" for k, v in self._facts.items())]
        keys = list(dict.fromkeys(key for row in self.rows for key in row))
        lines += ["", self._about, "", _line(keys), "|" + "---|" * len(keys)]
        lines += [_line([_cell(row.get(key)) for key in keys]) for row in self.rows]
        self._path.with_suffix(".md").write_text("\n".join(lines) + "\n")
        print(", ".join(f"{k} {_cell(v)}" for k, v in row.items() if v is not None), flush=True)

    def add_each(self, rows: Iterable[Mapping[str, Any]], **case: Any) -> None:
        """Add the rows of a case as they are measured, and at the end why it failed, if it did."""
        try:
            for row in rows:
                self.add(**case, **row)
        except Exception as error:
            self.add(**case, failed=f"{type(error).__name__}: {error}".splitlines()[0][:200])


def in_processes(jobs: Sequence[tuple[Any, ...]], *, limit_s: float = 100) -> list[int | None]:
    """Call (function, *arguments) at once, each in a process of its own; return the exit codes.

    Args:
        jobs: One per process.
        limit_s: Seconds after which what still runs is ended.
    """
    until = time.perf_counter() + limit_s
    running = [PROCESSES.Process(target=job[0], args=job[1:]) for job in jobs]
    for process in running:
        process.start()
    for process in running:
        process.join(max(0, until - time.perf_counter()))
        process.terminate()
        process.join()
    return [process.exitcode for process in running]


def new_store(folder: Path, packs: Path) -> Store:
    """Make a store in a new folder on a folder of packs."""
    folder.mkdir(parents=True)
    packs.mkdir(parents=True, exist_ok=True)
    (folder / "packs").symlink_to(packs.resolve())
    return Store.open(folder)


def dataset(packs: Path, *, made_up: Component = DATASET) -> Component:
    """Return the first pack of a folder as a data set of ESC's form, else made-up sounds in one."""
    kept = sorted(packs.glob("*/pack.json"))
    if kept:
        facts = json.loads(kept[0].read_text())
        return Component("esc", fingerprint=facts["fingerprint"], sample_rate=facts["sample_rate"])
    info = prepare(made_up.name, made_up.arguments, root=None, packs=str(packs))
    return made_up.replace(fingerprint=info.fingerprint)


def train(
    store: str,
    experiment: CompletedExperiment,
    device: str,
    *,
    fast: bool = False,
    on_epoch: Callable[[EpochRecord], None] = lambda record: None,
) -> None:
    """Train one trial in this process and its own thread.

    Raises:
        RuntimeError: It failed; with its traceback.
    """
    from orchestrator.execution.trial import TrialRun

    torch.set_num_threads(1)
    record = TrialRun(
        store=Store.open(store),
        trial_id=experiment.id,
        experiment=experiment,
        device=device,
        runtime=Runtime(fast=fast),
        on_epoch=on_epoch,
    ).run()
    if record.status is not Status.FINISHED:
        raise RuntimeError(record.error)


def wait(device: str) -> None:
    """Wait for what the device has been told."""
    if device != "cpu":
        torch.cuda.synchronize(device)


def median_s(step: Callable[[], Any], device: str, *, repeats: int = 7, inner: int = 3) -> float:
    """Return the seconds of one step: the median over repeats of a few in a row.

    On the CPU, where a figure only proves that it can be had, two single steps.
    """
    if device == "cpu":
        repeats, inner = 2, 1
    step()
    taken = []
    for _ in range(repeats):
        wait(device)
        started = time.perf_counter()
        for _ in range(inner):
            step()
        wait(device)
        taken.append((time.perf_counter() - started) / inner)
    return statistics.median(taken)


def peak_gb(step: Callable[[], Any], device: str) -> float | None:
    """Return what a step allocates at most, all that is held included; None on the CPU."""
    if device == "cpu":
        return None
    torch.cuda.reset_peak_memory_stats()
    step()
    wait(device)
    return torch.cuda.max_memory_allocated() / 1e9


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
