"""Break a sweep at random until it is done, and compare it with an undisturbed one.

    python -m tests.chaos.chaos --seeds 25 --folder /tmp/chaos

A sweep of 6 arms and 3 seeds trains in both lanes: one trial on two workers of Ray Train, the
others inside Tune's processes. Every second seed of this script shows it on an MLflow server, the
others in the SQLite file of the store. At random moments of a run its processes or the server are
killed or stopped or its disk fills, between two runs files of the store are damaged, and the same
command is typed again until it exits with 0.
Then table, predictions and metric histories must be those of the undisturbed sweep, and MLflow must
show one run per trial with every point once.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import functools
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from orchestrator.metrics import catalog
from orchestrator.store import Store
from tests.commands import ROOT, environment, run_command
from tests.tracking_server import MlflowServer

SWEEP = """
import dataclasses
from orchestrator import Component, Factor, Level, Plan, cli, one_at_a_time, recipes

STRENGTH = Factor(
    "strength",
    (Level("none"),)
    + tuple(
        Level(f"{value:g}", {"transform": Component("adaptor", strength=value)})
        for value in (0.01, 0.05, 0.1, 0.2, 0.5)
    ),
)
PLAN = Plan(
    name="chaos",
    question="Does anything get lost?",
    base=recipes.datar_laptop(),
    demo=dataclasses.replace(
        recipes.datar_laptop(),
        dataset=Component(
            "synthetic",
            num_classes=3, clips_per_class=10, num_folds=2, seconds=0.5, sample_rate=16000,
        ),
        frontend=Component(
            "kaldi_fbank", sample_rate=16000, n_mels=32, num_frames=32, frame_shift_ms=15.0
        ),
        augmentation=Component("spec_augment", freq_mask=4, time_mask=4),
        model=Component("datar_laptop", depths=(1, 1, 1, 1)),
        epochs=4,
        batch_size=5,
    ),
    arms=one_at_a_time(STRENGTH, baseline="none"),
    seeds=(0, 1, 2),
)
if __name__ == "__main__":
    cli.main(PLAN)
"""
ON_TWO = ("--demo", "--arms", "none", "--seeds", "1", "--num-workers", "2")
"""The command for one trial on two workers."""
WHOLE = ("--demo", "--seeds", "3")
"""The command for all others, one worker each."""

NAME = "chaos-demo"

OF_THE_CLOCK = {catalog.EPOCH_S, catalog.CLIPS_PER_S, catalog.PEAK_MEMORY_MB}
MAX_RUNS = 40
HANGS_S = 240.0
"""A run in which nothing is written for so long is killed, and counted as hanging."""

SETTINGS = {
    # Ray waits a minute for a control store that was killed.
    "RAY_gcs_rpc_server_reconnect_timeout_s": "10",
    "PYTHONPATH": str(ROOT),
    "OMP_NUM_THREADS": "1",
}


class Disk:
    """A small file system in main memory for the store, where mounting is allowed."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True)
        mount = ["mount", "-t", "tmpfs", "-o", "size=192m", "tmpfs", str(folder)]
        self.is_mounted = subprocess.run(mount, capture_output=True).returncode == 0

    def fill(self) -> None:
        with (self.folder / "ballast").open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(1 << 20))

    def free(self) -> None:
        (self.folder / "ballast").unlink(missing_ok=True)

    def close(self) -> None:
        if self.is_mounted:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=True)


@dataclasses.dataclass
class Outcome:
    """What is the same however a sweep was disturbed."""

    table: str
    predictions: dict[str, bytes]
    histories: dict[str, list[dict[str, float]]]


class Sweep:
    """A sweep in a folder, which is run and broken.

    Attributes:
        faults: Every fault that happened, in order.
        runs: Exit codes of the commands.
        damaged: Every file that was damaged, in order.
    """

    def __init__(self, folder: Path, seed: int, *, has_server: bool):
        self.folder = folder
        self.rng = random.Random(seed)
        self.disk = Disk(folder)
        self.file = folder / "chaos.py"
        self.file.write_text(SWEEP)
        self.store = folder / "store"
        self.faults: list[str] = []
        self.runs: list[int] = []
        self.finished: collections.Counter[str] = collections.Counter()
        self.again: collections.Counter[str] = collections.Counter()
        self.damaged: list[str] = []
        self.said = ""
        self.server: MlflowServer | None = None
        if has_server:
            (folder / "server").mkdir()
            self.server = MlflowServer(folder / "server")
            self.server.start()

    def close(self) -> None:
        if self.server is not None:
            self.server.kill()
        self.disk.close()

    def run(self, words: Sequence[str], disturb: Callable[[int], None] | None = None) -> int:
        """Type the command once; return its exit code."""
        thread: list[threading.Thread] = []

        def begin(pid: int) -> None:
            if disturb is not None:
                thread.append(threading.Thread(target=disturb, args=(pid,)))
                thread[0].start()

        tracking = ["--tracking-uri", self.server.uri] if self.server else []
        done = run_command(
            [self.file, *words, *tracking],
            cwd=self.folder,
            env=environment(**SETTINGS),
            timeout_s=1200,
            on_start=begin,
        )
        for one in thread:
            one.join()
        self.said = done.stdout + done.stderr
        for name in re.findall(r"^\[\d+/\d+\] (.*): finished(?!, trained by)", done.stdout, re.M):
            self.finished[name] += 1
        for name in re.findall(r"^\[\d+/\d+\] (.*): finished(?!, trained by)", done.stderr, re.M):
            self.finished[name] += 1
        self.runs.append(done.returncode)
        return done.returncode

    def to_the_end(self, num_faults: int) -> None:
        """Type both commands until both exit with 0, with so many faults on the way.

        They are typed in this order each time, so that what was lost of the trial on two workers
        is not trained on one, which rounds differently.
        """
        calm = 0
        while True:
            left = num_faults - len(self.faults)
            code = self._both(num_faults)
            self.disk.free()
            print(f"  exit code {code} after {', '.join(self.faults)}", flush=True)
            if left <= 0:
                if code == 0:
                    return
                calm += 1
                assert calm < 4, self.said[-3000:]
            for _ in range(min(left, self.rng.randint(1, 3))):
                self._damage()

    def _both(self, num_faults: int) -> int:
        for words in (ON_TWO, WHOLE):
            # Half of the faults at most are for the lane of one trial.
            left = (num_faults // 2 if words == ON_TWO else num_faults) - len(self.faults)
            assert len(self.runs) < MAX_RUNS, self.said[-3000:]
            if self.server and not self.server.process and (left <= 0 or self.rng.random() < 0.5):
                self.disk.free()
                self.server.start()
            code = self.run(words, functools.partial(self._disturb, left) if left > 0 else None)
            if code not in (0, 130, -signal.SIGKILL):
                print("  " + "\n  ".join(self.said.splitlines()[-4:]), flush=True)
            if code != 0:
                return code
        return 0

    # Processes

    def _disturb(self, most: int, pid: int) -> None:
        """Break things of a run at random moments, and end the run if nothing moves on."""
        with suppress(psutil.NoSuchProcess):
            driver = psutil.Process(pid)
            self._wait_for_work(driver)
            for _ in range(min(most, self.rng.randint(1, 3))):
                time.sleep(self.rng.expovariate(1 / 4))
                self._break_one(driver)
            self._watch(driver)

    def _break_one(self, driver: psutil.Process) -> None:
        faults = [self._kill_worker, self._stop_worker, self._kill_driver, self._interrupt]
        faults += [self._kill_raylet, self._kill_gcs, self._stop_driver, self._kill_worker]
        faults += [self._stop_raylet, self._stop_gcs]
        faults += [self._fill_disk] if self.disk.is_mounted else []
        faults += [self._kill_server, self._stop_server] if self.server else []
        if driver.is_running() and driver.status() != psutil.STATUS_ZOMBIE:
            self.rng.choice(faults)(driver)

    def _wait_for_work(self, driver: psutil.Process) -> None:
        while driver.is_running() and driver.status() != psutil.STATUS_ZOMBIE:
            if self._workers(driver):
                return
            time.sleep(0.2)

    def _watch(self, driver: psutil.Process) -> None:
        newest, since = 0.0, time.monotonic()
        while driver.is_running() and driver.status() != psutil.STATUS_ZOMBIE:
            paths = [*self.store.glob("trials/*/record.json"), *self.store.glob("sweeps/*/*")]
            last = 0.0
            for path in paths:
                with suppress(OSError):
                    last = max(last, path.stat().st_mtime)
            if last != newest:
                newest, since = last, time.monotonic()
            if time.monotonic() - since > HANGS_S:
                self.faults.append("hangs, killed")
                driver.kill()
            time.sleep(0.5)

    @staticmethod
    def _workers(driver: psutil.Process) -> list[psutil.Process]:
        found = []
        for process in driver.children(recursive=True):
            with suppress(psutil.Error):
                if re.match(r"ray::(?!IDLE|\w*Agent)", " ".join(process.cmdline())):
                    found.append(process)
        return found

    def _of_ray(self, driver: psutil.Process, name: str) -> psutil.Process | None:
        for process in driver.children(recursive=True):
            with suppress(psutil.Error):
                if process.name() == name:
                    return process
        return None

    def _hit(self, process: psutil.Process | None, number: int, what: str) -> None:
        if process is not None:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)
                self.faults.append(what)

    def _worker(self, driver: psutil.Process) -> psutil.Process | None:
        workers = self._workers(driver)
        return self.rng.choice(workers) if workers else None

    def _kill_worker(self, driver: psutil.Process) -> None:
        self._hit(self._worker(driver), signal.SIGKILL, "worker killed")

    def _stop(self, process: psutil.Process | None, what: str) -> None:
        """Stop a process for some seconds, and let it go on, or kill it while it is stopped."""
        self._hit(process, signal.SIGSTOP, f"{what} stopped")
        time.sleep(self.rng.uniform(1.0, 10.0))
        if process is not None:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(self.rng.choice([signal.SIGKILL, signal.SIGCONT]))

    def _stop_worker(self, driver: psutil.Process) -> None:
        self._stop(self._worker(driver), "worker")

    def _stop_driver(self, driver: psutil.Process) -> None:
        self._stop(driver, "driver")

    def _stop_raylet(self, driver: psutil.Process) -> None:
        self._stop(self._of_ray(driver, "raylet"), "raylet")

    def _stop_gcs(self, driver: psutil.Process) -> None:
        self._stop(self._of_ray(driver, "gcs_server"), "GCS")

    def _kill_server(self, driver: psutil.Process) -> None:
        """Kill the tracking server, and start it again some seconds later or before a later run."""
        if self.server is None or self.server.process is None:
            return
        self.server.kill()
        self.faults.append("MLflow server killed")
        if self.rng.random() < 0.5:
            time.sleep(self.rng.uniform(0.0, 5.0))
            try:
                self.server.start()
            except (AssertionError, TimeoutError):  # its disk is full
                self.server.kill()

    def _stop_server(self, driver: psutil.Process) -> None:
        if self.server is not None and self.server.process is not None:
            self.server.send(signal.SIGSTOP)
            self.faults.append("MLflow server stopped")
            time.sleep(self.rng.uniform(1.0, 20.0))
            self.server.send(signal.SIGCONT)

    def _kill_driver(self, driver: psutil.Process) -> None:
        family = driver.children(recursive=True)
        self._hit(driver, signal.SIGKILL, "driver killed")
        psutil.wait_procs(family, timeout=self.rng.choice([0, 5, 180]))

    def _interrupt(self, driver: psutil.Process) -> None:
        self._hit(driver, self.rng.choice([signal.SIGINT, signal.SIGTERM]), "driver interrupted")

    def _kill_raylet(self, driver: psutil.Process) -> None:
        self._hit(self._of_ray(driver, "raylet"), signal.SIGKILL, "raylet killed")

    def _kill_gcs(self, driver: psutil.Process) -> None:
        self._hit(self._of_ray(driver, "gcs_server"), signal.SIGKILL, "GCS killed")

    def _fill_disk(self, driver: psutil.Process) -> None:
        self.faults.append("disk full")
        self.disk.fill()

    # Files

    def _damage(self) -> None:
        """Cut, flip or delete the newest checkpoint, a record, predictions or the pack."""
        kinds = {
            "checkpoint": "trials/*/checkpoints/*",
            "record": "trials/*/record.json",
            "predictions": "trials/*/predictions-*.arrow",
            "pack": "packs/*/[cp]*[ws]*",
        }
        kind = self.rng.choice(list(kinds))
        paths = sorted(p for p in self.store.glob(kinds[kind]) if p.is_file())
        if not paths:
            return
        path = self.rng.choice(paths)
        if kind == "checkpoint":
            path = max(paths, key=lambda p: p.stat().st_mtime_ns)
        how = self.rng.choice(["cut", "flipped", "deleted"])
        data = path.read_bytes()
        if how == "deleted" or not data:
            path.unlink()
        elif how == "cut":
            os.truncate(path, self.rng.randrange(len(data)))
        else:
            at = self.rng.randrange(len(data))
            path.write_bytes(
                data[:at] + bytes([data[at] ^ 1 << self.rng.randrange(8)]) + data[at + 1 :]
            )
        self.faults.append(f"{kind} {how}")
        self.damaged.append(str(path.relative_to(self.store)))
        if kind in ("record", "predictions"):
            self.again[path.parent.name] += 1

    # What came out

    def outcome(self) -> Outcome:
        """Read what must not depend on any fault."""
        store = Store.open(self.store, create=False)
        plan = store.require_plan(NAME)
        records = store.read_records(trial.id for trial in plan.trials)
        assert len(records) == len(plan.trials) == 18
        return Outcome(
            table=_table(self.said),
            predictions={
                f"{trial.id} {which}": (
                    self.store / "trials" / trial.id / f"predictions-{which}.arrow"
                ).read_bytes()
                for trial in plan.trials
                for which in ("last", "best")
            },
            histories={
                id_: [
                    {k: v for k, v in epoch.metrics.items() if k not in OF_THE_CLOCK}
                    for epoch in record.epochs
                ]
                for id_, record in records.items()
            },
        )

    def check_once(self) -> None:
        """Every trial ended once, but for those whose results were damaged."""
        store = Store.open(self.store, create=False)
        for trial in store.require_plan(NAME).trials:
            name = f"{trial.arm} · seed {trial.seed} · fold {trial.fold}"
            assert self.finished[name] <= 1 + self.again[trial.id], (name, self.finished[name])

    def check_mlflow(self, wanted: Outcome) -> None:
        """One run per trial, every point of an epoch once.

        A run's summary (`final/`, `cost/`) is logged again, whole, where its cost changed.
        """
        path = self.folder / "server" / "server.db" if self.server else self.store / "mlflow.db"
        with sqlite3.connect(path) as database:
            tags = database.execute(
                "SELECT t.run_uuid, t.value FROM tags t JOIN runs r ON r.run_uuid = t.run_uuid "
                "JOIN experiments e ON e.experiment_id = r.experiment_id "
                "WHERE t.key = 'orchestrator.trial_id' AND r.lifecycle_stage = 'active' "
                "AND e.name = ?",
                [NAME],
            ).fetchall()
            runs = collections.Counter(trial for _, trial in tags)
            assert runs == dict.fromkeys(wanted.histories, 1), runs
            for run, trial in tags:
                points = database.execute(
                    "SELECT key, step, value FROM metrics WHERE run_uuid = ? AND is_nan = 0 "
                    "AND key NOT LIKE 'cost/%' AND key NOT LIKE 'final/%'",
                    [run],
                ).fetchall()
                steps = collections.Counter((key, step) for key, step, _ in points)
                assert max(steps.values()) == 1, steps.most_common(3)
                values = {(key, step): value for key, step, value in points}
                for number, metrics in enumerate(wanted.histories[trial], start=1):
                    for key, value in metrics.items():
                        assert values[key, number] == value, (trial, key, number)


def _table(said: str) -> str:
    """The answers and numbers of a printed report, without the measured times."""
    from tests.execution.test_command import table

    return table(said)


def undisturbed(folder: Path) -> Outcome:
    """Run the sweep to its end, and return what came out."""
    sweep = Sweep(folder, 0, has_server=False)
    try:
        sweep.to_the_end(0)
        outcome = sweep.outcome()
        sweep.check_once()
        sweep.check_mlflow(outcome)
    finally:
        sweep.close()
    return outcome


def disturbed(folder: Path, seed: int, wanted: Outcome, *, num_faults: int = 7) -> Sweep:
    """Run the sweep to its end through random faults, and hold it to the undisturbed one."""
    sweep = Sweep(folder, seed, has_server=seed % 2 == 0)
    try:
        sweep.to_the_end(num_faults)
        found = sweep.outcome()
        for what in ("histories", "predictions"):
            one, other = getattr(found, what), getattr(wanted, what)
            differing = [name for name in other if one.get(name) != other[name]]
            assert not differing, (what, differing, sweep.damaged)
        assert found.table == wanted.table
        sweep.check_once()
        sweep.check_mlflow(wanted)
    except BaseException:
        print(f"seed {seed}: {sweep.faults}, exit codes {sweep.runs}\n{sweep.said[-6000:]}")
        shutil.copytree(sweep.store, folder.with_name(f"{folder.name}-kept"), dirs_exist_ok=True)
        raise
    finally:
        sweep.close()
    return sweep


def main() -> int:
    """Run the seeds, print each, and the tally as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=25)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--faults", type=int, default=7, help="of each seed (default: %(default)s)")
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    failed: list[int] = []
    tally: collections.Counter[str] = collections.Counter()
    began = time.monotonic()
    wanted = undisturbed(options.folder / "undisturbed")
    print(f"undisturbed: {time.monotonic() - began:.0f} s", flush=True)
    for seed in range(options.first, options.first + options.seeds):
        began = time.monotonic()
        folder = options.folder / f"seed-{seed}"
        try:
            sweep = disturbed(folder, seed, wanted, num_faults=options.faults)
        except AssertionError:
            traceback.print_exc()
            failed.append(seed)
            continue
        tally.update(sweep.faults)
        print(
            f"seed {seed}: {len(sweep.faults)} faults in {len(sweep.runs)} runs, "
            f"{time.monotonic() - began:.0f} s: {', '.join(sweep.faults)}",
            flush=True,
        )
        shutil.rmtree(folder)
    print(f"seeds that came out otherwise: {failed or 'none'}")
    print(json.dumps({"faults": tally.total(), **dict(tally.most_common())}, indent=1))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
