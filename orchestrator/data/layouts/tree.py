"""The files below a data root, and how a list's paths are found among them."""

from __future__ import annotations

import contextlib
import os
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from orchestrator.data.layouts.rows import Audio, Mistakes
from orchestrator.errors import DataError, printable, shown

AUDIO = ("wav", "flac", "ogg", "oga", "opus", "mp3", "aiff", "aif", "aifc", "au", "w64", "caf")
"""Suffixes of what libsndfile decodes."""

_MISSING = "does not exist"
NOT_DECODED = ("m4a", "mp4", "aac", "webm", "wma", "amr", "mkv", "mov", "avi")


@dataclass(frozen=True)
class Tree:
    """Every file below a folder, hidden ones left out.

    Attributes:
        root: The folder, absolute.
        files: Paths below it with slashes, sorted.
        folders: Folders below it, sorted.
    """

    root: Path
    files: tuple[str, ...]
    folders: tuple[str, ...]

    @classmethod
    def of(cls, root: str | Path) -> Tree:
        """List a folder.

        Raises:
            DataError: It is not a folder that can be read.
        """
        folder = data_folder(root)
        files, folders = [], []
        seen: set[tuple[int, int]] = set()

        def refuse(error: OSError) -> None:
            raise DataError(f"cannot read the folder {error.filename}: {error.strerror}")

        for place, below, names in os.walk(folder, followlinks=True, onerror=refuse):
            status = os.stat(place)
            if (status.st_dev, status.st_ino) in seen:  # a link to a folder above it
                below.clear()
                continue
            seen.add((status.st_dev, status.st_ino))
            below[:] = sorted(name for name in below if not name.startswith("."))
            relative = Path(place).relative_to(folder)
            folders += [(relative / name).as_posix() for name in below]
            files += [
                (relative / name).as_posix()
                for name in names
                # What is no file is left out, for opening a pipe blocks; the audit reports audio.
                if not name.startswith(".")
                and (_suffix(name) in AUDIO or os.path.isfile(os.path.join(place, name)))
            ]
        return cls(folder, tuple(sorted(files)), tuple(sorted(folders)))

    @cached_property
    def audio(self) -> tuple[str, ...]:
        """Files that libsndfile may decode, by their suffix."""
        return self.ending(AUDIO)

    def ending(self, suffixes: Iterable[str]) -> tuple[str, ...]:
        """Return the files with one of these suffixes, in any case."""
        wanted = set(suffixes)
        return tuple(name for name in self.files if _suffix(name) in wanted)

    def find(self, text: str, *, beside: str = "") -> tuple[Path | None, str]:
        """Find the file that a list means.

        Tried in turn: the path below the root and beside the list, the absolute path, and the one
        file below the root that ends like it, also if the list leaves out the suffix.

        Args:
            text: Path as in the list.
            beside: Folder of the list, below the root.

        Returns:
            The file and "", or None and the reason.
        """
        if not text.strip() or "\0" in text:
            return None, "is no path"
        wanted = text.replace("\\", "/")
        parts = PurePosixPath(wanted).parts
        if PurePosixPath(wanted).is_absolute():
            if os.path.isfile(wanted):
                return Path(wanted), ""
            parts = parts[1:]
        elif self._escapes(beside, wanted):
            return None, "leads out of the data root; give absolute paths for files elsewhere"
        else:
            for folder in ("", beside):
                name = os.path.normpath(os.path.join(folder, wanted))
                if name in self._known:
                    return self.root / name, ""
        for start in range(len(parts)):
            end = "/".join(parts[start:])
            found = self._ending_like.get(end) or self._without_suffix.get(end) or []
            if len(found) == 1:
                return self.root / found[0], ""
            if found:
                return None, f"may be {found[0]} or {found[1]}; give the path below the data root"
        return None, _MISSING

    def locate(
        self, text: str, *, beside: str = "", where: str, mistakes: Mistakes
    ) -> Audio | None:
        """Return the audio that a list means; None after a mistake.

        Audio that does not exist is returned as where it would be: `folder` refuses or drops it.

        Args:
            text: Path as in the list.
            beside: Folder of the list, below the root.
            where: File and line, for the mistake.
            mistakes: Gets it.
        """
        path, problem = self.find(text, beside=beside)
        if path is None and problem != _MISSING:
            mistakes.add(where, f"{shown(text)} {problem}")
            return None
        path = path or self.root / text
        return Audio(self.name_of(path), path)

    def one_named(self, wanted: str) -> str:
        """Return the file of a name, whichever folder it is in; "" if there is none.

        Raises:
            DataError: There are two.
        """
        found = self._of_name.get(wanted, [])
        if len(found) > 1:
            raise DataError(f"{self.root} has {found[0]} and {found[1]}; keep one")
        return found[0] if found else ""

    def needed(self, wanted: str, *, where_from: str) -> str:
        """Return the list of classes of a name.

        Args:
            wanted: Its name.
            where_from: Where a user gets it, for the message.

        Raises:
            DataError: There is none, or two.
        """
        found = self.one_named(wanted)
        if not found:
            raise DataError(
                f"{self.root} has no {wanted}, which names the classes; take it from {where_from}"
            )
        return found

    def by_stem(self, mistakes: Mistakes) -> dict[str, str]:
        """Return the audio files by their names without folder and suffix.

        Args:
            mistakes: Gets files that share one.
        """
        files: dict[str, str] = {}
        for name in self.audio:
            stem = os.path.basename(name).rpartition(".")[0]
            if files.setdefault(stem, name) != name:
                mistakes.add(name, f"has the name of {files[stem]}; keep one of them")
        return files

    def besides(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the audio files that are not among some."""
        others = set(names)
        return tuple(name for name in self.audio if name not in others)

    @cached_property
    def _of_name(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for name in self.files:
            found[os.path.basename(name)].append(name)
        return found

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.files)

    def _escapes(self, beside: str, path: str) -> bool:
        names = (os.path.normpath(path), os.path.normpath(os.path.join(beside, path)))
        return all(name == ".." or name.startswith("../") for name in names)

    @cached_property
    def _ending_like(self) -> dict[str, list[str]]:
        return _by_end(self.audio)

    @cached_property
    def _without_suffix(self) -> dict[str, list[str]]:
        return _by_end(self.audio, strip=True)

    def name_of(self, path: Path) -> str:
        """Return a file's path below the root, or the whole path if it lies elsewhere."""
        with contextlib.suppress(ValueError):
            return path.relative_to(self.root).as_posix()
        return path.as_posix()


def _suffix(name: str) -> str:
    return name.rpartition(".")[2].lower()


def _by_end(names: Iterable[str], *, strip: bool = False) -> dict[str, list[str]]:
    """Return every end of paths, whole names only, with the paths that have it."""
    found: dict[str, list[str]] = defaultdict(list)
    for name in names:
        parts = (name.rpartition(".")[0] if strip else name).split("/")
        for start in range(len(parts)):
            found["/".join(parts[start:])].append(name)
    return found


def data_folder(root: str | Path) -> Path:
    """Return a data root as an absolute path.

    Raises:
        DataError: It is not a folder.
    """
    try:
        folder = Path(root).expanduser().resolve()
        is_folder = folder.is_dir()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, no such user, a NUL
        raise DataError(f"data root {str(root)!r} cannot be used: {error}") from error
    if not is_folder:
        raise DataError(f"data root {str(root)!r} is not a directory")
    return folder


def license_of(folder: Path) -> str:
    """Return the line of a folder's license file that names the license; "" if there is none."""
    for name in ("LICENSE.txt", "LICENSE", "LICENCE", "LICENSE.md"):
        path = folder / name
        with contextlib.suppress(OSError):  # an unreadable file names no license
            if path.is_file():
                lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
                found = (line.strip() for line in lines if re.match(r"\s*licen[cs]e\b", line, re.I))
                return printable(next(found, f"see {name}"))
    return ""
