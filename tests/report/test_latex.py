"""LaTeX that compiles, and that is no wider than the text it stands in."""

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
from orchestrator.report.files import render_shape
from orchestrator.report.render.latex import ARTICLE_PT, COLUMN_PT, latex_table, to_latex
from orchestrator.report.render.latex_glyphs import ACCENTS, MATHS, SPECIAL
from orchestrator.report.render.latex_numbers import to_numbers
from orchestrator.report.render.latex_text import LONG_WORD, breakable, escape, width_pt
from orchestrator.report.tables.arms import Column, Table
from orchestrator.report.tables.paper import shaped
from orchestrator.report.tables.paper_notes import Study
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
            r"\usepackage{booktabs,tabularx,graphicx}",
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
    tables = [render_shape("latex", shaped(key, [study]), summary) for key in PRINTED]
    assert faults(compiled(tmp_path, *tables, page=page)) == []


@needs_latex
def test_many_classes_under_long_names_fit_with_upright_heads(tmp_path):
    names = [f"electric_shaver_toothbrush_{i}" for i in range(8)]
    plan = make_plan(("a", "b"), dataset={"name": "sounds", "class_names": names})
    summary = summarize(plan, make_records(plan))
    table = shaped("htsat-3", [Study(summary=summary, predictions=make_predictions)])
    text = render_shape("latex", table, summary)
    assert text.count(r"\rotatebox{90}") == 9 and "graphicx" in text.splitlines()[0]
    assert faults(compiled(tmp_path, text)) == []


@needs_latex
def test_estimated_widths_are_on_the_safe_side_and_not_far(tmp_path):
    words = (*(arm.name for arm in PLAN.arms), "−1.1 ±3.3", "0.812 ±0.012", "Δ baseline", "561 k")
    words += ("published", "14.9 M", "electric shaver toothbrush", "crackling fire", "clips/s")
    boxes = "".join(rf"\sbox0{{{escape(word)}}}\typeout{{W=\the\wd0}}" for word in words)
    said = compiled(tmp_path, body=rf"\footnotesize {boxes} {'text ' * 2000}")
    found = [float(width) for width in re.findall(r"W=([\d.]+)pt", said)]
    for word, width in zip(words, found, strict=True):
        assert 0.97 * width <= width_pt(word) <= 1.25 * width, word


@needs_latex
def test_assumed_widths_of_text_are_those_of_article(tmp_path):
    show = r"\typeout{T=\the\textwidth}\typeout{C=\the\columnwidth}" + "text " * 2000
    assert float(re.search(r"T=([\d.]+)pt", compiled(tmp_path, body=show))[1]) == ARTICLE_PT
    two = compiled(tmp_path, page=TWO, body=show)
    assert float(re.search(r"C=([\d.]+)pt", two)[1]) >= COLUMN_PT


def test_short_table_keeps_its_own_width_and_a_wide_one_gets_panels():
    columns = Column(key="arm", title="arm"), Column(key="n", title="n")
    table = Table(columns=columns, rows=(("a", "1"), ("b", "2")), baseline=0, best=-1, notes=())
    short = latex_table(table, table4(), caption="Short")
    assert r"\begin{tabular}{@{}lr@{}}" in short and "tabularx}{" not in short
    wide = to_latex(table4())
    assert wide.count(r"\toprule") == 2 and wide.count("without deformable &") == 2
    assert r"\begin{tabularx}{\linewidth}" in wide
    assert not re.search(r"resizebox|tiny|scriptsize", wide)


@given(st.text(max_size=60))
def test_breakable_text_is_the_same_text(text):
    plain = re.sub(r"\\allowbreak\{\}|\\-", "", breakable(text))
    assert plain == re.sub(r"\\-", "", escape(text))


def test_long_words_may_break_and_short_ones_may_not():
    assert r"\-" in breakable("x" * LONG_WORD) and r"\-" not in breakable("x" * (LONG_WORD - 1))
    assert breakable("a_long_identifier=0.001") == (
        r"a\_\allowbreak{}long\_\allowbreak{}identifier=\allowbreak{}0.001"
    )


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("lr 10⁻³", r"lr 10\textsuperscript{$-$}\textsuperscript{3}"),
        ("λ₁x²", r"$\lambda$\textsubscript{1}x\textsuperscript{2}"),
        ("½ rate", r"\textsuperscript{1}/\textsubscript{2} rate"),
        ("a≠b≈c", r"a$\neq$b$\approx$c"),
        ("∞ √2 90°", r"$\infty$ $\surd$2 90$^\circ$"),
        ("ά ΐ", r"$\acute{\alpha}$ $\acute{\ddot{\iota}}$"),
        ("ϵ ε ϑ ϕ", r"$\epsilon$ $\varepsilon$ $\vartheta$ $\phi$"),
        ("Ρ Η Χ", r"$\mathrm{P}$ $\mathrm{H}$ $\mathrm{X}$"),
        ("ß Ø ñ ï ấ", r"\ss{} \O{} \~{n} \"{\i} $\acute{\hat{\mathrm{a}}}$"),
        ("适配器", "U+9002U+914DU+5668"),
        ("Ж\x07", "U+0416U+0007"),
        ("--x ?`", "-{}-x ?{}`"),
        ("a\n\nb", "a  b"),
    ],
)
def test_character_prints_as_itself_or_as_its_code_point(name, printed):
    assert escape(name) == printed


@needs_latex
def test_every_known_character_compiles(tmp_path):
    letters = [chr(i) for i in range(0xA0, 0x250)] + [chr(i) for i in range(0x370, 0x400)]
    shown = [*SPECIAL, *MATHS, *"⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻₀₁₂₃ᵀ½⅓①ﬁ", *letters]
    assert len(ACCENTS) > 10
    body = r"\raggedright " + "\n".join(map(escape, shown))
    assert faults(compiled(tmp_path, body=body)) == []


@needs_latex
def test_names_beyond_the_fonts_stay_apart_and_fit(tmp_path):
    summary = of_names("基线", "适配器", "大适配器" * 12, "ά ½ 10⁻³", sweep="beyond")
    text = to_latex(summary)
    assert text.count(r"U+57FA\allowbreak{}: a character by its Unicode code point") == 1
    assert "?" not in re.sub(r"(?m)^%.*$|\\caption.*", "", text)
    for page in (ONE, TWO):
        assert faults(compiled(tmp_path, text, page=page)) == []
