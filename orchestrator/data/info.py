"""What a plan needs to know about a pack without opening it: its checked `pack.json`."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.data.addresses import CLIPS, MANIFEST
from orchestrator.data.source import Source, digest
from orchestrator.errors import DataError, printable
from orchestrator.metrics.labels import TargetKind

PACK_FORMAT = 2
SINGLE_LABEL_FORMAT = 1
"""Format of packs with one class per clip, which earlier versions read as well."""
_HEX = frozenset("0123456789abcdef")


class DamagedPack(DataError):
    """A pack whose contents changed since it was written.

    Attributes:
        where: The pack's directory or address.
        damage: What is wrong with it.
    """

    def __init__(self, where: str | Path, damage: str):
        self.where = str(where)
        self.damage = damage
        super().__init__(self.where, damage)

    @property
    def damage_of(self) -> str:
        """The pack and its damage, without the advice."""
        return f"pack {self.where} is damaged: {self.damage}"

    def __str__(self) -> str:
        return printable(
            f"{self.damage_of}. Run the command again with the dataset's files at hand "
            "(--data-root DIR; a synthetic dataset needs none): the damaged pack is then set aside "
            "and made again. Without them, put an undamaged copy in its place"
        )


@dataclass(frozen=True)
class PackInfo:
    """What a plan needs to know about a pack.

    Attributes:
        fingerprint: The pack's name.
        name: The dataset's registered name.
        num_classes: Number of classes.
        class_names: One per label.
        sample_rate: Rate in Hz.
        folds: Fold numbers.
        fold_names: One per fold; "train" marks an official split.
        num_clips: Number of clips kept.
        num_samples: Length of the longest clip, in samples at `sample_rate`.
        counts: Class name -> clips kept that have it.
        dropped: Clip id -> why it was left out.
        made: Whether this call made the pack.
        notes: What was done to the clips, in sentences.
        license: The dataset's license, if known.
        targets: Kind of the clips' targets.
        heads: Name of each of several heads -> number of its classes; {} for one head.
    """

    fingerprint: str
    name: str
    num_classes: int
    class_names: tuple[str, ...]
    sample_rate: int
    folds: tuple[int, ...]
    fold_names: tuple[str, ...]
    num_clips: int
    num_samples: int
    counts: Mapping[str, int]
    dropped: Mapping[str, str] = field(default_factory=dict)
    made: bool = False
    notes: tuple[str, ...] = ()
    license: str = ""
    targets: TargetKind = TargetKind.SINGLE_LABEL
    heads: Mapping[str, int] = field(default_factory=dict)


def from_manifest(manifest: Mapping[str, Any]) -> PackInfo:
    """Read a pack's description from its `pack.json`."""
    return PackInfo(
        fingerprint=manifest["fingerprint"],
        name=manifest["name"],
        num_classes=len(manifest["class_names"]),
        class_names=tuple(manifest["class_names"]),
        sample_rate=manifest["sample_rate"],
        folds=tuple(int(fold) for fold in manifest["folds"]),
        fold_names=tuple(manifest["folds"].values()),
        num_clips=manifest["num_clips"],
        num_samples=manifest["num_samples"],
        counts=manifest["kept"],
        dropped=manifest["dropped"],
        notes=tuple(manifest["notes"]),
        license=manifest["licence"],
        targets=kind_in(manifest),
        heads=manifest.get("heads", {}),
    )


def kind_in(manifest: Mapping[str, Any]) -> TargetKind:
    """Return the kind of targets that a `pack.json` states; it states none for one class."""
    return TargetKind(manifest.get("targets", TargetKind.SINGLE_LABEL))


def expected_info(source: Source) -> PackInfo:
    """Describe the pack that a source with a known fingerprint will become."""
    return PackInfo(
        fingerprint=source.fingerprint,
        name=source.name,
        num_classes=len(source.class_names),
        class_names=source.class_names,
        sample_rate=source.sample_rate,
        folds=tuple(source.fold_names),
        fold_names=tuple(source.fold_names.values()),
        num_clips=len(source.clips),
        num_samples=round(source.seconds * source.sample_rate),
        counts=source.class_counts(source.clips),
        license=source.license,
        targets=source.kind,
        heads=dict(source.heads),
    )


def read_manifest(path: Path) -> dict[str, Any]:
    """Read and check a pack's `pack.json`.

    Raises:
        DataError: There is no pack, or it cannot be read.
        DamagedPack: `pack.json` or the file of clips is missing, not a file, changed or of another
            length.
    """
    if not path.is_dir():
        raise DataError(f"no pack at {path}; make it with python -m orchestrator.data pack")
    sizes = {}
    for name in (MANIFEST, CLIPS):
        try:
            found = (path / name).stat()
        except FileNotFoundError as error:
            raise DamagedPack(path, f"it has no {name}") from error
        except OSError as error:
            raise DataError(f"cannot read {path / name}: {error.strerror}") from error
        if not stat.S_ISREG(found.st_mode):
            raise DamagedPack(path, f"{name} is not a file")
        sizes[name] = found.st_size
    try:
        text = (path / MANIFEST).read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot read {path / MANIFEST}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DamagedPack(path, f"{MANIFEST} is not UTF-8 ({error.reason})") from error
    manifest = parse_manifest(text, path)
    if sizes[CLIPS] != manifest["num_bytes"]:
        raise DamagedPack(
            path,
            f"{CLIPS} has {sizes[CLIPS]} bytes and was written with {manifest['num_bytes']}",
        )
    return manifest


def parse_manifest(text: str, where: str | Path) -> dict[str, Any]:
    """Read and check the text of a `pack.json`.

    Args:
        text: The file's content.
        where: The pack's directory or address, for the message.

    Raises:
        DamagedPack: The text is not JSON, a field is missing or invalid, or it changed since it was
            written; names every mistake.
        DataError: A later version of this program wrote it.
    """
    try:
        manifest = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DamagedPack(where, f"{MANIFEST} is no JSON ({error})") from error
    if not isinstance(manifest, dict):
        raise DamagedPack(where, f"{MANIFEST} is no JSON object")
    version = manifest.get("format")
    if type(version) is int and version > PACK_FORMAT:
        raise DataError(
            f"pack {where} has format {version}, and this version reads up to {PACK_FORMAT}; "
            "install the version that made it"
        )
    mistakes = [
        f"{name} is missing" if name not in manifest else f"{name} is not {wanted}"
        for name, (wanted, fits) in _FIELDS.items()
        if name not in manifest or not fits(manifest[name])
    ]
    if manifest.get("targets", "single_label") not in list(TargetKind):
        mistakes.append(f"targets is none of {', '.join(TargetKind)}")
    if "heads" in manifest and not _counts(manifest["heads"]):
        mistakes.append("heads is not an object of counts")
    if mistakes:
        raise DamagedPack(where, f"in {MANIFEST}, {'; '.join(mistakes)}")
    written = manifest.get("manifest_digest")
    if written is not None and written != manifest_digest(manifest):
        raise DamagedPack(where, f"{MANIFEST} was changed since it was written")
    return manifest


def manifest_digest(manifest: Mapping[str, Any]) -> str:
    """Return the digest of all other fields, which a `pack.json` records."""
    return digest({name: manifest[name] for name in manifest if name != "manifest_digest"})


def _count(value: Any) -> bool:
    return type(value) is int and value > 0


def _names(value: Any) -> bool:
    return (
        isinstance(value, list)
        and all(isinstance(name, str) and name for name in value)
        and len(set(value)) == len(value) > 0
    )


def _folds(value: Any) -> bool:
    numbers = isinstance(value, dict) and all(_is_integer(fold) for fold in value)
    return numbers and _names(list(value.values()))


def _is_integer(text: str) -> bool:
    return text.removeprefix("-").isascii() and text.removeprefix("-").isdecimal()


def _counts(value: Any) -> bool:
    return isinstance(value, dict) and all(type(n) is int and n >= 0 for n in value.values())


def _texts(value: Any) -> bool:
    values = value.values() if isinstance(value, dict) else value
    return isinstance(value, dict | list) and all(isinstance(text, str) for text in values)


def _hex(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64 and set(value) <= _HEX


# The fields of pack.json that this program reads: what each must be, and the test for it.
_FIELDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "format": (
        f"{SINGLE_LABEL_FORMAT} or {PACK_FORMAT}",
        lambda value: type(value) is int and value in (SINGLE_LABEL_FORMAT, PACK_FORMAT),
    ),
    "name": ("a name", lambda value: isinstance(value, str) and bool(value)),
    "fingerprint": ("a fingerprint", lambda value: isinstance(value, str) and bool(value)),
    "content_digest": ("64 hexadecimal digits", _hex),
    "sample_rate": ("a rate in Hz", _count),
    "class_names": ("a list of different names", _names),
    "folds": ("an object of fold numbers and different names", _folds),
    "num_clips": ("a count", _count),
    "num_samples": ("a count", _count),
    "num_bytes": ("a count", _count),
    "kept": ("an object of counts", _counts),
    "dropped": ("an object of texts", lambda value: isinstance(value, dict) and _texts(value)),
    "notes": ("a list of texts", lambda value: isinstance(value, list) and _texts(value)),
    "licence": ("a text", lambda value: isinstance(value, str)),
}
