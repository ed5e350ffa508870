"""The doctor names the first departure: rules of facts, planted faults, logs, the command."""

import json

import numpy as np
import pytest

from orchestrator import recipes
from orchestrator.doctor.__main__ import main
from orchestrator.doctor.facts import FACTS, Logged, compare
from orchestrator.doctor.log import read_log
from orchestrator.errors import ConfigError
from tests.benchmarks.doctor.bench_doctor import Bench, departures
from tests.benchmarks.doctor.faults import FAULTS

KEYS = [fact.key for fact in FACTS]


@pytest.mark.parametrize(
    ("key", "here", "logged", "text"),
    [
        ("data.sample_rate", 16000, [32000], "16000, the log has 32000"),
        ("data.classes", ["a", "b"], [["a", "b", "c"]], "c missing here"),
        ("data.class_order", ["b", "a"], [["a", "b"]], "class 0 is b, the log has a (2 classes"),
        ("data.class_order", ["a"], [["a", "b"]], ""),  # named by the classes themselves
        ("data.clips", {"train": 9, "test": 2}, [{"train": 10, "test": 2}], "train 9, the log has"),
        ("data.seconds", 5.02, [5.0], ""),
        ("data.seconds", 2.5, [5.0], "2.5, the log has 5"),
        ("data.labels", {"x": ["a"]}, [{"x": ["b"], "y": ["a"]}], "1 of 1 clips have other"),
        ("data.levels", {"x": -20.0, "y": None}, [{"x": -20.01, "y": None}], ""),
        ("data.levels", {"x": -20.0}, [{"x": -23.0}], "clips differ by 3.00 dB"),
        ("step.rates", [0.0, 1e-3], [[0.0, 1e-4]], "0.001 at 100 % of the epoch, the log has 0.0"),
        ("eval.in_training", ["model"], [[]], "model"),
        ("train/loss", 1.0, [2.0], "1, the log has 2"),
        ("train/loss", 2.1, [2.0], ""),  # within what one run says nothing about
        ("train/loss", 2.02, [2.0, 2.01, 1.99, 2.0, 2.0], ""),
        ("train/loss", float("nan"), [2.0, 2.01, 1.99], "nan, the log has 2"),
    ],
)
def test_fact_departs_where_it_should(key, here, logged, text):
    found = compare({key: here}, {key: Logged(values=tuple(logged))})
    assert [one.fact.key for one in found] == [key]
    assert found[0].departure.startswith(text) and bool(found[0].departure) == bool(text)


def test_tolerance_of_a_log_counts_in_place_of_the_fact_s():
    for tolerance, departs in ((2.0, False), (0.5, True)):
        log = {"features.mean": Logged(values=(-6.6,), tolerance=tolerance)}
        (found,) = compare({"features.mean": -5.6}, log)
        assert bool(found.departure) is departs


def test_healthy_numbers_of_any_seed_raise_no_alarm_in_hundreds_of_comparisons():
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(600):
        log = {"train/loss": Logged(values=tuple(rng.normal(2, 0.2, 5)))}
        alarms += bool(compare({"train/loss": rng.normal(2, 0.2)}, log)[0].departure)
    assert alarms <= 2  # 0.3 expected


def test_shares_of_draws_are_compared_within_their_error():
    log = {"draws.by_class": Logged(values=({"a": 0.5, "b": 0.5},))}

    def departs(share, draws):
        here = {"draws.by_class": {"a": share, "b": 1 - share}, "draws.count": draws}
        return bool(compare(here, log)[0].departure)

    assert not departs(0.55, 400) and departs(0.8, 400) and departs(0.55, 40000)


SHORT = ("channel", "label order", "evaluation in training mode", "learning rate x 10")


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench(tmp_path_factory.mktemp("doctor"), "synthetic", clips_per_class=5, seconds=0.5)


@pytest.fixture(scope="module")
def log(bench):
    return bench.log(range(3))


def test_planted_faults_are_named_first_and_a_clean_run_raises_no_alarm(bench, log):
    assert departures(bench.observe(100), log) == []
    for fault in FAULTS:
        if fault.name in SHORT:
            found = departures(bench.observe(200, fault.changes), log)
            assert found and found[0].fact.key in fault.first, fault.name


def test_labels_that_moved_against_their_clips_are_named(bench, log):
    found = departures(bench.observe(200, {"dataset.fault": "labels moved"}, trains=False), log)
    assert "data.labels" in [one.fact.key for one in found][:2]


def test_recipe_s_log_has_facts_alone_and_says_what_it_knows():
    for recipe in recipes.PAPERS.values():
        assert {*recipe.log} <= {*KEYS}, recipe.name
    assert recipes.PAPERS["ast_esc50"].log["features.mean"].value == -6.6268077


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no log"),
        ('{"doctor": 2, "facts": {}}', "is a log of form 2, not 1"),
        ('{"doctor": 1, "facts": {"data.rate": {"values": [1]}}}', "did you mean 'data.file_rat"),
        ('{"doctor": 1, "facts": {"epochs": {"values": []}}}', "has no value of epochs"),
    ],
)
def test_file_that_is_no_log_is_refused(tmp_path, text, message):
    path = tmp_path / "log.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_log(path)


SWEEP = """
from orchestrator import Arm, Plan
from tests.benchmarks.doctor.faults import healthy

BASE = healthy(clips_per_class=5, seconds=0.5)
PLAN = Plan(name="mine", question="?", base=BASE, arms=(Arm(name="a"),), seeds=(0, 1))
"""


def test_command_records_and_compares_and_its_exit_code_says_whether_something_departs(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(SWEEP)
    assert main(["mine.py", "--record", "healthy.json"]) == 0
    stored = json.loads((tmp_path / "healthy.json").read_text())
    assert len(stored["facts"]["train/loss"]["values"]) == 2
    capsys.readouterr()
    assert main(["mine.py", "--log", "healthy.json"]) == 0
    assert "Nothing departs" in capsys.readouterr().out
    assert main(["mine.py", "--log", "healthy.json", "--epochs", "3", "--no-training"]) == 1
    assert "First departure: epochs of the training: 3, the log has 10" in capsys.readouterr().out
    # Ten classes of half a second are not what AST trained on.
    assert main(["mine.py", "--log", "ast_esc50", "--no-training"]) == 1
    printed = capsys.readouterr().out
    assert "First departure: number of classes: 10, the log has 50" in printed
    assert "clips of an optimizer step: 16, the log has 40" in printed  # 48, of so few


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["mine.py"], "there is nothing to compare with"),
        (["nine.py", "--log", "ast_esc50"], "give the path of a sweep file"),
        (["mine.py", "--log", "ast_esc5"], "did you mean 'ast_esc50'?"),
        (["ast_esc50"], "is for ESC-50, 5 folds; give it by --data-root DIR"),
        (["mine.py", "--log", "a", "--record", "b"], "give one of them"),
    ],
)
def test_mistakes_have_one_message_and_exit_code_2(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(SWEEP)
    assert main(words) == 2
    assert message in capsys.readouterr().err
