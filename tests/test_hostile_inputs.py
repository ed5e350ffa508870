"""Whatever people and files bring is answered by one message and exit code 2; nothing is lost.

A finished sweep lies in a store. Each case spoils one thing and types a command. Its traps write
the file `sprung` where they are executed, and beside the store lies what no path may lead out to.
All that was there before the command is there after it, byte by byte.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import json
import os
import pickle
import re
import shutil
import signal
import sqlite3
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pyarrow as pa
import pytest
import soundfile
import torch

from models.__main__ import main as models_command
from orchestrator import cli, recipes
from orchestrator.cluster.__main__ import main as cluster_command
from orchestrator.data.__main__ import main as data_command
from orchestrator.design.factors import Arm
from orchestrator.design.plan import Plan
from orchestrator.design.search_space import Search, Uniform
from orchestrator.execution.trial import TrialRun
from orchestrator.experiment.config import Component, File
from orchestrator.records import Status
from orchestrator.report.__main__ import main as report_command
from orchestrator.store import Store, forms
from orchestrator.store.__main__ import main as store_command
from orchestrator.tracking.__main__ import main as sync_command
from tests import tiny

RUN = "touch sprung"
CODE = f"__import__('os').system('{RUN}')"
STEER = "\x1b]0;owned\x07\x1b[2J\u202e"
"""Names the window, clears the screen and turns the reading direction."""


class Trap:
    """Leaves a file behind if it is ever unpickled as Python would."""

    def __reduce__(self):
        return (os.system, (RUN,))


class Study:
    """A sweep of one trained trial, `hostile`, in the store of a folder."""

    def __init__(self, folder: Path, trained: Path):
        self.folder, self.trained = folder, trained
        self.path = folder / "store"
        self.store = Store.open(self.path, create=False)
        self.plan = self.store.require_plan("hostile")
        self.trial = self.plan.trials[0].id
        self.at = self.path / forms.trial_folder(self.trial)
        self.pack = self.path / "packs" / str(self.plan.dataset["fingerprint"])
        self.data = folder / "data"


def edit(path: Path, change: Callable[[dict], Any], *, signs: bool = True) -> None:
    """Change a stored form; with a digest that fits, as only this program should."""
    form = json.loads(path.read_text())
    if signs:
        del form["digest"]
    change(form)
    content = json.dumps(form, separators=(",", ":"))
    if signs:
        content = f'{{"digest":"{forms.digest_of(content.encode())}",{content[1:]}'
    path.write_text(content)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    experiment = tiny.experiment(epochs=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        store = tiny.store_with_pack(folder / "store", experiment)
        plan = Plan(
            name="hostile", question="Is it?", base=experiment, arms=(Arm(name="a"),), seeds=(0,)
        )
        store.write_plan(plan.record(**experiment.dataset.arguments))
        record = TrialRun(store=store, trial_id=experiment.id, experiment=experiment).run()
        assert record.status is Status.FINISHED, record.error
        data = folder / "data"
        for label in ("dog", "rain"):
            (data / label).mkdir(parents=True)
            for take in range(4):
                wave = np.random.default_rng([len(label), take]).normal(0, 0.1, 3200)
                soundfile.write(data / label / f"{take}.wav", wave, 16000, subtype="PCM_16")
        (folder / "outside").mkdir()
        shutil.copy(data / "dog" / "0.wav", folder / "outside" / "secret.wav")
    return folder


@dataclasses.dataclass(frozen=True)
class Case:
    """What is spoiled, what is typed then, and what the message says.

    Attributes:
        spoil: Spoils the study; returns the sweep of a command that is a sweep file's.
        argv: The command and its words, with `{folder}` for where it is typed.
        says: Expression that the message matches.
        code: The exit code, 1 only where an upload has failed.
    """

    spoil: Callable[[Study], Any]
    argv: tuple[str, ...]
    says: str
    code: int = 2


COMMANDS: dict[str, Callable[..., int]] = {
    "report": report_command,
    "store": store_command,
    "data": data_command,
    "sync": sync_command,
    "models": models_command,
    "cluster": cluster_command,
}


def nothing(study: Study) -> None:
    """Leave everything as it is."""


# Plans


def planned(**changes: Any) -> Callable[[Study], Plan]:
    return lambda study: dataclasses.replace(PLAN, **changes)


def arm(changes: dict[str, Any], name: str = "more") -> Callable[[Study], Plan]:
    return planned(arms=(Arm(name="plain"), Arm(name=name, changes=changes)))


PLAN = Plan(
    name="p",
    question="?",
    base=recipes.datar_tiny(),
    demo=recipes.datar_laptop(),
    arms=(Arm(name="plain"), Arm(name="adaptor", changes={"transform": Component("adaptor")})),
)
SMALL = Plan(
    name="p",
    question="?",
    base=tiny.experiment(),
    arms=(Arm(name="plain"), Arm(name="adaptor", changes={"transform": Component("adaptor")})),
    seeds=(0,),
)
DRY = ("sweep", "--dry-run")

PLANS = {
    "no plan": Case(lambda s: None, DRY, "cli.main was given a NoneType; give it the sweep's Plan"),
    "list of plans": Case(lambda s: [PLAN], DRY, "cli.main was given a list"),
    "no arms": Case(planned(arms=()), DRY, "it has no arms"),
    "arms of nothing": Case(
        planned(arms=None), ("sweep", "--arms", "a", "--dry-run"), "arms is None"
    ),
    "contrast of a letter": Case(planned(contrasts=("a",)), DRY, r"contrasts is \('a',\)"),
    "demo is a number": Case(planned(demo=3), ("sweep", "--demo", "--dry-run"), "demo is 3"),
    "nul in an arm": Case(
        arm({"epochs": 2}, "x\0y"), DRY, "with characters that no table can show"
    ),
    "control characters in an arm": Case(
        arm({"epochs": 2}, STEER), DRY, "with characters that no table can show"
    ),
    "line break in an arm": Case(
        arm({"epochs": 2}, "a\nb"), DRY, "with characters that no table can show"
    ),
    "sweep out of the store": Case(planned(name="../../outside/x"), DRY, "letters"),
    "control characters in a sweep": Case(planned(name=STEER), DRY, "letters"),
    "markup in a sweep": Case(planned(name="<script>"), DRY, "letters"),
    "code as a number": Case(arm({"epochs": CODE}), DRY, "epochs"),
    "attribute of Python": Case(arm({"__class__": 1}), DRY, "__class__"),
    "path into a method": Case(arm({"model.__init__.__globals__": 1}), DRY, "__init__"),
    "Python's own function": Case(
        arm({"model": Component("os:system", command=RUN)}), DRY, "os:system"
    ),
    "builtin function": Case(
        arm({"loss": Component("builtins:eval", source=CODE)}), DRY, "builtins:eval"
    ),
    "module of a path": Case(arm({"model": Component("../outside/x:Y")}), DRY, "outside"),
    "metric of Python": Case(planned(metric="os:system"), DRY, "os:system"),
    "metric that is code": Case(planned(metric=CODE), DRY, "unknown metric"),
    "number of 400 digits": Case(arm({"epochs": 10**400}), DRY, "epochs"),
    "number of 5000 digits in a plan": Case(
        arm({"epochs": 10**5000}), DRY, "epochs is a whole number of 16610 bits"
    ),
    "number beyond floats": Case(
        arm({"optimizer.learning_rate": 10**400}), DRY, "learning_rate is a whole number of 1329"
    ),
    "long number in a tuple": Case(
        arm({"model.depths": (10**5000,)}), DRY, "a whole number of more"
    ),
    "not a number": Case(arm({"optimizer.learning_rate": float("nan")}), DRY, "learning_rate"),
    "function as a value": Case(arm({"model.depths": print}), DRY, "depths"),
    "set as a value": Case(arm({"model.depths": {1}}), DRY, "depths"),
    "itself as a value": Case(arm({"model.depths": (ring := [])}), DRY, "depths"),
    "seeds without end": Case(planned(seeds=range(10**12)), DRY, "it has 2,000,000,000,000 trials"),
}
ring.append(ring)

# Command lines


def typed(*argv: str) -> tuple[str, ...]:
    return ("sweep", *argv, "--dry-run")


def plan(study: Study) -> Plan:
    return PLAN


LINES = {
    "made-up data": Case(
        plan, ("sweep",), "made-up sounds: give your own with --data-root DIR, take"
    ),
    "100,000 seeds": Case(plan, typed("--seeds", "100000"), "it has 200,000 trials"),
    "seed twice": Case(plan, typed("--seeds", "1,1"), r"seeds \[1, 1\] name one twice"),
    "no seeds": Case(plan, typed("--seeds", ","), "it has no seeds"),
    "number of 5000 digits": Case(plan, typed("--seeds", "9" * 5000), "too large a number"),
    "number that is code": Case(plan, typed("--epochs", CODE), "is not a whole number"),
    "arabic number": Case(plan, typed("--epochs", "\u0663"), "is not a whole number"),
    "share that is no number": Case(
        plan, typed("--gpus-per-worker", "nan"), "is neither a fraction"
    ),
    "fold that is a command": Case(plan, typed("--folds", f";{RUN}"), "is not a whole number"),
    "pattern of no arm": Case(plan, typed("--arms", "no*"), r"unknown arm 'no\*'"),
    "empty arm": Case(plan, typed("--arms", ""), "unknown arm ''"),
    "arm that steers": Case(plan, typed("--arms", STEER), r"unknown arm '\\x1b\]0;owned"),
    "command as a data set": Case(
        plan, typed("--dataset", f"$({RUN})"), r"unknown dataset '\$\(touch"
    ),
    "Python's function as a data set": Case(plan, typed("--dataset", "os:system"), "os:system"),
    "code as an argument": Case(
        plan, typed("--dataset", f"synthetic:num_classes={CODE}"), "num_classes"
    ),
    "command as a folder": Case(plan, typed("--data-root", f"$({RUN})"), r"\$\(touch sprung\)"),
    "nul in a folder": Case(plan, typed("--data-root", "a\0b"), "data root"),
    "sweep out of the store by name": Case(nothing, ("report", "../../outside"), "unknown sweep"),
    "sweep that steers": Case(nothing, ("report", STEER), r"unknown sweep '\\x1b"),
    "sweep that is markup": Case(
        nothing, ("report", "<script>"), "unknown sweep '<script>'.*hostile"
    ),
    "format that is a command": Case(
        nothing, ("report", "hostile", "--format", f"$({RUN})"), "unknown format"
    ),
    "metric of a module": Case(
        nothing, ("report", "hostile", "--metric", "os:system"), "os:system"
    ),
    "own metric of a path": Case(
        nothing, ("report", "hostile", "--own", "../outside:x"), "outside:x"
    ),
    "paper table out of the package": Case(
        nothing, ("report", "hostile", "--paper-table", "../../x"), "unknown paper table"
    ),
    "clips of a path": Case(
        nothing, ("report", "hostile", "--clips", "../../outside", "x"), "outside"
    ),
    "page into a file": Case(
        nothing, ("report", "hostile", "--out", "data/dog/0.wav"), "is a file"
    ),
    "store of another scheme": Case(
        nothing, ("report", "hostile", "--store", "nosuch://x"), "nosuch"
    ),
    "store with nul": Case(nothing, ("report", "hostile", "--store", "a\0b"), "a\\\\x00b|store"),
    "store that is a file": Case(
        nothing, ("report", "hostile", "--store", "data/dog/0.wav"), "no store at"
    ),
    "store of no name": Case(nothing, ("store", "ls", "--store", ""), "the store has no place"),
    "trial out of the store": Case(nothing, ("store", "show", "../../outside"), "unknown trial"),
    "empty trial": Case(nothing, ("store", "show", ""), "unknown trial ''"),
    "sweep to list out of the store": Case(
        nothing, ("store", "ls", "../../outside"), "cannot name a sweep"
    ),
    "sweep to copy out of the store": Case(
        nothing, ("store", "export", "..", "other"), "cannot name a sweep"
    ),
    "setting that is code": Case(
        nothing, ("data", "look", "--dataset", "synthetic", "--set", CODE), "give it as key=value"
    ),
    "rate that is code": Case(
        nothing,
        ("data", "look", "--dataset", "synthetic", "--set", f"sample_rate={CODE}"),
        "must be a whole number",
    ),
    "copy of a device": Case(
        nothing, ("data", "audit", "--data-root", "data", "--against", "/dev/zero"), "/dev/zero"
    ),
    "model that steers": Case(nothing, ("models", STEER), r"unknown model '\\x1b"),
    "tracking at a folder": Case(nothing, ("sync", "--tracking-uri", "outside"), "is a folder"),
    "tracking at a file's address": Case(
        nothing, ("sync", "--tracking-uri", "file:///etc"), "unknown scheme"
    ),
    "tracking at no host": Case(nothing, ("sync", "--tracking-uri", "http://a b"), "names no host"),
}

# Lists of a data set


def listed(text: str | bytes, name: str = "labels.csv") -> Callable[[Study], None]:
    def write(study: Study) -> None:
        path = study.data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)

    return write


def rows(*more: str) -> Callable[[Study], None]:
    good = [f"{label}/{take}.wav,{label}" for label in ("dog", "rain") for take in range(4)]
    return listed("\n".join(["path,label", *good, *more]))


def tarred(name: str, **how: Any) -> Callable[[Study], None]:
    """A shard of clips, the last of a name and kind of its own."""

    def write(study: Study) -> None:
        sounds = sorted(study.data.rglob("*.wav"))
        with tarfile.open(study.data / "shard.tar", "w") as tar:

            def add(name: str, data: bytes, **how: Any) -> None:
                member = tarfile.TarInfo(name)
                member.size = len(data)
                for key, value in how.items():
                    setattr(member, key, value)
                tar.addfile(member, io.BytesIO(data))

            for number, path in enumerate(sounds):
                add(f"{number}.wav", path.read_bytes())
                add(f"{number}.cls", b"%d" % (number % 2))
            add(f"{name}.wav", b"", **how)
            add(f"{name}.cls", b"0")
        for label in ("dog", "rain"):
            shutil.rmtree(study.data / label)

    return write


def parquet(study: Study) -> None:
    (study.data / "clips.parquet").write_bytes(b"PAR1" + pickle.dumps(Trap()) + b"PAR1")


def kaldi(entry: str) -> Callable[[Study], None]:
    def write(study: Study) -> None:
        scp = [f"u{n} {path}" for n, path in enumerate(sorted(study.data.rglob("*.wav")))]
        (study.data / "wav.scp").write_text("\n".join([*scp, f"u9 {entry}"]))
        (study.data / "utt2label").write_text(
            "\n".join(f"u{n} {'dog' if n < 4 else 'rain'}" for n in range(10))
        )

    return write


def named_folder(name: str) -> Callable[[Study], None]:
    return lambda study: (study.data / "dog").rename(study.data / name)


LOOK = ("data", "look", "--data-root", "data")
TABLE = (*LOOK, "--set", "layout=table")
PACK = ("data", "pack", "--data-root", "data", "--packs", "packs")

LISTS = {
    "path out of the folder": Case(
        rows("../outside/secret.wav,dog"), TABLE, "line 10.*leads out of"
    ),
    "path from the root": Case(
        rows("/etc/passwd,dog"), (*PACK, "--set", "layout=table"), "passwd: unreadable"
    ),
    "path of a command": Case(
        rows(f"$({RUN}).wav,dog"), (*PACK, "--set", "layout=table"), r"\$\(touch sprung\)"
    ),
    "nul in a path": Case(rows("dog/\0.wav,dog"), TABLE, r"line 10: .dog/.x00.wav. is no path"),
    "label that steers": Case(rows(f"dog/4.wav,{STEER}"), TABLE, r"line 10.*U\+001B"),
    "field of 140 kB": Case(rows(f"dog/4.wav,{'x' * 140_000}"), TABLE, "line 10: field larger"),
    "quote left open": Case(rows('dog/4.wav,"dog'), TABLE, "line 10.*quote left open"),
    "list in UTF-16": Case(listed("path,label\na,b".encode("utf-16")), TABLE, "UTF-8"),
    "list that is a pickle": Case(listed(pickle.dumps(Trap())), TABLE, "UTF-8"),
    "list that is a device": Case(
        lambda s: (s.data / "labels.csv").symlink_to("/dev/zero"), TABLE, "no list of clips"
    ),
    "list that is a pipe": Case(
        lambda s: os.mkfifo(s.data / "labels.csv"), TABLE, "no list of clips"
    ),
    "json of 100,000 brackets": Case(listed("[" * 100_000, "labels.jsonl"), TABLE, "line 1"),
    "parquet of a pickle": Case(parquet, LOOK, "clips.parquet cannot be read"),
    "pipe of kaldi": Case(
        kaldi(f"{RUN} |"), (*LOOK, "--set", "layout=kaldi"), "wav.scp line 9.*never run"
    ),
    "archive out of the folder": Case(
        tarred("../outside/x"), PACK, r"\.\./outside/x.*Nothing was packed"
    ),
    "archive from the root": Case(tarred("/etc/x"), PACK, "/etc/x.*Nothing was packed"),
    "archive with a link": Case(
        tarred("8", type=tarfile.SYMTYPE, linkname="/etc/passwd"), LOOK, "8"
    ),
    "class that steers": Case(named_folder("d\x1b[2Jg"), LOOK, r"U\+001B"),
    "class that turns text": Case(named_folder("d\u202eg"), LOOK, r"U\+202E"),
}

# Audio


def sounding(harm: Callable[[Path], Any]) -> Callable[[Study], None]:
    return lambda study: harm(study.data / "dog" / "0.wav")


def as_link(target: str) -> Callable[[Path], None]:
    def link(path: Path) -> None:
        path.unlink()
        path.symlink_to(target)

    return link


def as_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def patched(at: int, data: bytes) -> Callable[[Path], None]:
    def patch(path: Path) -> None:
        content = path.read_bytes()
        path.write_bytes(content[:at] + data + content[at + len(data) :])

    return patch


def not_finite(path: Path) -> None:
    soundfile.write(path, np.full(3200, np.nan, np.float32), 16000, subtype="FLOAT")


def bomb(path: Path) -> None:
    """A FLAC whose header declares 2^36 samples."""
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(3200), 16000, format="FLAC", subtype="PCM_16")
    content = bytearray(buffer.getvalue())
    content[21] |= 0x0F
    content[22:26] = b"\xff" * 4
    path.write_bytes(content)


def audio(harm: Callable[[Path], Any], says: str) -> Case:
    return Case(sounding(harm), PACK, rf"dog/0\.wav.*{says}.*on_broken=drop")


AUDIO = {
    "page for a sound": audio(lambda p: p.write_text("<html>quota</html>"), "unreadable"),
    "pickle for a sound": audio(lambda p: p.write_bytes(pickle.dumps(Trap())), "unreadable"),
    "sound of no bytes": audio(lambda p: p.write_bytes(b""), "empty"),
    "sound cut short": audio(lambda p: p.write_bytes(p.read_bytes()[:2000]), "truncated"),
    "sound of 2^36 samples": audio(bomb, ""),
    "rate of 4 GHz": audio(patched(24, b"\xff" * 4), "unreadable"),
    "65535 channels": audio(patched(22, b"\xff\xff"), "unreadable"),
    "samples that are no numbers": audio(not_finite, "non_finite"),
    "sound that is a pipe": audio(as_pipe, "not a file"),
    "sound that is a device": audio(as_link("/dev/zero"), "not a file"),
    "sound that is a loop": audio(as_link("0.wav"), "does not exist"),
}

# Packs

CHECK = ("sweep", "--check")
REPORT = ("report", "hostile")


def manifest(change: Callable[[dict], Any]) -> Callable[[Study], None]:
    def spoil(study: Study) -> None:
        form = json.loads((study.pack / "pack.json").read_text())
        change(form)
        (study.pack / "pack.json").write_text(json.dumps(form))

    return spoil


def packed(name: str, data: bytes) -> Callable[[Study], None]:
    return lambda study: (study.pack / name).write_bytes(data)


def extension(study: Study) -> None:
    """Arrow's extension type of Python, whose metadata older versions unpickled."""
    field = pa.field(
        "clip_id",
        pa.string(),
        metadata={
            "ARROW:extension:name": "arrow.py_extension_type",
            "ARROW:extension:metadata": pickle.dumps(Trap()),
        },
    )
    table = pa.table([pa.array(["a"])], schema=pa.schema([field]))
    with pa.ipc.new_file(str(study.pack / "clips.arrow"), table.schema) as writer:
        writer.write_table(table)


PACKS = {
    "pack.json cut short": Case(packed("pack.json", b'{"format"'), REPORT, "pack.json is no JSON"),
    "pack.json that is a pickle": Case(packed("pack.json", pickle.dumps(Trap())), REPORT, "pack"),
    "pack.json of brackets": Case(packed("pack.json", b"[" * 100_000), REPORT, "is no JSON"),
    "pack.json out of its folder": Case(
        manifest(lambda m: m.update(fingerprint="../x")), REPORT, "was changed since"
    ),
    "pack of a later version": Case(
        manifest(lambda m: m.update(format=99)), REPORT, "install the version"
    ),
    "pack with class names that steer": Case(
        manifest(lambda m: m.update(class_names=[STEER] * 3)), REPORT, "damaged"
    ),
    "clips that are a pickle": Case(
        packed("clips.arrow", pickle.dumps(Trap())), REPORT, "clips.arrow has"
    ),
    "clips with a type of Python": Case(extension, REPORT, "clips.arrow has"),
    "clips that are a pipe": Case(
        lambda s: (s.pack / "clips.arrow").unlink() or os.mkfifo(s.pack / "clips.arrow"),
        REPORT,
        "clips.arrow is not a file",
    ),
}

# Checkpoints


def start(write: Callable[[Path], Any], name: str = "start.pt") -> Callable[[Study], Plan]:
    """A sweep of an arm that starts from a file."""

    def spoil(study: Study) -> Plan:
        path = study.folder / name
        write(path)
        initial = Component("checkpoint", file=File(f"sha256:{'0' * 64}", str(path)))
        with contextlib.suppress(OSError):
            if path.is_file():
                initial = Component("checkpoint", file=File.read(path))
        arms = (Arm(name="plain"), Arm(name="started", changes={"initial": initial}))
        return dataclasses.replace(SMALL, arms=arms)

    return spoil


def zipped(name: str, data: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, data)

    return write


def tar_of(name: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with tarfile.open(path, "w") as tar:
            tar.addfile(tarfile.TarInfo(name))

    return write


def header(size: int, text: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(struct.pack("<Q", size) + text)


def tensors(**how: Any) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        form = {"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16], **how}}
        text = json.dumps(form).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(16))

    return write


def pointed(change: Callable[[dict], Any], *, signs: bool = True) -> Callable[[Study], None]:
    """The JSON beside a trial's weights, which says which file they are in."""

    def spoil(study: Study) -> None:
        path = study.at / "checkpoints" / "last.json"
        form = json.loads(path.read_text())
        change(form)
        if signs:
            del form["digest"]
            form["digest"] = forms.digest_of(json.dumps(form, sort_keys=True).encode())
        path.write_text(json.dumps(form))

    return spoil


EXPORT = ("store", "export", "hostile", "copy", "--checkpoints")

CHECKPOINTS = {
    "weights that are a pickle": Case(
        start(lambda p: p.write_bytes(pickle.dumps(Trap(), 2))), CHECK, "nothing in it was run"
    ),
    "weights with a pickle in them": Case(
        start(lambda p: torch.save({"w": torch.zeros(2), "x": Trap()}, p)),
        CHECK,
        "nothing in it was run",
    ),
    "weights cut short": Case(
        start(
            lambda p: torch.save({"w": torch.zeros(99)}, p) or p.write_bytes(p.read_bytes()[:500])
        ),
        CHECK,
        "cut off",
    ),
    "archive for weights": Case(start(zipped("../outside/x", b"x")), CHECK, "start.pt"),
    "tar for weights": Case(start(tar_of("../outside/x")), CHECK, "start.pt"),
    "page for weights": Case(start(lambda p: p.write_text("<html>")), CHECK, "start.pt"),
    "weights of no bytes": Case(start(lambda p: p.write_bytes(b"")), CHECK, "is empty"),
    "header of 2^63 bytes": Case(start(header(1 << 63, b"{")), CHECK, "cut off|start.pt"),
    "header of brackets": Case(start(header(200_000, b"{" + b"[" * 200_000)), CHECK, "start.pt"),
    "tensor beyond its file": Case(start(tensors(data_offsets=[0, 1 << 40])), CHECK, "cut off"),
    "tensor of another size": Case(start(tensors(shape=[1 << 30])), CHECK, "cut off"),
    "weights of another model": Case(
        start(lambda p: torch.save({"w": torch.zeros(2)}, p)), CHECK, "start.pt"
    ),
    "weights that are a folder": Case(start(lambda p: p.mkdir()), CHECK, "start.pt"),
    "weights that are a pipe": Case(start(os.mkfifo), CHECK, "start.pt"),
    "weights that are a device": Case(
        start(lambda p: p.symlink_to("/dev/zero")), CHECK, "start.pt"
    ),
    "weights out of the store": Case(
        pointed(lambda p: p.update(file="../../../../outside/secret.wav")), EXPORT, "last.json"
    ),
    "weights from the root": Case(
        pointed(lambda p: p.update(file="/etc/passwd")), EXPORT, "last.json"
    ),
    "pointer edited": Case(
        pointed(lambda p: p.update(sha256="0"), signs=False),
        EXPORT,
        "not the one that was written",
    ),
    "pointer to a number": Case(pointed(lambda p: p.update(file=3)), EXPORT, "last.json"),
}

# Records, predictions and plans of the store


def recorded(change: Callable[[dict], Any], **how: bool) -> Callable[[Study], None]:
    return lambda study: edit(study.at / "record.json", change, **how)


def replaced(name: str, data: bytes) -> Callable[[Study], None]:
    return lambda study: (study.at / name).write_bytes(data)


PLANNED = "sweeps/hostile/plan.json"


def declared(change: Callable[[dict], Any], **how: bool) -> Callable[[Study], None]:
    return lambda study: edit(study.path / PLANNED, change, **how)


RECORDS = {
    "record cut short": Case(
        replaced("record.json", b'{"schema":'), REPORT, "record.json cannot be read"
    ),
    "record of no bytes": Case(replaced("record.json", b""), REPORT, "record.json cannot be read"),
    "record that is a pickle": Case(
        replaced("record.json", pickle.dumps(Trap())), REPORT, "record.json cannot be read"
    ),
    "record of brackets": Case(
        replaced("record.json", b"[" * 200_000), REPORT, "record.json cannot be read"
    ),
    "record of a huge number": Case(
        replaced("record.json", b'{"schema":' + b"9" * 9999 + b"}"),
        REPORT,
        "record.json cannot be read",
    ),
    "record that is a pipe": Case(
        lambda s: (s.at / "record.json").unlink() or os.mkfifo(s.at / "record.json"),
        REPORT,
        "record.json .a pipe or a device",
    ),
    "record that is a device": Case(
        lambda s: (s.at / "record.json").unlink() or (s.at / "record.json").symlink_to("/dev/zero"),
        REPORT,
        "record.json .a pipe or a device",
    ),
    "record that is a folder": Case(
        lambda s: (s.at / "record.json").unlink() or (s.at / "record.json").mkdir(),
        REPORT,
        "record.json .Is a directory",
    ),
    "record edited": Case(
        recorded(lambda r: r["epochs"][0]["metrics"].update({"val/top1": 1.0}), signs=False),
        REPORT,
        "record.json",
    ),
    "record edited and signed": Case(
        recorded(lambda r: r["epochs"][0]["metrics"].update({"val/top1": 0.123})),
        REPORT,
        "val/top1",
    ),
    "record of another trial": Case(
        recorded(lambda r: r.update(id="0" * 16)), REPORT, "it is of trial 0000"
    ),
    "record of a later version": Case(recorded(lambda r: r.update(schema=99)), REPORT, "schema"),
    "record with numbers of letters": Case(
        recorded(lambda r: r.update(epochs="abc")), REPORT, "record.json"
    ),
    "record whose experiment is code": Case(
        recorded(lambda r: r["experiment"]["model"].update(name="os:system")),
        REPORT,
        "its experiment is that of",
    ),
    "predictions that are a pickle": Case(
        replaced("predictions-last.arrow", pickle.dumps(Trap())), REPORT, "predictions-last.arrow"
    ),
    "plan cut short": Case(lambda s: (s.path / PLANNED).write_bytes(b"{"), REPORT, "plan.json"),
    "plan of brackets": Case(
        lambda s: (s.path / PLANNED).write_bytes(b"[" * 200_000),
        REPORT,
        "plan.json",
    ),
    "plan edited": Case(
        declared(lambda p: p.update(question="Another?"), signs=False),
        REPORT,
        "was edited or damaged",
    ),
    "plan with a trial out of the store": Case(
        declared(lambda p: p["trials"][0].update(id="../../outside")), REPORT, "cannot name a trial"
    ),
    "plan with a metric of Python": Case(
        declared(lambda p: p.update(metric="os:system")), REPORT, "os:system.*--own|os:system"
    ),
    "plan with a pack out of the store": Case(
        declared(
            lambda p: p["dataset"].update(fingerprint="../packs/" + p["dataset"]["fingerprint"])
        ),
        REPORT,
        "fingerprint",
    ),
    "plan of another sweep": Case(
        declared(lambda p: p.update(sweep="../../outside/x")), REPORT, "plan.json|sweep"
    ),
    "plan with lists for texts": Case(declared(lambda p: p.update(arms=[[]])), REPORT, "plan.json"),
}

# Databases

MLFLOW = ("report", "hostile", "--from-mlflow", "sqlite:///{folder}/other.db")


def database(data: bytes) -> Callable[[Study], None]:
    return lambda study: (study.folder / "other.db").write_bytes(data)


def of_another_program(study: Study) -> None:
    with contextlib.closing(sqlite3.connect(study.folder / "other.db")) as found:
        found.execute("CREATE TABLE recipes (name TEXT)")
        found.commit()


def of_optuna(study: Study) -> None:
    optuna.create_study(storage=f"sqlite:///{study.folder / 'other.db'}")


SHOWN = ("queried", "uploaded")
"""Begin with an upload, which takes seconds."""


@functools.cache
def shown(trained: Path) -> Path:
    """The folder of a database that shows the study."""
    folder = trained / "mlflow"
    shutil.copytree(trained / "store", trained / "shown")
    words = ["--store", str(trained / "shown"), "--tracking-uri", f"sqlite:///{folder}/other.db"]
    assert sync_command(words) == 0
    return folder


def queried(*statements: str) -> Callable[[Study], None]:
    """A database that shows the study, changed."""

    def spoil(study: Study) -> None:
        shutil.copytree(shown(study.trained), study.folder, dirs_exist_ok=True)
        with contextlib.closing(sqlite3.connect(study.folder / "other.db")) as found:
            old, new = (f"{place}/mlartifacts" for place in (shown(study.trained), study.folder))
            found.execute("UPDATE runs SET artifact_uri = replace(artifact_uri, ?, ?)", (old, new))
            for statement in statements:
                found.execute(statement)
            found.commit()

    return spoil


def uploaded(name: str, change: Callable[[bytes], bytes]) -> Callable[[Study], None]:
    """A database that shows the study, and files of one name changed."""

    def spoil(study: Study) -> None:
        queried()(study)
        paths = list((study.folder / "mlartifacts").rglob(name))
        assert paths, sorted((study.folder / "mlartifacts").rglob("*"))
        for path in paths:
            path.write_bytes(change(path.read_bytes()))

    return spoil


def searched(points: bytes) -> Callable[[Study], Search]:
    """A search, and what the store keeps as its points."""

    def spoil(study: Study) -> Search:
        (study.path / "sweeps" / "p-demo").mkdir()
        (study.path / "sweeps" / "p-demo" / "points.json").write_bytes(points)
        plan = dataclasses.replace(SMALL, demo=SMALL.base, arms=SMALL.arms[:1], demo_seeds=(0,))
        shared = {"transform": Component("adaptor")}
        return Search(plan=plan, space={"transform.strength": Uniform(0.1, 1.0)}, shared=shared)

    return spoil


DATABASES = {
    "database that is not there": Case(nothing, MLFLOW, "there is no database"),
    "database of no bytes": Case(database(b""), MLFLOW, "holds no runs"),
    "database that is a pickle": Case(database(pickle.dumps(Trap())), MLFLOW, "other.db"),
    "database that is a page": Case(database(b"<html>" * 999), MLFLOW, "other.db"),
    "database cut short": Case(database(b"SQLite format 3\0" + bytes(80)), MLFLOW, "other.db"),
    "database that is a folder": Case(
        lambda s: (s.folder / "other.db").mkdir(), MLFLOW, "there is no database"
    ),
    "database of another program": Case(of_another_program, MLFLOW, "holds no runs"),
    "points of a search that are no JSON": Case(
        searched(b"[{"), ("sweep", "--demo"), "points.json cannot be read"
    ),
    "points of a search that are a pickle": Case(
        searched(pickle.dumps(Trap())), ("sweep", "--demo"), "points.json cannot be read"
    ),
    "points of a search that are numbers": Case(
        searched(b"[1, 2]"), ("sweep", "--demo"), "points.json.*a list of JSON objects"
    ),
    "database of Optuna": Case(of_optuna, MLFLOW, "holds no runs"),
    "database of another program to upload to": Case(
        of_another_program,
        ("sync", "--tracking-uri", "sqlite:///{folder}/other.db"),
        "is the database of another program",
        1,
    ),
    "database of a later MLflow": Case(
        queried("UPDATE alembic_version SET version_num = 'ffffffffffff'"), MLFLOW, "other.db"
    ),
    "database without its runs": Case(queried("DROP TABLE runs"), MLFLOW, "holds no runs"),
    "database whose files are elsewhere": Case(
        queried("UPDATE runs SET artifact_uri = '/etc'"), MLFLOW, "other.db"
    ),
    "database whose files are above": Case(
        queried("UPDATE runs SET artifact_uri = artifact_uri || '/../../../outside'"),
        MLFLOW,
        "other.db",
    ),
    "database with tags of brackets": Case(
        queried(f"UPDATE tags SET value = '{'[' * 100_000}' WHERE key LIKE 'orchestrator.%'"),
        MLFLOW,
        ".",
    ),
    "uploaded record edited": Case(
        uploaded("record.json", lambda data: data.replace(b"val/top1", b"val/top2")),
        MLFLOW,
        "record.json",
    ),
    "uploaded plan cut short": Case(
        uploaded("plan.json", lambda data: data[:99]), MLFLOW, "plan.json"
    ),
    "uploaded predictions that are a pickle": Case(
        uploaded("predictions.arrow", lambda data: pickle.dumps(Trap())), MLFLOW, "predictions"
    ),
    "upload to a page": Case(
        database(b"<html>" * 999),
        ("sync", "--tracking-uri", "sqlite:///{folder}/other.db"),
        "not a database",
        1,
    ),
}

SLOW = [name for name, case in DATABASES.items() if case.spoil.__qualname__.startswith(SHOWN)]

# Cluster files


def cluster(text: str) -> Callable[[Study], None]:
    return lambda study: (study.folder / "cluster.yaml").write_text(text)


CLUSTER = ("cluster", "check", "cluster.yaml")
LAUGHS = "\n".join(
    f"{'abcdefghijk'[n]}: &{'abcdefghijk'[n]} [{', '.join([f'*{chr(96 + n)}' if n else 'x'] * 9)}]"
    for n in range(11)
)

CLUSTERS = {
    "cluster file that is not there": Case(nothing, CLUSTER, "cluster.yaml"),
    "cluster file with an object of Python": Case(
        cluster(f"a: !!python/object/apply:os.system ['{RUN}']"), CLUSTER, "cluster.yaml"
    ),
    "cluster file of brackets": Case(cluster("[" * 20_000), CLUSTER, "cluster.yaml"),
    "cluster file of a billion words": Case(cluster(LAUGHS), CLUSTER, "cluster.yaml"),
    "cluster file with control characters": Case(cluster(f"a: {STEER}"), CLUSTER, "cluster.yaml"),
    "cluster file that is a pipe": Case(
        lambda s: os.mkfifo(s.folder / "cluster.yaml"), CLUSTER, "cluster.yaml"
    ),
}

TABLES = (PLANS, LINES, LISTS, AUDIO, PACKS, CHECKPOINTS, RECORDS, DATABASES, CLUSTERS)
CASES = [
    pytest.param(case, id=name, marks=[pytest.mark.slow] if name in SLOW else [])
    for table in TABLES
    for name, case in table.items()
]
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Hangs(BaseException):
    """The command has not answered in a minute."""


@pytest.fixture
def study(trained, tmp_path, monkeypatch) -> Iterator[Study]:
    def hangs(number, frame):
        raise Hangs

    folder = tmp_path / "here"
    shutil.copytree(trained, folder, ignore=shutil.ignore_patterns("mlflow", "shown"))
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    before = signal.signal(signal.SIGALRM, hangs)
    yield Study(folder, trained)
    signal.signal(signal.SIGALRM, before)


def contents(folder: Path) -> dict[str, bytes | str]:
    """Every path below a folder: a file's content, and what else there is of a link or a pipe."""
    found: dict[str, bytes | str] = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = os.readlink(path)
        elif not path.is_dir():
            found[name] = path.read_bytes() if path.is_file() else "no plain file"
    return found


def typed_in(study: Study, argv: Sequence[str], sweep: Any) -> int:
    """Type a command, for a sweep file that of its `cli.main`; return the exit code."""
    name, *words = (word.replace("{folder}", str(study.folder)) for word in argv)
    signal.alarm(60)
    try:
        if name == "sweep":
            cli.main(sweep, [*words, "--store", "store"])
        return COMMANDS[name](words)
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        signal.alarm(0)


@pytest.mark.parametrize("case", CASES)
def test_hostile_input_is_one_message_and_nothing_is_run_or_lost(case, study, capsys):
    sweep = case.spoil(study)
    before = contents(study.folder)
    capsys.readouterr()
    code = typed_in(study, case.argv, sweep)
    said = capsys.readouterr()
    after = contents(study.folder)
    assert re.search(case.says, said.err, re.S) and said.err.count("error: ") == 1, said.err
    assert code == case.code
    assert "Traceback" not in said.out + said.err and len(said.err) < 2500
    assert not CONTROL.search((said.out + said.err).replace("\n", ""))
    assert "sprung" not in after
    assert {name: after.get(name) for name in before} == before


def test_hostile_inputs_are_many_of_every_kind():
    assert len(CASES) >= 80 and all(len(table) >= 6 for table in TABLES)
