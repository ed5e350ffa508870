"""Find a checkpoint's file by path, URL, or name of published weights.

Downloads are kept in `$ORCHESTRATOR_WEIGHTS`, or in `audio-ablation-orchestrator/weights` of the
user's cache folder (`$XDG_CACHE_HOME` or `~/.cache`).
"""

from __future__ import annotations

import contextlib
import difflib
import fcntl
import hashlib
import os
import re
import urllib.parse
from collections.abc import Iterator
from os import PathLike
from pathlib import Path

from models.cache import cache_folder
from models.card import Weights
from models.checkpoints.download import discard, download, length
from models.digests import file_digest
from models.errors import CheckpointError, DownloadError
from models.zoo.cards import WEIGHTS

_SCHEMES = ("https://", "http://")


def cache_dir() -> Path:
    """Return the folder of downloaded weights, which may not exist yet."""
    if own := os.environ.get("ORCHESTRATOR_WEIGHTS"):
        return Path(own).expanduser()
    return cache_folder("weights")


def is_remote(source: str | PathLike[str]) -> bool:
    """Whether a source is a URL or a published name rather than a path."""
    return isinstance(source, str) and (source in WEIGHTS or source.startswith(_SCHEMES))


def weight_file(source: str | PathLike[str]) -> Path:
    """Return the local file of a checkpoint, downloading it if necessary.

    Concurrent calls download it once. A file put into the cache by hand is checked too.

    Args:
        source: A path; a name in `models.zoo.cards.WEIGHTS`, which takes precedence over a file of
            that name (`./name` is the file); or an `https://` or `http://` URL, optionally ending
            with `#sha256=` or `#md5=` and the expected hex digits.

    Raises:
        DownloadError: The file cannot be downloaded, or is not the published one.
        CheckpointError: There is no such file, but a published name is similar.
    """
    if not isinstance(source, str):
        return Path(source)
    if source in WEIGHTS:
        return _published(WEIGHTS[source])
    if source.startswith(_SCHEMES):
        return _from_address(source)
    if "://" in source:
        raise CheckpointError(f"{source}: weights are fetched from https:// or http:// only")
    try:
        path = Path(source).expanduser()
        path.exists()
    except (ValueError, RuntimeError, OSError) as error:
        raise CheckpointError(f"{source!r} is no path ({error})") from None
    near = difflib.get_close_matches(source, WEIGHTS, n=1, cutoff=0.7)
    if near and not path.exists():
        raise CheckpointError(
            f"there is no checkpoint {source}; did you mean the published weights {near[0]!r}? "
            "`python -m models --weights` lists them"
        )
    return path


def _published(weights: Weights) -> Path:
    target = cache_dir() / weights.filename
    by_hand = f"fetch it from {weights.page} and put it at {target}"
    checks = {"md5": weights.md5, "sha256": weights.sha256}
    return _fetched(weights.url, target, checks=checks, size=weights.size, by_hand=by_hand)


def _from_address(source: str) -> Path:
    try:
        url, fragment = urllib.parse.urldefrag(source)
        path = urllib.parse.urlsplit(url).path
        url.encode("ascii")
    except ValueError as error:
        raise CheckpointError(
            f"{source!r} is no address ({error}); other letters than ASCII stand as %XX"
        ) from None
    kind, _, digits = fragment.partition("=")
    if fragment and not re.fullmatch(r"(md5|sha256)=[0-9a-fA-F]{8,64}", fragment):
        raise CheckpointError(
            f"{source}: after # stands sha256= or md5= and 8 or more hex digits of it"
        )
    name = re.sub(r"[^\w.=+-]", "_", Path(urllib.parse.unquote(path)).name).lstrip(".")
    # Two URLs may end with the same name.
    target = cache_dir() / hashlib.sha256(url.encode()).hexdigest()[:16] / (name or "checkpoint")
    by_hand = f"fetch it by other means and put it at {target}"
    return _fetched(url, target, checks={kind: digits.lower()}, size=0, by_hand=by_hand)


def _fetched(url: str, target: Path, *, checks: dict[str, str], size: int, by_hand: str) -> Path:
    checks = {kind: digits for kind, digits in checks.items() if digits}
    if target.exists():
        _verify(target, checks, size, f"delete it, or {by_hand}")
        return target
    with _alone(target, by_hand):
        if target.exists():  # another process was faster
            return target
        part = target.with_name(target.name + ".part")
        download(url, part, size=size, by_hand=by_hand)
        try:
            _verify(part, checks, size, f"the server gave another file; {by_hand}")
            if not checks:
                _check_readable(part, url, by_hand)
        except CheckpointError:
            discard(part)
            raise
        os.replace(part, target)
        discard(part)
    return target


def _verify(path: Path, checks: dict[str, str], size: int, way_out: str) -> None:
    if size and length(path) != size:
        raise DownloadError(
            f"{path} has {length(path)} bytes, the published file {size}: {way_out}"
        )
    for kind, digits in checks.items():
        found = file_digest(path, kind)
        if not found.startswith(digits):
            raise DownloadError(
                f"{path} has the {kind} {found}, the published file {digits}: {way_out}"
            )


def _check_readable(part: Path, url: str, by_hand: str) -> None:
    from models.checkpoints.read import read_checkpoint  # imports torch

    try:
        read_checkpoint(part)
    except CheckpointError as error:
        raise DownloadError(
            f"what {url} gives is no checkpoint and was not kept ({error}); {by_hand}"
        ) from None


@contextlib.contextmanager
def _alone(target: Path, by_hand: str) -> Iterator[None]:
    """Hold the file's lock, which the kernel releases if the process dies."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = target.with_name(f".{target.name}.lock").open("w")
    except OSError as error:
        raise DownloadError(
            f"cannot write to {target.parent} ({error.strerror}); set ORCHESTRATOR_WEIGHTS to a "
            f"folder of yours. Or {by_hand}"
        ) from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
