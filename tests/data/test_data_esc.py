"""The layout of ESC-50: what is read from it, and every way in which it can be wrong."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
import soundfile
import soxr
from esc_folders import SECONDS

from orchestrator.data import open_pack, peek, prepare
from orchestrator.data.entry import open_source
from orchestrator.errors import DataError

ARGUMENTS = {"seconds": SECONDS}


def test_esc_targets_become_labels_in_order(folder):
    source = open_source("esc", ARGUMENTS, root=str(folder.root))
    assert source.class_names == ("dog", "rain")
    assert [clip.label for clip in source.clips] == [1, 0] * 4
    assert [clip.fold for clip in source.clips] == [1] * 4 + [2] * 4
    assert source.clips[0].source_id == "100"


def test_esc_recording_in_two_folds_is_noted(folder):
    for row in folder.rows:
        row["src_file"] = str(row["filename"]).split("-")[1]
    folder.rows[7]["src_file"] = "100"
    folder.write_list()
    source = open_source("esc", ARGUMENTS, root=str(folder.root))
    assert source.notes == ("1 recordings have clips in more than one fold: 100",)


def no_root(folder):
    shutil.rmtree(folder.root)
    return "is not a directory"


def no_meta(folder):
    shutil.rmtree(folder.root / "meta")
    return "has no csv in its folder 'meta'"


def no_columns(folder):
    folder.rows = [{"filename": row["filename"], "fold": 1} for row in folder.rows]
    folder.write_list()
    return "made_up.csv lacks target, category"


def two_lists(folder):
    folder.write_list("other.csv")
    return "2 lists of clips: made_up.csv, other.csv.*meta=made_up.csv"


def no_audio(folder):
    shutil.rmtree(folder.audio)
    return "has no folder 'audio'"


def empty_audio(folder):
    for path in folder.audio.iterdir():
        path.unlink()
    return "audio is empty"


def no_rows(folder):
    path = folder.root / "meta" / "made_up.csv"
    path.write_text(path.read_text().splitlines()[0] + "\n")
    return "a header and no rows"


def fold_is_a_word(folder):
    folder.rows[2]["fold"] = "first"
    folder.write_list()
    return "line 4: fold 'first'"


def listed_twice(folder):
    folder.rows.append(folder.rows[0])
    folder.write_list()
    return "line 10: .* is listed twice"


def two_names_for_a_target(folder):
    folder.rows[1]["category"] = "cat"
    folder.write_list()
    return "target 7 is 'dog' here and 'cat' before"


def path_out_of_the_folder(folder):
    folder.rows[0]["filename"] = "../meta/made_up.csv"
    folder.write_list()
    return "is not the name of a file in 'audio'"


@pytest.mark.parametrize(
    "spoil",
    [
        no_root,
        no_meta,
        no_columns,
        two_lists,
        no_audio,
        empty_audio,
        no_rows,
        fold_is_a_word,
        listed_twice,
        two_names_for_a_target,
        path_out_of_the_folder,
    ],
)
def test_esc_wrong_layout_is_one_clear_error(folder, packs, spoil):
    wording = spoil(folder)
    with pytest.raises(DataError, match=wording):
        prepare("esc", ARGUMENTS, root=str(folder.root), packs=packs)


def test_esc_without_root_names_the_way_out(packs):
    with pytest.raises(DataError, match=r"--data-root.*synthetic"):
        prepare("esc", {}, root=None, packs=packs)
    assert peek("esc", {}, root="", packs=packs) is None


def test_esc_meta_argument_chooses_the_list(folder):
    folder.write_list("other.csv")
    source = open_source("esc", ARGUMENTS | {"meta": "other.csv"}, root=str(folder.root))
    assert len(source.clips) == 8
    with pytest.raises(DataError, match=r"'third.csv' \(valid: made_up.csv, other.csv\)"):
        open_source("esc", ARGUMENTS | {"meta": "third.csv"}, root=str(folder.root))


def test_esc10_list_agrees_with_its_readme(esc10):
    source = open_source("esc", {}, root=str(esc10))
    assert len(source.clips) == 400 and not source.unlisted and not source.notes
    assert source.class_names == (
        "dog",
        "rooster",
        "rain",
        "sea_waves",
        "crackling_fire",
        "crying_baby",
        "sneezing",
        "clock_tick",
        "helicopter",
        "chainsaw",
    )
    cells = {(clip.label, clip.fold) for clip in source.clips}
    assert len(cells) == 50 and "CC BY 3.0" in source.license


def test_esc10_some_clips_packed_equal_soxr(esc10, tmp_path, packs):
    """An independent path to the same samples: soundfile's int16 and soxr's own integer mode."""
    root = tmp_path / "part"
    (root / "meta").mkdir(parents=True)
    (root / "audio").mkdir()
    lines = (esc10 / "meta" / "esc10.csv").read_text().splitlines()
    chosen = [line for line in lines[1:] if line.split(",")[1] in "12"][::16]
    (root / "meta" / "part.csv").write_text("\n".join([lines[0], *chosen]) + "\n")
    for line in chosen:
        name = line.split(",")[0]
        os.symlink(esc10 / "audio" / name, root / "audio" / name)
    info = prepare("esc", {}, root=str(root), packs=packs)
    pack = open_pack(info.fingerprint, packs=packs)
    assert len(pack) == len(chosen) == info.num_clips
    for index, clip_id in enumerate(pack.clip_ids):
        wave, rate_hz = soundfile.read(esc10 / "audio" / clip_id, dtype="float64")
        due = np.clip(np.rint(soxr.resample(wave, rate_hz, 16000, "VHQ") * 32768), -32768, 32767)
        assert np.abs(pack.waveform(index) - due).max() <= 1
