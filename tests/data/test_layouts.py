"""Every layout in its real form: recognized, packed, trained for one epoch and reported."""

from __future__ import annotations

import dataclasses
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from dataset_folders import SETS
from layout_folders import (
    BUILDERS,
    CLASSES,
    EVENTS,
    FLAGS,
    MULTI_LABEL,
    RATE_HZ,
    encoded,
    sound,
    takes,
    write,
)
from layout_trial import plan, tones, trial

from orchestrator import Component
from orchestrator.data import open_pack
from orchestrator.data.entry import open_source
from orchestrator.data.entry import prepare as prepare_pack
from orchestrator.data.layouts import LAYOUTS
from orchestrator.data.layouts.class_folders import INNER
from orchestrator.data.overview import overview, recognized
from orchestrator.data.pack import Pack
from orchestrator.errors import ConfigError, DataError
from orchestrator.execution.launch import with_pack
from orchestrator.execution.options import parse
from orchestrator.execution.prepare import packs_of, prepare, with_data
from orchestrator.store import Store
from tests import tiny


def built(name: str, tmp_path: Path) -> Path:
    root = tmp_path / name
    root.mkdir()
    BUILDERS[name][0](root)
    return root


def test_every_layout_has_a_folder_in_its_real_form():
    named = {layout for _, layout, *_ in [*BUILDERS.values(), *SETS.values()]}
    assert set(LAYOUTS) == {name for name in named if ":" not in name} - {"esc"}


@pytest.mark.parametrize("name", BUILDERS)
def test_layout_is_recognized_packed_trained_and_reported(name, tmp_path, monkeypatch):
    root = built(name, tmp_path)
    _, layout, num_clips, fold_names = BUILDERS[name]
    monkeypatch.syspath_prepend(tmp_path)
    done = trial(root, tmp_path, *(["--dataset", FLAGS[name]] if name in FLAGS else []))
    kind = "events" if name in EVENTS else "multi_label" if name in MULTI_LABEL else "single_label"
    assert done.info.targets == kind
    assert f"--dataset folder:layout={layout})" in done.table
    assert "classes 3: " in done.table
    assert ("splits train" if "train" in fold_names else "folds") in done.table
    assert done.info.num_clips == num_clips and done.info.fold_names == fold_names
    _holds_the_sounds(done.pack)


def _holds_the_sounds(pack: Pack) -> None:
    """Every clip has the tones of its classes and no other, so no label and no time has slipped."""
    order = {name: place for place, name in enumerate(CLASSES)}
    order |= {"1": 0, "2": 1, "3": 2}
    order |= {"backward": 0, "right": 1, "yes": 2, "pipistrelle": 0, "noctule": 1, "serotine": 2}
    places = [order[name] for name in pack.class_names]
    for index, listed in enumerate(pack.targets.multi_hot()):
        heard = tones(pack.waveform(index), pack.sample_rate)[places]
        np.testing.assert_array_equal(heard, listed, err_msg=pack.clip_ids[index])
    # No recording is in two folds.
    for recording in set(pack.source_ids):
        held = pack.folds[[source == recording for source in pack.source_ids]]
        assert len(set(held.tolist())) == 1, recording


def test_long_recording_among_short_ones_becomes_windows(tmp_path):
    source = open_source("folder", {}, root=str(built("class_folders", tmp_path)))
    long = [clip for clip in source.clips if "2024-05-08 dog_bark" in clip.clip_id]
    assert [clip.clip_id.partition("@")[2] for clip in long][:2] == ["0-0.245s", "0.245-0.49s"]
    assert len({clip.fold for clip in long}) == len({clip.source_id for clip in long}) == 1
    lengths = [len(source.read(clip).samples) for clip in source.clips]
    assert max(lengths) == round(0.245 * RATE_HZ)  # not 2 s, to which every clip would be padded
    text = " ".join(overview(source, width=120).split())
    assert "1 longer one is cut into 8 windows, rests" in text
    assert "README.md" in text


def test_windows_tile_a_recording_and_a_rest_needs_half_a_clip(tmp_path):
    for label, name, take in takes(4):
        write(tmp_path / name / f"{take}.wav", label, take, seconds=0.2)
    write(tmp_path / "siren" / "long.wav", 1, 99, seconds=0.65)
    root = str(tmp_path)
    source = open_source("folder", {"seconds": 0.2, "num_folds": 2}, root=root)
    parts = [clip for clip in source.clips if "long" in clip.clip_id]
    assert [clip.clip_id for clip in parts] == [
        f"siren/long.wav@{span}s" for span in ("0-0.2", "0.2-0.4", "0.4-0.6")
    ]
    whole, _ = soundfile.read(tmp_path / "siren" / "long.wav", dtype="float32")
    joined = np.concatenate([source.read(clip).samples for clip in parts])
    np.testing.assert_array_equal(joined, whole[: len(joined)])
    rest = open_source("folder", {"seconds": 0.25, "num_folds": 2}, root=root)
    spans = [clip.clip_id.partition("@")[2] for clip in rest.clips if "long" in clip.clip_id]
    assert spans == ["0-0.25s", "0.25-0.5s", "0.5-0.65s"]
    cut = open_source("folder", {"seconds": 0.2, "longer": "cut", "num_folds": 2}, root=root)
    assert [c.clip_id for c in cut.clips if "long" in c.clip_id] == ["siren/long.wav"]
    assert len(cut.clips) == 13


def test_folds_do_not_depend_on_the_order_or_place_of_files(tmp_path):
    for place in ("here", "there"):
        for label, name, take in takes():
            shown = take if place == "here" else 19 - take
            write(tmp_path / place / name / f"{shown}.wav", label, shown)
    packs = [
        prepare_pack("folder", {}, root=str(tmp_path / place), packs=str(tmp_path / "packs"))
        for place in ("here", "there")
    ]
    assert packs[0].fingerprint == packs[1].fingerprint
    other = prepare_pack(
        "folder", {"num_folds": 4}, root=str(tmp_path / "here"), packs=str(tmp_path / "packs")
    )
    assert other.fingerprint != packs[0].fingerprint


def test_folds_spread_every_class_and_keep_recordings_whole(tmp_path):
    for label, name, take in takes():
        write(tmp_path / name / f"rec{take // 2:02d}-{take % 2}.wav", label, take)
    arguments = {"recording_pattern": r"(\w+/rec\d+)"}
    source = open_source("folder", arguments, root=str(tmp_path))
    folds = {clip.source_id: clip.fold for clip in source.clips}
    assert len(folds) == 30 and all(folds[c.source_id] == c.fold for c in source.clips)
    for label in range(3):
        counts = np.bincount([c.fold for c in source.clips if c.label == label])[1:]
        assert counts.tolist() == [4] * 5


def test_esc_csv_of_five_seconds_stays_esc(tmp_path):
    root = built("esc_of_other_lengths", tmp_path)
    assert recognized(str(root), {}) == ("folder", {"layout": "esc_csv"})
    for path in (root / "audio").iterdir():
        soundfile.write(path, np.tile(sound(0, 1), 25), RATE_HZ)
    assert recognized(str(root), {}) == ("esc", {})


def test_official_split_trains_on_train_alone_and_test_is_reported(tmp_path):
    root, store = built("split_folders", tmp_path), Store.open(tmp_path / "store")
    flags = ["--demo", "--folds", "all", "--data-root", str(root), "--store", store.uri]
    packed = with_pack(prepare(plan(), parse(flags, description="")))
    assert packed.data is not None and packed.plan.folds == (2,)
    for stated, folds in (([], (2,)), (["--folds", "1"], (1,))):
        options = parse([*flags[:1], *flags[3:], *stated], description="")
        assert with_data(prepare(plan(), options), packed.data).plan.folds == folds
    pack = open_pack(packed.data.fingerprint, packs=packs_of(store.uri))
    assert [len(part) for part in pack.split("test")] == [36, 12]


def test_own_rows_of_a_function_are_read_again_when_it_changes(tmp_path, monkeypatch):
    root = built("own_function", tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    source = open_source("folder", {"layout": "my_bats:calls"}, root=str(root))
    assert source.class_names == ("noctule", "pipistrelle", "serotine")
    with pytest.raises(DataError, match=r"no_such.*PYTHONPATH"):
        open_source("folder", {"layout": "no_such:calls"}, root=str(root))


def test_two_readings_are_named_with_their_flags(tmp_path):
    root = built("split_folders", tmp_path)
    rows = [
        {"path": path.relative_to(root).as_posix(), "label": path.stem[-1]}
        for path in sorted(root.rglob("*.flac"))
    ]
    (root / "labels.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(DataError) as caught:
        open_source("folder", {}, root=str(root))
    for layout in ("table", "split_folders"):
        assert f"--dataset folder:layout={layout}" in str(caught.value)
        assert open_source("folder", {"layout": layout}, root=str(root)).clips
    # A list that agrees with the folders is no second reading; it says more.
    agreeing = [
        row | {"label": row["path"].split("/")[1], "speaker": "s" + row["path"][-6]} for row in rows
    ]
    (root / "labels.jsonl").write_text("\n".join(map(json.dumps, agreeing)))
    assert recognized(str(root), {})[1] == {"layout": "table"}


def test_folders_in_folders_are_two_readings_and_each_flag_chooses(tmp_path):
    for label, word in enumerate(("yes", "no")):
        for take in range(12):
            write(tmp_path / f"speaker{take % 3}" / word / f"{take}.wav", label, take)
    with pytest.raises(DataError, match=r"(?s)outer .*such as speaker0.*inner .*such as no"):
        open_source("folder", {}, root=str(tmp_path))
    flag = {"label_pattern": INNER, "recording_pattern": "speaker[0-9]", "num_folds": 3}
    source = open_source("folder", flag, root=str(tmp_path))
    assert source.class_names == ("no", "yes")
    assert {clip.source_id: clip.fold for clip in source.clips}.keys() == {
        *("speaker0", "speaker1", "speaker2")
    }
    outer = open_source("folder", {"layout": "class_folders"}, root=str(tmp_path))
    assert outer.class_names == ("speaker0", "speaker1", "speaker2")


def test_folders_of_folds_hold_folders_of_classes(tmp_path):
    for label, name, take in takes(12):
        write(tmp_path / "audio" / f"fold{take % 3 + 1}" / name / f"{take}.wav", label, take)
    source = open_source("folder", {}, root=str(tmp_path))
    assert source.fold_names == {1: "fold1", 2: "fold2", 3: "fold3"}
    assert source.class_names == CLASSES and dict(source.facts)["folds"] == "of the data set"


def test_kaldi_without_segments_takes_text_for_labels(tmp_path):
    lines: dict[str, list[str]] = {"wav.scp": [], "text": []}
    for label, name, take in takes(5):
        path = write(tmp_path / "wavs" / f"{name}_{take}.wav", label, take)
        lines["wav.scp"].append(f"{name}-{take} {path}")
        lines["text"].append(f"{name}-{take} {name}")
    for name, text in lines.items():
        (tmp_path / name).write_text("\n".join(text))
    source = open_source("folder", {}, root=str(tmp_path))
    facts = dict(source.facts)
    assert facts["labels"] == "text" and facts["recordings"] == "15, every file its own"
    assert source.class_names == CLASSES and len(source.clips) == 15


def test_metadata_as_json_lines_in_the_root_has_its_splits_in_a_column(tmp_path):
    rows = []
    for label, name, take in takes(6):
        write(tmp_path / "audio" / f"{name}{take}.wav", label, take)
        split = ("train", "test")[take % 2]
        rows.append({"file_name": f"audio/{name}{take}.wav", "genre": name, "split": split})
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    source = open_source("folder", {}, root=str(tmp_path))
    assert source.fold_names == {0: "train", 1: "test"} and source.class_names == CLASSES


def test_webdataset_takes_the_label_of_its_json_by_key(tmp_path):
    with tarfile.open(tmp_path / "clips.tar", "w") as archive:
        for label, name, take in takes(5):
            kinds = {"flac": encoded(label, take), "json": json.dumps({"what": name}).encode()}
            for kind, content in kinds.items():
                member = tarfile.TarInfo(f"{name}{take}.{kind}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    with pytest.raises(DataError, match=r"clips.tar sample dog_bark0: .*'what'.*label=KEY"):
        open_source("folder", {}, root=str(tmp_path))
    source = open_source("folder", {"label": "what"}, root=str(tmp_path))
    assert source.class_names == CLASSES and len(source.fold_names) == 5


def test_events_of_a_table_are_segments_where_one_class_per_clip_is_asked_for(tmp_path):
    """DESED's columns: onset and offset are times of the file."""
    rows = ["filename\tonset\toffset\tevent_label"]
    for recording in range(10):
        parts = [sound(label, 10 * recording + label) for label in range(3)]
        path = tmp_path / "audio" / f"Y{recording}_30.000_40.000.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, np.concatenate(parts), RATE_HZ)
        for label, name in enumerate(CLASSES):
            rows.append(f"{path.name}\t{label * 0.2:.3f}\t{label * 0.2 + 0.2:.3f}\t{name}")
    (tmp_path / "events.tsv").write_text("\n".join(rows))
    whole = open_source("folder", {}, root=str(tmp_path))
    assert len(whole.clips) == 10 and {len(clip.label) for clip in whole.clips} == {3}
    source = open_source("folder", {"targets": "single_label"}, root=str(tmp_path))
    assert len(source.clips) == 30 and len({clip.source_id for clip in source.clips}) == 10
    for clip in source.clips:
        wave = source.read(clip).samples
        loudest = np.abs(np.fft.rfft(wave)).argmax() * RATE_HZ / len(wave)
        assert loudest == pytest.approx(
            300 * (CLASSES.index(source.class_names[clip.label]) + 1), abs=10
        )


def test_data_set_of_the_plan_stays_with_a_data_root(tmp_path):
    root, store = built("class_folders", tmp_path), tmp_path / "store"
    dataset = Component("folder", sample_rate=16000, num_folds=3)
    mine = dataclasses.replace(plan(), base=dataclasses.replace(tiny.experiment(), dataset=dataset))
    flags = ["--dry-run", "--data-root", str(root), "--store", str(store)]
    found = prepare(mine, parse(flags, description="")).plan.base.dataset
    assert found.name == "folder" and found.arguments["num_folds"] == 3
    assert found.arguments["layout"] == "class_folders"


def test_top_1_that_a_plan_names_is_refused_on_several_labels_before_packing(tmp_path):
    root = built("one_hot", tmp_path)
    flags = ["--demo", "--data-root", str(root), "--store", str(tmp_path / "store")]
    options = parse(flags, description="")
    prepared = prepare(plan(), options)
    assert (prepared.data, prepared.plan.metric) == (None, "val/map")
    named = dataclasses.replace(plan(), metric="val/top1")
    with pytest.raises(ConfigError, match=r"val/top1 .* kind multi_label; .*val/map, .* out for"):
        prepare(named, options)


def test_flag_that_a_layout_has_no_use_for_is_refused_with_what_it_takes(tmp_path):
    root = str(built("class_folders", tmp_path))
    for flag in ({"label": "species"}, {"start": "onset", "end": "offset"}, {"split": "set"}):
        with pytest.raises(
            DataError, match=rf"{next(iter(flag))}=.* no such column .*layout=table"
        ):
            open_source("folder", flag, root=root)


def test_column_that_is_named_by_a_number_stays_a_name(tmp_path):
    root = tmp_path / "given"
    for label, name, take in takes(6):
        write(root / f"{name}{take}.wav", label, take)
    rows = [f"{name}{take}.wav,{name}" for _, name, take in takes(6)]
    (root / "list.csv").write_text("\n".join(["path,5", *rows]))
    flags = ["--smoke", "--data-root", str(root), "--store", str(tmp_path / "store")]
    with pytest.raises(DataError, match=r"label=COLUMN"):
        prepare(plan(), parse(flags, description=""))
    named = parse([*flags, "--dataset", "folder:layout=table,label=5"], description="")
    assert "classes 3" in " ".join(prepare(plan(), named).overview.split())


def test_own_dataset_is_named_on_the_command_line(tmp_path, monkeypatch):
    (tmp_path / "my_tones.py").write_text(
        "import numpy as np\n"
        "from orchestrator.data.source import Clip, Decoded, Source, digest\n\n\n"
        "def tones(root, *, sample_rate=16000, num_clips=8, fingerprint=''):\n"
        "    clips = tuple(Clip(f'c{n}', n % 2, 1 + n // 2 % 2, f'c{n}')"
        " for n in range(num_clips))\n"
        "    def read(clip):\n"
        "        rng = np.random.default_rng(int(clip.clip_id[1:]))\n"
        "        return Decoded(rng.normal(0, 0.1, 8000).astype(np.float32), sample_rate, 1)\n"
        "    return Source('tones', sample_rate, ('a', 'b'), {1: '1', 2: '2'}, clips, read,\n"
        "        digest([num_clips, sample_rate]))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    flags = ["--smoke", "--store", str(tmp_path / "store"), "--dataset"]
    for given, count in (("my_tones:tones", 8), ("my_tones:tones:num_clips=12", 12)):
        packed = with_pack(prepare(plan(), parse([*flags, given], description="")))
        assert packed.data is not None and packed.data.num_clips == count
    with pytest.raises(DataError, match="my_tones"):
        prepare(plan(), parse([*flags, "my_tones:tonnes"], description=""))
