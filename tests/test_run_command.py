"""Ctrl-C is one line and exit code 130 in every command; a place that cannot be used is exit 2."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from models.command import run_command
from tests.benchmarks.stats import error_rates
from tests.benchmarks.stats.bench_error_rates import main

ROOT = Path(__file__).resolve().parent.parent
ARGUMENTS = {
    "report": ["-m", "orchestrator.report", "--list"],
    "doctor": ["-m", "orchestrator.doctor", "ast_esc50"],
    "gate": ["-m", "orchestrator.gate", "a", "b", "--margin", "1"],
    "sync": ["-m", "orchestrator.sync"],
    "data": ["-m", "orchestrator.data", "audit", "--dataset", "synthetic"],
    "models": ["-m", "models"],
    "sweep": [str(ROOT / "sweeps" / "adaptor_lambda.py"), "--demo", "--dry-run"],
}


@pytest.mark.parametrize("command", ARGUMENTS)
def test_interrupt_while_a_library_loads_is_one_line_and_130(command, tmp_path):
    for library in ("numpy", "rich"):
        (tmp_path / f"{library}.py").write_text("raise KeyboardInterrupt")
    (tmp_path / "store" / "sweeps").mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, *ARGUMENTS[command]],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 130, done.stdout + done.stderr
    assert done.stderr.startswith("interrupted") and done.stderr.count("\n") == 1


def test_interrupt_of_the_simulations_is_one_line_and_130(monkeypatch, capsys):
    monkeypatch.setattr(error_rates, "fixed_rates", raises(KeyboardInterrupt()))
    assert main(["--simulations", "1"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def raises(error: BaseException):
    def work(*_, **__) -> int:
        raise error

    return work


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "error: cannot use '/here' (No space left on device); free some space"),
        (errno.EROFS, "error: cannot use '/here' (Read-only file system); give a place"),
        (errno.EACCES, "error: cannot use '/here' (Permission denied); give a place"),
    ],
)
def test_place_that_cannot_be_used_is_one_message_and_exit_2(number, words, capsys):
    assert run_command(raises(OSError(number, os.strerror(number), "/here")), mistakes=()) == 2
    assert capsys.readouterr().err.startswith(words)


def test_mistake_is_one_message_and_any_other_error_rises(capsys):
    assert run_command(raises(KeyError("name")), mistakes=KeyError) == 2
    assert capsys.readouterr().err == "error: 'name'\n"
    with pytest.raises(OSError, match="Bad address"):
        run_command(raises(OSError(errno.EFAULT, "Bad address")), mistakes=KeyError)


def test_output_on_a_full_disk_is_one_message_and_exit_2():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, *ARGUMENTS["models"], "--weights"],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 2
    assert done.stderr == (
        "error: cannot use (No space left on device); free some space there and run the same "
        "command again\n"
    )
