"""Find or make the pack of a dataset, given its name and arguments.

`<packs>/sources/<signature>.json` records which pack a source became. The signature covers the
list, the arguments, and the names, sizes and times of the audio files, so a second call decodes
nothing. One small file per source needs no lock, on a disk or in an object store.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from models import registry
from models.errors import ModelError, failure
from models.own_source import own_source
from orchestrator.data import addresses, integrity
from orchestrator.data.info import (
    DamagedPack,
    PackInfo,
    expected_info,
    from_manifest,
    parse_manifest,
)
from orchestrator.data.source import (
    RootMissing,
    Source,
    check_source,
    digest,
    is_file_name,
)
from orchestrator.errors import DataError, OrchestratorError, unknown

if TYPE_CHECKING:
    from orchestrator.data.pack import Pack
    from orchestrator.experiment.config import Component


def prepare(
    name: str,
    arguments: Mapping[str, Any],
    *,
    root: str | None,
    packs: str,
    progress: Any = None,
) -> PackInfo:
    """Make a dataset's pack if it does not exist yet.

    Args:
        name: Name of a registered dataset.
        arguments: The dataset's own arguments. A `fingerprint` among them refuses any other pack.
        root: Folder of the dataset's files; None or "" if it needs none, or if its pack exists and
            `fingerprint` names it.
        packs: Directory, or address that pyarrow opens, where packs are kept.
        progress: Called with (clips done, clips in total) while a pack is made.

    Returns:
        What the pack holds, and whether this call made it.

    Raises:
        DataError: The dataset, an argument, the files or `packs` is wrong, or the pack does not
            match `fingerprint`.
    """
    pinned = str(arguments.get("fingerprint") or "")
    try:
        source = open_source(name, arguments, root=root)
    except RootMissing:
        known = _pinned(name, arguments, packs)
        if known is None:
            raise
        if addresses.is_local(packs):
            path = addresses.local_path(addresses.join(packs, known.fingerprint))
            integrity.check(path, known.fingerprint)
        return known
    info = _known(name, source, packs)
    if info is not None and not integrity.whole_or_set_aside(packs, info.fingerprint):
        info = None
    if info is None:
        from orchestrator.data.packing import make_pack

        _refuse_other(source.fingerprint, pinned, source)
        index = _index_address(name, source, packs)
        signature = index.rpartition("/")[2]
        made = make_pack(source, packs=packs, progress=progress, signature=signature)
        info = from_manifest(made.manifest)
        fields = asdict(info)
        fields["digest"] = digest(fields)
        try:
            addresses.write_text(index, json.dumps(fields, indent=1))
        except OSError as error:
            raise DataError(
                f"the pack {info.fingerprint} is made, and {packs!r} cannot be written any more: "
                f"{error}; make space, and run the command again"
            ) from error
        info = replace(info, made=True)
    _refuse_other(info.fingerprint, pinned, source)
    return info


def peek(
    name: str,
    arguments: Mapping[str, Any],
    *,
    root: str | None,
    packs: str,
    source: Source | None = None,
) -> PackInfo | None:
    """Return what `prepare` would return, without decoding anything.

    Args:
        name: Name of a registered dataset.
        arguments: The dataset's own arguments.
        root: Folder of the dataset's files.
        packs: Where packs are kept.
        source: The dataset, if it has been opened.

    Returns:
        The pack's description; for a synthetic dataset always, made or not. None for a dataset of
        files that is not packed yet, or whose root is not given.

    Raises:
        DataError: The dataset, an argument or the files are wrong, or the pack does not match
            `fingerprint`.
    """
    try:
        source = source or open_source(name, arguments, root=root)
    except RootMissing:
        return _pinned(name, arguments, packs)
    info = _known(name, source, packs)
    if info is None:
        info = expected_info(source) if source.fingerprint else _pinned(name, arguments, packs)
    if info is not None:
        _refuse_other(info.fingerprint, str(arguments.get("fingerprint") or ""), source)
    return info


def packed_as(name: str, source: Source | None, arguments: Mapping[str, Any], *, packs: str) -> str:
    """Return the fingerprint of the local pack that a source became, whole or damaged.

    Args:
        name: The dataset's registered name, or `module:function`.
        source: The dataset; None if its files are unavailable.
        arguments: The dataset's own arguments; their `fingerprint` may name the pack.
        packs: Where packs are kept.

    Returns:
        "" if there is no such pack, or if packs are kept in an object store.
    """
    if not addresses.is_local(packs):
        return ""
    found: Any = arguments.get("fingerprint") or (source.fingerprint if source else "")
    if source is not None and not found:
        text = addresses.read_text(_index_address(name, source, packs))
        with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):
            found = json.loads(text or "")["fingerprint"]
    there = is_file_name(found) and addresses.local_path(addresses.join(packs, found)).is_dir()
    return found if there else ""


def open_pack(fingerprint: str, *, packs: str, cache_dir: str | None = None) -> Pack:
    """Map a pack; a remote one is first copied to this host.

    Args:
        fingerprint: The pack's name.
        packs: Where packs are kept.
        cache_dir: Directory for copies of remote packs.

    Raises:
        DataError: There is no such pack.
        DamagedPack: Its contents changed. A damaged copy of a remote pack is first set aside and
            copied again.
    """
    from orchestrator.data.pack import Pack

    if not fingerprint:
        raise DataError("no fingerprint given: prepare the dataset first, it returns one")
    _check_fingerprint(fingerprint)
    address = addresses.join(packs, fingerprint)
    path = integrity.local_copy(address, cache_dir)
    try:
        integrity.check(path, fingerprint)
    except DamagedPack:
        if addresses.is_local(address):
            raise
        integrity.whole_or_set_aside(str(path.parent), fingerprint)
        path = integrity.local_copy(address, cache_dir)
        integrity.check(path, fingerprint)
    return Pack(path)


def open_source(name: str, arguments: Mapping[str, Any], *, root: str | None) -> Source:
    """Read a dataset's list by its registered name.

    Args:
        name: A registered dataset, or `module:function`.
        arguments: The dataset's own arguments.
        root: Folder of its files.

    Returns:
        The source; no audio has been opened.

    Raises:
        DataError: The name, an argument or the files are wrong, the dataset's function fails, or
            its result is not a valid dataset; see `source.check_source`.
    """
    _check_name(name)
    try:
        source = registry.create("dataset", name, root, **arguments)
    except registry.RegistryError as error:
        raise DataError(str(error)) from error
    except Exception as error:
        if isinstance(error, OrchestratorError) or ":" not in name:
            raise
        raise DataError(f"dataset {name!r} failed with {failure(error)}") from error
    return check_source(source, dataset=name)


def pinned(dataset: Component) -> Component:
    """Return a dataset that needs no files with its pack's fingerprint, made or not.

    For prerequisites that train on another dataset than the plan's.
    """
    source = open_source(dataset.name, dataset.arguments, root=None)
    return dataset.replace(fingerprint=source.fingerprint)


def _check_fingerprint(fingerprint: str) -> None:
    if not is_file_name(fingerprint):
        raise DataError(
            f"{fingerprint[:80]!r} is no fingerprint of a pack; give the name of a folder in the "
            "place for packs, 32 hexadecimal digits as `python -m orchestrator.data pack` prints"
        )


def _check_name(name: str) -> None:
    if ":" not in name and name not in registry.names("dataset"):
        raise DataError(unknown("dataset", name, registry.names("dataset")))


def _index_address(name: str, source: Source, packs: str) -> str:
    signature = source.signature
    if ":" in name:  # the user's own code decides what the clips are
        try:
            signature = digest([signature, own_source(name.partition(":")[0]).digest])
        except ModelError as error:
            raise DataError(f"dataset {name!r}: {error}") from error
    return addresses.join(packs, "sources", f"{signature}.json")


def _known(name: str, source: Source, packs: str) -> PackInfo | None:
    text = addresses.read_text(_index_address(name, source, packs))
    if text is None:
        return None
    try:
        fields = json.loads(text)
        written = fields.pop("digest", None)
        if written not in (None, digest(fields)):
            return None
        if "licence" in fields:  # spelling of an earlier version
            fields["license"] = fields.pop("licence")
        for key in ("class_names", "folds", "fold_names", "notes"):
            fields[key] = tuple(fields[key])
        info = PackInfo(**fields)
        manifest = _manifest(packs, info.fingerprint) if is_file_name(info.fingerprint) else None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None  # damaged, or of another version: the pack is made and recorded again
    if manifest is None:
        return None
    # The pack decides every number; the notes on how it was made belong to the source.
    own = {"name": info.name, "notes": info.notes, "dropped": info.dropped}
    return replace(from_manifest(manifest), **own, license=info.license)


def _manifest(packs: str, fingerprint: str) -> dict[str, Any] | None:
    """Read and check a pack's `pack.json`; None if there is no pack.

    Raises:
        DamagedPack: Its contents changed.
    """
    address = addresses.join(packs, fingerprint)
    text = addresses.read_text(addresses.join(address, addresses.MANIFEST))
    return None if text is None else parse_manifest(text, address)


def _pinned(name: str, arguments: Mapping[str, Any], packs: str) -> PackInfo | None:
    """Find the pack that the arguments name, for a source whose files are unavailable."""
    pinned = str(arguments.get("fingerprint") or "")
    if not pinned:
        return None
    _check_fingerprint(pinned)
    manifest = _manifest(packs, pinned)
    if manifest is None:
        return None
    info = from_manifest(manifest)
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
