"""A disk that fills or turns read-only while a trial trains: said, and gone on from later."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.errors import StoreError
from orchestrator.execution.trial import TrialRun
from orchestrator.records import Status
from tests import tiny

ROOT = Path(__file__).resolve().parents[2]


class Disk:
    """A file system in main memory, of a size of its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir()

    def mount(self, options: str) -> None:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.folder)]
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("mounting a file system needs root")

    def remount(self, options: str) -> None:
        """Change how it is mounted, as soon as nobody writes."""
        command = ["mount", "-o", f"remount,{options}", str(self.folder)]
        while (done := subprocess.run(command, capture_output=True)).returncode:
            assert b"busy" in done.stderr, done.stderr

    def fill(self, *, leave: int) -> Path:
        """Leave only so many bytes, also while others write; the file that takes the rest."""
        ballast = self.folder / "ballast"
        with ballast.open("wb", buffering=0) as file:
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(1 << 20))
            file.truncate(max(0, file.tell() - leave))
        return ballast


@pytest.fixture
def disk(tmp_path) -> Iterator[Disk]:
    disk = Disk(tmp_path / "disk")
    disk.mount("size=256m")
    try:
        yield disk
    finally:
        # Lazy: what a trainer mapped or opened is held until Python collects it.
        subprocess.run(["umount", "--lazy", str(disk.folder)], check=True)


@pytest.mark.parametrize("leave", [0, 1 << 16], ids=["nothing fits", "the record fits"])
def test_trial_on_a_full_disk_names_it_and_goes_on_once_there_is_room(disk, leave):
    experiment = tiny.experiment(epochs=2)
    store = tiny.store_with_pack(disk.folder / "store", experiment)
    trial = TrialRun(store=store, trial_id=experiment.id, experiment=experiment)
    ballast = None

    def fill(epoch) -> None:
        nonlocal ballast
        ballast = ballast or disk.fill(leave=leave)

    trial.on_epoch = fill
    with pytest.raises(StoreError, match=r"No space left on device.*free some space"):
        trial.run()
    record = store.read_record(experiment.id)
    # A checkpoint is written while the next epoch trains, which may end before it fails.
    assert record is not None and len(record.epochs) in (1, 2)
    if leave:
        assert record.status is Status.FAILED and "No space left on device" in record.error
    assert ballast is not None
    ballast.unlink()
    record = trial.run()
    assert record.status is Status.FINISHED, record.error
    assert [epoch.epoch for epoch in record.epochs] == [1, 2]


def test_trial_whose_disk_turns_read_only_names_it_and_goes_on_once_it_can_write(disk):
    experiment = tiny.experiment(epochs=2)
    store = tiny.store_with_pack(disk.folder / "store", experiment)
    trial = TrialRun(store=store, trial_id=experiment.id, experiment=experiment)
    trial.on_epoch = lambda epoch: disk.remount("ro")
    with pytest.raises(StoreError, match=r"Read-only file system\); give a place that can be"):
        trial.run()
    assert len(store.read_record(experiment.id).epochs) in (0, 1)
    disk.remount("rw")
    trial.on_epoch = lambda epoch: None
    record = trial.run()
    assert record.status is Status.FINISHED, record.error
    assert [epoch.epoch for epoch in record.epochs] == [1, 2]


@pytest.mark.slow
def test_sweep_on_a_full_disk_is_one_message_and_the_same_command_goes_on(disk, tmp_path):
    command = [sys.executable, str(ROOT / "sweeps" / "pretrain.py"), "--demo", "--epochs", "1"]
    command += ["--seeds", "1", "--arms", "DATAR*", "--store", str(disk.folder / "store")]
    checked = subprocess.run([*command, "--smoke"], cwd=tmp_path, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr  # the packs are made
    ballast = disk.fill(leave=1 << 21)
    full = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    said = full.stdout + full.stderr
    assert full.returncode == 2, said
    assert "Traceback" not in said
    assert full.stderr.count("error: ") == 1 and "No space left on device" in full.stderr
    assert "run the same command again" in full.stderr
    ballast.unlink()
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "Complete: all 2 planned trials finished." in again.stdout
