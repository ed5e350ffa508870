"""Every kind of damage that real files have, made here on purpose."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
import soundfile
from esc_folders import RATE_HZ, SECONDS, noise

from orchestrator.data.decode import decode
from orchestrator.data.entry import open_source, prepare
from orchestrator.data.findings import BROKEN
from orchestrator.data.listing import Audit
from orchestrator.data.source import ClipFault
from orchestrator.errors import DataError

ARGUMENTS = {"seconds": SECONDS}


def missing(folder):
    folder.path(0).unlink()


def zero_bytes(folder):
    folder.path(0).write_bytes(b"")


def header_only(folder):
    soundfile.write(folder.path(0), np.zeros((0, 1)), RATE_HZ, format="WAV")


def truncated_flac(folder):
    content = folder.path(0).read_bytes()
    folder.path(0).write_bytes(content[: len(content) // 2])


def truncated_wav(folder):
    path = folder.rename(0, "cut.wav")
    soundfile.write(path, noise(0), RATE_HZ, subtype="PCM_16")
    path.write_bytes(path.read_bytes()[:-1000])


def truncated_ogg(folder):
    path = folder.rename(0, "cut.ogg")
    soundfile.write(path, noise(0, seconds=3.0), RATE_HZ)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 3 // 4])


def a_directory(folder):
    folder.path(0).unlink()
    folder.path(0).mkdir()


def not_audio(folder):
    folder.path(0).write_text("<html>404</html>")


def short(folder):
    soundfile.write(folder.path(0), noise(0, seconds=SECONDS / 2), RATE_HZ)


def not_a_number(folder):
    path = folder.rename(0, "nan.wav")
    wave = noise(0)
    wave[17] = np.nan
    soundfile.write(path, wave, RATE_HZ, subtype="FLOAT")


def silent(folder):
    soundfile.write(folder.path(0), np.zeros((int(SECONDS * RATE_HZ), 1)), RATE_HZ)


def leak(folder):
    folder.path(4).write_bytes(folder.path(0).read_bytes())


DAMAGE = [
    (missing, "missing"),
    (zero_bytes, "empty"),
    (header_only, "empty"),
    (truncated_flac, "unreadable"),
    (truncated_wav, "truncated"),
    (truncated_ogg, "truncated"),
    (a_directory, "unreadable"),
    (not_audio, "unreadable"),
    (short, "short"),
    (not_a_number, "non_finite"),
    (silent, "silent"),
    (leak, "leak"),
]


def audit_of(folder, **arguments) -> Audit:
    return Audit.of(open_source("esc", ARGUMENTS | arguments, root=str(folder.root)))


def test_audit_undamaged_folder_has_no_problem(folder):
    audit = audit_of(folder)
    assert [record.problems for record in audit.records] == [()] * 8
    assert audit.table() == "no clip has a problem"
    record = audit.records[0]
    assert (record.rate_hz, record.channels, record.frames) == (RATE_HZ, 1, 3200)
    wave = noise(0)
    assert record.peak == np.abs(wave).max()
    assert record.rms_dbfs == pytest.approx(20 * np.log10(np.sqrt((wave**2).mean())))


def test_damage_list_covers_every_broken_kind():
    assert {kind for _, kind in DAMAGE} == set(BROKEN)


@pytest.mark.parametrize(("harm", "kind"), DAMAGE, ids=[harm.__name__ for harm, _ in DAMAGE])
def test_audit_damaged_clip_is_broken(folder, harm, kind):
    harm(folder)
    broken = audit_of(folder).broken
    assert [record.problems[0].kind for record in broken] == [kind]
    assert kind in audit_of(folder).table()


@pytest.mark.parametrize(("harm", "kind"), DAMAGE, ids=[harm.__name__ for harm, _ in DAMAGE])
def test_prepare_damaged_clip_stops_and_names_it(folder, packs, harm, kind):
    harm(folder)
    name = folder.path(4 if kind == "leak" else 0).name
    with pytest.raises(DataError) as caught:
        prepare("esc", ARGUMENTS, root=str(folder.root), packs=packs)
    message = str(caught.value)
    assert f"{name}: {kind}" in message and "1 of 8" in message and "--policy drop" in message


def test_prepare_policy_drop_says_what_was_dropped(folder, packs):
    zero_bytes(folder)
    arguments = ARGUMENTS | {"on_broken": "drop"}
    for made in (True, False):
        info = prepare("esc", arguments, root=str(folder.root), packs=packs)
        assert info.made is made
        assert info.dropped == {folder.path(0).name: "empty: the file has 0 bytes"}
        assert info.num_clips == 7 and info.counts == {"dog": 4, "rain": 3}
        assert "1 of 8 clips dropped as broken" in info.notes


def test_prepare_policy_stop_after_drop_still_stops(folder, packs):
    zero_bytes(folder)
    prepare("esc", ARGUMENTS | {"on_broken": "drop"}, root=str(folder.root), packs=packs)
    with pytest.raises(DataError, match="1 of 8"):
        prepare("esc", ARGUMENTS, root=str(folder.root), packs=packs)


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "AU", "W64", "RF64", "CAF", "FLAC", "OGG", "MP3"])
def test_decode_half_a_file_of_any_format_is_refused(tmp_path, kind):
    path = tmp_path / "clip"
    soundfile.write(path, noise(0, seconds=3.0), RATE_HZ, format=kind)
    assert len(decode(path).samples) == 3 * RATE_HZ
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ClipFault) as caught:
        decode(path)
    assert caught.value.problem in ("truncated", "unreadable")


@pytest.mark.parametrize(
    ("indices", "bare"), [((0, 2, 4, 6), "class 'rain'"), ((4, 5, 6, 7), "fold 2")]
)
def test_prepare_policy_drop_refuses_empty_class_or_fold(folder, packs, indices, bare):
    for index in indices:
        folder.path(index).unlink()
    with pytest.raises(DataError, match=bare):
        prepare("esc", ARGUMENTS | {"on_broken": "drop"}, root=str(folder.root), packs=packs)


def test_audit_notes_are_said_and_clips_are_used(folder, packs):
    soundfile.write(folder.path(0), noise(50, channels=2), RATE_HZ)
    soundfile.write(folder.path(1), noise(51, rate_hz=44100), 44100)
    soundfile.write(folder.path(3), noise(52, seconds=1.0), RATE_HZ)
    folder.path(6).write_bytes(folder.path(4).read_bytes())
    (folder.audio / "extra.flac").write_bytes(folder.path(2).read_bytes())
    soundfile.write(folder.path(7), np.pad(noise(53), ((0, RATE_HZ), (0, 0))), RATE_HZ)
    info = prepare("esc", ARGUMENTS, root=str(folder.root), packs=packs)
    assert info.num_clips == 8 and not info.dropped
    assert info.notes == (
        "1 clip: the same audio as another clip of its fold and label: it counts twice",
        "1 clip: resampled to the pack's rate",
        "1 clip: channels averaged to mono",
        "2 clips: longer than every clip of this dataset is; kept whole",
        "1 clip: the last 0.5 s or more are digital silence",
        "1 audio file beside the listed ones not used",
    )


def test_audit_same_audio_in_two_formats_is_found(folder):
    path = folder.rename(2, "same.wav")
    soundfile.write(path, noise(0), RATE_HZ, subtype="PCM_16")
    assert [p.kind for p in audit_of(folder).records[2].problems] == ["duplicate"]


def test_audit_many_broken_clips_are_counted_not_all_listed(folder, packs):
    row = folder.rows[0]
    folder.rows += [row | {"filename": f"gone-{n}.flac"} for n in range(30)]
    folder.write_list()
    with pytest.raises(DataError, match=r"30 of 38 clips(.|\n)*and 10 more"):
        prepare("esc", ARGUMENTS, root=str(folder.root), packs=packs)


def test_audit_csv_gives_a_spreadsheet_no_formula(folder):
    for row in folder.rows:
        row["category"] = {"dog": "=1+1", "rain": "@SUM(A1)"}[str(row["category"])]
    folder.write_list()
    lines = list(csv.DictReader(io.StringIO(audit_of(folder).to_csv())))
    assert {line["class"] for line in lines} == {"'=1+1", "'@SUM(A1)"}


def test_audit_exports_hold_every_clip(folder):
    zero_bytes(folder)
    audit = audit_of(folder)
    lines = list(csv.DictReader(io.StringIO(audit.to_csv())))
    assert [line["severity"] for line in lines] == ["broken"] + ["ok"] * 7
    assert lines[1]["class"] == "dog" and lines[1]["rate_hz"] == "16000"
    told = json.loads(audit.to_json())
    assert told["clips"][0]["problems"] == [{"kind": "empty", "reason": "the file has 0 bytes"}]
    assert "8 clips listed, 1 broken" in audit.summary()
    assert len(audit.table(every_clip=True).splitlines()) == 9
    narrow = audit.table(every_clip=True, width=80)
    assert max(map(len, narrow.splitlines())) <= 80
    assert "…" not in narrow and "empty" in narrow
