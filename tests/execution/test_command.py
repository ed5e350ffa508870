"""A sweep as its user runs it: one command, real Ray, real store, real MLflow database."""

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile

from orchestrator.records import Status
from orchestrator.store import Store
from tests.commands import environment, run_command

ROOT = Path(__file__).resolve().parents[2]
# A quarter of the clips and one epoch: what is tested is the same.
FEW_CLIPS = ("--dataset", "synthetic:clips_per_class=10")
QUICK = ("--demo", "--epochs", "1", *FEW_CLIPS)
SMALL = (*QUICK, "--seeds", "2")


def command(sweep: str | Path, *arguments: str | Path) -> list[str]:
    path = sweep if isinstance(sweep, Path) else ROOT / "sweeps" / f"{sweep}.py"
    return [sys.executable, str(path), *map(str, arguments)]


def run(
    sweep: str | Path,
    *arguments: str | Path,
    cwd: Path,
    code: int = 0,
    env: Mapping[str, str] | None = None,
) -> str:
    done = run_command(command(sweep, *arguments)[1:], cwd=cwd, env=env)
    assert done.returncode == code, done.stdout[-3000:] + done.stderr[-3000:]
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout + done.stderr


def table(output: str) -> str:
    """The answers and numbers of a printed report, without the measured times."""
    found = re.search(r"\n(• .*?|Complete.*?)\n\n?(report|Page): ", output, re.S)
    assert found, output
    text = found[1].rstrip()
    start, end = text.index("\narm "), text.index("\ntop-1: at the last epoch")
    rows = [line.split("  ") for line in text[start:end].splitlines()]
    without_times = ["  ".join(row[: max(1, len(row) - 4)]).rstrip() for row in rows]
    return text[:start] + "\n".join(without_times) + text[end:]


@pytest.fixture(scope="module")
def sweep_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    return folder, run("perturbation", *SMALL, cwd=folder)


def test_demo_prints_a_table_and_writes_page_and_database(sweep_once):
    folder, output = sweep_once
    assert "14 trials to train" in output
    assert "Complete: all 14 planned trials finished." in output
    report = folder / "store" / "sweeps" / "perturbation-demo-1ep" / "report"
    for name in ("report.html", "table.md", "table.tex", "table.csv", "report.json"):
        assert (report / name).stat().st_size > 0
    assert (folder / "store" / "mlflow.db").stat().st_size > 0
    log = re.search(r"workers: (.*\.log)", output)
    assert log and Path(log[1]).exists()


def test_same_command_again_trains_nothing_and_prints_the_same_table(sweep_once):
    folder, output = sweep_once
    started = time.monotonic()
    again = run("perturbation", *SMALL, cwd=folder)
    assert "nothing to train" in again
    assert table(again) == table(output)
    assert time.monotonic() - started < 60  # no Ray: that alone would take part of it


def test_further_seed_trains_only_its_block(sweep_once):
    folder, _ = sweep_once
    copy = folder / "copy"
    shutil.copytree(folder / "store", copy / "store")
    output = run("perturbation", *QUICK, "--seeds", "3", cwd=copy)
    assert "7 trials to train, 14 are in the store" in output
    trained = re.findall(r"\] .* · seed (\d) · ", output)
    assert trained == ["2"] * 7


@pytest.mark.slow
def test_damaged_store_is_mended_by_the_same_command(sweep_once, tmp_path):
    folder, output = sweep_once
    shutil.copytree(folder / "store", tmp_path / "store")
    trials = sorted(path for path in (tmp_path / "store" / "trials").iterdir())
    cut, flipped, unfinished = trials[0], trials[1], trials[2:5]
    os.truncate(cut / "record.json", 99)
    predictions = flipped / "predictions-last.arrow"
    data = bytearray(predictions.read_bytes())
    data[len(data) // 2] ^= 1
    predictions.write_bytes(data)
    for number, trial in enumerate(unfinished):  # their newest checkpoint was lost, too
        (trial / "record.json").unlink()
        names = ("last-*.safetensors", "last.json", "best-*.safetensors")
        (checkpoint,) = (trial / "checkpoints").glob(names[number])
        os.truncate(checkpoint, checkpoint.stat().st_size // 2)
    again = run("perturbation", *SMALL, cwd=tmp_path)
    assert "5 trials to train, 9 are in the store" in again
    assert again.count("It was set aside (record.json.damaged-1") == 2
    assert table(again) == table(output)
    assert len(list((tmp_path / "store").glob("trials/*/checkpoints/*.damaged-1"))) >= 3


@pytest.mark.slow
def test_two_launches_at_once_train_each_trial_once_and_say_who_waits(sweep_once, tmp_path):
    folder, _ = sweep_once
    shutil.copytree(folder / "store", tmp_path / "store")
    asked = command("perturbation", *QUICK, "--seeds", "3")
    launches = [
        subprocess.Popen(
            asked,
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(2)
    ]
    outputs = [launch.communicate(timeout=400)[0] for launch in launches]
    assert [launch.returncode for launch in launches] == [0, 0]
    assert table(outputs[0]) == table(outputs[1])
    trained = [
        line
        for output in outputs
        for line in output.splitlines()
        if re.match(r"\[\d+/7\]", line) and "by another run" not in line
    ]
    assert len(trained) == 7
    waits = [line for output in outputs for line in output.splitlines() if "waits for" in line]
    assert waits and all(" · seed 2 · " in line and "another launch: " in line for line in waits)


def test_report_command_prints_the_same_table(sweep_once):
    folder, output = sweep_once
    words = ["-m", "orchestrator.report", "perturbation", "--width", "120"]
    done = run_command(words, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert table(done.stdout) == table(output)


@pytest.mark.slow
@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_interrupt_leaves_no_process_and_the_next_run_finishes(number, sweep_once, tmp_path):
    _, calm = sweep_once
    process = subprocess.Popen(
        command("perturbation", *SMALL),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    family: list[psutil.Process] = []
    deadline = time.monotonic() + 300
    store = Store.open(tmp_path / "store")
    while time.monotonic() < deadline and process.poll() is None:
        records = list((tmp_path / "store" / "trials").glob("*/record.json"))
        found = store.read_records(path.parent.name for path in records)
        if any(record.status is Status.FINISHED for record in found.values()):
            family = psutil.Process(process.pid).children(recursive=True)
            break
        time.sleep(0.2)
    assert len(family) > 3, "Ray and its workers were running"
    os.killpg(process.pid, number)  # as a terminal and a scheduler do
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert re.search(r"interrupted: of 14 trials, [1-9]\d? have ended, \d+ were begun and", said)
    assert "the same command goes on from here:\n  " in said and "--seeds 2" in said
    assert "Traceback" not in said
    _, alive = psutil.wait_procs(family, timeout=30)
    assert alive == []
    rest = run("perturbation", *SMALL, cwd=tmp_path)
    assert "14 trials to train" not in rest
    assert table(rest) == table(calm)


@pytest.mark.slow
def test_killed_command_leaves_no_process(tmp_path):
    process = subprocess.Popen(
        command("perturbation", *SMALL),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        if list((tmp_path / "store" / "trials").glob("*/record.json")):
            break
        time.sleep(0.2)
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) > 3, "Ray and its workers were running"
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(family, timeout=15)
    assert alive == []


@pytest.mark.slow
def test_search_suggestions_are_stored_and_found_again(tmp_path):
    first = run("adaptor_search", *QUICK, cwd=tmp_path)
    assert "1 trials to train and 8 points to search" in first
    assert "optimistic" in first
    again = run("adaptor_search", *QUICK, cwd=tmp_path)
    assert "all 9 trials are in the store" in again
    assert table(again) == table(first)


@pytest.mark.slow
def test_pretrain_demo_trains_its_own_checkpoint_first(tmp_path):
    output = run(
        "pretrain",
        *(*QUICK, "--seeds", "1", "--arms", "HTS-AT*"),
        cwd=tmp_path,
    )
    done = re.findall(r"\[\d/3\] (\S+ \w+)", output)
    assert done[0] == "prerequisite 1"
    assert sorted(done[1:]) == ["HTS-AT pretrained", "HTS-AT scratch"]
    with sqlite3.connect(tmp_path / "store" / "mlflow.db") as database:
        names = [name for (name,) in database.execute("SELECT name FROM runs")]
    assert len(names) == 1 + 2 + 3, "the sweep, its arms and every trial"


@pytest.mark.slow
def test_tracking_server_that_is_away_costs_nothing(tmp_path):
    output = run(
        "pretrain",
        *(*QUICK, "--seeds", "1", "--arms", "DATAR*"),
        *("--tracking-uri", "http://127.0.0.1:9"),
        cwd=tmp_path,
    )
    assert "Complete: all 2 planned trials finished." in output
    assert "Nothing is lost" in output and "python -m orchestrator.sync" in output
    done = run_command(["-m", "orchestrator.sync"], cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "store" / "mlflow.db").exists()


def test_smoke_trains_one_tiny_trial_without_ray(tmp_path):
    output = run("datar_table4", "--smoke", *FEW_CLIPS, cwd=tmp_path)
    assert "smoke: with deformable, 1 epoch" in output
    assert not (tmp_path / "store" / "logs").exists()


def test_smoke_on_clips_of_one_sample_is_one_message(tmp_path):
    (tmp_path / "audio").mkdir()
    (tmp_path / "meta").mkdir()
    rows = ["filename,fold,target,category"]
    for clip in range(8):
        name = f"{1 + clip // 4}-{clip}-A-{clip % 2}.wav"
        soundfile.write(tmp_path / "audio" / name, [(clip + 1) / 32768], 16000, subtype="PCM_16")
        rows.append(f"{name},{1 + clip // 4},{clip % 2},{'ab'[clip % 2]}")
    (tmp_path / "meta" / "clips.csv").write_text("\n".join(rows) + "\n")
    done = run_command(
        command("datar_table4", "--smoke", "--dataset", "esc:seconds=0", "--data-root", ".")[1:],
        cwd=tmp_path,
    )
    assert done.returncode in (1, 2) and "Traceback" not in done.stdout + done.stderr
    assert done.stderr.startswith("error: ") and "have 1 samples" in done.stderr


def test_check_proves_the_six_arms_of_table_4(tmp_path):
    output = run("datar_table4", "--demo", "--check", cwd=tmp_path)
    assert len(re.findall(r"logits differ by up to", output)) == 5
    assert "every arm differs from the baseline, and only where it says so" in output


SHIFT = """
from torch import nn


class Shift(nn.Module):
    def __init__(self, num_channels, *, gain):
        super().__init__()
        self.gain = gain

    def forward(self, features, *, clip_seeds=None):
        return features + self.gain
"""


def sweep_file(path: Path, arms: str) -> Path:
    path.write_text(
        "from orchestrator import Arm, Component, Plan, cli, recipes\n"
        "PLAN = Plan(name='mine', question='?', base=recipes.datar_laptop(),\n"
        f"    demo=recipes.datar_laptop(), arms=({arms}))\n"
        "cli.main(PLAN)\n"
    )
    return path


EQUAL = "Arm(name='a'), Arm(name='b', changes={'model.deformable': True})"
MISSPELT = "Arm(name='a'), Arm(name='b', changes={'model.deformble': False})"
UNKNOWN = "Arm(name='a'), Arm(name='b', changes={'transform': Component('no_such:Part')})"
OWN = "Arm(name='a'), Arm(name='b', changes={'transform': Component('my_part:Shift', gian=1.0)})"
SILENT = "Arm(name='a'), Arm(name='b', changes={'transform': Component('gaussian', scale=0.0)})"


@pytest.mark.parametrize(
    ("arms", "flags", "words"),
    [
        (EQUAL, ["--dry-run"], "arm 'b' is equal to arm 'a'"),
        (MISSPELT, ["--dry-run"], "'deformble'; did you mean 'deformable'? (valid: "),
        (MISSPELT, ["--demo"], "'deformble'; did you mean 'deformable'? (valid: "),
        (UNKNOWN, ["--dry-run"], "there is no module 'no_such' to import"),
        (OWN, ["--check"], "its signature is (num_channels, *, gain)"),
        (SILENT, ["--check"], "it ablates nothing"),
        (SILENT, ["--demo", "--epochs", "1", "--seeds", "1"], "it ablates nothing"),
    ],
)
def test_plan_that_proves_nothing_is_refused(arms, flags, words, tmp_path):
    (tmp_path / "my_part.py").write_text(SHIFT)
    output = run(sweep_file(tmp_path / "mine.py", arms), *flags, cwd=tmp_path, code=2)
    assert words in output


@pytest.mark.slow
def test_part_of_ones_own_is_trained_and_its_source_is_part_of_the_id(tmp_path):
    arms = OWN.replace("gian", "gain")
    (tmp_path / "my_part.py").write_text(SHIFT)
    flags = (*QUICK, "--seeds", "1")
    first = run(sweep_file(tmp_path / "mine.py", arms), *flags, cwd=tmp_path)
    assert "Complete: all 2 planned trials finished." in first
    (tmp_path / "my_part.py").write_text(SHIFT.replace("+ self.gain", "- self.gain"))
    assert "1 trials to train" in run(tmp_path / "mine.py", *flags, cwd=tmp_path)


def test_checkpoint_that_is_none_is_refused_before_anything_trains(tmp_path):
    (tmp_path / "weights.pth").write_bytes(b"nonsense" * 100)
    given = environment(DATAR_CHECKPOINT=str(tmp_path / "weights.pth"))
    output = run("pretrain", "--check", "--arms", "DATAR*", cwd=tmp_path, code=2, env=given)
    assert "arm 'DATAR pretrained' cannot be built" in output and "weights.pth" in output


def clip(path: Path, *, channels: int = 1, rate: int = 16000, seconds: float = 5.0, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).normal(0, 0.1, (int(rate * seconds), channels))
    soundfile.write(path, noise, rate, subtype="PCM_16")


def esc(root: Path, num_clips: int = 8) -> Path:
    rows = ["filename,fold,target,category"]
    for number in range(num_clips):
        name = f"{number}.flac"
        clip(root / "audio" / name, seed=number)
        rows.append(f"{name},{number % 2 + 1},{number % 4 // 2},class{number % 4 // 2}")
    (root / "meta").mkdir()
    (root / "meta" / "made.csv").write_text("\n".join(rows) + "\n")
    return root


def truncated(root: Path) -> Path:
    path = esc(root) / "audio" / "3.flac"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return root


def without_meta(root: Path) -> Path:
    shutil.rmtree(esc(root) / "meta")
    return root


def one_fold(root: Path) -> Path:
    path = esc(root) / "meta" / "made.csv"
    path.write_text(path.read_text().replace(",2,", ",1,"))
    return root


def no_text(root: Path) -> Path:
    (esc(root) / "meta" / "made.csv").write_bytes(bytes(range(128, 256)))
    return root


def in_the_way(root: Path) -> Path:
    root.write_text("a file")
    return root


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--data-root", "nowhere"], ["data root 'nowhere'", "is not a directory"]),
        (["--data-root", without_meta], ["meta", "csv"]),
        (["--data-root", truncated], ["3.flac", "unreadable", "--dataset esc:on_broken=drop"]),
        (["--data-root", one_fold], ["one fold only (1)", "at least two"]),
        (["--data-root", no_text], ["made.csv", "UTF-8"]),
        (["--address", "nonsense"], ["'nonsense' is no address of a Ray cluster", "HOST:PORT"]),
        (["--tracking-uri", "nonsense://x", *FEW_CLIPS], ["unknown scheme", "'nonsense'", "https"]),
        (["--dataset", "esc:on_broken=perhaps"], ["on_broken is 'perhaps'", "'stop', 'drop'"]),
        (["--dataset", "synthetic:second=1"], ["'second'; did you mean 'seconds'?"]),
        (["--dataset", "esq"], ["unknown dataset 'esq'", "did you mean 'esc'?", "synthetic"]),
        (["--dataset", "esc"], ["--data-root"]),
        (["--folds", "9"], ["no fold 9", "valid: 1, 2, 3, 4, 5"]),
        (["--store", in_the_way], ["--store"]),
        (["--tracking-uri", "127.0.0.1:5000", *FEW_CLIPS], ["http://127.0.0.1:5000"]),
        (["--gpus-per-worker", "64"], ["64 GPUs", "--gpus-per-worker 1 --num-workers 64"]),
        (
            ["--gpus-per-worker", "1", "--num-workers", "64"],
            ["64 GPUs", "this machine has", "--address"],
        ),
        (["--num-workers", "512"], ["512 CPUs", "this machine has", "--address"]),
        (["--address", "127.0.0.1:1"], ["no Ray cluster answers at '127.0.0.1:1'", "--address"]),
    ],
    ids=lambda value: value[0].lstrip("-") if str(value[0]).startswith("-") else "",
)
def test_bad_input_is_one_clear_message(flags, words, tmp_path):
    made = [flag(tmp_path / "given") if callable(flag) else flag for flag in flags]
    output = run("pretrain", "--demo", "--epochs", "1", *made, cwd=tmp_path, code=2)
    for word in words:
        assert word in output, output


def test_broken_clips_are_dropped_when_asked_and_said(tmp_path):
    root = truncated(tmp_path / "given")
    output = run(
        "pretrain",
        *("--smoke", "--data-root", root, "--dataset", "esc:on_broken=drop"),
        cwd=tmp_path,
    )
    assert "data: dropped 3.flac: unreadable" in output
    (path,) = (tmp_path / "store" / "trials").glob("*/record.json")
    record = Store.open(tmp_path / "store").read_record(path.parent.name)
    assert record is not None and list(record.data["dropped"]) == ["3.flac"]


def test_stereo_and_wrong_rate_are_handled_and_said(tmp_path):
    root = esc(tmp_path / "given")
    clip(root / "audio" / "1.flac", channels=2, seed=91)
    clip(root / "audio" / "2.flac", rate=44100, seed=92)
    output = run("pretrain", "--smoke", "--data-root", root, cwd=tmp_path)
    assert "averaged" in output and "resampled" in output
    assert "smoke: DATAR scratch, 1 epoch" in output
