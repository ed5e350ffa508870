"""What the README tells a user to type works, and its sweep file is a sweep."""

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from orchestrator import Plan, one_at_a_time
from orchestrator.execution.preflight.arms import check_arms
from tests import tiny
from tests.commands import run_command

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
BLOCK = re.search(r"```bash\n(.*?)```", README, re.S)
assert BLOCK is not None
COMMANDS = [line.split("#")[0].strip() for line in BLOCK[1].splitlines()]
QUICK = ["--epochs", "1", "--dataset", "synthetic:clips_per_class=10"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("readme")
    (path / "sweeps").symlink_to(ROOT / "sweeps")
    return path


def run(words: list[str], folder: Path) -> str:
    assert words[0] == "python"
    done = run_command(words[1:], cwd=folder)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def marks_of(command: str) -> list[pytest.MarkDecorator]:
    """Mark what starts Ray once more, after the sweep that the other commands need."""
    return [pytest.mark.slow] if "--seeds" in command else []


@pytest.mark.parametrize("command", [pytest.param(c, marks=marks_of(c), id=c) for c in COMMANDS])
def test_command_of_the_readme_runs(command, folder):
    words = shlex.split(command)
    # One epoch, a few clips and the first seeds stand for the whole: the way is the same.
    if words[1].startswith("sweeps/"):
        seeds = ["--seeds", "2"] if "--seeds" in words else ["--seeds", "1"]
        words = [*words, *QUICK, *seeds]
    words = [word.replace("adaptor_lambda-demo", "adaptor_lambda-demo-1ep") for word in words]
    assert run(words, folder).strip()


def test_sweep_file_of_the_readme_is_a_sweep(tmp_path):
    block = re.search(r"```python\n(.*?)```", README, re.S)
    assert block is not None
    (tmp_path / "smoothing.py").write_text(block[1])
    listed = run(["python", "smoothing.py", "--demo", "--dry-run"], tmp_path)
    assert "loss.label_smoothing=0.1" in listed
    assert "ablates" not in run(["python", "smoothing.py", "--demo", "--check"], tmp_path)


def test_levels_of_the_readme_are_seen_to_differ_before_launch(tmp_path, monkeypatch):
    (tmp_path / "noise").mkdir()
    sound = 0.1 * np.random.default_rng(0).standard_normal(4000)
    soundfile.write(tmp_path / "noise" / "rain.wav", sound, 16000)
    monkeypatch.chdir(tmp_path)
    _, block, *_ = re.findall(r"```python\n(.*?)```", README, re.S)
    names: dict[str, Any] = {}
    exec(block, names)
    plan = Plan(
        name="training",
        question="What does each change?",
        base=tiny.experiment(),
        arms=one_at_a_time(names["TRAINING"], baseline="plain"),
    )
    _, *levels = check_arms(plan, num_classes=3, num_samples=8000, sample_rate=16000)
    assert [level.arm for level in levels if level.differs] == [
        *("shifted", "in noise", "focal", "rare classes", "three looks")
    ]


def test_make_targets_of_the_readme_exist():
    targets = set(re.findall(r"make ([\w-]+)", README))
    made = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert {"demo", "test"} <= targets <= made


def test_files_that_the_readme_names_exist():
    for name in re.findall(r"\]\(([\w/.-]+)\)", README) + re.findall(r"`(\w+\.py)`", README):
        assert (ROOT / name).exists() or (ROOT / "sweeps" / name).exists(), name
