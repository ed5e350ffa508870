"""LaTeX that compiles with booktabs alone, whatever arms are called."""

import dataclasses
import re
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_examples import make_plan, make_predictions, make_records
from test_tables import golden_study, macros

from models.zoo.paper_tables import PRINTED
from orchestrator.analysis.summary import summarize
from orchestrator.records import ArmRecord
from orchestrator.report.files import render_table
from orchestrator.report.render.latex import (
    LONG_NAME,
    LONG_WORD,
    SPECIAL,
    breakable,
    escape,
    latex_table,
    to_latex,
)
from orchestrator.report.render.latex_numbers import to_numbers
from orchestrator.report.tables.paper import Study, paper_table
from orchestrator.report.tables.table import Column, Table
from sweeps.datar_table4 import PLAN

needs_latex = pytest.mark.skipif(not shutil.which("pdflatex"), reason="pdflatex is not installed")
ONE, TWO = "article", "[twocolumn]article"


def compiled(tmp_path, *tables, page=ONE, head="", body=""):
    """What pdflatex says of a document; in two columns every table spreads over both."""
    options, _, name = page.rpartition("]")
    text = "\n".join(tables)
    if page == TWO:
        text = text.replace("{table}", "{table*}")
    source = "\n".join(
        (
            rf"\documentclass{options + ']' if options else ''}{{{name}}}",
            r"\usepackage{booktabs}",
            head,
            rf"\begin{{document}}{text}",
            rf"{body}\end{{document}}",
        )
    )
    (tmp_path / "paper.tex").write_text(source, encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"],
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
    )
    said = done.stdout.decode(errors="replace")
    assert done.returncode == 0, said[-2000:]
    assert (tmp_path / "paper.pdf").stat().st_size > 10_000
    return said


def faults(said):
    return [line for line in said.splitlines() if re.search("Overfull|Missing character", line)]


def table4():
    """The arms of Table 4 under their own names, with made-up numbers."""
    arms = tuple(ArmRecord(name=a.name, published=a.published) for a in PLAN.arms)
    plan = make_plan(arms, sweep="datar_table4", question=PLAN.question, source="DATAR, Table 4")
    return summarize(plan, make_records(plan, (0.01, 0.02)))


def of_names(*names, **options):
    plan = make_plan(tuple(ArmRecord(name=name) for name in names), **options)
    return summarize(plan, make_records(plan, (0.05,)))


@needs_latex
@pytest.mark.parametrize("page", [ONE, TWO])
def test_tables_and_macros_compile_and_fit_the_text(tmp_path, page):
    odd = of_names("50 % & λ_1 ~^\\", "{x} #2 $", sweep="odd")
    long = of_names(
        "the baseline with a name that says all that was ever changed in it, and by whom",
        "optimizer.schedule.warmup_epochs=5,optimizer.schedule.final_learning_rate=0.000001",
        "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
        sweep="long",
        question="Which_of_the_settings.with.dotted.names/and_no_spaces matters? " * 2,
    )
    summaries = golden_study(), table4(), odd, long, of_names("a", "b")
    used = [f"\\{name}, $\\{name}$\\par" for s in (summaries[0], odd) for name in macros(s)]
    said = compiled(
        tmp_path,
        *map(to_latex, summaries),
        page=page,
        head=to_numbers(summaries[0]) + to_numbers(odd),
        body=r"\raggedright " + "\n".join(used),
    )
    assert faults(said) == []


@needs_latex
@pytest.mark.parametrize("page", [ONE, TWO])
def test_papers_tables_compile_and_fit_the_text(tmp_path, page):
    summary = table4()
    study = Study(summary=summary, predictions=make_predictions)
    tables = [render_table("latex", paper_table(key, [study]), summary) for key in PRINTED]
    assert faults(compiled(tmp_path, *tables, page=page)) == []


def test_names_wrap_where_one_is_long_and_keep_their_own_width_otherwise():
    columns = Column(key="arm", title="arm"), Column(key="n", title="n")
    table = Table(columns=columns, rows=(("a", "1"), ("b", "2")), baseline=0, best=-1, notes=())
    short = latex_table(table, table4(), caption="Short")
    assert r"\begin{tabular}{@{}lr@{}}" in short and r"\raggedright\hspace" not in short
    long = latex_table(
        dataclasses.replace(table, rows=(("a" * (LONG_NAME + 1), "1"),)), table4(), caption="Long"
    )
    assert r"\begin{tabular}{@{}p{.33\linewidth}r@{}}" in long
    assert not re.search(r"resizebox|tiny|scriptsize", to_latex(table4()))


@given(st.text(max_size=60))
def test_breakable_text_is_the_same_text(text):
    def plain(latex):
        return re.sub(r"\\allowbreak\{\}|\\-|(?<!\\)\{\}", "", latex)

    assert plain(breakable(text)) == plain(escape(text))


def test_long_words_may_break_and_short_ones_may_not():
    assert r"\-" in breakable("x" * LONG_WORD) and r"\-" not in breakable("x" * (LONG_WORD - 1))
    assert breakable("a_long_identifier=0.001") == (
        r"a\_\allowbreak{}long\_\allowbreak{}identifier=\allowbreak{}0.001"
    )


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("λ₁ × 2 ± 1", r"\ensuremath{\lambda}₁ \ensuremath{\times} 2 \ensuremath{\pm} 1"),
        ("a≠b≈c", r"a\ensuremath{\neq}b\ensuremath{\approx}c"),
        ("ß Ø ñ cafe\u0301", "ß Ø ñ café"),
        ("适配器 Ж", "适配器 Ж"),
        ("--x ?`", "-{}-x ?{}`"),
        ("a\n\nb\x07", "a  b␇"),
    ],
)
def test_character_prints_as_itself(name, printed):
    assert escape(name) == printed


@needs_latex
def test_every_special_character_and_western_letter_compiles(tmp_path):
    shown = [*SPECIAL, *"†‡§¶‖—–…“”‘’¿¡°µ½²³", *"ÀÉÎÕÜàéîõüÿÇçßØøÅåÆæŒœŁłŠšŽžĞğİıŐő"]
    body = r"\raggedright " + "\n".join(f"{escape(c)}a\\par" for c in shown) + "\n"
    assert faults(compiled(tmp_path, body=body + "filler " * 400)) == []


@needs_latex
def test_names_that_begin_like_an_option_of_a_row_are_printed(tmp_path):
    text = to_latex(of_names("plain", "[red]x[/red]", "*bold*", "[2pt]", sweep="options"))
    assert faults(compiled(tmp_path, text, body="filler " * 400)) == []
    assert "{}[red]x[/red] &" in text and "{}*bold* &" in text
