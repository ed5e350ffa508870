"""The page: one file, no network, every section, a text alternative for every plot."""

import base64
import dataclasses
import hashlib
import html.parser
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_examples import make_plan, make_predictions, make_record, make_records

from orchestrator.analysis.confusion import class_changes
from orchestrator.analysis.curves import curves
from orchestrator.analysis.outcomes import Outcomes
from orchestrator.analysis.summary import summarize
from orchestrator.records import ArmRecord, ContrastRecord, Status
from orchestrator.report.plots import PLOTS, panel, svg
from orchestrator.report.plots.curves import curve_table
from orchestrator.report.plots.plot import Plot
from orchestrator.report.render.page import _aligned, render_page
from orchestrator.report.wording.findings import finding_sentence
from orchestrator.report.wording.notes import interaction_sentence

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Reader(html.parser.HTMLParser):
    """Checks that elements nest, and collects ids, loads, links, plots and text."""

    def __init__(self, page):
        super().__init__()
        self.open, self.ids, self.loads, self.links = [], [], [], []
        self.plots, self.text, self.scripts = [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found["href"]] if tag == "a" else []
        self.loads += [found[k] for k in ("src", "data", "srcset", "poster") if k in found]
        self.loads += [tag] if tag in {"link", "img", "iframe", "object"} else []
        self.scripts += [found] if tag == "script" else []
        if tag == "svg":
            self.plots.append(found)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_data(self, data):
        self.text.append(data.replace("\u00a0", " "))


def study(**options):
    plan = make_plan(**options)
    return plan, make_records(plan, (0.01, 0.05, -0.03))


def page_of(plan, records, **options):
    return render_page(summarize(plan, records), records, **options)


def test_page_has_every_section_in_the_order_of_reading():
    plan, records = study()
    reader = Reader(page_of(plan, records, predictions=make_predictions))
    assert reader.ids == [
        *("answer", "forest", "table", "numbers", "pattern"),
        *("curves", "classes", "cost", "trust"),
    ]
    assert [link for link in reader.links if link.startswith("#")] == [f"#{i}" for i in reader.ids]
    plan, records = study(seeds=3)
    del records[plan.trials[0].id]
    assert Reader(page_of(plan, records)).ids[:4] == ["answer", "forest", "table", "complete"]


def test_first_screen_has_the_verdict_with_its_scope_then_the_forest_and_the_table():
    plan, records = study()
    page = page_of(plan, records)
    first = re.search(r'<span class="verdict">(.*?)</span>', page)[1]
    assert "for other seeds on these clips" in first and "p\u00a0" in first and "n\u00a08" in first
    assert 'class="square' not in page  # completeness is one line
    assert page.index("Complete: all 32") < page.index('id="forest"') < page.index('id="table"')


def test_page_loads_nothing():
    plan, records = study()
    page = page_of(plan, records, predictions=make_predictions)
    reader = Reader(page)
    assert reader.loads == [] and reader.scripts == [{}]
    assert not re.search(r"https?://|@import|url\(", page)


def test_policy_lets_nothing_run_but_the_script_of_the_page():
    page = page_of(*study(seeds=3))
    script = page[page.index("<script>") + 8 : page.index("</script>")]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert "default-src 'none'" in policy and f"script-src 'sha256-{digest}'" in policy
    assert len(script) < 9_000 and not re.search(r'\son\w+="', page)
    assert not re.search(r"\b(eval|Function|fetch|XMLHttpRequest|innerHTML)\b", script)


def test_without_script_every_metric_unfolds_and_each_arm_is_marked_for_it():
    plan, records = study()
    page = page_of(plan, records, predictions=make_predictions)
    assert "hidden" not in re.sub(r"<style>.*?</style>|<script>.*?</script>", "", page, flags=re.S)
    shown = re.findall(r'<(div|details) data-metric="([^"]+)"', page)
    assert ("div", "top-1") in shown and ("details", "training loss") in shown
    assert {kind for kind, metric in shown if metric != "top-1"} == {"details"}
    for arm in plan.arms:
        assert page.count(f'data-arm="{arm.name}"') > 4
    assert page.count(" data-x=") == page.count(" data-y=") > len(plan.arms)


def in_browser(page: str, folder: Path) -> str:
    """Return the document after its scripts have run, in a window of 1280 x 800 pixels."""
    (folder / "page.html").write_text(page, encoding="utf-8")
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --dump-dom "
    flags += "--disable-background-networking --disable-component-update --disable-sync "
    flags += "--virtual-time-budget=2000 --window-size=1280,800 "
    flags += f"--user-data-dir={folder / 'profile'}"
    command = ["chromium", *flags.split(), (folder / "page.html").as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium")
def test_script_runs_to_its_end_in_a_browser_under_the_policy(tmp_path):
    shown = in_browser(page_of(*study(seeds=3)), tmp_path)
    body = shown[shown.index("<main") :]
    assert "<option" in shown and 'class="sort"' in body and 'class="cross"' in body
    assert 'aria-current="true"' in shown, "the last part of the script has not run"


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium")
def test_contents_are_in_view_beside_the_choice_of_a_metric(tmp_path):
    page = page_of(*study(seeds=3))
    page = re.sub(r"<meta[^>]*Content-Security-Policy[^>]*>", "", page)  # for the script below
    # The bar of a study that has every section.
    sections = ("The pattern", "What may be wrong with the labels", "The mechanism", "Comparable")
    links = "".join(f'<li><a href="#trust">{title}</a></li>' for title in sections)
    page = page.replace("</ul></nav>", f"{links}</ul></nav>").replace(
        "</body>",
        """<script>
        const bar = document.querySelector("nav ul").getBoundingClientRect();
        const out = [...document.querySelectorAll("nav li")].filter((one) => {
          const place = one.getBoundingClientRect();
          return place.right > bar.right + 1 || place.bottom > bar.bottom + 1;
        });
        document.title = `${out.length} of ${document.querySelectorAll("nav li").length} out`;
        </script></body>""",
    )
    title = re.findall(r"<title>(.*?)</title>", in_browser(page, tmp_path))[0]
    assert re.fullmatch(r"0 of \d\d out", title)


def test_every_plot_has_a_text_alternative_with_its_numbers():
    plan, records = study()
    plots = Reader(page_of(plan, records, predictions=make_predictions)).plots
    assert len(plots) > 10
    assert all(plot["role"] == "img" and len(plot["aria-label"]) > 20 for plot in plots)
    forest = plots[0]["aria-label"]
    assert "points (right is better)" in forest and "λ=0.01 +" in forest


def test_page_says_the_same_sentences_and_numbers_as_the_summary():
    plan, records = study()
    summary = summarize(plan, records)
    text = "".join(Reader(page_of(plan, records)).text)
    for contrast in summary.contrasts:
        assert finding_sentence(contrast) in text
    assert "Complete: all 32 planned trials finished." in text


def test_failed_trial_is_named_with_its_whole_error():
    plan, records = study()
    bad = plan.trials[2].id
    error = "Traceback (most recent call last):\nRuntimeError: <b>out of memory</b> & more"
    records[bad] = make_record(bad, status=Status.FAILED, error=error)
    page = page_of(plan, records)
    assert "INCOMPLETE" in page and "<b>out" not in page
    assert error in "".join(Reader(page).text)
    assert 'class="square failed"' in page


def test_links_lead_to_runs_and_only_to_web_addresses():
    plan, records = study()
    one, other = plan.trials[0].id, plan.trials[1].id
    links = {one: "http://localhost:5000/#/runs/1", other: "javascript:alert(1)"}
    reader = Reader(page_of(plan, records, links=links))
    assert {link for link in reader.links if link[0] != "#"} == {"http://localhost:5000/#/runs/1"}


def test_names_are_escaped_everywhere():
    name = '<script>alert("x")</script>'
    plan = make_plan((ArmRecord(name="base"), ArmRecord(name=name)), question=name, seeds=6)
    page = page_of(plan, make_records(plan))
    assert page.count("<script") == 1
    assert name in "".join(Reader(page).text)


def test_page_of_a_study_that_has_not_run_still_reads():
    reader = Reader(page_of(make_plan(), {}))
    assert reader.ids == ["answer", "table", "complete", "cost", "trust"]
    assert "no record yet" in "".join(reader.text)


def test_page_of_single_runs_has_no_intervals():
    plan, records = study(seeds=1)
    text = "".join(Reader(page_of(plan, records, predictions=make_predictions)).text)
    assert "optimistic" in text


@pytest.mark.parametrize("metric", ["val/loss", "val/top5", "train/loss"])
def test_page_of_another_metric(metric):
    plan, records = study()
    summary = summarize(plan, records, metric=metric)
    assert "forest" in Reader(render_page(summary, records)).ids


def test_dose_puts_arms_without_the_setting_first_and_needs_two_doses():
    plan, records = study()
    found = summarize(plan, records).doses
    assert [(d.arm, d.dose) for d in found] == [
        ("no adaptor", None),
        ("λ=0.001", 0.001),
        ("λ=0.01", 0.01),
        ("λ=0.1", 0.1),
    ]
    assert summarize(dataclasses.replace(plan, dose=""), records).doses == ()


def test_two_by_two_design_gets_its_interaction():
    levels = [("off", "off"), ("off", "on"), ("on", "off"), ("on", "on")]
    arms = tuple(ArmRecord(name=f"{a}, {b}", levels={"adaptor": a, "mixup": b}) for a, b in levels)
    plan = make_plan(arms, seeds=8, dose="")
    # Equal noise in all arms of a block: the interaction is 6 points, exactly.
    gains = dict(zip([arm.name for arm in arms], (0.0, 0.01, 0.02, 0.09), strict=True))
    records = {
        k.id: make_record(k.id, top1=0.5 + 0.01 * (k.seed % 3) + gains[k.arm]) for k in plan.trials
    }
    said = interaction_sentence(summarize(plan, records))
    assert "from off to on changes top-1 by +6.0 points more under on than under off" in said
    page = page_of(plan, records)
    assert "pattern" in Reader(page).ids and said in "".join(Reader(page).text)


def test_numbers_behind_the_curves_are_those_of_the_records():
    plan, records = study()
    summary = summarize(plan, records)
    table = curve_table(curves(summary, records, summary.metric), summary.metric)
    assert [column.title for column in table.columns[1:]] == [arm.name for arm in plan.arms]
    assert [row[0] for row in table.rows] == [str(epoch) for epoch in range(1, 21)]
    final = summary.arms[2].measures["val/top1"].interval.mean
    assert float(table.rows[-1][3].split("±")[0]) == pytest.approx(final, abs=0.06)


def test_class_changes_are_paired_and_sorted_by_size():
    plan, records = study()
    summary = summarize(plan, records)
    found = class_changes(summary, summary.contrasts[1], Outcomes(summary, make_predictions))
    assert found.num_classes == 8 and len(found.lines) == 8
    sizes = [abs(line.mean) for line in found.lines]
    assert sizes == sorted(sizes, reverse=True)
    rain = next(line for line in found.lines if line.label == "rain")
    arm, base = ([k.id for k in plan.trials if k.arm == a] for a in ("λ=0.01", "no adaptor"))

    def recall(trial_id):
        made = make_predictions(trial_id)
        chosen = made.labels == 2
        return 100 * (made.logits[chosen].argmax(axis=1) == 2).mean()

    expected = sum(recall(a) - recall(b) for a, b in zip(arm, base, strict=True)) / 8
    assert rain.mean == pytest.approx(expected)


def test_class_changes_without_predictions_are_none():
    plan, records = study()
    summary = summarize(plan, records)
    nothing = Outcomes(summary, lambda trial: None)
    assert class_changes(summary, summary.contrasts[0], nothing) is None


def test_declared_margin_is_shaded_and_explained_and_no_other_is():
    plan, records = study(margin=0.5)
    page = page_of(plan, records)
    shaded = re.findall(r'<polygon points="([^"]+)" class="margin"', page)
    assert len(shaded) == 3  # a piece per row
    zero = float(re.search(r'<polyline points="([\d.]+),[^"]*" class="zero"', page)[1])
    ends = sorted({float(point.split(",")[0]) for point in shaded[0].split()})
    assert sum(ends) / 2 == pytest.approx(zero, abs=0.1)
    text = "".join(Reader(page).text)
    assert "the margin of ±0.5 points within which a difference was declared not to matter" in text
    plain = page_of(*study())
    assert 'class="margin"' not in plain and "the margin of" not in plain


def test_margin_wider_than_every_difference_is_inside_the_axes():
    plan, records = study(margin=40.0)
    points = re.search(r'<polygon points="([^"]+)" class="margin"', page_of(plan, records))[1]
    ends = sorted({float(point.split(",")[0]) for point in points.split()})
    assert 0 < ends[0] < ends[1] < panel.WIDTH


LONG = ("deformable + N(0, 0.005)", "deformable + L(0, 0.005)", "plain", "deformable + N(0, 0.005)")


def test_names_are_cut_in_their_middle_where_there_is_no_room_for_lines():
    width = 13 * svg.CHARACTER
    assert svg.clip("deformable + N(0, 0.005)", width) == "deform…0.005)"
    assert svg.clip("plain", width) == "plain"


@given(st.text("ab λ=0.", max_size=30), st.integers(30, 300))
def test_cut_names_and_lines_fit(name, width):
    room = max(3, width // svg.CHARACTER)
    assert all(len(text) <= room for text in (svg.clip(name, width), *svg.wrap(name, width)))
    assert "".join(svg.wrap(name, width)).replace(" ", "") == name.replace(" ", "")


def test_arms_beyond_the_colors_differ_in_shape_in_plots_legends_and_tables():
    names = [f"arm {i}" for i in range(31)]
    found = svg.styles(names, "arm 0")
    assert len(set(found.values())) == len(names)
    plan = make_plan(tuple(names), seeds=4, dose="")
    page = page_of(plan, make_records(plan))
    for name in ("arm 1", "arm 7", "arm 30"):
        key = f'<span class="key {found[name].shape}" style="--color:{found[name].color}"></span>'
        assert f'<th scope="row">{key}{name}</th>' in page
        assert f'<span data-arm="{name}">{key}{name}</span>' in page
    css = page[: page.index("</style>")]
    assert all(
        f".key.{shape} " in css or f".key.{shape}," in css
        for shape in svg.SHAPES
        if shape != "square"
    )


def test_doses_are_a_ramp_and_equal_values_stand_in_a_stack():
    doses = {"b": 0.1, "c": 0.2, "d": 0.4}
    found = svg.styles(["a", "b", "c", "d", "e"], "a", doses)
    assert found["a"] == svg.BASELINE and found["e"].color == "var(--arm-1)"
    ramp = [found[name].color for name in doses]
    assert len(set(ramp)) == 3 and all("color-mix(in oklab" in color for color in ramp)
    plan = make_plan(seeds=8)
    records = {k.id: make_record(k.id, top1=0.5 + 0.1 * (k.seed == 7)) for k in plan.trials}
    plots = re.findall(r"<svg .*?</svg>", page_of(plan, records), re.DOTALL)
    dots = [re.findall(r'<circle cx="([^"]+)" cy="([^"]+)" r="2.8"', plot) for plot in plots]
    assert all(len(own) == len(set(own)) for own in dots)
    assert {len(own) for own in dots} == {0, 3 * 8, 4 * 8}  # curves, forests, over the dose


def test_another_plot_is_a_module_and_its_line_in_the_list(monkeypatch):
    module = types.ModuleType("orchestrator.report.plots.loudness")

    def plots(data):
        axis = panel.linear_axis([0, 1])
        drawing = panel.Panel(100, x=axis, y=axis, spoken="loudness of every arm")
        drawing.point(0.5, 0.5, data.styles["λ=0.1"], title="λ=0.1 is loud")
        return [Plot(section="pattern", drawings=(str(drawing),), caption="Louder is not better.")]

    module.plots = plots
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr("orchestrator.report.plots.PLOTS", [*PLOTS, "loudness"])
    page = page_of(*study())
    pattern = page[page.index('id="pattern"') : page.index('id="curves"')]
    assert 'aria-label="loudness of every arm: λ=0.1 is loud"' in pattern
    assert "<figcaption>Louder is not better.</figcaption>" in pattern


def test_contrasts_between_long_arms_stay_told_apart_in_the_forest():
    arms = ("no adaptor", *dict.fromkeys(LONG))
    contrasts = tuple(ContrastRecord(arm=LONG[0], reference=name) for name in (LONG[1], "plain"))
    plan = make_plan(arms, contrasts=contrasts)
    page = page_of(plan, make_records(plan))
    plot = re.search(r"<svg .*?</svg>", page, re.DOTALL)[0]
    texts = re.findall(r'<text x="[\d.-]+" y="[\d.-]+"[^>]*>([^<]*)</text>', plot)
    for reference in LONG[1:3]:
        assert any(text.endswith(f"− {reference}") for text in texts) or any(
            f"− {reference}  " in text for text in texts
        )
    assert not any("…" in text for text in texts)
    # A row's lines stand inside the plot.
    height = float(re.search(r'height="([\d.]+)"', plot)[1])
    assert all(0 < float(y) < height for y in re.findall(r'<text x="[\d.-]+" y="([\d.-]+)"', plot))


def test_long_arm_and_class_names_break_in_the_forest_before_they_are_cut():
    arms = ("no adaptor", "an arm whose name goes on about what was changed in it and why")
    names = [f"a really quite long name of class {i}" for i in range(8)]
    plan = make_plan(arms, dataset={"name": "sounds", "class_names": names})
    page = page_of(plan, make_records(plan), predictions=make_predictions)
    texts = re.findall(r'class="label halo">([^<]*)</text>', page)
    assert texts[:2] == ["an arm whose name goes on about what was changed in", "it and why"]
    assert any(text.startswith("a really quite long") and text.endswith(" →") for text in texts)
    assert not any("…" in text for text in texts)


def test_words_in_a_cell_keep_their_spaces_and_numbers_get_digit_spaces():
    assert str(_aligned("sea waves")) == "sea waves"
    assert str(_aligned(" 7")) == "\u20077"
