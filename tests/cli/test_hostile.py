"""What a sweep's command line says of odd plans: long names, made-up sounds, mistakes in files.

What is refused by one message is in `tests/test_hostile_inputs.py`.
"""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator import cli, recipes
from orchestrator.design.factors import Arm
from orchestrator.design.plan import Plan
from orchestrator.experiment.config import Component

ADAPTOR = Arm(name="adaptor", changes={"transform": Component("adaptor")})
PLAN = Plan(
    name="p",
    question="?",
    base=recipes.datar_tiny(),
    demo=recipes.datar_laptop(),
    arms=(Arm(name="plain"), ADAPTOR),
)


def answer(asked, *argv, capsys) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        cli.main(asked, [*argv, "--store", "nowhere"])
    said = capsys.readouterr()
    return end.value.code, said.out, said.err


@pytest.mark.parametrize("argv", [(), ("--dataset", "synthetic"), ("--demo",)])
def test_dry_run_says_where_a_launch_would_train_on_made_up_sounds(argv, capsys):
    code, out, _ = answer(PLAN, "--dry-run", *argv, capsys=capsys)
    assert code == 0
    assert ("a launch will be refused: the data set of p at full size" in out) is (not argv)


def test_made_up_sounds_that_are_asked_for_are_the_bases_own(capsys):
    base = dataclasses.replace(PLAN.base, dataset=Component("synthetic", num_classes=3, seed=4))
    own = dataclasses.replace(PLAN, base=base)
    plain = answer(own, "--dry-run", capsys=capsys)[1]
    typed = answer(own, "--dry-run", "--dataset", "synthetic", capsys=capsys)[1]
    assert "120 clips, 3 classes" in typed
    assert [line for line in plain.splitlines() if "refused" not in line] == typed.splitlines()


def test_long_choice_of_arms_makes_a_name_that_a_folder_can_have(capsys):
    named = [Arm(name=f"{n} {'x' * 90}", changes={"epochs": n}) for n in range(2, 9)]
    many = dataclasses.replace(PLAN, arms=(*PLAN.arms, *named))
    chosen = [arm.name for arm in named]
    _, out, _ = answer(many, "--dry-run", "--demo", "--arms", *chosen, capsys=capsys)
    _, other, _ = answer(many, "--dry-run", "--demo", "--arms", *chosen[:-1], capsys=capsys)
    names = {text.partition(":")[0] for text in (out, other)}
    assert len(names) == 2 and max(map(len, names)) < 80
    _, some, _ = answer(many, "--dry-run", "--demo", "--arms", chosen[0][:2] + "*", capsys=capsys)
    assert some.partition(":")[0].endswith("-demo-2")  # the words are kept as they are if short


@pytest.mark.parametrize("columns", [80, 120])
def test_listing_fits_the_terminal_and_cuts_no_name(columns, monkeypatch, capsys):
    name = f"[red]{'x' * 150}[/red]"
    long = dataclasses.replace(PLAN, arms=(*PLAN.arms, Arm(name=name, changes={"epochs": 2})))
    monkeypatch.setenv("COLUMNS", str(columns))
    _, out, _ = answer(long, "--dry-run", "--demo", "--seeds", "1", capsys=capsys)
    rows = [line for line in out.splitlines() if line.startswith("  ")]
    assert max(map(len, rows)) <= columns
    assert "".join(rows).count("x") >= 300 and "…" not in out and "[red]xx" in out


LINE = "from orchestrator import *\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("File.read('gone.pt')", "line 2: cannot read 'gone"),
        ("File.read('/dev/zero')", "line 2: /dev/zero is not a file; give the path of an existing"),
        ("Factor('f', 'ab')", "line 2: the plan has a mistake:\n  - factor 'f': levels is 'ab'"),
        ("def arms():\n    return one_at_a_time('x')\narms()", "line 3: the plan has"),
    ],
)
def test_mistake_found_while_a_sweep_file_is_read_is_one_message(text, said, tmp_path):
    (tmp_path / "sweep.py").write_text(LINE + text)
    done = subprocess.run(
        [sys.executable, "sweep.py"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("error: ") and f"sweep.py, {said}" in done.stderr
    assert "Traceback" not in done.stderr


def test_error_that_is_no_mistake_of_the_users_keeps_its_traceback(tmp_path):
    path = Path(tmp_path / "sweep.py")
    path.write_text(LINE + "1 / 0")
    done = subprocess.run([sys.executable, path], capture_output=True, text=True)
    assert done.returncode == 1 and "ZeroDivisionError" in done.stderr
    assert "Traceback" in done.stderr
