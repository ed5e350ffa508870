"""A pack is used as it was written or not at all, and no damaged one is lost or made silently."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from esc_folders import SECONDS, EscFolder
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from orchestrator.data import Pack, addresses, integrity, open_pack, packing, peek, prepare
from orchestrator.data.entry import open_source
from orchestrator.data.info import DamagedPack, read_manifest
from orchestrator.errors import DataError

ARGUMENTS = {"seconds": SECONDS}


def packed(folder: EscFolder, packs: str):
    return prepare("esc", ARGUMENTS, root=str(folder.root), packs=packs)


def path_of(fingerprint: str, packs: str) -> Path:
    return Path(packs) / fingerprint


def rewrite(path: Path, change) -> None:
    """Write a pack's clips again with a change of one column; the file keeps its length."""
    clips = path / addresses.CLIPS
    size = clips.stat().st_size
    with pa.ipc.open_file(clips.read_bytes()) as reader:
        table = reader.read_all()
    name, values = change(table.to_pydict())
    index = table.schema.get_field_index(name)
    table = table.set_column(index, table.schema.field(name), pa.array(values, table[name].type))
    with pa.ipc.new_file(str(clips), table.schema) as writer:
        writer.write_table(table)
    assert clips.stat().st_size == size


def one_byte(path):
    clips = path / addresses.CLIPS
    content = bytearray(clips.read_bytes())
    content[len(content) // 2] ^= 1
    clips.write_bytes(content)


def one_label(path):
    rewrite(path, lambda columns: ("label", [0, *columns["label"][1:]]))


def one_fold(path):
    rewrite(path, lambda columns: ("fold", [2, *columns["fold"][1:]]))


def one_clip_id(path):
    rewrite(path, lambda c: ("clip_id", [c["clip_id"][0].upper(), *c["clip_id"][1:]]))


def one_source_id(path):
    rewrite(path, lambda columns: ("source_id", ["999", *columns["source_id"][1:]]))


def cut(path):
    os.truncate(path / addresses.CLIPS, 1000)


def no_clips(path):
    (path / addresses.CLIPS).unlink()


def no_manifest(path):
    (path / addresses.MANIFEST).unlink()


def clips_are_a_folder(path):
    (path / addresses.CLIPS).unlink()
    (path / addresses.CLIPS).mkdir()


def clips_are_a_pipe(path):
    (path / addresses.CLIPS).unlink()
    os.mkfifo(path / addresses.CLIPS)


def manifest_is(value):
    def harm(path):
        (path / addresses.MANIFEST).write_text(json.dumps(value))

    harm.__name__ = f"manifest_is_{type(value).__name__}"
    return harm


def manifest_not_utf8(path):
    (path / addresses.MANIFEST).write_bytes(b'{"name": "\xe9"}')


def manifest_nested(path):
    (path / addresses.MANIFEST).write_text("[" * 100_000)


def with_field(**fields):
    def harm(path):
        manifest = json.loads((path / addresses.MANIFEST).read_text())
        (path / addresses.MANIFEST).write_text(json.dumps(manifest | fields))

    harm.__name__ = "with_" + "_".join(f"{k}_{v}" for k, v in fields.items())
    return harm


# What is harmed, and what the message says of it.
SILENT = [  # noticed by nothing but a look at the content
    (one_byte, "clips.arrow was changed since it was written"),
    (one_label, "clips.arrow was changed since it was written"),
    (one_fold, "clips.arrow was changed since it was written"),
    (one_clip_id, "clips.arrow was changed since it was written"),
    (one_source_id, "clips.arrow was changed since it was written"),
    (with_field(class_names=["rain", "dog"]), "pack.json was changed since it was written"),
    (with_field(folds={"1": "2", "2": "1"}), "pack.json was changed since it was written"),
    (with_field(sample_rate=8000), "pack.json was changed since it was written"),
    (with_field(num_samples=1600), "pack.json was changed since it was written"),
    (with_field(kept={"dog": 5, "rain": 3}), "pack.json was changed since it was written"),
]
LOUD = [
    (cut, "clips.arrow has 1000 bytes and was written with"),
    (no_clips, "it has no clips.arrow"),
    (no_manifest, "it has no pack.json"),
    (clips_are_a_folder, "clips.arrow is not a file"),
    (clips_are_a_pipe, "clips.arrow is not a file"),
    (manifest_is({}), "in pack.json, format is missing; name is missing"),
    (manifest_is([]), "pack.json is no JSON object"),
    (manifest_not_utf8, "pack.json"),
    (manifest_nested, "pack.json is no JSON"),
    (with_field(sample_rate="16000"), "sample_rate is not a rate in Hz"),
    (with_field(class_names="dog", folds=[1]), "class_names is not .*; folds is not"),
    (with_field(num_clips=-8), "num_clips is not a count"),
    (with_field(num_bytes=None), "num_bytes is not a count"),
]
HARMS = [*SILENT, *LOUD]
IDS = [harm.__name__ for harm, _ in HARMS]


@pytest.mark.parametrize(("harm", "wording"), HARMS, ids=IDS)
def test_open_pack_damaged_is_refused(folder, packs, harm, wording):
    fingerprint = packed(folder, packs).fingerprint
    harm(path_of(fingerprint, packs))
    with pytest.raises(DamagedPack, match=wording) as caught:
        open_pack(fingerprint, packs=packs)
    assert fingerprint in str(caught.value) and "--data-root DIR" in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize(("harm", "wording"), HARMS, ids=IDS)
def test_prepare_damaged_pack_is_set_aside_and_made_again(folder, packs, capsys, harm, wording):
    first = packed(folder, packs)
    path = path_of(first.fingerprint, packs)
    harm(path)
    harmed = {one.name: integrity.identity(path) for one in path.iterdir()}
    assert packed(folder, packs) == first  # made
    assert open_pack(first.fingerprint, packs=packs).class_names == ("dog", "rain")
    aside = Path(f"{path}.damaged-1")
    assert {one.name: integrity.identity(aside) for one in aside.iterdir()} == harmed
    said = capsys.readouterr().err
    assert f"{aside}" in said and "set aside" in said and len(said.splitlines()) == 1
    assert packed(folder, packs) == replace(first, made=False)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("harm", "wording"), SILENT, ids=IDS[: len(SILENT)])
def test_prepare_damaged_pack_without_its_source_is_one_message(folder, packs, harm, wording):
    pinned = packed(folder, packs).fingerprint
    harm(path_of(pinned, packs))
    with pytest.raises(DamagedPack, match=wording):
        prepare("esc", {"fingerprint": pinned}, root=None, packs=packs)
    assert path_of(pinned, packs).is_dir()


def test_prepare_damaged_synthetic_pack_is_made_again_with_the_same_bytes(packs):
    arguments = {"num_classes": 2, "clips_per_class": 2, "num_folds": 2, "seconds": 0.25}
    made = prepare("synthetic", arguments, root=None, packs=packs)
    path = path_of(made.fingerprint, packs)
    before = (path / addresses.CLIPS).read_bytes()
    one_byte(path)
    assert prepare("synthetic", arguments, root=None, packs=packs).made
    assert (path / addresses.CLIPS).read_bytes() == before


def older(path: Path) -> None:
    """Turn a pack into one of a version that recorded no digest of its files."""
    manifest = json.loads((path / addresses.MANIFEST).read_text())
    for name in ("file_digest", "manifest_digest"):
        del manifest[name]
    (path / addresses.MANIFEST).write_text(json.dumps(manifest))


def test_open_pack_of_an_older_version_is_read_and_checked_by_content(folder, packs):
    fingerprint = packed(folder, packs).fingerprint
    older(path_of(fingerprint, packs))
    assert len(open_pack(fingerprint, packs=packs)) == 8
    assert not packed(folder, packs).made


@pytest.mark.parametrize(
    "harm",
    [
        one_byte,
        one_label,
        one_fold,
        one_clip_id,
        with_field(class_names=["rain", "dog"]),
        with_field(folds={"1": "2", "2": "1"}),
        with_field(sample_rate=8000),
        with_field(num_samples=1600),
        with_field(kept={"dog": 5, "rain": 3}),
    ],
)
def test_open_pack_of_an_older_version_damaged_is_refused(folder, packs, harm):
    fingerprint = packed(folder, packs).fingerprint
    older(path_of(fingerprint, packs))
    harm(path_of(fingerprint, packs))
    with pytest.raises(DamagedPack):
        open_pack(fingerprint, packs=packs)


def test_open_pack_of_a_later_version_says_so(folder, packs):
    fingerprint = packed(folder, packs).fingerprint
    with_field(format=3)(path_of(fingerprint, packs))
    with pytest.raises(DataError, match=r"has format 3, and this version reads up to 2"):
        open_pack(fingerprint, packs=packs)


def test_check_is_remembered_until_a_file_changes(folder, packs, cache, monkeypatch):
    fingerprint = packed(folder, packs).fingerprint
    monkeypatch.setattr(integrity, "SETTLED_NS", 0)
    reads = []
    real = integrity.file_digest
    monkeypatch.setattr(integrity, "file_digest", lambda p: reads.append(p) or real(p))
    path = path_of(fingerprint, packs)
    for _ in range(3):
        integrity.check(path, fingerprint)
    assert len(reads) == 1 and len(list((cache / "checked").iterdir())) == 1
    integrity.check(path, fingerprint, trust_memory=False)
    assert len(reads) == 2
    os.utime(path / addresses.CLIPS, ns=(1, 1))
    integrity.check(path, fingerprint)
    assert len(reads) == 3
    before = (path / addresses.CLIPS).stat()
    one_byte(path)
    os.utime(path / addresses.CLIPS, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(DamagedPack):
        integrity.check(path, fingerprint)


def test_check_of_a_file_that_has_just_changed_is_not_remembered(folder, packs, cache):
    """A clock tick later the file could change again and keep its time."""
    fingerprint = packed(folder, packs).fingerprint
    (path_of(fingerprint, packs) / addresses.CLIPS).touch()
    integrity.check(path_of(fingerprint, packs), fingerprint)
    assert not (cache / "checked").exists()


@pytest.mark.parametrize("note", ["", "[]", "{}", '{"files": 3}', '{"files": [[1]]}'])
def test_check_harmed_memory_is_ignored(folder, packs, cache, monkeypatch, note):
    fingerprint = packed(folder, packs).fingerprint
    monkeypatch.setattr(integrity, "SETTLED_NS", 0)
    integrity.check(path_of(fingerprint, packs), fingerprint)
    (file,) = (cache / "checked").iterdir()
    file.write_text(note)
    one_byte(path_of(fingerprint, packs))
    with pytest.raises(DamagedPack):
        integrity.check(path_of(fingerprint, packs), fingerprint)


def test_check_without_a_cache_folder_reads_every_time(folder, packs, monkeypatch, tmp_path):
    fingerprint = packed(folder, packs).fingerprint
    monkeypatch.setattr(integrity, "SETTLED_NS", 0)
    (tmp_path / "a_file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a_file"))
    for _ in range(2):
        assert len(open_pack(fingerprint, packs=packs)) == 8


def test_check_forgets_packs_that_are_gone(folder, packs, cache, monkeypatch):
    monkeypatch.setattr(integrity, "SETTLED_NS", 0)
    fingerprint = packed(folder, packs).fingerprint
    integrity.check(path_of(fingerprint, packs), fingerprint)
    Path(packs).rename(f"{packs}-moved")
    moved = f"{packs}-moved"
    integrity.check(path_of(fingerprint, moved), fingerprint)
    (note,) = (cache / "checked").iterdir()
    assert json.loads(note.read_text())["pack"] == str(path_of(fingerprint, moved))


def test_check_says_so_only_when_it_takes_long(folder, packs, capsys, monkeypatch):
    fingerprint = packed(folder, packs).fingerprint
    open_pack(fingerprint, packs=packs)
    assert capsys.readouterr().err == ""
    said = threading.Event()
    monkeypatch.setattr(integrity, "SAY_AFTER_S", 0.0)
    monkeypatch.setattr(integrity, "say", lambda text: said.set())
    monkeypatch.setattr(integrity, "_damage", lambda *_: "" if said.wait(30) else "nothing said")
    open_pack(fingerprint, packs=packs)
    assert said.is_set()


def test_check_by_several_at_once_reads_once(folder, packs, monkeypatch):
    fingerprint = packed(folder, packs).fingerprint
    monkeypatch.setattr(integrity, "SETTLED_NS", 0)
    reads = []
    real = integrity.file_digest
    monkeypatch.setattr(integrity, "file_digest", lambda p: reads.append(p) or real(p))
    with ThreadPoolExecutor(4) as pool:
        opened = list(pool.map(lambda _: open_pack(fingerprint, packs=packs), range(4)))
    assert len(opened) == 4 and len(reads) == 1


def test_prepare_damaged_pack_by_several_processes_sets_one_aside(folder, packs):
    first = packed(folder, packs)
    one_byte(path_of(first.fingerprint, packs))
    code = (
        "import sys; from orchestrator.data import prepare\n"
        "info = prepare('esc', {'seconds': 0.2}, root=sys.argv[1], packs=sys.argv[2])\n"
        "print(info.fingerprint)"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(folder.root), packs], stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    assert {one.communicate(timeout=60)[0].strip() for one in started} == {first.fingerprint}
    left = sorted(path.name for path in Path(packs).iterdir())
    assert left == sorted([first.fingerprint, f"{first.fingerprint}.damaged-1", "sources"])
    assert len(open_pack(first.fingerprint, packs=packs)) == 8


def test_prepare_damaged_twice_keeps_both(folder, packs):
    first = packed(folder, packs)
    for _ in range(2):
        one_byte(path_of(first.fingerprint, packs))
        packed(folder, packs)
    names = {path.name.rpartition(".")[2] for path in Path(packs).iterdir()}
    assert {"damaged-1", "damaged-2"} <= names


def test_prepare_index_that_was_changed_is_not_believed(folder, packs):
    other = prepare("esc", ARGUMENTS | {"sample_rate": 8000}, root=str(folder.root), packs=packs)
    first = packed(folder, packs)
    for index in (Path(packs) / "sources").iterdir():
        told = json.loads(index.read_text())
        if told["fingerprint"] == first.fingerprint:
            index.write_text(json.dumps(told | {"fingerprint": other.fingerprint}))
    assert peek("esc", ARGUMENTS, root=str(folder.root), packs=packs) is None
    assert packed(folder, packs) == first


def test_prepare_damaged_manifest_is_peeked_at_as_not_made(folder, packs):
    fingerprint = packed(folder, packs).fingerprint
    manifest_is({})(path_of(fingerprint, packs))
    assert peek("esc", ARGUMENTS, root=str(folder.root), packs=packs) is None
    with pytest.raises(DamagedPack):
        peek("esc", {"fingerprint": fingerprint}, root=None, packs=packs)


@pytest.mark.parametrize("given", ["../../etc", "/etc", ".", "a/b", "x" * 300, "a\x1b[31m"])
def test_open_pack_fingerprint_that_names_no_folder_is_refused(packs, given):
    for call in (
        lambda: open_pack(given, packs=packs),
        lambda: prepare("esc", {"fingerprint": given}, root=None, packs=packs),
    ):
        with pytest.raises(DataError, match="is no fingerprint of a pack") as caught:
            call()
        assert "\x1b" not in str(caught.value)


def test_set_aside_in_a_folder_that_cannot_be_written_says_so(folder, packs, monkeypatch):
    first = packed(folder, packs)
    one_byte(path_of(first.fingerprint, packs))

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(
        DataError, match=r"is damaged: .* cannot be set aside .*make its place writable"
    ):
        packed(folder, packs)


@pytest.fixture
def far(tmp_path, monkeypatch) -> Path:
    """An object store as pyarrow shows one; `far://` addresses lead to the folder."""
    (tmp_path / "bucket").mkdir()
    filesystem = SubTreeFileSystem(str(tmp_path / "bucket"), LocalFileSystem())
    monkeypatch.setattr(
        addresses, "resolve", lambda address: (filesystem, address.removeprefix("far://"))
    )
    return tmp_path / "bucket"


def test_remote_pack_damaged_on_its_way_or_there_is_refused(folder, far, cache):
    fingerprint = packed(folder, "far://packs").fingerprint
    one_byte(far / "packs" / fingerprint)
    with pytest.raises(DamagedPack, match=f"far://packs/{fingerprint} is damaged: clips.arrow"):
        open_pack(fingerprint, packs="far://packs")
    assert [path.name for path in (cache / "packs").iterdir()] == [f".{fingerprint}.lock"]


def test_remote_pack_damaged_in_the_cache_is_copied_again(folder, far, cache, capsys):
    fingerprint = packed(folder, "far://packs").fingerprint
    path = open_pack(fingerprint, packs="far://packs").path
    one_byte(path)
    pack = open_pack(fingerprint, packs="far://packs")
    assert pack.path == path and pack.content_digest() == pack.manifest["content_digest"]
    assert Path(f"{path}.damaged-1").is_dir()
    assert "set aside" in capsys.readouterr().err


def test_remote_pack_with_a_changed_manifest_is_set_aside_and_made_again(folder, far):
    first = packed(folder, "far://packs")
    path = far / "packs" / first.fingerprint
    with_field(class_names=["rain", "dog"])(path)
    assert packed(folder, "far://packs") == first  # made
    assert read_manifest(path)["class_names"] == ["dog", "rain"]
    aside = far / "packs" / f"{first.fingerprint}.damaged-1"
    assert sorted(one.name for one in aside.iterdir()) == [addresses.CLIPS, addresses.MANIFEST]


def test_pack_offsets_out_of_the_file_are_refused(folder, packs):
    fingerprint = packed(folder, packs).fingerprint
    path = path_of(fingerprint, packs)
    content = (path / addresses.CLIPS).read_bytes()
    ids = [clip.clip_id for clip in open_source("esc", ARGUMENTS, root=str(folder.root)).clips]
    start = content.index("".join(ids).encode())
    offsets = content.rindex((len(ids[0])).to_bytes(4, "little"), 0, start)
    harmed = bytearray(content)
    harmed[offsets : offsets + 4] = (2**30).to_bytes(4, "little")
    (path / addresses.CLIPS).write_bytes(harmed)
    with pytest.raises(DamagedPack, match="cannot be read"):
        Pack(path)


def test_make_pack_over_a_folder_without_manifest_sets_it_aside(folder, packs):
    source = open_source("esc", ARGUMENTS, root=str(folder.root))
    fingerprint = packing.make_pack(source, packs=packs).fingerprint
    no_manifest(path_of(fingerprint, packs))
    assert packing.make_pack(source, packs=packs).fingerprint == fingerprint
    assert len(open_pack(fingerprint, packs=packs)) == 8


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "orchestrator.data", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_audit_command_reads_the_pack_whatever_is_remembered(folder, packs):
    fingerprint = packed(folder, packs).fingerprint
    place = ("--packs", packs)
    arguments = ("audit", "--data-root", str(folder.root), "--set", "seconds=0.2", *place)
    fine = run(*arguments)
    assert fine.returncode == 0 and f"pack: {fingerprint} in {packs} is whole" in fine.stdout
    one_byte(path_of(fingerprint, packs))
    for command in (arguments, ("audit", "--set", f"fingerprint={fingerprint}", *place)):
        bad = run(*command)
        assert bad.returncode == 1 and bad.stderr == ""
        assert "is damaged: clips.arrow was changed since it was written" in bad.stdout
    assert path_of(fingerprint, packs).is_dir()
