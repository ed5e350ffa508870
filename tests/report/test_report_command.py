"""`python -m orchestrator.report` over a real store."""

import io
import subprocess
import sys

import pytest
from report_examples import make_plan, make_records, write_scored

from orchestrator.analysis.summary import summarize
from orchestrator.errors import ConfigError
from orchestrator.report.__main__ import main
from orchestrator.report.files import NAMES, write_report
from orchestrator.report.sources import find_sweep
from orchestrator.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    made = Store.open(folder)
    for sweep in ("adaptor_lambda-demo", "adaptor_lambda-esc", "factorial"):
        plan = make_plan(("no adaptor", "λ=0.1"), seeds=6, sweep=sweep)
        made.write_plan(plan)
    for record in make_records(plan, (0.05,)).values():
        write_scored(made, record, clips=16)
    return folder


def run(*arguments):
    out = io.StringIO()
    return main([str(a) for a in arguments], out=out), out.getvalue()


def test_default_prints_text_and_writes_every_form(store):
    code, said = run("factorial", "--store", store)
    folder = store / "sweeps" / "factorial" / "report"
    assert code == 0
    assert "λ=0.1 against no adaptor could not have been called, whatever came out" in said
    assert f"Page: {folder / 'report.html'}" in said
    assert {path.name for path in folder.iterdir()} == set(NAMES.values())
    assert 'id="classes"' in (folder / "report.html").read_text()


@pytest.mark.parametrize(
    ("form", "beginning"),
    [
        ("text", "Does the adaptor"),
        ("markdown", "**Does the adaptor"),
        ("latex", "% needs"),
        ("csv", "arm,n,planned"),
        ("json", "{"),
        ("html", "<!doctype html>"),
    ],
)
def test_a_single_format_is_printed_or_written(store, tmp_path, form, beginning):
    code, said = run("factorial", "--store", store, "--format", form)
    assert code == 0 and said.startswith(beginning)
    path = tmp_path / "made" / "x.txt"
    assert run("factorial", "--store", store, "--format", form, "--out", path)[0] == 0
    assert path.read_text() == said


def test_list_says_of_every_sweep_when_how_much_and_what(store, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    _, said = run("--list", "--store", store)
    names = ["adaptor_lambda-demo", "adaptor_lambda-esc", "factorial"]
    day, pack = ["2026-01-05"], ["esc50", "12ab"]
    assert [line.split() for line in said.splitlines()] == [
        ["sweep", "date", "finished", "verdict", "pack"],
        *([name, *day, "12", "of", "12", "not", "distinguishable", *pack] for name in names),
    ]
    monkeypatch.setenv("COLUMNS", "80")
    assert max(map(len, run("--list", "--store", store)[1].splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["factorail"], ["unknown sweep 'factorail'", "did you mean 'factorial'", "--store"]),
        (["sweeps/adaptor_lambda.py"], ["2 stored sweeps", "adaptor_lambda-esc"]),
        (["factorial", "--metric", "val/top"], ["unknown metric", "did you mean 'val/top"]),
        (["factorial", "--format", "htm"], ["unknown format 'htm'", "did you mean 'html'"]),
        ([], ["no sweep was named", "--list"]),
        (["factorial", "--mixed"], ["--mixed is called --allow-mixed now"]),
        (["factorial", "--shape", "htsat-1"], ["--shape is called --paper-table now"]),
        (["--shape", "x", "factorial", "--mixed"], ["--paper-table now\n--mixed is called"]),
        (["factorial", "--format", "x", "--metric", "y"], ["unknown format", "unknown metric"]),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_2(store, capsys, arguments, parts):
    code, said = run(*arguments, "--store", store)
    captured = capsys.readouterr().err
    assert (code, said) == (2, "")
    assert captured.startswith("error: ") and "Traceback" not in captured
    for part in parts:
        assert part in captured


def test_a_store_that_is_not_there_is_a_mistake(tmp_path, capsys):
    assert run("factorial", "--store", tmp_path / "nowhere")[0] == 2
    assert "nowhere" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_a_mistake(store, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "below"
    assert run("factorial", "--store", store, "--out", out)[0] == 2
    assert "cannot write" in capsys.readouterr().err


def test_find_sweep_takes_names_stems_and_paths():
    stored = ["a", "a-demo", "b-demo", "bc-demo"]
    assert find_sweep("a", stored) == "a"
    assert find_sweep("sweeps/b.py", stored) == "b-demo"
    assert find_sweep("b", stored) == "b-demo"
    with pytest.raises(ConfigError, match="names 2 stored sweeps"):
        find_sweep("sweeps/a.py", stored)
    beside = ["c-demo", "c-demo-confirmed", "c-demo-tune1", "c-demo-tune12", "c-demo-tuned"]
    assert find_sweep("sweeps/c.py", beside) == "c-demo"
    assert find_sweep("c-demo-tuned", beside) == "c-demo-tuned"


def test_write_report_says_where_the_files_are(tmp_path):
    plan = make_plan(seeds=6)
    records = make_records(plan)
    paths = write_report(summarize(plan, records), records, tmp_path / "report")
    assert paths.html == tmp_path / "report" / "report.html"
    assert all(getattr(paths, form).stat().st_size > 0 for form in NAMES)
    assert not list((tmp_path / "report").glob(".*"))


def test_nothing_heavy_is_imported_for_a_table(store):
    code = (
        "import sys\nfrom orchestrator.report.__main__ import main\n"
        f"main(['factorial', '--store', {str(store)!r}, '--format', 'markdown'])\n"
        "heavy = {'torch', 'ray', 'mlflow', 'matplotlib', 'pandas', 'jinja2', 'scipy.stats',"
        " 'optuna', 'sklearn', 'timm'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
