"""The worked examples of CONTRIBUTING.md: each part is added as it says, trained with, reported."""

import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = re.compile(
    r"(?P<how>new file|end of) `(?P<path>[\w/.]+)`:?\n\n```python\n(?P<code>.*?)```", re.DOTALL
)
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
FOUND = {match["path"]: match for match in EXAMPLES.finditer(TEXT)}


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Path:
    """A copy of the packages with every example written into it."""
    folder = tmp_path_factory.mktemp("house")
    for package in ("models", "orchestrator"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, folder / package, ignore=ignored)
    (folder / "sweeps").mkdir()
    for path, example in FOUND.items():
        file = folder / path
        file.parent.mkdir(exist_ok=True)
        assert file.exists() == (example["how"] == "end of"), path
        with file.open("a") as written:
            written.write(f"\n\n{example['code']}" if file.stat().st_size else example["code"])
    return folder


def run(house: Path, *words: str) -> str:
    """Run Python in the copy, which comes before the installed packages."""
    done = subprocess.run(
        [sys.executable, *words],
        cwd=house,
        env={**os.environ, "PYTHONPATH": str(house), "COLUMNS": "120"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_every_kind_of_part_has_an_example_of_one_file_and_a_line_at_most():
    kinds = re.findall(r"^An? \*\*([\w ]+)\*\*", TEXT.split("## Worked examples")[1], re.MULTILINE)
    assert kinds == [
        *("data set", "front end", "model family", "loss", "metric"),
        *("plot", "table", "factor"),
    ]
    appended = {path: m["code"] for path, m in FOUND.items() if m["how"] == "end of"}
    lines = {path: code.strip().count("\n") + 1 for path, code in appended.items()}
    del lines["orchestrator/metrics/catalog.py"]  # a metric is an entry there and nothing else
    assert lines and set(lines.values()) == {1}


def test_examples_are_what_a_reviewer_would_merge(house):
    """Format and lint, as for any file here."""
    files = [path for path, match in FOUND.items() if match["how"] == "new file"]
    ruff = Path(sys.executable).with_name("ruff")
    config = ["--config", str(ROOT / "pyproject.toml")]
    for check in (["format", "--check", *config], ["check", *config, "--ignore", "D107"]):
        done = subprocess.run([ruff, *check, *files], cwd=house, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_model_family_is_listed_and_described_from_its_folder(house):
    assert "A worked example" in run(house, "-m", "models", "meanpool")
    assert "meanpool_wide" in run(house, "-m", "models")


@pytest.mark.slow
def test_study_of_the_examples_trains_and_reports(house):
    """A real study: own data set, front end, model, loss, metric, plot and factor in one."""
    text = run(house, "sweeps/poly.py", "--store", "store")
    assert "Complete: all 4 planned trials finished." in text
    assert "balanced accuracy" in " ".join(text.split())
    assert "lowest" in text and "highest" in text
    rows = list(csv.DictReader((house / "store/sweeps/poly/report/table.csv").open()))
    means = {row["arm"]: float(row["mean"]) for row in rows if row["mean"]}
    assert all(mean > 60 for mean in means.values()), means  # of two classes, so it learned
    extremes = [row for row in rows if row["kind"] == "extremes"]
    assert [float(row["lowest"]) <= means[row["arm"]] for row in extremes] == [True, True]
    page = (house / "store/sweeps/poly/report/report.html").read_text()
    assert "Extremes" in page
    assert "Every trial" in page and "balanced accuracy of every trial" in page
