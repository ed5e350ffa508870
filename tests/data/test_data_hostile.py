"""Hostile lists, folders, audio files and sources: one message each, at once, and no guess."""

from __future__ import annotations

import importlib
import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from esc_folders import RATE_HZ, SECONDS, EscFolder, noise

from orchestrator.data import addresses, open_pack, packing, prepare
from orchestrator.data.audit import examine
from orchestrator.data.entry import open_source
from orchestrator.data.listing import Audit
from orchestrator.data.source import Clip, ClipFault, Decoded, Source, check_decoded, check_source
from orchestrator.errors import DataError, OrchestratorError, StoreError, printable

ARGUMENTS = {"seconds": SECONDS}
HEADER = "filename,fold,target,category\n"


def list_of(folder: EscFolder) -> Path:
    return folder.root / "meta" / "made_up.csv"


def text_of(folder: EscFolder) -> bytes:
    return list_of(folder).read_bytes()


def edit(old: bytes, new: bytes):
    def spoil(folder: EscFolder) -> None:
        content = text_of(folder)
        assert old in content
        head, _, tail = content.rpartition(old)
        list_of(folder).write_bytes(head + new + tail)

    return spoil


def as_pipe(folder):
    list_of(folder).unlink()
    os.mkfifo(list_of(folder))


def as_folder(folder):
    list_of(folder).unlink()
    list_of(folder).mkdir()


def as_loop(folder):
    list_of(folder).unlink()
    list_of(folder).symlink_to(list_of(folder))


def as_device(folder):
    list_of(folder).unlink()
    list_of(folder).symlink_to("/dev/zero")


def as_nothing(folder):
    list_of(folder).write_bytes(b"")


def huge(folder):
    with list_of(folder).open("r+b") as file:
        file.truncate(1 << 40)


def audio_as_loop(folder):
    folder.audio.rename(folder.root / "elsewhere")
    folder.audio.symlink_to(folder.audio)


def audio_as_file(folder):
    folder.audio.rename(folder.root / "elsewhere")
    folder.audio.write_bytes(b"")


def meta_as_loop(folder):
    (folder.root / "meta").rename(folder.root / "elsewhere")
    (folder.root / "meta").symlink_to(folder.root / "meta")


def root_as_loop(folder):
    folder.root.rename(folder.root.with_name("elsewhere"))
    folder.root.symlink_to(folder.root)


LISTS = {
    "latin_1": (edit(b"rain\r\n", b"pl\xe9\r\n"), "line 8: the byte 0xe9 is not UTF-8; save"),
    "utf_16": (
        lambda f: list_of(f).write_bytes(text_of(f).decode().encode("utf-16")),
        "first line that is no csv in UTF-8",
    ),
    "escape_in_category": (
        edit(b"rain\r\n", b"r\x1b[31mn\r\n"),
        r"line 8: category 'r\\x1b\[31mn' has the control character U\+001B",
    ),
    "tab_in_category": (edit(b"dog\r\n", b"d\tg\r\n"), r"line 9: category .*U\+0009"),
    "line_break_in_category": (edit(b"dog\r\n", b'"d\ng"\r\n'), r"category .*U\+000A"),
    "right_to_left_in_category": (
        edit(b"dog\r\n", "d\u202eog\r\n".encode()),
        r"line 9: category .*U\+202E",
    ),
    "escape_in_filename": (edit(b"2-107", b"\x1b[2J"), r"line 9: filename '\\x1b\[2J-B-7.flac'"),
    "nul_in_filename": (edit(b"2-107", b"\0"), r"line 9: filename .*U\+0000"),
    "escape_in_fold": (edit(b",2,7", b",\x1b[2J,7"), r"line 9: fold '\\x1b\[2J' and target '7'"),
    "nul_in_fold": (edit(b",2,7", b",\x002,7"), r"line 9: fold '\\x002'"),
    "huge_fold": (edit(b",2,7", b",1" + b"0" * 30 + b",7"), "line 9: .* from 0 to 2147483647"),
    "longer_fold": (edit(b",2,7", b",1" + b"0" * 5000 + b",7"), r"line 9: fold '10+\.\.\. and"),
    "fold_of_32_bits": (edit(b",2,7", b",2147483648,7"), "line 9: fold '2147483648'"),
    "negative_fold": (edit(b",2,7", b",-2,7"), "line 9: fold '-2'"),
    "underscored_fold": (edit(b",2,7", b",1_0,7"), "line 9: fold '1_0'"),
    "arabic_fold": (edit(b",2,7", ",\u0663,7".encode()), "line 9: fold"),
    "fraction_as_target": (edit(b",7,dog", b",7.0,dog"), "target '7.0' must be whole"),
    "long_field": (edit(b"dog\r\n", b"d" * 140_000), "line 9: field larger than .*131072"),
    "open_quote": (edit(b"dog\r\n", b'"dog\r\n'), "line 9: unexpected end of data; is a quote"),
    "quote_inside": (edit(b"dog\r\n", b'"dog"x\r\n'), "line 9: .*is a quote left open"),
    "comma_in_category": (edit(b"dog\r\n", b"dog, big\r\n"), "line 9: 5 fields, .* has 4; put"),
    "missing_field": (edit(b",7,dog", b",7"), "line 9: 3 fields, and the header has 4"),
    "blank_category": (edit(b",7,dog", b",7, "), "line 9: the category is blank"),
    "column_twice": (edit(b"category\r\n", b"category,fold\r\n"), "the header has fold twice"),
    "absolute_path": (edit(b"2-107-B-7.flac", b"/etc/passwd"), "'/etc/passwd' is not the name"),
    "parent_path": (edit(b"2-107-B-7.flac", b".."), "line 9: '..' is not the name of a file"),
    "pipe": (as_pipe, "made_up.csv is not a file"),
    "folder": (as_folder, "made_up.csv is not a file"),
    "loop": (as_loop, "made_up.csv cannot be read .*symbolic links"),
    "device": (as_device, "made_up.csv is not a file"),
    "nothing": (as_nothing, "made_up.csv lacks filename, fold, target, category"),
    "huge": (huge, "more than 256 MiB"),
    "audio_as_loop": (audio_as_loop, "has no folder 'audio'"),
    "audio_as_file": (audio_as_file, "has no folder 'audio'"),
    "meta_as_loop": (meta_as_loop, "cannot read the folder .*meta: .*symbolic links"),
    "root_as_loop": (root_as_loop, "data root .* cannot be used: Symlink loop"),
}


@pytest.mark.parametrize(("spoil", "wording"), LISTS.values(), ids=LISTS)
def test_esc_hostile_list_is_one_message(folder, spoil, wording):
    spoil(folder)
    with pytest.raises(DataError, match=wording) as caught:
        open_source("esc", ARGUMENTS, root=str(folder.root))
    assert printable(str(caught.value)) == str(caught.value) and len(str(caught.value)) < 1000


@pytest.mark.parametrize("root", ["a\0b", "~nobody_of_this_name/x", "x" * 5000])
def test_esc_hostile_root_is_one_message(root):
    with pytest.raises(DataError, match="data root"):
        open_source("esc", ARGUMENTS, root=root)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: b"\xef\xbb\xbf" + content,
        lambda content: content.replace(b"\r\n", b"\n"),
        lambda content: content.replace(b"\r\n", b"\r\n\r\n"),
        lambda content: content.replace(b"dog", b'"dog"'),
        lambda content: content.replace(b"dog", "d\u0161\u06cc\u200c\u0647".encode()),
    ],
    ids=["byte_order_mark", "unix_lines", "blank_lines", "quotes", "other_scripts"],
)
def test_esc_harmless_forms_of_a_list_are_read(folder, spoil):
    list_of(folder).write_bytes(spoil(text_of(folder)))
    source = open_source("esc", ARGUMENTS, root=str(folder.root))
    assert len(source.clips) == 8 and source.class_names[0].startswith("d")


def test_esc_hostile_neighbor_of_the_list_is_left_alone(folder):
    os.mkfifo(folder.root / "meta" / "a.csv")
    (folder.root / "meta" / "b.csv").write_bytes(b"\xff\xfe")
    (folder.audio / "loop.flac").symlink_to(folder.audio / "loop.flac")
    os.mkfifo(folder.audio / "pipe.flac")
    (folder.root / "LICENSE").symlink_to(folder.root / "LICENSE")
    source = open_source("esc", ARGUMENTS, root=str(folder.root))
    assert len(source.clips) == 8 and source.unlisted == ()


def test_esc_unreadable_files_are_one_message():
    if os.getuid() != 0:
        pytest.skip("only root can become another user, who may not read")
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        folder = EscFolder(Path(place) / "made_up").fill()
        harms = [
            (list_of(folder), 0o644, "made_up.csv cannot be read .Permission denied"),
            (folder.root / "meta", 0o755, "cannot read the folder .*meta: Permission denied"),
            (folder.audio, 0o755, "cannot read the folder .*audio: Permission denied"),
            (folder.root, 0o755, "Permission denied"),
        ]
        for path, mode, wording in harms:
            path.chmod(0)
            os.seteuid(65534)
            try:
                with pytest.raises(DataError, match=wording):
                    open_source("esc", ARGUMENTS, root=str(folder.root))
            finally:
                os.seteuid(0)
                path.chmod(mode)
        folder.path(0).chmod(0)
        os.seteuid(65534)
        try:
            audit = Audit.of(open_source("esc", ARGUMENTS, root=str(folder.root)))
        finally:
            os.seteuid(0)
        assert [record.problems[0].kind for record in audit.broken] == ["unreadable"]


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def loop(path):
    path.unlink()
    path.symlink_to(path)


def flac_of_2_to_the_36(path):
    """A FLAC whose header declares all the samples that its field can."""
    content = bytearray(path.read_bytes())
    content[21] |= 0x0F
    content[22:26] = b"\xff" * 4
    path.write_bytes(content)


def wav_rate(rate_hz):
    def write(path):
        soundfile.write(path, noise(0), RATE_HZ, format="WAV", subtype="PCM_16")
        content = bytearray(path.read_bytes())
        content[24:28] = struct.pack("<I", rate_hz)
        path.write_bytes(content)

    return write


def undivided_integers(path):
    soundfile.write(path, 32768 * noise(0), RATE_HZ, format="WAV", subtype="FLOAT")


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (pipe, "not a file"),
        (loop, "symbolic links"),
        (flac_of_2_to_the_36, ""),
        (wav_rate(1), "a sample rate of 1 Hz"),
        (wav_rate(2**31 - 1), "a sample rate of 2147483647 Hz"),
        (wav_rate(2**32 - 1), ""),
        (undivided_integers, "samples reach 163"),
    ],
)
def test_audit_hostile_audio_file_is_unreadable(folder, harm, reason):
    harm(folder.path(0))
    source = open_source("esc", {"seconds": 0}, root=str(folder.root))
    first = next(iter(examine(source))).record
    assert first.problems[0].kind in ("unreadable", "truncated") and reason in first.reason


def test_audit_clip_shorter_than_a_sample_of_the_pack_is_broken(folder, packs):
    soundfile.write(folder.path(0), noise(0)[:1], 48000, subtype="PCM_16")
    with pytest.raises(
        DataError, match=r"1 of 8 clips .*\n.*empty: not one sample long at 1000 Hz"
    ):
        prepare("esc", {"seconds": 0, "sample_rate": 1000}, root=str(folder.root), packs=packs)


def test_prepare_clips_of_one_sample_are_packed_as_they_are(folder, packs):
    for index in range(8):
        value = np.full((1, 1), (index + 1) / 32768)
        soundfile.write(folder.path(index), value, RATE_HZ, subtype="PCM_16")
    info = prepare("esc", {"seconds": 0}, root=str(folder.root), packs=packs)
    pack = open_pack(info.fingerprint, packs=packs)
    assert info.num_samples == 1 and [int(pack.waveform(i)[0]) for i in range(8)] == [*range(1, 9)]


def made(**changes) -> Source:
    clips = tuple(Clip(f"c{n}", n % 2, 1 + n // 2, f"r{n}") for n in range(4))
    source = Source(
        name="own",
        sample_rate=RATE_HZ,
        class_names=("dog", "rain"),
        fold_names={1: "1", 2: "2"},
        clips=clips,
        read=lambda clip: Decoded(noise(int(clip.clip_id[1:]))[:, 0], RATE_HZ, 1),
        signature="own-1",
    )
    return replace(source, **changes)


def with_clip(**changes):
    clips = made().clips
    return made(clips=(replace(clips[0], **changes), *clips[1:]))


OWN = [
    (lambda: None, "returned None; its function must return an .*Source"),
    (lambda: with_clip(clip_id="c1"), "clip 1: clip_id 'c1' is there twice"),
    (lambda: with_clip(clip_id="c\x1b"), r"clip 0: clip_id is 'c\\x1b'; give a name without"),
    (lambda: with_clip(clip_id=3), "clip 0: clip_id is 3"),
    (lambda: with_clip(label=2), "clip 0: label is 2; give an int from 0 to 1"),
    (lambda: with_clip(label=-1), "clip 0: label is -1"),
    (lambda: with_clip(label=1.0), "clip 0: label is 1.0"),
    (lambda: with_clip(label=True), "clip 0: label is True"),
    (lambda: with_clip(label=np.int64(1)), r"clip 0: label is np.int64\(1\)"),
    (lambda: with_clip(label=2**40), "clip 0: label is 1099511627776"),
    (lambda: with_clip(fold=3), "clip 0: fold is 3; fold_names has 1, 2"),
    (lambda: with_clip(fold="1"), "clip 0: fold is '1'"),
    (lambda: with_clip(source_id=""), "clip 0: source_id is ''"),
    (lambda: with_clip(path=None), "clip 0: path is None"),
    (lambda: made(clips=(1, *made().clips)), "clip 0: 1 is no Clip"),
    (lambda: made(clips=()), r"clips is \(\); give a tuple"),
    (lambda: made(clips=iter(())), "clips is <.*; give a tuple"),
    (lambda: made(class_names=("dog", "dog")), "class_names has 'dog' twice"),
    (lambda: made(class_names=("dog", "ra\x07in")), r"class_names has 'ra\\x07in'"),
    (lambda: made(class_names=("dog", "")), "class_names has ''"),
    (lambda: made(class_names="ab"), "class_names is 'ab'"),
    (lambda: made(class_names=("dog", "rain", "cat")), "class 'cat' has no clip"),
    (lambda: made(fold_names={1: "1", 2: "2", 3: "3"}), "fold '3' has no clip"),
    (lambda: made(fold_names={1: "a", 2: "a"}), "fold_names has 'a' twice"),
    (lambda: made(fold_names={"1": "1", 2: "2"}), "fold_names is .*a mapping of whole numbers"),
    (lambda: made(fold_names={1: "1", 2**40: "2"}), "fold_names is"),
    (lambda: made(fold_names=["1", "2"]), "fold_names is"),
    (lambda: made(sample_rate=16000.0), "sample_rate is 16000.0; give a whole number of Hz"),
    (lambda: made(sample_rate=10**10), "sample_rate is 10000000000"),
    (lambda: made(signature="../../x"), "signature is '../../x'; give up to 128 letters"),
    (lambda: made(signature=""), "signature is ''"),
    (lambda: made(fingerprint="a/b"), "fingerprint is 'a/b'"),
    (lambda: made(seconds=float("nan")), "seconds is nan"),
    (lambda: made(seconds=-1.0), "seconds is -1.0"),
    (lambda: made(on_broken="skip"), "on_broken is 'skip'; give stop or drop"),
    (lambda: made(read=None), "read is None; give a function"),
    (lambda: made(notes="text"), "notes is 'text'; give a tuple"),
    (lambda: made(root=None), "root is None; give a text"),
]


@pytest.mark.parametrize(("build", "wording"), OWN, ids=[wording[:30] for _, wording in OWN])
def test_check_source_of_the_users_own_is_one_message(build, wording):
    with pytest.raises(DataError, match=f"dataset 'own:data' .*(\n.*)*{wording}"):
        check_source(build(), dataset="own:data")


def test_check_source_names_all_mistakes_at_once():
    clips = tuple(replace(clip, label=9, fold=9) for clip in made().clips)
    with pytest.raises(DataError) as caught:
        check_source(made(clips=clips, seconds="5", read=3), dataset="own:data")
    assert [line.split(";")[0] for line in str(caught.value).splitlines()[1:]] == [
        "  - read is 3",
        "  - seconds is '5'",
        "  - clip 0: label is 9",
        "  - clip 0: fold is 9",
    ]
    assert str(caught.value).count("(and 3 clips more)") == 2


def decoded(samples, rate_hz=RATE_HZ, channels=1):
    return Decoded(samples, rate_hz, channels)


ONE_S = np.zeros(RATE_HZ, np.float32) + 0.1
READS = [
    (lambda: None, DataError, "it is None; return an .*Decoded"),
    (lambda: decoded([0.1, 0.2]), DataError, r"samples is \[0.1, 0.2\]; give a numpy array"),
    (
        lambda: decoded((ONE_S * 32767).astype(np.int16)),
        DataError,
        "samples is int16; give float32",
    ),
    (lambda: decoded(ONE_S.astype(complex)), DataError, "samples is complex128"),
    (lambda: decoded(ONE_S.reshape(2, -1)), DataError, r"the shape \(2, 8000\); give \(time,\)"),
    (lambda: decoded(np.array(0.1, np.float32)), DataError, r"the shape \(\)"),
    (lambda: decoded(ONE_S, rate_hz=16000.0), DataError, "rate_hz is 16000.0"),
    (lambda: decoded(ONE_S, channels=0), DataError, "channels is 0"),
    (lambda: decoded(ONE_S, rate_hz=10), ClipFault, "unreadable: a sample rate of 10 Hz"),
    (lambda: decoded(ONE_S[:0]), ClipFault, "empty: no samples"),
    (lambda: decoded(ONE_S * np.float32("nan")), ClipFault, "non_finite: 16000 samples"),
    (lambda: decoded(ONE_S * np.float32("inf")), ClipFault, "non_finite"),
    (lambda: decoded(ONE_S * 20000), ClipFault, "samples reach 2000, and full scale is 1"),
]


@pytest.mark.parametrize(("build", "error", "wording"), READS, ids=[w[:25] for _, _, w in READS])
def test_check_decoded_wrong_return_of_read_is_one_message(build, error, wording):
    with pytest.raises(error, match=wording):
        check_decoded(build())


def raises(error):
    def read(clip):
        raise error

    return read


@pytest.mark.parametrize(
    ("read", "wording"),
    [
        (lambda clip: None, r"what read returned for clip 'c0' cannot be used: it is None"),
        (raises(KeyError("x")), r"read failed for clip 'c0' with KeyError: 'x' \(test_data_hos"),
        (raises(ClipFault("odd", "")), "unknown problem of a ClipFault 'odd'.*valid: empty"),
        (lambda clip: decoded(ONE_S * np.float32("nan")), "4 of 4 .*\n.*c0: non_finite"),
    ],
)
def test_make_pack_of_a_source_whose_read_is_wrong_leaves_nothing(packs, read, wording):
    with pytest.raises(DataError, match=wording):
        packing.make_pack(made(read=read), packs=packs)
    assert list(Path(packs).iterdir()) == []


OWN_MODULE = """
from orchestrator.data.source import Clip, Source
def twice(root):
    clip = Clip("a", 0, 1, "r")
    return Source("twice", 16000, ("x",), {1: "1"}, (clip, clip), print, "s")
def fails(root):
    return {}["nothing"]
"""


@pytest.mark.parametrize(
    ("dataset", "wording"),
    [
        ("own_data:twice", "dataset 'own_data:twice' cannot be used:\n  - clip 1: clip_id 'a'"),
        ("own_data:fails", "cannot be built: KeyError: 'nothing' (own_data.py, line 7)"),
        ("broken_data:any", "cannot be imported: SyntaxError"),
        ("hidden_data:whole", "dataset 'hidden_data:whole': hidden_data (hidden_data.py) loads"),
    ],
)
def test_command_own_source_with_a_mistake_exits_2(tmp_path, dataset, wording):
    (tmp_path / "own_data.py").write_text(OWN_MODULE)
    (tmp_path / "broken_data.py").write_text("def any(:")
    hidden = TONES.replace("from helper_of_tones import LEVEL", "import runpy\nLEVEL = 0.1")
    hidden = hidden.replace("def tones(root):", "def whole(root):\n    runpy.run_path")
    (tmp_path / "hidden_data.py").write_text(hidden)
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator.data", "audit", "--dataset", dataset],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"},
    )
    assert done.returncode == 2 and wording in done.stderr and "Traceback" not in done.stderr


TONES = """
import numpy as np
from helper_of_tones import LEVEL
from orchestrator.data.source import Clip, Decoded, Source
def tones(root):
    clips = tuple(Clip(f"c{n}", n % 2, 1 + n // 2, f"r{n}") for n in range(4))
    def read(clip):
        wave = LEVEL * np.sin(np.arange(3200) * 0.1 * (1 + int(clip.clip_id[1:])))
        return Decoded(wave.astype(np.float32), 16000, 1)
    return Source("tones", 16000, ("x", "y"), {1: "1", 2: "2"}, clips, read, "always-the-same")
"""


def test_own_source_whose_helper_changed_is_packed_again(tmp_path, packs, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_tones.py").write_text(TONES)
    found = []
    for level in ("0.1", "0.1", "0.4"):
        (tmp_path / "helper_of_tones.py").write_text(f"LEVEL = {level}\n")
        for module in ("own_tones", "helper_of_tones"):
            sys.modules.pop(module, None)
        importlib.invalidate_caches()
        found.append(prepare("own_tones:tones", {}, root=None, packs=packs).fingerprint)
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize("harm", ["pipe", "latin_1", "root_as_loop"])
def test_command_hostile_folder_exits_2_at_once(folder, harm):
    LISTS[harm][0](folder)
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator.data", "audit", "--data-root", str(folder.root)],
        capture_output=True,
        text=True,
        timeout=15,
    )
    assert done.returncode == 2 and done.stdout == "" and done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


def test_error_messages_show_control_characters_as_escapes():
    for kind in (OrchestratorError, DataError, StoreError):
        assert str(kind("a\x1b[31m\u202e\udce9\n\tb")) == "a\\x1b[31m\\u202e\\udce9\n\tb"
    assert printable("na\u00efve \u200c\u6f22") == "na\u00efve \u200c\u6f22"


def test_prepare_folder_of_a_hostile_name_is_packed(folder, packs, capsys):
    odd = folder.root.with_name("m\udce9\x1b[31m")
    folder.root.rename(odd)
    info = prepare("esc", ARGUMENTS, root=str(odd), packs=packs)
    manifest = open_pack(info.fingerprint, packs=packs).manifest
    assert manifest["root_hint"].endswith("m\\udce9\\x1b[31m")


def test_synthetic_endless_list_of_clips_is_refused():
    with pytest.raises(DataError, match="clips_per_class is 1000000000; give 100000 at most"):
        open_source("synthetic", {"clips_per_class": 10**9}, root=None)


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of one megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("a small file system cannot be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


# 128 clips of a second are 4.1 MB; without a length, a disk's end is found by reaching it.
@pytest.mark.parametrize(
    ("changes", "needs"),
    [
        ({"seconds": 1.0}, "about 4.1 MB, and 1.0 MB are free"),
        ({"seconds": 1.0, "on_broken": "drop"}, "about 4.1 MB"),
        ({}, "16 bit per sample of all clips"),
    ],
)
def test_make_pack_on_a_full_disk_says_what_is_needed_and_leaves_nothing(
    small_disk, changes, needs
):
    clips = tuple(Clip(f"c{n}", n % 2, 1 + n % 4 // 2, f"r{n}") for n in range(128))

    def read(clip: Clip) -> Decoded:
        return Decoded(noise(int(clip.clip_id[1:]), seconds=1.0)[:, 0], RATE_HZ, 1)

    source = made(clips=clips, read=read, **changes)
    with pytest.raises(DataError, match=f"no space to pack the dataset: .* needs {needs}"):
        packing.make_pack(source, packs=str(small_disk / "packs"))
    assert [path for path in small_disk.rglob("*") if path.is_file()] == []


def test_write_text_on_a_full_disk_leaves_nothing(small_disk):
    (small_disk / "filling").write_bytes(b"x" * 1_000_000)
    with pytest.raises(OSError, match="No space left"):
        addresses.write_text(str(small_disk / "note"), "x" * 100_000)
    assert [path.name for path in small_disk.iterdir()] == ["filling"]
