"""The lines that the house is built on: who may import what, and what starts fast."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import orchestrator

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("torch", "ray", "mlflow", "timm", "optuna", "torchaudio")
PURE = (
    "orchestrator",
    "orchestrator.experiment.config",
    "orchestrator.design.plan",
    "orchestrator.design.designs",
    "orchestrator.design.search_space",
    "orchestrator.recipes",
    "orchestrator.recipes.families",
    "orchestrator.recipes.initial_weights",
    "orchestrator.records",
    "orchestrator.stats",
    "orchestrator.metrics",
    "orchestrator.cli",
    "orchestrator.execution.prepare",
    "orchestrator.cli.dry_run",
    "orchestrator.data",
    "orchestrator.store",
    "orchestrator.analysis.summary",
    "orchestrator.report.tables.arms",
    "models",
    "models.registry",
    "models.zoo.claims",
    "models.zoo.cards",
    "models.zoo.show",
    "models.zoo.published.results",
    "models.zoo.weights",
    "models.checkpoints.files",
)
ONLY = {
    "ray.train": {"orchestrator/execution/ray_train.py"},
    "ray.tune": {
        "orchestrator/execution/tune.py",
        "orchestrator/execution/searchers.py",
        "orchestrator/execution/ray_train.py",
    },
    "optuna": {"orchestrator/execution/searchers.py"},
}


@pytest.fixture(scope="module")
def loaded_after() -> dict[str, list[str]]:
    """What is loaded after each of the pure modules, imported in a process of its own.

    The processes are forks of one that has imported what is light and everybody needs.
    """
    code = (
        "import importlib, json, os, sys\n"
        "import numpy, pyarrow.fs\n"
        f"for name in {PURE}:\n"
        "    if not os.fork():\n"
        "        importlib.import_module(name)\n"
        f"        print(json.dumps([name, [m for m in {HEAVY} if m in sys.modules]]))\n"
        "        break\n"
        "    os.wait()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return dict(json.loads(line) for line in done.stdout.splitlines())


@pytest.mark.parametrize("module", PURE)
def test_import_of_a_pure_module_loads_nothing_heavy(module, loaded_after):
    assert loaded_after[module] == []


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize("library", ONLY)
def test_library_is_imported_in_its_files_alone(library):
    found = {
        str(path.relative_to(ROOT))
        for path in sources("orchestrator")
        if any(name == library or name.startswith(library + ".") for name in imported(path))
    }
    assert found == ONLY[library]


def test_mlflow_is_imported_by_the_tracker_alone():
    found = {
        path.relative_to(ROOT).parts[1]
        for path in sources("orchestrator")
        if any(name.split(".")[0] == "mlflow" for name in imported(path))
    }
    assert found == {"tracking"}


def test_models_never_import_the_orchestrator():
    for path in sources("models"):
        assert not any(name.split(".")[0] == "orchestrator" for name in imported(path)), path


def test_ray_session_starts_a_cluster_of_its_own():
    text = (ROOT / "orchestrator" / "execution" / "ray_session.py").read_text()
    assert '"local"' in text


def test_words_of_a_sweep_are_at_the_top_and_typed():
    """The names that are exported, found when they are asked for, and read by a type checker."""
    typed = {
        alias.name
        for node in ast.walk(ast.parse((ROOT / "orchestrator" / "__init__.py").read_text()))
        if isinstance(node, ast.If)
        for line in node.body
        if isinstance(line, ast.ImportFrom)
        for alias in line.names
    }
    assert {*orchestrator.__all__, "load_model"} == typed <= set(dir(orchestrator))
    for name in typed:
        assert getattr(orchestrator, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Arms'"):
        orchestrator.Arms  # noqa: B018


def test_import_of_the_words_of_a_sweep_loads_nothing_heavy():
    code = (
        "import sys\n"
        "import orchestrator\n"
        "assert not [m for m in sys.modules if m.startswith('orchestrator.')]\n"
        "from orchestrator import *\n"
        f"print([m for m in {HEAVY} if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.parametrize("room", ["experiment", "design", "recipes", "data", "metrics", "stats"])
def test_what_describes_a_study_imports_nothing_that_runs_or_reports_it(room):
    above = ("training", "store", "execution", "analysis", "report", "figures", "tracking", "cli")
    for path in sources(f"orchestrator/{room}"):
        for name in imported(path):
            assert not name.startswith(tuple(f"orchestrator.{other}" for other in above)), path
