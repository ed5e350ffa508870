"""The wheel, built from a sdist and installed, does what the checkout does in an empty folder."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BUILD = (
    "import sys; from setuptools import build_meta as b; "
    "name = b.build_sdist(sys.argv[1]) if sys.argv[2] == 'sdist' else b.build_wheel(sys.argv[1]); "
    "print(name)"
)


def build(kind: str, source: Path, target: Path) -> Path:
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(target), kind], cwd=source, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return target / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The folder of the package as `pip install` unpacks it; the other packages are ours."""
    folder = tmp_path_factory.mktemp("package")
    source = folder / "source"
    # What git knows, so that nothing that lies about in a checkout is built in.
    subprocess.run(["git", "clone", "-q", "--depth", "1", f"file://{ROOT}", source], check=True)
    for name in ("setup.py", "pyproject.toml", "orchestrator", "models", "sweeps"):
        subprocess.run(["cp", "-r", str(ROOT / name), str(source)], check=True)
    sdist = build("sdist", source, folder)
    subprocess.run(["tar", "-xzf", sdist, "-C", folder], check=True)
    wheel = build("wheel", folder / sdist.name.removesuffix(".tar.gz"), folder)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(installed: Path, folder: Path, *words: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
def test_wheel_holds_every_file_of_the_packages_and_nothing_else(installed):
    packed = {str(p.relative_to(installed)) for p in installed.rglob("*") if p.is_file()}
    packed = {name for name in packed if ".dist-info/" not in name and "__pycache__" not in name}
    listed = subprocess.run(
        ["git", "ls-files", "orchestrator", "models", "sweeps"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    ours = {
        f"orchestrator/{name}" if name.startswith("sweeps/") else name
        for name in listed
        if (ROOT / name).exists()
    }
    assert ours <= packed
    assert {Path(name).suffix for name in packed - ours} <= {".py"}  # not yet committed


@pytest.mark.slow
def test_sweeps_of_the_wheel_run_in_an_empty_folder(installed, tmp_path):
    assert "adaptor_lambda" in run(installed, tmp_path, "-m", "orchestrator.sweeps")
    listed = run(
        installed, tmp_path, "-m", "orchestrator.sweeps.adaptor_lambda", "--demo", "--dry-run"
    )
    assert "48 trials (6 arms x 8 seeds)" in listed
    trained = run(installed, tmp_path, "-m", "orchestrator.sweeps.adaptor_lambda", "--smoke")
    assert "loss" in trained
    assert str(installed) in run(
        installed, tmp_path, "-c", "import orchestrator; print(orchestrator.__file__)"
    )


@pytest.mark.parametrize("like", [(), ("--like", "pretrain")], ids=["smallest", "like pretrain"])
def test_new_sweep_is_a_sweep_and_is_not_written_over(like, tmp_path):
    def command(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *words], cwd=tmp_path, capture_output=True, text=True
        )

    new = ("-m", "orchestrator.sweeps", "new", "my_idea", *like)
    assert "next: python my_idea.py --demo --dry-run" in command(*new).stdout
    assert "my_idea-demo: " in command("my_idea.py", "--demo", "--dry-run").stdout
    again = command(*new)
    assert again.returncode == 2 and "my_idea.py exists" in again.stderr
    wrong = command("-m", "orchestrator.sweeps", "new", "My idea")
    assert wrong.returncode == 2 and "'My idea'" in wrong.stderr
