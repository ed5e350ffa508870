"""The command line, as a user calls it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "orchestrator.data", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_help_answers_at_once_and_imports_nothing_heavy():
    code = (
        "import sys; from orchestrator.data.__main__ import main\n"
        "try: main(['pack', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'pyarrow', 'numpy', 'ray', 'mlflow'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "--policy" in done.stdout


def test_package_import_is_light():
    code = (
        "import sys, orchestrator.data as d; d.peek, d.prepare\n"
        "sys.exit(', '.join({'torch', 'pyarrow'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_audit_clean_folder_exits_0_broken_one_1(folder, tmp_path):
    arguments = ("audit", "--data-root", str(folder.root), "--set", "seconds=0.2")
    fine = run(*arguments, "--all")
    assert fine.returncode == 0 and fine.stderr == ""
    assert folder.path(3).name in fine.stdout and "8 clips listed, 0 broken" in fine.stdout
    folder.path(3).write_bytes(b"")
    out = tmp_path / "audit.csv"
    bad = run(*arguments, "--csv", str(out), "--json", str(tmp_path / "audit.json"))
    said = " ".join(bad.stdout.split())  # a long cell folds
    assert bad.returncode == 1 and "BROKEN empty: the file has 0 bytes" in said
    assert folder.path(2).name not in bad.stdout
    assert len(out.read_text().splitlines()) == 9
    assert len(json.loads((tmp_path / "audit.json").read_text())["clips"]) == 8


def test_pack_policies_end_as_they_say(folder, packs):
    folder.path(3).write_bytes(b"")
    arguments = ("pack", "--data-root", str(folder.root), "--set", "seconds=0.2", "--packs", packs)
    stopped = run(*arguments)
    assert stopped.returncode == 2 and "--policy drop" in stopped.stderr
    dropped = run(*arguments, "--policy", "drop")
    assert dropped.returncode == 0 and "made" in dropped.stdout
    assert f"dropped: {folder.path(3).name}: empty" in dropped.stdout
    again = run(*arguments, "--dataset", "folder:on_broken=drop")  # as a sweep takes it
    assert "was there already" in again.stdout


@pytest.mark.parametrize(
    ("arguments", "wording"),
    [
        (("audit",), "--data-root"),
        (("audit", "--dataset", "ecs"), "did you mean 'esc'"),
        (("audit", "--data-root", "/no/such/folder"), "is not a directory"),
        (("pack", "--dataset", "synthetic", "--set", "sed=1"), "did you mean 'seed'"),
        (("pack", "--dataset", "synthetic", "--set", "seed"), "key=value"),
        (("pack", "--dataset", "synthetic", "--set", "seed=x"), "must be a whole number"),
        (("pack", "--dataset", "synthetic", "--packs", "/proc/packs"), "cannot write packs"),
    ],
)
def test_user_mistake_is_one_message_and_exit_code_2(arguments, wording):
    done = run(*arguments)
    assert done.returncode == 2 and done.stdout == ""
    assert wording in done.stderr and "Traceback" not in done.stderr
    assert done.stderr.startswith("error: ")


def test_pack_esc10_whole(esc10, packs):
    done = run("pack", "--data-root", str(esc10), "--packs", packs)
    assert done.returncode == 0, done.stderr
    assert "400 clips, 10 classes, folds 1, 2, 3, 4, 5, 16000 Hz" in done.stdout
    assert "76 clips: the last 0.5 s or more are digital silence" in done.stdout
