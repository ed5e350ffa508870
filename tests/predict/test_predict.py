"""A trained model says of a recording what it said of the clips that it was trained with."""

import csv
import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from orchestrator.data import open_pack
from orchestrator.errors import ConfigError
from orchestrator.experiment.config import Component
from orchestrator.predict.__main__ import main
from orchestrator.predict.loading import load_file, load_model, load_trained
from orchestrator.predict.scores import Scores, Windows, score
from orchestrator.store import Store
from tests import tiny
from tests.predict.conftest import CLIPS, FRAMES, TRIALS

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def pack(store):
    return open_pack(CLIPS.dataset.arguments["fingerprint"], packs=store.packs_uri)


@pytest.fixture(scope="module")
def joined(store, pack, tmp_path_factory) -> Path:
    """The first three held-out clips, one after the other."""
    held_out = pack.split(1)[1][:3]
    path = tmp_path_factory.mktemp("audio") / "joined.wav"
    soundfile.write(path, pack.pcm(held_out, 8000).reshape(-1), pack.sample_rate, subtype="PCM_16")
    return path


def probabilities(store: Store, experiment) -> np.ndarray:
    logits = torch.tensor(store.read_predictions(experiment.id, "last").logits)
    one_class = experiment.loss.name == "cross_entropy"
    return (logits.softmax(dim=1) if one_class else logits.sigmoid()).numpy()


def run(capsys, store: Store, *words: str, code: int = 0) -> str:
    assert main([*words, "--store", store.uri]) == code
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return said.err if code else said.out


def test_a_recording_of_clips_scores_as_its_clips_did(store, joined, capsys):
    # Windows that are the clips themselves; batches differ, so the last bits may.
    out = run(capsys, store, CLIPS.id[:6], str(joined), "--hop", "0.5", "--format", "json")
    (file,) = json.loads(out)["files"]
    stored = probabilities(store, CLIPS)[:3]
    assert file["seconds"] == 1.5
    names = load_model(store, CLIPS.id).class_names
    found = [file["classes"][name] for name in names]
    np.testing.assert_allclose(found, stored.mean(axis=0), atol=1e-5)

    model = load_trained(store, CLIPS.id)
    pcm = soundfile.read(joined, dtype="int16")[0]
    made = score(model, pcm, Windows.of(model, hop_s=0.5))
    np.testing.assert_allclose(made.rows, stored, atol=1e-5)
    # Where two windows overlap, their mean counts.
    twice = score(model, pcm, Windows.of(model, hop_s=0.25))
    np.testing.assert_allclose(twice.rows[0], stored[0], atol=1e-5)
    assert twice.rows.shape == (6, 3)
    between = score(model, pcm[4000:12000], Windows.of(model)).rows[0]
    np.testing.assert_allclose(twice.rows[1], (stored[0] + between) / 2, atol=1e-5)


def test_windows_are_scored_at_the_shifts_of_the_trial_and_as_long_as_its_clips(store, pack):
    model = load_trained(store, CLIPS.id)
    shifted = dataclasses.replace(CLIPS, test_shifts_s=(0.0, -0.1))
    pcm = pack.pcm(pack.split(1)[1][:1], 8000)[0]
    made = score(
        dataclasses.replace(model, experiment=shifted), pcm, Windows.of(model, hop_s=0.5)
    ).whole
    with torch.no_grad():
        waveform = torch.from_numpy(pcm).float()[None] / 32768
        both = torch.cat([waveform, waveform.roll(-1600, dims=1)])
        wanted = model.chain(both).clip_logits.softmax(dim=1).mean(dim=0)
    np.testing.assert_allclose(made, wanted.numpy(), atol=1e-6)
    assert abs(made - score(model, pcm, Windows.of(model)).whole).max() > 1e-4

    # Of a data set without a length, the checkpoint knows it.
    unstated = dataclasses.replace(CLIPS, dataset=Component("folder", sample_rate=16000))
    file = load_file(tiny.checkpoint_file(store, CLIPS.id, "last"))
    assert Windows.of(dataclasses.replace(file, experiment=unstated)).window_s == 0.5
    older = dataclasses.replace(file, experiment=unstated, clip_s=0.0)
    assert Windows.of(older).window_s == pytest.approx(0.48)  # what the front end sees


def test_a_model_with_frames_scores_each_of_its_rows(store, joined):
    model = load_trained(store, FRAMES.id)
    pcm = soundfile.read(joined, dtype="int16")[0]
    made = score(model, pcm, Windows.of(model, hop_s=0.5))
    assert made.groups == ()  # any number of classes may sound
    assert made.row_s < 0.1 and len(made.rows) == np.ceil(1.5 / made.row_s)
    with torch.no_grad():
        first = torch.from_numpy(pcm[:8000]).float()[None] / 32768
        frames = model.chain(first).frame_logits.sigmoid()[0].numpy()
    assert round(0.5 / made.row_s) >= len(frames)  # no row of the second window among them
    np.testing.assert_allclose(made.rows[: len(frames)], frames, atol=1e-6)


def test_any_rate_number_of_channels_and_length_is_taken(store, tmp_path, capsys):
    rng = np.random.default_rng(0)
    files = []
    for name, frames, channels, rate in (
        ("short.wav", 400, 1, 16000),
        ("stereo.flac", 44100, 2, 44100),
        ("odd.ogg", 8000 * 3 + 17, 1, 8000),
    ):
        path = tmp_path / name
        soundfile.write(path, rng.normal(size=(frames, channels)) * 0.1, rate)
        files.append(str(path))
    out = run(capsys, store, "tiny/frames", *files, "--format", "json")
    found = {Path(file["file"]).name: file["seconds"] for file in json.loads(out)["files"]}
    assert found == {
        "short.wav": pytest.approx(0.025),
        "stereo.flac": pytest.approx(1.0),
        "odd.ogg": pytest.approx(3.0, abs=0.01),
    }


def test_an_arm_is_its_best_seed(store, joined, capsys):
    losses = {t.id: store.read_record(t.id).metrics_at("last")["val/loss"] for t in TRIALS[:2]}
    best = min(losses, key=losses.__getitem__)
    assert f"trial {best}" in run(capsys, store, "tiny/clips", str(joined))


def test_the_best_seed_by_a_metric_that_the_report_alone_computes(store, joined, capsys):
    plan = store.require_plan("tiny")
    store.write_plan(dataclasses.replace(plan, sweep="late", metric="val/d_prime"))
    assert "trial " in run(capsys, store, "late/frames", str(joined))


def test_a_checkpoint_is_loaded_from_its_file_alone(store, joined, tmp_path, capsys):
    path = tmp_path / "copied.safetensors"
    path.write_bytes(tiny.checkpoint_file(store, CLIPS.id, "last").read_bytes())
    ours, theirs = load_file(path), load_model(store, CLIPS.id)
    assert ours.chain.class_names == theirs.class_names
    for name, value in theirs.state_dict().items():
        assert torch.equal(ours.chain.state_dict()[name], value)
    by_file = run(capsys, store, str(path), str(joined), "--format", "csv")
    assert by_file == run(capsys, store, CLIPS.id, str(joined), "--format", "csv")


def test_events_of_every_format_are_the_same(store, joined, tmp_path, capsys):
    words = ("tiny/frames", str(joined), "--threshold", "0.2", "--output", str(tmp_path))
    made = json.loads(run(capsys, store, *words, "--format", "json"))["files"][0]["events"]
    assert made
    rows = list(csv.DictReader(io.StringIO(run(capsys, store, *words, "--format", "csv"))))
    run(capsys, store, *words, "--format", "audacity", "--figure")
    track = (tmp_path / "joined.wav.txt").read_text().splitlines()
    text = run(capsys, store, *words)
    for event, row, line in zip(made, rows, track, strict=True):
        assert float(row["onset"]) == pytest.approx(event["onset"], abs=1e-3)
        assert row["event_label"] == event["class"] == line.split("\t")[2]
        assert float(line.split("\t")[1]) == pytest.approx(event["offset"], abs=1e-5)
        assert f"{event['onset']:.2f}" in text
    assert (tmp_path / "joined.wav.png").read_bytes()[1:4] == b"PNG"


@pytest.mark.parametrize("wrong", [{"window_s": 0.0}, {"hop_s": -1.0}, {"window_s": float("inf")}])
def test_windows_of_no_length_are_refused_for_every_command(store, wrong):
    with pytest.raises(ConfigError, match="it is a time in seconds above 0"):
        Windows.of(load_trained(store, CLIPS.id), **wrong)


def test_one_of_classes_that_exclude_each_other_sounds_at_a_time():
    rows = np.array([[0.6, 0.4], [0.45, 0.55], [0.3, 0.7], [0.9, 0.1]], np.float32)
    values = {"seconds": 3.5, "row_s": 1.0, "rows": rows, "whole": rows.mean(axis=0)}
    alone = Scores(**values, groups=(slice(0, 2),)).events(threshold=0.42)
    assert alone[:, 1:].tolist() == [[0, 0, 1], [1, 1, 3], [0, 3, 3.5]]
    both = Scores(**values, groups=())
    assert both.events(threshold=0.42)[:, 1:].tolist() == [[0, 0, 2], [1, 1, 3], [0, 3, 3.5]]
    assert both.events(threshold=0.42, gap_s=1)[:, 1:].tolist() == [[0, 0, 3.5], [1, 1, 3]]
    assert both.mean_score(np.array([0, 0, 3.0, 3.5])) == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("zz", "A"), "there is no trial 'zz'"),
        (("tiny/clip", "A"), "did you mean 'clips'"),
        (("tiny/never", "A"), "no trial of 'never' of tiny has finished"),
        (("tyni/clips", "A"), "unknown sweep or file 'tyni/clips'"),
        (("tiny", "A"), "(valid: clips, frames, never) Give SWEEP/ARM."),
        (("gone.safetensors", "A"), "there is no file gone.safetensors"),
        (("A", "A"), "cannot be read, it may be cut off"),
        (("tiny/clips", "gone.wav"), "gone.wav is no file"),
        (("tiny/clips", "T"), "1 cannot be scored: "),
        (("tiny/clips", "A", "--hop", "2"), "windows of 0.5 s every 2 s"),
        (("tiny/clips", "A", "--hop", "0"), "--hop 0: it is a time in seconds above 0"),
        (("tiny/clips", "A", "--threshold", "1"), "--threshold 1"),
        (("tiny/clips", "A", "--top", "0"), "--top 0"),
        (("tiny/clips", "A", "--close", "nan"), "--close nan"),
        (("tiny/clips", "A", "--device", "tpu9"), "--device tpu9"),
        (("tiny/clips", "A", "T/../A", "--figure"), "two recordings are named 'joined.wav'"),
    ],
)
def test_a_mistake_is_named_in_one_message(store, joined, tmp_path, capsys, words, message):
    text = tmp_path / "text.wav"
    text.write_text("no audio")
    named = {"A": str(joined), "T": str(text), "T/../A": f"{joined.parent}/../{joined.parent.name}"}
    named["T/../A"] += "/joined.wav"
    said = run(capsys, store, *(named.get(word, word) for word in words), code=2)
    assert message in said and said.startswith("error: ") and said.count("\n") == 1


def test_a_recording_that_cannot_be_read_costs_no_other_its_scores(store, joined, tmp_path, capsys):
    text = tmp_path / "text.wav"
    text.write_text("no audio")
    words = [CLIPS.id[:6], str(text), str(joined), "--format", "json", "--store", store.uri]
    assert main(words) == 2
    said = capsys.readouterr()
    assert [one["file"] for one in json.loads(said.out)["files"]] == [str(joined)]
    assert f"1 of 2 cannot be scored: {text} (unreadable" in said.err
