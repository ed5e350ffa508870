"""Download one file over HTTP; resumes interrupted transfers and never leaves a partial file.

Bytes go to `<target>.part`. `<target>.part.json` holds the server's entity tag or date, so that a
later call resumes only the same file.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import json
import re
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from models.errors import DownloadError

TIMEOUT_S = 30.0
ATTEMPTS = 5
_CHUNK = 1 << 20
_AGENT = "audio-ablation-orchestrator"
_PAGE = re.compile(rb"\s*(<!doctype html|<html|<head|<\?xml)", re.IGNORECASE)


class _Cut(Exception):
    """The connection ended before the file did."""


def download(url: str, part: Path, *, size: int = 0, by_hand: str) -> None:
    """Download a file into `part`, or raise; a partial download is kept for the next call.

    Args:
        url: `https://` or `http://`; redirects are followed.
        part: Destination of the download, to be renamed by the caller.
        size: Size of the file in bytes, 0 if unknown.
        by_hand: How to get the file without this program, for error messages.

    Raises:
        DownloadError: The network, the file, or disk space is missing, the server sends a web page
            or another size, or the connection keeps breaking.
    """
    for attempt in range(ATTEMPTS):
        before = length(part)
        try:
            return _transfer(url, part, size=size, by_hand=by_hand)
        except OSError as error:  # only of the disk; network errors are handled below
            raise DownloadError(_unwritable(part, error, by_hand)) from None
        except _Cut as cut:
            # Without progress another attempt would fail the same way.
            if attempt == ATTEMPTS - 1 or length(part) <= before:
                raise DownloadError(
                    f"the connection broke while {url} was fetched ({cut}); {length(part)} bytes "
                    f"are kept, the same command goes on from there. Or {by_hand}"
                ) from None


def length(path: Path) -> int:
    """Return the size of a file in bytes, 0 if it does not exist."""
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0


def discard(part: Path) -> None:
    """Remove a partial file and its note."""
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def _transfer(url: str, part: Path, *, size: int, by_hand: str) -> None:
    start, validator = _kept(url, part)
    try:
        response = _open(url, start, validator)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not start:
            raise DownloadError(f"{_refusal(url, error)}; {by_hand}") from None
        whole = re.fullmatch(r"bytes \*/(\d+)", error.headers.get("Content-Range", ""))
        if whole and int(whole[1]) == start:
            return
        discard(part)
        raise _Cut("what was kept is not of this file") from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = " ".join(str(getattr(error, "reason", None) or error).split())
        raise DownloadError(
            f"cannot reach {url} ({reason}); is there a network? Otherwise {by_hand}"
        ) from None
    with response:
        start, total = _agreed(response, start)
        if response.headers.get_content_type() == "text/html":
            raise DownloadError(_page(url, by_hand))
        if size and total and total != size:
            raise DownloadError(f"{url} offers {total} bytes, published are {size}; {by_hand}")
        _check_space(part, total - start, by_hand)
        _write_note(url, part, response)
        with part.open("ab" if start else "wb") as file, _progress(part, start, total) as advance:
            _copy(response, file, advance, url=url, start=start, by_hand=by_hand)
    if total and length(part) != total:
        if length(part) > total:
            discard(part)
        raise _Cut(f"{length(part)} of {total} bytes")


def _copy(
    response: Any, file: Any, advance: Callable[[int], None], *, url: str, start: int, by_hand: str
) -> None:
    while True:
        try:
            chunk = response.read(_CHUNK)
        except http.client.IncompleteRead as error:
            chunk, cut = error.partial, "cut off"
        except (OSError, http.client.HTTPException) as error:
            raise _Cut(str(error) or type(error).__name__) from None
        else:
            cut = ""
        if not start and not file.tell() and _PAGE.match(chunk[:512]):
            raise DownloadError(_page(url, by_hand))
        file.write(chunk)
        file.flush()
        advance(len(chunk))
        if cut:
            raise _Cut(cut)
        if not chunk:
            return


def _open(url: str, start: int, validator: str) -> Any:
    headers = {"User-Agent": _AGENT, "Accept-Encoding": "identity"}
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": validator}
    return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S)


def _agreed(response: Any, start: int) -> tuple[int, int]:
    """Return the offset of the body in the file, and the file's size (0 if not stated)."""
    said = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    if response.status == 206 and said and int(said[1]) == start:
        return start, int(said[2]) if said[2] != "*" else 0
    # The whole file: the server does not support ranges, or the file has changed.
    said = response.headers.get("Content-Length") or ""
    return 0, int(said) if said.isdecimal() else 0


def _note(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _kept(url: str, part: Path) -> tuple[int, str]:
    """Return the number of bytes kept, and the server's validator for that file."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        note = json.loads(_note(part).read_text(encoding="utf-8"))
        if note["url"] == url and note["validator"]:
            return length(part), note["validator"]
    return 0, ""


def _write_note(url: str, part: Path, response: Any) -> None:
    tag = response.headers.get("ETag", "")
    # A weak tag does not guarantee identical bytes.
    validator = tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified")
    note = json.dumps({"url": url, "validator": validator or ""})
    _note(part).write_text(note, encoding="utf-8")


def _check_space(part: Path, needed: int, by_hand: str) -> None:
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise DownloadError(
            f"{part.parent} has {free} bytes free and {needed} are needed; make room there, or "
            f"set ORCHESTRATOR_WEIGHTS to another folder. Or {by_hand}"
        )


def _unwritable(part: Path, error: OSError, by_hand: str) -> str:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    why = "the disk is full" if full else error.strerror or str(error)
    return (
        f"cannot write {part}: {why}; make room there, or set ORCHESTRATOR_WEIGHTS to another "
        f"folder. Or {by_hand}"
    )


def _refusal(url: str, error: urllib.error.HTTPError) -> str:
    if error.code in (404, 410):
        return f"there is no file at {url} ({error.code})"
    if error.code in (401, 403):
        return f"{url} is not given to everyone ({error.code})"
    return f"{url} cannot be fetched now ({error.code} {error.reason})"


def _page(url: str, by_hand: str) -> str:
    return (
        f"{url} gives a web page in place of the file (a question to be answered, a quota, a "
        f"log-in); {by_hand}"
    )


@contextlib.contextmanager
def _progress(part: Path, start: int, total: int) -> Iterator[Callable[[int], None]]:
    name = part.name.removesuffix(".part")
    if not sys.stderr.isatty():
        size = f" ({total / 1e6:.1f} MB)" if total else ""
        print(f"fetching {name}{size}", file=sys.stderr)
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

    columns = ("{task.description}", BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"fetching {name}", total=total or None, completed=start)
        yield lambda count: bar.update(task, advance=count)
