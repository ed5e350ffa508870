"""The report as one self-contained HTML page: no network, whole without its script."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from orchestrator.analysis.missed import missed_alike
from orchestrator.analysis.outcomes import Loader, Outcomes, no_predictions, remembering
from orchestrator.analysis.summary import Summary
from orchestrator.predict.figures.shelf import CLIP, Picture, read_pictures
from orchestrator.records import TrialRecord
from orchestrator.report.plots import all_plots
from orchestrator.report.plots.plot import PlotData
from orchestrator.report.plots.svg import styles
from orchestrator.report.tables import all_tables, reproducibility
from orchestrator.report.tables.arms import secondary_table
from orchestrator.report.tables.clips import flipped_clips
from orchestrator.report.tables.missed import missed_tables
from orchestrator.report.tables.table import CALLED_MARK, Table
from orchestrator.report.wording.clips import (
    clips_to_show,
    missed_to_show,
    single_pair_sentences,
)
from orchestrator.report.wording.notes import (
    answers,
    cautions,
    gap_text,
    headline,
    next_study_sentence,
    pattern_sentence,
)
from orchestrator.report.wording.numbers import digit_spaces, duration, quantity, tie
from orchestrator.tracking.links import LOCAL_PAGES, needs_local_server

MAX_SENTENCES = 12
MAX_PANELS = 12


def render_page(
    summary: Summary,
    records: Mapping[str, TrialRecord],
    *,
    predictions: Loader | None = None,
    links: Mapping[str, str] | None = None,
    pictures: Path | None = None,
    paper: Table | None = None,
    sounds: Callable[[Iterable[str]], Mapping[str, bytes]] | None = None,
) -> str:
    """Return the page.

    Args:
        summary: Numbers of the study.
        records: Trial id -> record, for curves, provenance and errors.
        predictions: Function that reads a trial's predictions; without it, the page has no section
            on classes.
        links: Trial id -> address of its run; only `http` and `https` addresses are linked.
        pictures: Folder of `orchestrator.predict.figures`; the page embeds the pictures.
        paper: Paper's table with the study.
        sounds: Function that reads clips to listen to, as Ogg Opus files.
    """
    predictions = remembering(predictions) if predictions else None
    template = _environment().get_template("page.html.jinja")
    plan, metric = summary.plan, summary.metric
    data = PlotData(
        summary=summary,
        records=records,
        outcomes=Outcomes(summary, predictions or no_predictions),
        styles=styles(
            [arm.name for arm in summary.arms],
            plan.baseline,
            {item.arm: item.dose for item in summary.doses if item.dose is not None},
        ),
    )
    table, *further = all_tables(summary)
    drawn = _pictures(pictures)
    flipped = clips_to_show(summary, data.outcomes)
    missed, suspects = list[Table](), dict[str, str]()
    if predictions:
        missed = missed_tables(summary, records, predictions)
        suspects = missed_to_show(summary, missed_alike(summary, records, predictions))
    heard = sounds([*flipped, *suspects]) if sounds else {}
    spectrograms = [shown for shown in drawn if shown[0].kind == CLIP]
    script = Path(__file__).with_name("page.js").read_text(encoding="utf-8")
    return template.render(
        script=Markup(script),
        script_hash=_source_hash(script),
        summary=summary,
        plan=plan,
        metric=metric,
        styles=data.styles,
        plots=all_plots(data),
        flipped=next((flipped_clips(summary, c, data.outcomes) for c in summary.contrasts), None),
        links=_safe_links(links or {}),
        local_pages=LOCAL_PAGES if needs_local_server(links or {}) else "",
        most=MAX_SENTENCES,
        most_panels=MAX_PANELS,
        blocks=list(dict.fromkeys(cell.block for cell in summary.cells)),
        table=table,
        further=further,
        over_clips=single_pair_sentences(summary, predictions),
        secondary=secondary_table(summary),
        paper=paper,
        headline=headline(summary),
        answers=answers(summary),
        cautions=cautions(summary),
        pattern=pattern_sentence(summary),
        next_study=next_study_sentence(summary),
        pictures=[shown for shown in drawn if shown[0].kind != CLIP],
        clips=_cards(flipped, spectrograms, heard),
        missed=missed,
        missed_clips=_cards(suspects, spectrograms, heard),
        drawn_by=spectrograms[0][0].arm if spectrograms else "",
        heard=heard,
        data=reproducibility.data_facts(summary, records),
        environment=reproducibility.environment_facts(summary, records),
        declared=reproducibility.plan_facts(summary),
        failures=reproducibility.failures(summary, records),
    )


@dataclass(frozen=True, kw_only=True)
class Card:
    """A clip with what is said of it, and the addresses of its spectrogram and sound, if any."""

    clip: str
    text: str
    picture: str
    sound: str


def _cards(
    clips: Mapping[str, str],
    spectrograms: Sequence[tuple[Picture, str]],
    sounds: Mapping[str, bytes],
) -> list[Card]:
    pictures = {picture.clips[0]: address for picture, address in spectrograms}
    return [
        Card(
            clip=clip,
            text=text,
            picture=pictures.get(clip, ""),
            sound=_data_uri(sounds[clip], "audio/ogg") if clip in sounds else "",
        )
        for clip, text in clips.items()
    ]


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        cell=_aligned,
        duration=duration,
        quantity=quantity,
        gap_text=gap_text,
        tie=tie,
        lead=_lead,
        sections=_sections,
    )
    return environment


def _source_hash(script: str) -> str:
    """Return what the page's policy calls a script, so that the reader's browser runs no other."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def _lead(text: str) -> tuple[str, str]:
    """Split a text after its first sentence, which the page sets large."""
    first, stop, rest = text.partition(". ")
    return first + stop.rstrip(), rest


def _sections(main: str) -> list[tuple[str, Markup]]:
    """Return id and heading of each section, for the contents."""
    found = re.findall(r'<section id="(\w+)">\n<h2>(.*?)</h2>', main)
    return [(name, Markup(title)) for name, title in found]  # as escaped as it was


def _aligned(text: str) -> Markup:
    """Write an aligned number so that it stays aligned, and words unchanged."""
    said = text if text.strip()[:1].isalpha() else digit_spaces(text)
    return Markup(
        str(escape(said)).replace(CALLED_MARK, f'<span class="star">{CALLED_MARK}</span>')
    )


def _safe_links(links: Mapping[str, str]) -> dict[str, str]:
    allowed = ("http://", "https://")
    return {trial: link for trial, link in links.items() if link.startswith(allowed)}


def _pictures(folder: Path | None) -> list[tuple[Picture, str]]:
    """Return the pictures with their data as URLs."""
    found = read_pictures(folder) if folder is not None else ()
    return [
        (picture, _data_uri((folder / picture.file).read_bytes(), "image/png"))
        for picture in found
        if folder
    ]


def _data_uri(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
