"""From a dataset's name and arguments to a pack: made once, found again at once.

`<packs>/sources/<signature>.json` remembers which pack a source became. The signature covers the
list, the names, sizes and times of the audio files and the arguments, so a second call decodes
nothing. One small file per source needs no lock, on a disk or in an object store.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from models import registry
from orchestrator.data import places
from orchestrator.data.info import PackInfo, foreseen, from_manifest
from orchestrator.data.source import RootMissing, Source
from orchestrator.errors import DataError, unknown

if TYPE_CHECKING:
    from orchestrator.data.pack import Pack


def prepare(
    name: str,
    arguments: Mapping[str, Any],
    *,
    root: str | None,
    packs: str,
    progress: Any = None,
) -> PackInfo:
    """Make a dataset's pack if it is not there yet.

    Args:
        name: a registered dataset.
        arguments: the dataset's own arguments. With a `fingerprint`, any other pack is refused.
        root: where the dataset's files are; None or "" for one that needs none. A dataset of
            files may do without where its pack exists and `fingerprint` names it.
        packs: directory, or address that pyarrow opens, where packs are kept.
        progress: called with (clips done, clips in all) while a pack is made.

    Returns:
        What the pack holds, and whether it was made now.

    Raises:
        DataError: the dataset, an argument, the files or the place for packs is wrong; or the
            pack is not the one that `fingerprint` names.
    """
    pinned = str(arguments.get("fingerprint") or "")
    try:
        source = open_source(name, arguments, root=root)
    except RootMissing:
        known = _pinned(name, arguments, packs)
        if known:
            return known
        raise
    info = _known(source, packs)
    if info is None:
        from orchestrator.data.packing import make_pack

        _refuse_other(source.fingerprint, pinned, source)
        made = make_pack(source, packs=packs, progress=progress)
        info = from_manifest(made.manifest)
        places.write_text(_index_address(source, packs), json.dumps(asdict(info), indent=1))
        info = replace(info, made=True)
    _refuse_other(info.fingerprint, pinned, source)
    return info


def peek(
    name: str, arguments: Mapping[str, Any], *, root: str | None, packs: str
) -> PackInfo | None:
    """Say what `prepare` would return, without decoding anything.

    Args:
        name: a registered dataset.
        arguments: the dataset's own arguments.
        root: where the dataset's files are.
        packs: where packs are kept.

    Returns:
        The pack's description; for a synthetic dataset always, made or not. None for a dataset of
        files that is not packed yet, or whose root is not given.

    Raises:
        DataError: the dataset, an argument or the files are wrong, or the pack is not the one
            that `fingerprint` names.
    """
    try:
        source = open_source(name, arguments, root=root)
    except RootMissing:
        return _pinned(name, arguments, packs)
    info = _known(source, packs)
    if info is None:
        info = foreseen(source) if source.fingerprint else _pinned(name, arguments, packs)
    if info is not None:
        _refuse_other(info.fingerprint, str(arguments.get("fingerprint") or ""), source)
    return info


def open_pack(fingerprint: str, *, packs: str, cache_dir: str | None = None) -> Pack:
    """Map a pack, after copying it to this host where it is remote.

    Args:
        fingerprint: the pack's name.
        packs: where packs are kept.
        cache_dir: where copies of remote packs go.

    Returns:
        A `Pack`.

    Raises:
        DataError: there is no such pack, or it is not whole.
    """
    from orchestrator.data.pack import Pack

    if not fingerprint:
        raise DataError("no fingerprint given: prepare the dataset first, it returns one")
    pack = Pack(places.local_copy(places.join(packs, fingerprint), cache_dir))
    if pack.fingerprint != fingerprint:
        raise DataError(
            f"the pack at {pack.path} says that it is {pack.fingerprint}; remove the directory "
            "and pack the dataset again"
        )
    return pack


def open_source(name: str, arguments: Mapping[str, Any], *, root: str | None) -> Source:
    """Read a dataset's list by its registered name.

    Args:
        name: a registered dataset, or `module:function`.
        arguments: the dataset's own arguments.
        root: where its files are.

    Returns:
        The source; no audio has been opened.

    Raises:
        DataError: the name, an argument or the files are wrong.
    """
    _check_name(name)
    try:
        source = registry.create("dataset", name, root, **arguments)
    except registry.RegistryError as error:
        raise DataError(str(error)) from error
    if not isinstance(source, Source):
        raise DataError(
            f"dataset {name!r} returned a {type(source).__name__}; an "
            "orchestrator.data.source.Source is needed"
        )
    return source


def _check_name(name: str) -> None:
    if ":" not in name and name not in registry.names("dataset"):
        raise DataError(unknown("dataset", name, registry.names("dataset")))


def _index_address(source: Source, packs: str) -> str:
    return places.join(packs, "sources", f"{source.signature}.json")


def _known(source: Source, packs: str) -> PackInfo | None:
    text = places.read_text(_index_address(source, packs))
    if text is None:
        return None
    try:
        fields = json.loads(text)
        for key in ("class_names", "folds", "fold_names", "notes"):
            fields[key] = tuple(fields[key])
        info = PackInfo(**fields)
    except (ValueError, TypeError, KeyError):
        return None  # written by another version: the pack is made again and remembered anew
    manifest = places.read_text(places.join(packs, info.fingerprint, places.MANIFEST))
    return info if manifest is not None else None


def _pinned(name: str, arguments: Mapping[str, Any], packs: str) -> PackInfo | None:
    """Find the pack that the arguments name, where its source cannot be looked at."""
    pinned = str(arguments.get("fingerprint") or "")
    if not pinned:
        return None
    text = places.read_text(places.join(packs, pinned, places.MANIFEST))
    if text is None:
        return None
    info = from_manifest(json.loads(text))
    wanted = arguments.get("sample_rate")
    if wanted is None and ":" not in name:
        wanted = registry.lookup("dataset", name).arguments["sample_rate"].default
    if info.name != name.rpartition(":")[2] or wanted not in (None, info.sample_rate):
        raise DataError(
            f"pack {pinned} is {info.name!r} at {info.sample_rate} Hz, and {name!r} at {wanted} "
            "Hz was asked for; correct the arguments, or leave the fingerprint out"
        )
    return info


def _refuse_other(found: str, pinned: str, source: Source) -> None:
    if pinned and found and found != pinned:
        raise DataError(
            f"dataset {source.name!r} gives pack {found}, and the experiment names {pinned}: a "
            "clip, a label, a fold, the sample rate or the way it is made has changed. Restore "
            "the data, or leave the fingerprint out to start a new experiment"
        )
