"""`python -m models`: the zoo, one model in full, and our counts beside the papers'."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from models import create_model, list_models
from models.__main__ import main
from models.registry import lookup
from models.zoo import describe
from models.zoo.cards import COUNTS, WEIGHTS, weights_of
from models.zoo.counts import TOLERANCE, Row, compare
from models.zoo.describe import documented_arguments

ROOT = Path(__file__).resolve().parent.parent.parent

# What was measured on the authors' code, and is printed in the papers; not taken from ours.
ASKED = {
    ("DAT-T", "params", "authors' code"): "28.32 M",
    ("DAT-S", "params", "authors' code"): "49.70 M",
    ("DAT-B", "params", "authors' code"): "87.88 M",
    ("DAT-T", "MACs", "authors' code"): "4.36 G",
    ("DAT-S", "MACs", "authors' code"): "8.53 G",
    ("DAT-B", "MACs", "authors' code"): "15.15 G",
    ("AST tiny", "params", "authors' code"): "6.11 M",
    ("AST small", "params", "authors' code"): "22.83 M",
    ("AST base", "params", "authors' code"): "88.13 M",
    ("AST base", "MACs", "authors' code"): "103.35 G",
    ("AST base", "MACs + attention", "authors' code"): "130.51 G",
    ("HTS-AT", "params", "authors' code"): "31.33 M",
    ("HTS-AT", "params", "authors' code, trained"): "30.24 M",
    ("HTS-AT", "MACs + attention", "authors' code"): "7.07 G",
    ("HTS-AT, H", "params", "authors' code"): "29.02 M",
    ("HTS-AT, H", "MACs + attention", "authors' code"): "7.41 G",
    ("CNN6", "params", "authors' code"): "5.92 M",
    ("CNN10", "params", "authors' code"): "6.30 M",
    ("CNN14", "params", "authors' code"): "81.84 M",
    ("CNN14", "params", "authors' code, trained"): "80.75 M",
    ("CNN14, 16 kHz", "params", "authors' code"): "81.03 M",
}
# As above, where the other side has one digit.
ASKED_ROUNDED = {
    ("CNN6", "MACs", "authors' code"): "11.0 G",
    ("CNN10", "MACs", "authors' code"): "14.1 G",
    ("CNN14", "MACs", "authors' code"): "21.1 G",
    ("CNN14", "multiply-adds", "PANNs paper"): "42.2 G",
    ("CNN14 max", "MACs", "authors' code"): "21.3 G",
    ("CNN14 att", "params", "authors' code"): "82.9 M",
    ("ResNet38", "params", "authors' code"): "74.9 M",
    ("ResNet38", "MACs", "authors' code"): "24.5 G",
    ("DATAR, resized", "MACs", "DATAR paper"): "93.3 G",
}
KEYS = [(count.label, count.quantity, count.source) for count in COUNTS]


@pytest.fixture(scope="module")
def rows() -> dict[tuple[str, str, str], Row]:
    return dict(zip(KEYS, compare(), strict=True))


@pytest.mark.parametrize(("key", "theirs"), ASKED.items())
def test_count_is_the_authors_to_the_last_digit(key, theirs, rows):
    row = rows[key]
    assert row.published.printed == theirs
    assert row.in_unit(row.ours) == theirs
    assert abs(row.difference) < 0.001


@pytest.mark.parametrize(("key", "theirs"), ASKED_ROUNDED.items())
def test_count_agrees_with_a_rounded_one(key, theirs, rows):
    row = rows[key]
    assert row.published.printed == theirs
    assert abs(row.difference) < 0.002


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_difference_is_small_or_explained_in_the_table_and_the_docstring(key, rows):
    row = rows[key]
    if abs(row.difference) > TOLERANCE:
        assert row.published.note
        docstring = (
            importlib.import_module(lookup("model", row.published.model).module).__doc__ or ""
        )
        assert row.published.printed.split()[0] in docstring


def test_baseline_of_audioset_says_what_its_count_leaves_out(rows):
    row = rows["AudioSet baseline", "params", "HTS-AT paper"]
    assert row.published.printed == "2.6 M"
    assert "classifier on given embeddings alone" in row.published.note
    classifier = 2048 * 1024 + 1024 + 1024 * 527 + 527
    assert row.in_unit(classifier) == "2.64 M"
    assert row.ours > 9 * classifier


def test_parts_that_are_added_are_computed_from_their_sizes(rows):
    htsat = rows["HTS-AT", "params", "authors' code"]
    assert htsat.added == {
        "front end": 2 * 513 * 1024 + 513 * 64,
        "unused head": 527 * 527 + 527,
    }
    assert htsat.model_count == 29_963_431
    assert rows["AST base", "params", "authors' code"].added == {"ImageNet heads": 2 * 769 * 1000}
    assert rows["CNN14 att", "params", "authors' code"].added["unused norm"] == 2 * 527
    linear = rows["HTS-AT, H", "MACs + attention", "authors' code"]
    assert linear.added["repeated frames"] == (1024 - 32) * 768 * 527


@pytest.mark.parametrize("name", list_models())
def test_every_argument_is_documented(name):
    documented = documented_arguments(name)
    assert [argument.name for argument, _ in documented] == list(lookup("model", name).arguments)
    assert all(len(said) > 10 for _, said in documented), documented


@pytest.fixture(scope="module")
def every_model() -> tuple[describe.Description, ...]:
    return describe.describe_all()


def test_module_is_a_command():
    command = [sys.executable, "-m", "models", "kwt_laptop", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)[0]["name"] == "kwt_laptop"


@pytest.mark.parametrize("columns", [80, None])
def test_list_is_plain_text_that_fits_and_names_every_model(
    columns, every_model, capsys, monkeypatch
):
    monkeypatch.setattr(describe, "describe_all", lambda: every_model)
    if columns is None:
        monkeypatch.delenv("COLUMNS", raising=False)
    else:
        monkeypatch.setenv("COLUMNS", str(columns))
    assert main([]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert max(map(len, lines)) <= (columns or 100)
    assert "\x1b" not in out
    listed = {line.split()[0] for line in lines if line.startswith("  ")}
    assert set(list_models()) <= listed
    assert "HTS-AT  arXiv 2202.00874" in lines
    [row] = [line for line in lines if line.startswith("  htsat_tiny")]
    assert "30.0 M" in row
    assert "64x1001" in row
    text = " ".join(out.split())
    assert "MACs of one clip (10 s; 1 s for KWT; 5 s for laptop sizes)" in text
    assert (
        "Classes: 527; 309 for Auditory SlowFast, DATAR, DATAR on DAT++, VGGSound; "
        "12 for KWT, Res-15; 10 for laptop sizes."
    ) in text


@pytest.mark.parametrize(
    ("name", "seconds"), [("kwt_1", 1), ("kwt_laptop", 5), ("ast_base", 10), ("res15", 10)]
)
def test_seconds_are_those_that_the_model_sees(name, seconds, capsys):
    assert main([name, "--json"]) == 0
    [card] = json.loads(capsys.readouterr().out)
    assert card["seconds"] == seconds


def test_unknown_name_ends_with_one_message_and_the_nearest_name(capsys):
    assert main(["htsta_tiny"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: unknown model 'htsta_tiny'; did you mean 'htsat_tiny'?")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("datar_tiny", ("arXiv 2312.16228", "deformable", "93.3 G", "num_train_clips 22914")),
        ("ast_base", ("88.13 M", "set_normalization(-4.2677393, 4.5689974)", "quoted by DATAR")),
        ("htsat_tiny", ("token_semantic", "swin_tiny_imagenet", "mAP 0.471", "28.8 M")),
        ("cnn14", ('load_pretrained(chain, "cnn14_audioset")', "CC-BY-4.0", "not stated:")),
        ("cnn6_laptop", ("Published weights: none", "Published results: none", "159 M")),
    ],
)
def test_one_model_is_shown_in_full(name, shown, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main([name]) == 0
    out = capsys.readouterr().out
    for text in shown:
        assert text in out


def test_way_to_load_that_is_shown_builds_the_model(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    main(["cnn6"])
    [line] = [s for s in capsys.readouterr().out.splitlines() if s.startswith("  chain = models.")]
    chain = eval(line.partition("models.")[2], {"create_model": create_model})
    assert chain.model.head.out_features == 527


def test_machines_read_the_same_as_json(capsys):
    assert main(["datar_laptop", "--json"]) == 0
    [card] = json.loads(capsys.readouterr().out)
    built = create_model("datar_laptop", num_classes=10)
    assert card["num_params"] == sum(p.numel() for p in built.model.parameters())
    assert card["input_size"] == [64, 128]
    assert main(["cnn14", "--compare", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["published"]["printed"] for row in rows} >= {"81.84 M", "21.1 G"}
    assert all(row["ours"] and abs(row["difference"]) < TOLERANCE for row in rows)


def test_comparison_shows_both_sides_and_what_was_added(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    assert main(["htsat_tiny", "--compare"]) == 0
    out = capsys.readouterr().out
    assert "29.96 M model + 1.08 M front end + 0.28 M unused head" in out
    assert "the authors' own class has 29.02 with its front end" in out


@pytest.mark.parametrize("columns", ["80", "100"])
def test_weights_are_listed_by_whole_names_in_lines_that_fit(columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("ORCHESTRATOR_WEIGHTS", "weights")
    assert main(["--weights"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= int(columns)
    rows = {line.split()[0]: line.split()[1] for line in lines if line[:2] == "  " and line.strip()}
    assert rows == {name: weights.model for name, weights in WEIGHTS.items()}
    assert lines[0].split() == ["name", "model", "note", "here"]
    assert "speech_commands_v2, BSD-3-Clause:" in [line.rstrip() for line in lines]
    assert "note 1: of images" in "\n".join(lines)


@pytest.mark.parametrize("name", ["talnet", "res15_triplet"])
def test_remark_on_weights_is_shown_with_the_way_to_load_them(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "500")
    [remark] = {weights.remark for weights in weights_of(name)}
    assert main([name]) == 0
    assert f"  besides: {remark}" in capsys.readouterr().out
    assert main([name, "--weights", "--json"]) == 0
    assert {entry["remark"] for entry in json.loads(capsys.readouterr().out)} == {remark}
