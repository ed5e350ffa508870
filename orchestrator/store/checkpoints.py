"""Checkpoints: tensors as safetensors, everything else as JSON, committed together.

The name of the tensors' file carries its digest; the JSON beside it names that file and is written
last. So a process that dies between the two leaves the old pair intact. The JSON carries a digest
of itself, so a damaged number is never taken for a recorded one; earlier versions wrote none, and
their files are read without it. Both files hold what the tensors were trained as.

While a trial trains, the checkpoint before its last one stays beside it (`last.before.json`): a
disk may lose what it said it had written.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.digests import file_digest
from models.registry import TRAINED_AS
from orchestrator.errors import CheckpointError, shown
from orchestrator.store.files import TEMPORARY, Files, blame

if TYPE_CHECKING:
    import torch

_ATTEMPTS = 5
_BEFORE = ".before"


def save(
    files: Files,
    folder: str,
    which: str,
    tensors: Mapping[str, torch.Tensor],
    meta: Mapping,
    *,
    keeps_before: bool = False,
) -> None:
    """Write a checkpoint; delete the one that it replaces, or keep it as the one before."""
    scratch = files.scratch(f"{folder}/{which}.safetensors")
    try:
        with blame("write", files.where(folder)):
            _write(_separate(tensors), scratch, metadata=_metadata(meta))
        digest = file_digest(scratch)
        name = f"{which}-{digest[:16]}.safetensors"
        files.adopt(scratch, f"{folder}/{name}")
    finally:
        scratch.unlink(missing_ok=True)
    pointer = {"file": name, "sha256": digest, "meta": dict(meta)}
    pointer["digest"] = _digest_of(pointer)
    if keeps_before and (replaced := files.read(f"{folder}/{which}.json")) is not None:
        files.write(f"{folder}/{which}{_BEFORE}.json", replaced)
    files.write(f"{folder}/{which}.json", json.dumps(pointer).encode())
    if keeps_before:
        _sweep(files, folder, which)
    else:
        forget_before(files, folder, which)


def forget_before(files: Files, folder: str, which: str) -> None:
    """Delete the checkpoint before a trial's last one, and what killed writers left."""
    files.delete(f"{folder}/{which}{_BEFORE}.json")
    _sweep(files, folder, which)


def _sweep(files: Files, folder: str, which: str) -> None:
    """Delete the files of a checkpoint that no pointer names."""
    named = set()
    for name in (which, f"{which}{_BEFORE}"):
        with contextlib.suppress(CheckpointError):
            pointer = read_pointer(files, folder, name)
            named.add(pointer["file"] if pointer else "")
    for other in files.names(folder):
        if other not in named and _belongs(other, which):
            files.delete(f"{folder}/{other}")


def recover(
    files: Files, folder: str, which: str
) -> tuple[tuple[dict[str, torch.Tensor], dict[str, Any]] | None, list[str]]:
    """Read a checkpoint, or the one before it if it is damaged; set aside what is damaged.

    Returns:
        The checkpoint, None if there is no whole one; and what was wrong with each damaged one.
    """
    damaged = []
    for name in (which, f"{which}{_BEFORE}"):
        try:
            found = load(files, folder, name)
        except CheckpointError as error:
            damaged.append(str(error))
            _set_aside(files, folder, name)
            continue
        if found is not None:
            return found, damaged
    return None, damaged


def set_aside(files: Files, folder: str, which: str) -> list[str]:
    """Rename the files of a checkpoint and of the one before it; return the new names."""
    return [name for one in (which, f"{which}{_BEFORE}") for name in _set_aside(files, folder, one)]


def _set_aside(files: Files, folder: str, which: str) -> list[str]:
    paths = [f"{folder}/{which}.json"]
    with contextlib.suppress(CheckpointError):
        if pointer := read_pointer(files, folder, which):
            paths.insert(0, f"{folder}/{pointer['file']}")
    return [name for path in paths if (name := files.set_aside(path))]


def load(
    files: Files, folder: str, which: str
) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """Read a checkpoint; None if there is none.

    Raises:
        CheckpointError: The files are damaged.
    """
    from safetensors.torch import load as load_bytes

    from models.checkpoints.read import trained_as_in

    for _ in range(_ATTEMPTS):
        pointer = read_pointer(files, folder, which)
        if pointer is None:
            return None
        path = f"{folder}/{pointer['file']}"
        data = files.read(path)
        if data is None:
            continue  # A newer checkpoint replaced it between the two reads.
        _check(hashlib.sha256(data).hexdigest(), files, folder, pointer)
        tensors = load_bytes(data)
        trained_as = trained_as_in(data, source=files.where(path))
        if trained_as is not None and trained_as != pointer["meta"].get(TRAINED_AS):
            raise CheckpointError(
                f"{files.where(path)} says that it was trained as something else than "
                f"{which}.json beside it does; delete both and train the trial again"
            )
        return tensors, pointer["meta"]
    raise _missing(files, folder, pointer)


def read_pointer(files: Files, folder: str, which: str) -> dict[str, Any] | None:
    """Return the current file's name and digest, and the caller's meta; None if there is none.

    Raises:
        CheckpointError: The JSON is damaged.
    """
    path = f"{folder}/{which}.json"
    data = files.read(path)
    if data is None:
        return None
    try:
        pointer = json.loads(data)
        name, sha256, meta = pointer["file"], pointer["sha256"], pointer["meta"]
        digest = pointer.pop("digest", None)  # earlier versions wrote none
        if digest is not None and digest != _digest_of(pointer):
            raise ValueError("its content is not the one that was written")
        if strange := pointer.keys() - {"file", "sha256", "meta"}:
            raise ValueError(f"nothing is written as {', '.join(sorted(strange))}")
        # The digest is no signature: a path here must not lead out of the folder.
        if not (isinstance(name, str) and isinstance(sha256, str) and isinstance(meta, dict)):
            raise ValueError("file and sha256 must be texts, and meta a mapping")
        if not _belongs(name, which.removesuffix(_BEFORE)) or "/" in name:
            raise ValueError(f"{shown(name)} is no file of it")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"{files.where(path)} is damaged ({error}); delete it and train the trial again"
        ) from error
    return pointer


def _metadata(meta: Mapping[str, Any]) -> dict[str, str] | None:
    """Return the safetensors metadata, one entry because the order of several is not fixed."""
    trained_as = meta.get(TRAINED_AS)
    return None if trained_as is None else {TRAINED_AS: json.dumps(trained_as, sort_keys=True)}


def _digest_of(pointer: Mapping[str, Any]) -> str:
    """Return the digest of a pointer's content, independent of its JSON formatting."""
    return hashlib.sha256(json.dumps(pointer, sort_keys=True).encode()).hexdigest()


def _belongs(name: str, which: str) -> bool:
    tensors = name.startswith(f"{which}-") and name.endswith(".safetensors")
    return tensors or (name.startswith(f".{which}.") and name.endswith(TEMPORARY))


def _write(
    tensors: dict[str, torch.Tensor], path: Path, *, metadata: dict[str, str] | None
) -> None:
    """Write tensors; errors of the operating system become `OSError`, as everywhere else."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file(tensors, path, metadata=metadata)
    except SafetensorError as error:
        match = re.search(r"\(os error (\d+)\)", str(error))
        if match is None:
            raise
        raise OSError(int(match[1]), os.strerror(int(match[1])), str(path)) from error


def _separate(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return contiguous CPU tensors, no two of which share storage."""
    seen: set[int] = set()
    separate: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        storage = tensor.untyped_storage()
        if storage.data_ptr() in seen or storage.nbytes() != tensor.nbytes:
            tensor = tensor.clone()
        seen.add(storage.data_ptr())
        separate[name] = tensor
    return separate


def _check(digest: str, files: Files, folder: str, pointer: Mapping[str, Any]) -> None:
    if digest != pointer["sha256"]:
        where = files.where(f"{folder}/{pointer['file']}")
        raise CheckpointError(
            f"{where} is damaged (sha256 {digest[:16]}..., "
            f"expected {pointer['sha256'][:16]}...); delete it and train the trial again"
        )


def _missing(files: Files, folder: str, pointer: Mapping[str, Any] | None) -> CheckpointError:
    where = files.where(f"{folder}/{pointer['file'] if pointer else 'the tensors'}")
    return CheckpointError(
        f"{where} is missing although the JSON beside it names it; delete the folder and train "
        "the trial again"
    )
