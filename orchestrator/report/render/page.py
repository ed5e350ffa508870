"""The report as one self-contained HTML page: no network, no script needed."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from orchestrator.analysis.confusion import (
    ClassChanges,
    ConfusionChange,
    arm_confusions,
    class_changes,
    confusion_change,
)
from orchestrator.analysis.forest import forest_lines
from orchestrator.analysis.outcomes import Loader, Outcomes, no_predictions
from orchestrator.analysis.summary import Summary
from orchestrator.figures.shelf import CLIP, Picture, read_pictures
from orchestrator.metrics import METRICS
from orchestrator.records import TrialRecord
from orchestrator.report.plots import svg
from orchestrator.report.plots.confusion import MOST_CLASSES, confusion_plot
from orchestrator.report.plots.cost import cost_plots, several_devices
from orchestrator.report.plots.curves import curve_panels, curve_table, curves
from orchestrator.report.plots.dose import dose_plot
from orchestrator.report.plots.forest import forest_plot
from orchestrator.report.plots.interaction import interaction_plot
from orchestrator.report.tables import reproducibility
from orchestrator.report.tables.arms import CALLED_MARK, main_table, secondary_table
from orchestrator.report.tables.clips import flipped_clips
from orchestrator.report.tables.effects import effects_table
from orchestrator.report.tables.other_contrasts import TITLE as OTHER_CONTRASTS
from orchestrator.report.tables.other_contrasts import other_contrasts_table
from orchestrator.report.tables.paper import Shaped
from orchestrator.report.wording.clips import single_pair_sentences
from orchestrator.report.wording.contrasts import unit_of_difference
from orchestrator.report.wording.notes import (
    answers,
    cautions,
    gap_text,
    headline,
    interval_over,
    paired_over,
)
from orchestrator.report.wording.numbers import digit_spaces, duration, quantity, tie
from orchestrator.report.wording.trend import pattern_sentence
from orchestrator.tracking.links import LOCAL_PAGES, needs_local_server

MOST_SENTENCES = 12
MOST_CLASS_CONTRASTS = 4
MOST_PANELS = 12


def render_page(
    summary: Summary,
    records: Mapping[str, TrialRecord],
    *,
    predictions: Loader | None = None,
    links: Mapping[str, str] | None = None,
    pictures: Path | None = None,
    shape: Shaped | None = None,
) -> str:
    """Return the page.

    Args:
        summary: the join.
        records: id -> record, for curves, provenance and error texts.
        predictions: reads a trial's predictions; without it there is no section on classes.
        links: trial id -> address of its run; only `http` and `https` addresses are linked.
        pictures: folder of `orchestrator.figures`; the page carries them in itself.
        shape: the study as a paper's table.
    """
    template = _environment().get_template("page.html.jinja")
    plan, metric = summary.plan, summary.metric
    colours = svg.colours([arm.name for arm in summary.arms], plan.baseline)
    train_loss = METRICS["train/loss"]
    drawn = _pictures(pictures)
    learned, fitted = (curves(summary, records, key) for key in (metric, train_loss))
    return template.render(
        summary=summary,
        plan=plan,
        metric=metric,
        unit=unit_of_difference(metric),
        colours=colours,
        links=_safe_links(links or {}),
        local_pages=LOCAL_PAGES if needs_local_server(links or {}) else "",
        most=MOST_SENTENCES,
        most_panels=MOST_PANELS,
        interval=interval_over(summary),
        paired_over=paired_over(summary),
        blocks=list(dict.fromkeys(cell.block for cell in summary.cells)),
        table=main_table(summary),
        further=[
            (title, table)
            for title, table in (
                (OTHER_CONTRASTS, other_contrasts_table(summary)),
                ("Declared effects", effects_table(summary)),
            )
            if table is not None
        ],
        over_clips=single_pair_sentences(summary, predictions),
        secondary=secondary_table(summary),
        shape=shape,
        forest=Markup(
            forest_plot(
                forest_lines(summary),
                colours=colours,
                title=_forest_title(summary),
                unit=unit_of_difference(metric),
                sign=metric.sign,
                margin=plan.margin_of(metric.key),
            )
        ),
        interactions=any(len(e.record.factors) > 1 for e in summary.effects),
        dose=Markup(dose_plot(summary, colours)),
        interaction=Markup(interaction_plot(summary, colours)),
        headline=headline(summary),
        answers=answers(summary),
        cautions=cautions(summary),
        pattern=pattern_sentence(summary),
        costs=[Markup(plot) for plot in cost_plots(summary, records, colours)],
        devices=several_devices(summary, records),
        curves=[Markup(panel) for panel in curve_panels(learned, summary, metric, colours)],
        curve_table=curve_table(learned, metric),
        losses=[Markup(panel) for panel in curve_panels(fitted, summary, train_loss, colours)],
        **_differing(summary, Outcomes(summary, predictions or no_predictions), colours),
        pictures=[shown for shown in drawn if shown[0].kind != CLIP],
        clips=[shown for shown in drawn if shown[0].kind == CLIP],
        data=reproducibility.data_facts(summary, records),
        environment=reproducibility.environment_facts(summary, records),
        declared=reproducibility.plan_facts(summary),
        failures=reproducibility.failures(summary, records),
    )


def _forest_title(summary: Summary) -> str:
    """Name every kind of row that the forest has."""
    said = f"difference in {summary.metric.title} from {summary.plan.baseline}"
    others = (("contrasts", summary.other_contrasts), ("effects", summary.effects))
    kinds = [kind for kind, found in others if found]
    return f"{said}; below, declared {' and '.join(kinds)}" if kinds else said


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        cell=_aligned, duration=duration, quantity=quantity, gap_text=gap_text, tie=tie
    )
    return environment


def _aligned(text: str) -> Markup:
    """Write an aligned number so that it stays aligned, and words as they are."""
    said = text if text.strip()[:1].isalpha() else digit_spaces(text)
    return Markup(
        str(escape(said)).replace(CALLED_MARK, f'<span class="star">{CALLED_MARK}</span>')
    )


def _safe_links(links: Mapping[str, str]) -> dict[str, str]:
    allowed = ("http://", "https://")
    return {trial: link for trial, link in links.items() if link.startswith(allowed)}


def _differing(
    summary: Summary, outcomes: Outcomes, colours: Mapping[str, str]
) -> dict[str, object]:
    """Return what the section on classes and clips shows."""
    contrasts = summary.contrasts
    found = (class_changes(summary, c, outcomes) for c in contrasts[:MOST_CLASS_CONTRASTS])
    classes = [changes for changes in found if changes is not None]
    confused = confusion_change(summary, contrasts[0], outcomes) if contrasts else None
    matrices = arm_confusions(summary, outcomes, max_classes=MOST_CLASSES, max_arms=MOST_PANELS)
    return {
        "classes": [(changes, Markup(_class_plot(changes, colours))) for changes in classes],
        "confused": confused,
        "confused_plot": Markup(_confused_plot(confused, colours)) if confused else "",
        "flipped": flipped_clips(summary, contrasts[0], outcomes) if contrasts else None,
        "matrices": [
            Markup(confusion_plot(summary, arm, counts, colour=colours[arm]))
            for arm, counts in matrices.items()
        ],
    }


def _pictures(folder: Path | None) -> list[tuple[Picture, str]]:
    """Return the pictures with their data as an address."""
    found = read_pictures(folder) if folder is not None else ()
    return [(picture, _data_uri(folder / picture.file)) for picture in found if folder]


def _data_uri(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"


def _class_plot(changes: ClassChanges, colours: Mapping[str, str]) -> str:
    contrast = changes.contrast
    return forest_plot(
        changes.lines,
        colours=colours,
        title=f"change of recall, {contrast.arm} minus {contrast.reference}",
        unit="points",
        sign=1,
    )


def _confused_plot(changes: ConfusionChange, colours: Mapping[str, str]) -> str:
    contrast = changes.contrast
    return forest_plot(
        changes.lines,
        colours=colours,
        title=f"change of the share of a class's clips taken for another, "
        f"{contrast.arm} minus {contrast.reference}",
        unit="points",
        sign=-1,
    )
