"""A data set compared with a colleague's copy, and the clips of its list that are not here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile
from layout_folders import RATE_HZ, class_folders, sound, table, write

from orchestrator.data import prepare
from orchestrator.data.__main__ import main
from orchestrator.data.against import Copy
from orchestrator.data.findings import ClipRecord
from orchestrator.data.info import manifest_digest
from orchestrator.data.listing import Audit
from orchestrator.data.pack import MEASURES, Pack
from orchestrator.data.source import Clip, Source
from orchestrator.errors import DataError

GIVEN = {"layout": "class_folders", "seconds": 5.0}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    class_folders(tmp_path / "here")
    return tmp_path / "here"


def changed(root: Path) -> None:
    """Four clips that other tools would make of the same recordings, one gone and one new."""
    place = root / "dog_bark"
    names = sorted(path.name for path in place.iterdir())
    for number, name in enumerate(names[:4]):
        wave, _ = soundfile.read(place / name)
        change = (
            lambda w: 0.5 * w,
            lambda w: np.concatenate([np.zeros(160), w[:-160]]),
            lambda w: w[:-800],
            lambda w: w + np.random.default_rng(0).normal(0, 1e-3, len(w)),
        )[number]
        soundfile.write(place / name, change(wave), RATE_HZ, subtype="PCM_16")
    (place / names[4]).unlink()
    write(place / "2025-01-01 dog_bark.wav", 0, 99)


@pytest.mark.parametrize("form", ["pack", "pack.json", "csv", "json"])
def test_audit_against_a_copy_says_which_clips_differ_and_by_how_much(
    form, root, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "300")
    packs = str(tmp_path / "packs")
    command = ["audit", "--data-root", str(root), "--set", "seconds=5", "--packs", packs]
    if form in ("csv", "json"):
        copy = tmp_path / f"audit.{form}"
        assert main([*command, f"--{form}", str(copy)]) == 0
    else:
        info = prepare("folder", GIVEN, root=str(root), packs=packs)
        copy = Path(packs) / info.fingerprint / ("" if form == "pack" else form)
    assert main([*command, "--against", str(copy)]) == 0
    assert "60 clips have the same samples, 0 differ" in capsys.readouterr().out
    changed(root)
    assert main([*command, "--against", str(copy)]) == 1
    text = capsys.readouterr().out
    text = text[text.index("compared with") :]
    assert "55 clips have the same samples, 4 differ" in text
    said = [line for line in text.splitlines() if "dog_bark/2024-05-0" in line]
    assert "-6.02 dB in level" in said[0] and "-50 ms long" in said[2]
    assert "1 clips are only here, such as dog_bark/2025-01-01 dog_bark.wav" in text
    assert "1 clips are only in the copy, such as dog_bark/2024-05-05 dog_bark.wav" in text
    if form.startswith("pack"):
        assert "6.0 dB below the signal" in said[0] and "+10 ms late" in said[1]
        assert "largest difference 0.00" in said[3] and "46." in said[3]


def test_copy_that_is_none_is_refused(tmp_path):
    other = table(tmp_path / "other.csv", [{"clip_id": "a", "rate_hz": 1}])
    for path, words in ((other, "neither a pack nor"), (tmp_path / "gone.json", "cannot read")):
        with pytest.raises(DataError, match=words):
            Copy.read(path)


def test_missing_clips_of_a_list_are_written_to_a_file(tmp_path, capsys):
    rows: list[dict[str, object]] = []
    for take in range(24):
        if take not in (3, 11):
            write(tmp_path / "clips" / f"{take}.wav", take % 2, take)
        split = ("train", "test")[take // 12]
        rows.append({"path": f"clips/{take}.wav", "label": "ab"[take % 2], "split": split})
    table(tmp_path / "clips.csv", rows)
    out = tmp_path / "missing.csv"
    command = ["audit", "--data-root", str(tmp_path), "--missing-to", str(out)]
    assert main([*command, "--policy", "drop"]) == 1
    assert out.read_text() == "split,clip\ntrain,clips/3.wav\ntrain,clips/11.wav\n"


def test_missing_clips_of_an_official_list_are_said_and_written():
    source = Source(
        name="own",
        sample_rate=RATE_HZ,
        class_names=("a", "b"),
        fold_names={1: "1"},
        clips=(Clip("x", 0, 1, "x"), Clip("y", 1, 1, "y")),
        read=lambda clip: soundfile.SoundFile,  # never called
        signature="own",
        absent=(("train", "-abc_30"), ("test", "def_0")),
    )
    audit = Audit(source, ())
    assert "missing: 2 clips of the official list, such as -abc_30, def_0" in audit.summary()
    assert audit.to_missing() == "split,clip\ntrain,'-abc_30\ntest,def_0\n"


def test_pack_without_hashes_is_refused_with_the_way_out(root, tmp_path):
    info = prepare("folder", GIVEN, root=str(root), packs=str(tmp_path))
    place = tmp_path / info.fingerprint
    clips = pa.ipc.open_file(place / "clips.arrow").read_all().drop_columns(list(MEASURES))
    with pa.ipc.new_file(str(place / "clips.arrow"), clips.schema) as writer:
        writer.write_table(clips)
    manifest = json.loads((place / "pack.json").read_text())
    manifest["num_bytes"] = (place / "clips.arrow").stat().st_size
    manifest["manifest_digest"] = manifest_digest(manifest)
    (place / "pack.json").write_text(json.dumps(manifest))
    assert len(Pack(place)) == info.num_clips  # an earlier version made it, and it still trains
    with pytest.raises(DataError, match=r"no hashes.*audit --csv"):
        Copy.read(place)


def test_names_that_begin_like_a_formula_are_found_again(tmp_path):
    clip = Clip("-a_b-c_d-e0", 0, 1, "x")
    source = Source("own", RATE_HZ, ("a", "b"), {1: "1"}, (clip,), lambda clip: clip, "own")
    record = ClipRecord(clip, rate_hz=RATE_HZ, frames=8, peak=0.5, rms_dbfs=-9.0, sha256="0")
    (tmp_path / "audit.csv").write_text(Audit(source, (record,)).to_csv())
    assert set(Copy.read(tmp_path / "audit.csv").measures) == {"-a_b-c_d-e0"}


def test_measures_are_those_of_the_decoded_clip(root, tmp_path):
    info = prepare("folder", GIVEN, root=str(root), packs=str(tmp_path / "packs"))
    copy = Copy.read(tmp_path / "packs" / info.fingerprint)
    one = copy.measures["siren/2024-05-02 siren.wav"]
    wave = sound(1, 1, seconds=0.155)
    assert one["frames"] == len(wave) and one["rate_hz"] == RATE_HZ
    assert one["peak"] == pytest.approx(np.abs(wave).max(), abs=1e-4)
    assert one["rms_dbfs"] == pytest.approx(10 * np.log10(np.square(wave).mean()), abs=0.01)
