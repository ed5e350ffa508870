"""Event maps: listed and detected events of some clips over time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from orchestrator.analysis.outcomes import class_name
from orchestrator.analysis.tracks import Track, tracks
from orchestrator.metrics.events import Events
from orchestrator.report.plots.panel import LINE, Axis, Panel, ticks
from orchestrator.report.plots.plot import Plot, PlotData
from orchestrator.report.plots.svg import Style, clip
from orchestrator.report.wording.clips import silent_sentences

NUM_CLIPS = 4
MAX_ARMS = 3
MAX_NAME = 18
"""Characters of a class's name."""
LISTED = Style("var(--baseline)")


def plots(data: PlotData) -> Iterator[Plot]:
    """Draw the events of some clips if a model predicts over time."""
    found = tracks(data.summary, data.records, data.outcomes.load)
    shown = dict(list(found.items())[:MAX_ARMS])
    if not shown:
        return
    first = next(iter(shown.values()))
    # Arms that were scored on other clips have no events of these.
    shown = {arm: track for arm, track in shown.items() if track.clip_ids == first.clip_ids}
    drawings = tuple(str(_panel(data, shown, place)) for place in _clips(first))
    left_out = f" of the first {len(shown)} arms that predict over time" * (len(found) > len(shown))
    yield Plot(
        section="classes",
        title="Event maps",
        drawings=drawings,
        layout="small",
        caption="What sounds when in some of the held-out clips: of each class, the listed events "
        f"on top, below them those detected by one trial{left_out} (frame scores above 0.5, "
        "unfiltered). The clips are those with most listed events, one for each number of them."
        + "".join(f" {sentence}" for sentence in silent_sentences(shown)),
        legend={"listed": LISTED, **{arm: data.styles[arm] for arm in shown}},
    )


def _clips(track: Track) -> list[int]:
    """Return places of clips with different numbers of events, most first."""
    counts = np.bincount(track.listed[:, 0].astype(int), minlength=len(track.clip_ids))
    chosen = [int(np.flatnonzero(counts == count)[0]) for count in sorted({*counts.tolist()})]
    return chosen[::-1][:NUM_CLIPS]


def _panel(data: PlotData, shown: Mapping[str, Track], place: int) -> Panel:
    first = next(iter(shown.values()))
    lanes = [(LISTED, "listed", first.listed)]
    lanes += [(data.styles[arm], arm, track.detected) for arm, track in shown.items()]
    classes = sorted({int(label) for _, _, of in lanes for label in _own(of, place)[:, 1]})
    named = {label: class_name(data.summary, label) for label in classes}
    names = [clip(name, MAX_NAME * 7.5) for name in named.values()]
    rows = {label: len(classes) - 1 - row for row, label in enumerate(classes)}
    marks = ticks(0, first.clip_s[place])
    panel = Panel(
        (len(lanes) * 7 + 6) * max(1, len(classes)),
        x=Axis(low=0, high=first.clip_s[place], ticks={m: f"{m:g}" for m in marks}),
        y=Axis(low=-0.5, high=len(classes) - 0.5, ticks=dict(enumerate(names[::-1]))),
        spoken=f"Events of clip {first.clip_ids[place]}",
        title=first.clip_ids[place],
        caption="seconds",
        left=2 * LINE + 7.5 * max(map(len, names), default=0),
    )
    height = 0.9 / len(lanes)
    for lane, (style, who, events) in enumerate(lanes):
        for _, label, onset, offset in _own(events, place).tolist():
            top = rows[int(label)] + 0.45 - lane * height
            panel.box(
                (onset, top),
                (offset, top - 0.85 * height),
                kind="cell",
                title=f"{named[int(label)]}, {who}: {onset:.2f} to {offset:.2f} s",
                color=style.color,
                opacity=1.0,
            )
    return panel


def _own(events: Events, place: int) -> Events:
    return events[events[:, 0] == place]
