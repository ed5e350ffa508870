"""The lines that the house is built on: who may import what, and what starts fast."""

import ast
import functools
import graphlib
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
    "orchestrator.execution.prepare",
    "orchestrator.data",
    "orchestrator.store",
    "models",
    "models.registry",
    "models.card",
    "models.zoo.cards",
    "models.zoo.describe",
    "models.zoo.paper_tables",
    "models.zoo.show",
    "models.checkpoints.files",
)
"""Modules of other rooms that start fast; `PURE_ROOMS` do whole."""
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


FLOORS = (
    *("models", "errors", "terminal", "cluster", "metrics", "stats", "records"),
    *("experiment", "design", "data", "recipes", "training", "store"),
    *("analysis", "predict", "tracking", "report", "execution", "doctor", "cli"),
)
"""Rooms from the ground up; what lies in a room imports from rooms below it alone."""

COMMANDS = {"export", "gate", "status", "sync"}
"""Modules that are the name of a command, and hand on to the room that does it."""
HANDED_ON = {"orchestrator", *(f"orchestrator.{name}" for name in COMMANDS)}
"""Modules that hand on what lies higher: the package itself, lazily, and names of commands."""


@pytest.mark.parametrize("module", PURE)
def test_import_of_a_pure_module_loads_nothing_heavy(module, loaded_after):
    assert loaded_after[module] == []


PURE_ROOMS = (
    *("errors", "terminal", "metrics", "stats", "records", "experiment", "design"),
    *("recipes", "analysis", "report", "cli"),
)
"""Rooms in which no line imports what is heavy, not even inside a function."""


def test_pure_rooms_never_name_what_is_heavy():
    found = {
        (module, name)
        for module, path in modules().items()
        if room(module) in PURE_ROOMS
        for name in imported(path)
        if name.split(".")[0] in HEAVY
    }
    assert found == set()


def test_import_of_all_of_the_pure_rooms_loads_nothing_heavy():
    # Loaded together without what is heavy, each is so alone; commands load what they run.
    commands = {name for name in modules() if name.endswith("__main__")}
    names = [n for n in modules() if room(n) in PURE_ROOMS and n not in commands]
    code = (
        "import importlib, sys\n"
        f"for name in {names}:\n"
        "    importlib.import_module(name)\n"
        f"    loaded = [m for m in {HEAVY} if m in sys.modules]\n"
        "    assert not loaded, (name, loaded)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@functools.cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(path.read_text())))


@functools.cache
def imported(path: Path, *, types: bool = True) -> set[str]:
    names: set[str] = set()
    skipped = {
        inner
        for node in nodes(path)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not types
        for inner in ast.walk(node)
    }
    for node in nodes(path):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: a relative import, which the graph does not see"
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
    assert {*orchestrator.__all__, "load_model", "load_study"} == typed <= set(dir(orchestrator))
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


@functools.cache
def modules() -> dict[str, Path]:
    """Every module of both packages by its dotted name."""
    found = {}
    for package in ("models", "orchestrator"):
        for path in sources(package):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@functools.cache
def graph(*, types: bool = True) -> dict[str, set[str]]:
    """Module -> the modules of ours that it imports, also lazily, and for types where asked."""
    known = modules()
    edges = {}
    for name, path in known.items():
        names = imported(path, types=types) & known.keys()
        # `from package import module` names both; the package is meant only by its own names.
        packages = {one for one in names if any(other.startswith(one + ".") for other in names)}
        edges[name] = {one for one in names - {name} if one not in packages or own(path, one)}
    return edges


def own(path: Path, package: str) -> bool:
    """Whether a file takes a name from a package that is not one of its modules."""
    known = modules()
    return any(
        f"{package}.{alias.name}" not in known
        for node in nodes(path)
        if isinstance(node, ast.ImportFrom) and node.module == package
        for alias in node.names
    )


def room(module: str) -> str:
    parts = module.split(".")
    return parts[0] if parts[0] == "models" or len(parts) == 1 else parts[1]


def test_rooms_are_twenty_at_most_and_each_has_its_floor():
    rooms = {room(module) for module in modules()} - {"orchestrator", *COMMANDS}
    assert rooms == set(FLOORS)
    assert len(rooms) <= 20


def test_no_room_imports_from_a_higher_floor():
    upward = {
        (module, target)
        for module, targets in graph().items()
        if module not in HANDED_ON
        for target in targets
        if FLOORS.index(room(module)) < FLOORS.index(room(target))
    }
    assert upward == set()


def test_files_import_each_other_in_no_circle():
    graphlib.TopologicalSorter(graph(types=False)).prepare()  # raises a CycleError that names one


def test_execution_imports_the_report_to_publish_it_alone():
    found = {m for m, targets in graph().items() if any(room(t) == "report" for t in targets)}
    assert {m for m in found if room(m) == "execution"} == {"orchestrator.execution.publish"}


def test_words_know_nothing_of_how_they_are_laid_out():
    for module, targets in graph().items():
        if module.startswith("orchestrator.report.wording"):
            places = {target.split(".")[2] for target in targets if room(target) == "report"}
            assert places <= {"wording"}, module
