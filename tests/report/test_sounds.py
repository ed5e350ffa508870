"""Clips to listen to: from the pack onto the page, within its size, or a word why not."""

import io

import numpy as np
import pytest
import soundfile
from report_examples import make_plan, make_predictions, make_records

from orchestrator.analysis.outcomes import Outcomes
from orchestrator.analysis.summary import summarize
from orchestrator.data import open_pack
from orchestrator.execution.prepare import packs_of
from orchestrator.report import sources
from orchestrator.report.render.page import render_page
from orchestrator.report.sources import opus, sounds_of
from orchestrator.report.wording.clips import clips_to_show
from tests import tiny


@pytest.mark.parametrize("rate", [16000, 22050])
def test_sound_is_the_clip(rate):
    time_s = np.arange(2 * rate) / rate
    pcm = (8000 * np.sin(2 * np.pi * 440 * time_s)).astype(np.int16)
    heard, heard_rate = soundfile.read(io.BytesIO(opus(pcm, rate)))
    assert len(heard) / heard_rate == pytest.approx(2, abs=0.02)
    loudest = np.abs(np.fft.rfft(heard)).argmax() * heard_rate / len(heard)
    assert loudest == pytest.approx(440, abs=1)
    assert np.abs(heard).max() == pytest.approx(8000 / 32768, rel=0.1)


def test_long_clip_is_cut():
    sound = opus(np.zeros(30 * 8000, np.int16), 8000)
    assert soundfile.info(io.BytesIO(sound)).duration == pytest.approx(sources.MAX_SECONDS, abs=0.1)


def test_sounds_come_from_the_pack_as_many_as_fit(tmp_path, monkeypatch):
    wanted = tiny.experiment()
    store = tiny.store_with_pack(tmp_path, wanted)
    fingerprint = str(wanted.dataset.arguments["fingerprint"])
    clips = open_pack(fingerprint, packs=packs_of(store.uri)).clip_ids[:3]
    read = sounds_of(store, make_plan(dataset={"fingerprint": fingerprint}))
    found = read([*clips, "no such clip"])
    assert list(found) == list(clips) and all(s.startswith(b"OggS") for s in found.values())
    monkeypatch.setattr(sources, "MAX_BYTES", 2 * max(map(len, found.values())))
    assert list(read(clips)) == list(clips[:2])
    assert sounds_of(store, make_plan(dataset={"fingerprint": "../packs"}))(clips) == {}


def test_page_plays_what_changed_sides_first_and_says_what_it_cannot():
    plan = make_plan()
    records = make_records(plan)
    summary = summarize(plan, records)
    asked = []

    def sounds(clips):
        asked.extend(clips)
        return {asked[0]: b"OggS"}

    page = render_page(summary, records, predictions=make_predictions, sounds=sounds)
    flipped = clips_to_show(summary, Outcomes(summary, make_predictions))
    assert asked[: len(flipped)] == list(flipped)
    classes = page[page.index('id="classes"') : page.index('id="cost"')]
    assert classes.count("<audio") == 1 and 'src="data:audio/ogg;base64,T2dnUw=="' in classes
    assert "left out to keep the page small" in classes and "cannot be heard here" not in classes
    silent = render_page(summary, records, predictions=make_predictions)
    assert "<audio" not in silent and "They cannot be heard here" in silent
