"""Declared main effects and interactions, from the plan to every form of the report."""

import csv
import io
import itertools
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_examples import make_plan, make_record

from orchestrator.analysis.forest import forest_lines
from orchestrator.analysis.summary import summarize
from orchestrator.design.effects import declared_effect
from orchestrator.design.factors import Effect
from orchestrator.records import ArmRecord, ContrastRecord
from orchestrator.report.files import NAMES, render
from orchestrator.report.render.page import render_page
from orchestrator.report.render.text import render_text
from orchestrator.report.tables.comparisons import other_contrasts_table
from orchestrator.report.wording.findings import finding_sentence
from orchestrator.report.wording.notes import cautions, pattern_sentence
from orchestrator.report.wording.numbers import p_text
from orchestrator.stats import Verdict, crossed_test, paired_difference
from orchestrator.stats.family import flip, step_down

FACTORS = {"attention": ("fixed points", "deformable"), "input": ("plain", "adaptor")}
CELLS = list(itertools.product(*FACTORS.values()))


def arms():
    return tuple(
        ArmRecord(name=", ".join(cell), levels=dict(zip(FACTORS, cell, strict=True)))
        for cell in CELLS
    )


def study(*, effects, gain=0.0, both=0.0, seeds=8, folds=(1,), seed=0, **overrides):
    """A 2 x 2 study: `gain` of the adaptor everywhere, `both` more with deformable attention."""
    made = arms()
    levels = {arm.name: arm.levels for arm in made}
    plan = make_plan(
        made,
        seeds=seeds,
        folds=folds,
        dose="",
        effects=tuple(declared_effect(Effect(factors), levels) for factors in effects),
        **{"contrasts": (), **overrides},
    )
    rng = np.random.default_rng(seed)
    records = {}
    for key in plan.trials:
        adaptor = key.arm.endswith("adaptor")
        top1 = 0.5 + gain * adaptor + both * (key.arm == "deformable, adaptor")
        records[key.id] = make_record(key.id, top1=top1 + rng.normal(0, 0.004))
    return plan, records


def values_of(plan, records):
    found = {}
    for key in plan.trials:
        top1 = 100 * records[key.id].metrics_at("last")["val/top1"]
        found.setdefault(key.arm, {})[key.seed, key.fold] = top1
    return found


def test_interaction_is_the_test_of_the_difference_of_differences_by_block():
    plan, records = study(effects=[("input", "attention")], both=0.012)
    (effect,) = summarize(plan, records).effects
    values = values_of(plan, records)
    plain, adaptor, deformable, both = (values[", ".join(cell)] for cell in CELLS)
    expected = paired_difference(
        {b: both[b] - deformable[b] for b in both}, {b: adaptor[b] - plain[b] for b in plain}
    )
    assert effect.difference.mean == pytest.approx(expected.mean)
    assert effect.difference.p_value == expected.p_value
    assert effect.difference.low == pytest.approx(expected.low)
    assert effect.difference.high == pytest.approx(expected.high)
    assert effect.verdict is Verdict.BETTER
    assert re.match(
        r"adaptor and deformable help each other by [\d.]+ points of top-1 for other seeds on "
        r"these "
        r"clips \(95 % sign-flip interval .*, p 0.0078, n 8\): the change of top-1 from plain to "
        r"adaptor is [\d.]+ points "
        r"higher with deformable than with fixed points\.$",
        finding_sentence(effect),
    )


def test_harmful_interaction_hinders_and_none_is_not_distinguishable():
    plan, records = study(effects=[("input", "attention")], both=-0.03)
    said = finding_sentence(summarize(plan, records).effects[0])
    size, low, high, again = re.match(
        r"adaptor and deformable hinder each other by ([\d.]+) points of top-1 for other seeds "
        r"on these clips \(95 % sign-flip interval ([\d.]+) to ([\d.]+), p .*\): the change of "
        r"top-1 from plain to adaptor is "
        r"([\d.]+) points lower with deformable than with fixed points\.$",
        said,
    ).groups()
    assert float(low) < float(size) == float(again) < float(high)
    plan, records = study(effects=[("input", "attention")], gain=0.03)
    said = finding_sentence(summarize(plan, records).effects[0])
    assert said.startswith("The interaction of adaptor and deformable is not distinguishable")
    assert re.search(r"rule out differences above \+[\d.]+ and below −[\d.]+ points", said)


def test_interaction_in_doubt_says_size_and_interval_in_one_direction():
    plan, records = study(effects=[("input", "attention")], both=-0.003, seed=1)
    (effect,) = summarize(plan, records).effects
    assert effect.verdict is Verdict.NOT_DISTINGUISHABLE and effect.difference.mean < 0
    low, high = re.search(
        r"is [\d.]+ points lower with deformable than with fixed points for other seeds on these "
        r"clips \(95 % sign-flip interval (−?[\d.]+) to (−?[\d.]+), p",
        finding_sentence(effect),
    ).groups()
    places = len(high.partition(".")[2])
    assert float(low.replace("−", "-")) == pytest.approx(-effect.difference.high, abs=10**-places)
    assert float(high) == pytest.approx(-effect.difference.low, abs=10**-places)


def test_three_factor_interaction_that_hinders_says_its_size_once():
    factors = {"a": ("a0", "a1"), "b": ("b0", "b1"), "c": ("c0", "c1")}
    cells = list(itertools.product(*factors.values()))
    levels = {" ".join(cell): dict(zip(factors, cell, strict=True)) for cell in cells}
    plan = make_plan(
        tuple(ArmRecord(name=name, levels=at) for name, at in levels.items()),
        dose="",
        contrasts=(),
        effects=(declared_effect(Effect(tuple(factors)), levels),),
    )
    rng = np.random.default_rng(0)
    records = {
        k.id: make_record(k.id, top1=0.6 - 0.04 * (k.arm == "a1 b1 c1") + rng.normal(0, 0.002))
        for k in plan.trials
    }
    said = finding_sentence(summarize(plan, records).effects[0])
    assert re.match(
        r"a1, b1 and c1 hinder each other by [\d.]+ points of top-1 for other seeds on these "
        r"clips \(95 % sign-flip interval [\d.]+ to [\d.]+, p 0.0078, n 8\)\.$",
        said,
    )


def test_note_compares_an_interaction_with_the_sum_of_what_each_level_gives():
    plan, records = study(effects=[("input", "attention")], both=-0.01)
    text = " ".join(render_text(summarize(plan, records), 120).split())
    assert "together give more than the sum of what each gives alone" in text


def test_main_effect_is_the_mean_over_the_other_factor():
    plan, records = study(effects=[("input",)], gain=0.02)
    (effect,) = summarize(plan, records).effects
    values = values_of(plan, records)
    plain, adaptor, deformable, both = (values[", ".join(cell)] for cell in CELLS)
    means = [np.mean(list(v.values())) for v in (plain, adaptor, deformable, both)]
    expected = (means[1] + means[3] - means[0] - means[2]) / 2
    assert effect.difference.mean == pytest.approx(expected)
    assert finding_sentence(effect).startswith("adaptor (mean over attention) helps by")
    assert "against plain" in finding_sentence(effect)


def test_effects_and_contrasts_are_one_family():
    contrast = ContrastRecord(arm="deformable, plain", reference="fixed points, plain")
    plan, records = study(
        effects=[("input",), ("attention",), ("input", "attention")],
        gain=0.004,
        contrasts=(contrast,),
    )
    summary = summarize(plan, records)
    assert plan.num_declared == 4
    findings = (*summary.contrasts, *summary.effects)
    differences = [f.difference.differences for f in findings]
    assert [f.adjusted_p for f in findings] == step_down(flip(differences)).tolist()
    assert all("simultaneous" in f.difference.interval_method for f in findings)
    text = " ".join(render_text(summary, 120).split())
    assert "step-down by joint sign flips over the declared contrasts and effects" in text


def test_effect_over_folds_takes_seed_means_and_says_so():
    plan, records = study(effects=[("input", "attention")], folds=(1, 2, 3), both=0.02)
    summary = summarize(plan, records)
    found = summary.effects[0].difference
    assert (found.n, found.replicate) == (8, "seed")
    assert "n 8 seeds" in finding_sentence(summary.effects[0])
    assert any("averaged over the 3 folds" in caution for caution in cautions(summary))
    plan, records = study(effects=[("input", "attention")], folds=(1, 2, 3), seeds=2)
    found = summarize(plan, records).effects[0].difference
    values = values_of(plan, records)
    plain, adaptor, deformable, both = (values[", ".join(cell)] for cell in CELLS)
    expected = crossed_test({b: (both[b] - deformable[b]) - (adaptor[b] - plain[b]) for b in both})
    assert (found.replicate, found.n) == ("fold", 3)
    assert found.p_value == pytest.approx(expected.p_value)


def test_effect_over_two_versions_of_the_code_is_refused():
    plan, records = study(effects=[("input", "attention")])
    first = records[plan.trials[0].id]
    records[first.id].provenance["code"] = "another"
    (effect,) = summarize(plan, records).effects
    assert effect.difference is None and effect.verdict is Verdict.NOT_TESTED
    assert finding_sentence(effect).startswith("The effect of input x attention is not compared")
    assert summarize(plan, records, mixed=True).effects[0].difference is not None


def test_effect_without_a_whole_block_says_so():
    plan, records = study(effects=[("input", "attention")], seeds=2)
    lacking = {k.id for k in plan.trials if k.arm == "deformable, adaptor"}
    kept = {id_: r for id_, r in records.items() if id_ not in lacking}
    said = finding_sentence(summarize(plan, kept).effects[0])
    assert "no block has finished in all of the 4 arms" in said


def test_one_block_of_an_effect_says_nothing():
    plan, records = study(effects=[("input", "attention"), ("input",)], seeds=1)
    summary = summarize(plan, records)
    assert all("nothing can be said" in finding_sentence(effect) for effect in summary.effects)


def test_undeclared_interaction_stays_an_uncorrected_remark():
    plan, records = study(effects=[("input",)])
    assert "uncorrected" in pattern_sentence(summarize(plan, records))
    plan, records = study(effects=[("input", "attention")])
    assert pattern_sentence(summarize(plan, records)) == ""


def test_undeclared_interaction_of_few_seeds_has_no_interval():
    plan, records = study(effects=[("input",)], seeds=4)
    said = pattern_sentence(summarize(plan, records))
    assert ", no 95 % interval from 4 pairs, p " in said and "—" not in said


def test_undeclared_interaction_over_two_versions_of_the_code_is_withheld():
    plan, records = study(effects=[("input",)])
    records[plan.trials[0].id].provenance["code"] = "another"
    said = pattern_sentence(summarize(plan, records))
    assert said.startswith("The interaction of attention and input is not tested over these arms")
    assert "2 versions of the code" in said and "--allow-mixed" in said
    assert "uncorrected" in pattern_sentence(summarize(plan, records, mixed=True))


def test_every_form_shows_the_effects():
    plan, records = study(effects=[("input", "attention"), ("input",)], both=0.03)
    summary = summarize(plan, records)
    effect = summary.effects[0]
    forms = {form: render(form, summary, records) for form in NAMES}
    forms["text"] = render_text(summary, 100)
    for form in ("text", "markdown", "html", "latex", "csv"):
        assert "input x attention" in forms[form], form
    rows = list(csv.DictReader(io.StringIO(forms["csv"])))
    assert [row["kind"] for row in rows] == ["arm"] * 4 + ["effect"] * 2
    assert float(rows[4]["difference"]) == effect.difference.mean
    assert float(rows[4]["adjusted_p"]) == effect.adjusted_p
    stored = json.loads(forms["json"])["effects"][0]
    assert stored["verdict"] == "better" and stored["record"]["weights"]["deformable, adaptor"] == 1
    assert "EffectInputXAttentionTopOneDifference}" in forms["numbers"]
    assert "EffectInputTopOneAdjustedP}" in forms["numbers"]
    assert forms["latex"].count(r"\begin{table}") == 2
    assert "help each other" in " ".join(forms["text"].split())
    page = render_page(summary, records)
    assert "Declared effects" in page and "help each other" in page


def test_every_form_shows_contrasts_between_other_arms():
    first, second = "deformable, adaptor", "deformable, plain"
    contrasts = (
        ContrastRecord(arm=second, reference="fixed points, plain"),
        ContrastRecord(arm=first, reference=second),
    )
    plan, records = study(effects=[("input",)], gain=0.02, contrasts=contrasts)
    summary = summarize(plan, records)
    contrast = summary.contrasts[1]
    table = other_contrasts_table(summary)
    (row,) = table.rows
    found = contrast.difference
    p_values = p_text(found.p_value), p_text(contrast.adjusted_p) + "*"
    assert [row[0], row[1], *row[3:]] == [f"{first} − {second}", "8", *p_values]
    assert re.fullmatch(r"\+[\d.]+ \[[\d.]+, [\d.]+\]", row[2])
    forms = {form: render(form, summary, records) for form in NAMES}
    for form in ("markdown", "html", "latex"):
        said = " ".join(forms[form].replace(r"\ensuremath{-}", "−").split())
        assert f"{first} − {second}" in said and p_values[0] in said, form
    assert "Declared contrasts between other arms" in forms["html"]
    assert "tab:adaptor-lambda-demo-contrasts" in forms["latex"]
    assert forms["latex"].count(r"\begin{table}") == 3
    lines = render_text(summary, 120).splitlines()
    assert any(line.startswith(f"{first} − {second}") and p_values[1] in line for line in lines)
    cells = list(csv.DictReader(io.StringIO(forms["csv"])))
    assert [cell["kind"] for cell in cells] == ["arm"] * 4 + ["contrast", "effect"]
    assert (cells[4]["arm"], cells[4]["reference"], cells[4]["n"]) == (first, second, "8")
    for key, value in (
        ("difference", found.mean),
        ("difference_low", found.low),
        ("difference_high", found.high),
        ("p", found.p_value),
        ("adjusted_p", contrast.adjusted_p),
    ):
        assert float(cells[4][key]) == value


def test_forest_names_all_its_rows_and_shades_no_interaction():
    contrast = ContrastRecord(arm="deformable, adaptor", reference="deformable, plain")
    plan, records = study(
        effects=[("input",), ("input", "attention")], contrasts=(contrast,), margin=0.5
    )
    summary = summarize(plan, records)
    assert [line.margin for line in forest_lines(summary)] == [True] * 5 + [False]
    page = render_page(summary, records)
    text = " ".join(re.sub("<[^>]+>", " ", page).split())
    assert "from fixed points, plain; below, declared contrasts and effects" in page
    assert "then declared contrasts between other arms, then declared effects." in text
    assert "no interaction is tested against it" in text
    forest = page[page.index('id="forest"') :].split("</svg>")[0]
    shaded = re.findall(r'<polygon points="([^"]+)" class="margin"', forest)
    lowest = max(float(pair.split(",")[1]) for piece in shaded for pair in piece.split())
    rows = [float(y) for y in re.findall(r'cy="([\d.]+)" r="5.2"', forest)]
    assert len(shaded) == len(rows) - 1
    assert rows[-2] < lowest < rows[-1]


def test_study_against_its_baseline_alone_has_no_table_of_other_contrasts():
    plan, records = study(effects=[("input",)])
    assert other_contrasts_table(summarize(plan, records)) is None


def test_latex_of_effects_compiles(tmp_path):
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed")
    other = ContrastRecord(arm="deformable, adaptor", reference="deformable, plain")
    plan, records = study(effects=[("input", "attention"), ("input",)], contrasts=(other,))
    summary = summarize(plan, records)
    tables, numbers = (render(form, summary, records) for form in ("latex", "numbers"))
    packages = r"\usepackage{booktabs,tabularx,graphicx}"
    source = rf"\documentclass{{article}}{packages}{numbers}\begin{{document}}{tables}"
    (tmp_path / "paper.tex").write_text(source + r"\end{document}", encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"],
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
    )
    said = done.stdout.decode(errors="replace")
    assert done.returncode == 0 and "Overfull" not in said, said[-2000:]


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.floats(-0.2, 0.2))
def test_what_all_arms_of_a_block_share_never_reaches_an_effect(seed, shift):
    plan, records = study(effects=[("input", "attention"), ("input",)], seeds=6, seed=seed)
    moved = {
        key.id: make_record(
            key.id,
            top1=records[key.id].metrics_at("last")["val/top1"] + shift * (key.seed % 3),
        )
        for key in plan.trials
    }
    one, other = summarize(plan, records).effects, summarize(plan, moved).effects
    for a, b in zip(one, other, strict=True):
        assert a.difference.mean == pytest.approx(b.difference.mean, abs=1e-9)
        assert a.difference.p_value == b.difference.p_value
