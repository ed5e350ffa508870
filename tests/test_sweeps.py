"""Every sweep file: short, listed at once, sound, and answered for by its docstring."""

import ast
import importlib.util
import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.design.plan import Plan
from orchestrator.design.search_space import Search
from orchestrator.errors import ConfigError
from orchestrator.recipes.families import FAMILIES

ROOT = Path(__file__).resolve().parent.parent
SWEEPS = sorted((ROOT / "sweeps").glob("[!_]*.py"))


def load(path: Path) -> Plan | Search:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.PLAN


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_sweep_is_short_and_its_docstring_answers(path):
    text = path.read_text()
    doc = ast.get_docstring(ast.parse(text)) or ""
    assert 20 <= len(text.splitlines()) <= 60
    for word in ("Question", "Command", "Cost", "Expected", "Result"):
        assert word in doc


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_sweep_plan_is_sound(path):
    asked = load(path)
    plan = asked.plan if isinstance(asked, Search) else asked
    assert plan.name == path.stem
    assert plan.demo is not None
    demo = plan.with_base(**vars(plan.demo))
    demo.check()
    if plan.prerequisites is None:
        asked.check()


def test_adaptor_lambda_has_five_strengths_around_the_papers():
    strengths = [
        arm.changes["transform.strength"]
        for arm in load(ROOT / "sweeps" / "adaptor_lambda.py").arms[1:]
    ]
    assert len(strengths) >= 5
    assert {0.005, 0.2} < set(strengths)


def test_datar_table4_carries_the_papers_numbers():
    arms = load(ROOT / "sweeps" / "datar_table4.py").arms
    published = [(arm.published["val/top1"], arm.published["val/top5"]) for arm in arms]
    assert published == [
        (69.4, 86.6),
        (70.5, 89.9),
        (70.2, 90.1),
        (70.5, 89.6),
        (70.5, 90.2),
        (71.5, 90.5),
    ]


def test_adaptor_everywhere_asks_every_family_with_pairs_enough_for_all():
    path = ROOT / "sweeps" / "adaptor_everywhere.py"
    plan = load(path)
    assert plan.demo_seeds is not None
    assert {c.arm.removesuffix(", adaptor") for c in plan.contrasts} == {f.name for f in FAMILIES}
    smallest = 2 / 2 ** len(plan.demo_seeds)
    assert len(FAMILIES) * smallest <= 0.05 < len(FAMILIES) * 2 * smallest
    trials = len(plan.arms) * len(plan.demo_seeds)
    assert trials == 2 * 13 * 10 and f"{trials} trials" in path.read_text()


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_demo_has_seeds_enough_that_a_contrast_can_be_called_beside_ties(path):
    """Three of eight pairs tie in top-1 on ESC-10's 80 clips."""
    plan = load(path)
    if isinstance(plan, Search):
        return  # it compares nothing that was declared
    assert len(plan.demo_seeds) >= 8
    cost = re.search(r"--demo: (\d+) trials", path.read_text())
    more = int(cost[1]) - len(plan.arms) * len(plan.demo_seeds)
    assert 0 <= more < len(plan.arms)  # checkpoints that are trained first


@pytest.fixture(scope="module")
def dry_runs(tmp_path_factory) -> tuple[Path, dict[str, dict]]:
    """The store given, and of each sweep: its exit code and what is loaded after it.

    Each runs in a process of its own, forked from one that has imported what all of them need.
    """
    store = tmp_path_factory.mktemp("dry") / "store"
    code = (
        "import contextlib, io, json, os, runpy, sys\n"
        "import numpy, pyarrow.fs\n"
        f"for path in {[str(path) for path in SWEEPS]}:\n"
        "    if os.fork():\n"
        "        os.wait()\n"
        "        continue\n"
        f"    sys.argv = [path, '--demo', '--dry-run', '--store', {str(store)!r}]\n"
        "    try:\n"
        "        with contextlib.redirect_stdout(io.StringIO()):\n"
        "            runpy.run_path(path, run_name='__main__')\n"
        "    except SystemExit as end:\n"
        "        heavy = ('torch', 'ray', 'mlflow', 'optuna')\n"
        "        loaded = [m for m in heavy if m in sys.modules]\n"
        "        print(json.dumps([path, {'code': end.code, 'loaded': loaded}]))\n"
        "    break\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return store, dict(json.loads(line) for line in done.stdout.splitlines())


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_dry_run_lists_arms_without_torch_or_ray(path, dry_runs):
    store, ended = dry_runs
    assert ended[str(path)] == {"code": 0, "loaded": []}
    assert not store.exists()


def test_dry_run_of_table_4_names_six_arms(tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "sweeps" / "datar_table4.py", "--dry-run", "--store", tmp_path],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "6 arms:" in done.stdout
    for name in ("without deformable", "deformable + N(0, 0.005)", "deformable + adaptor λ=0.005"):
        assert name in done.stdout
    assert "48 trials (6 arms x 8 seeds)" in done.stdout


def test_adaptor_everywhere_takes_a_few_families(tmp_path):
    chosen = ["--demo", "--dry-run", "--store", tmp_path, "--arms", "DATAR*", "AST*"]
    done = subprocess.run(
        [sys.executable, ROOT / "sweeps" / "adaptor_everywhere.py", *chosen],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "40 trials (4 arms x 10 seeds)" in done.stdout


@pytest.mark.parametrize("word", ["adaptor_lambda", "adaptor_lambda.py"])
def test_name_of_a_shipped_sweep_is_answered_with_the_command_that_runs_it(word, monkeypatch):
    main = runpy.run_path(str(ROOT / "sweeps" / "__main__.py"))["main"]
    monkeypatch.setattr(sys, "argv", ["sweeps", word, "--demo"])
    with pytest.raises(
        ConfigError, match=r"python -m orchestrator\.sweeps\.adaptor_lambda --demo$"
    ):
        main()
