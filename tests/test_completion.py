"""Completion by the Tab key, in a real bash with argcomplete's hook."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.store import Store
from tests.store.test_verification import PLAN

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
ASK = """
eval "$(activate-global-python-argcomplete --dest=-)"
COMP_LINE="$1" COMP_POINT=${#1} COMP_TYPE=9 COMP_KEY=9
read -ra COMP_WORDS <<< "$1"
[[ $1 == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
_python_argcomplete_global python "${COMP_WORDS[COMP_CWORD]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("python -m orchestrator.report --store {store} ti", [PLAN.sweep]),
        ("python sweeps/adaptor_lambda.py --sm", ["--smoke"]),
    ],
)
def test_bash_completes(line, words, tmp_path):
    store = Store.open(tmp_path / "store")
    store.write_plan(PLAN)
    path = os.environ["PATH"]
    done = subprocess.run(
        ["bash", "-c", ASK, "bash", line.format(store=store.uri)],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{BIN}:{path}"},
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == words, done.stderr
