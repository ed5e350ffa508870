"""The source files of a user-defined part, and their digest.

The results of a part named `module:attribute` depend on its module and on every user module that it
imports, directly or indirectly. User modules are those outside the standard library, installed
distributions, and this package; they include editable installs of the user's project and files
beside a sweep file.

Imports are read from the source text without executing it. Source that loads modules by computed
names (`import_module(name)`, `runpy`, `pkgutil`, a computed `__all__`) is refused. Not covered:
data files that a module reads, and other modules of an installed distribution that the part comes
from.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import json
import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.machinery import BYTECODE_SUFFIXES, EXTENSION_SUFFIXES, SOURCE_SUFFIXES
from pathlib import Path

from models.errors import ModelError

PACKAGES = ("models", "orchestrator")
"""Packages of this project."""

DIGEST_LENGTH = 16
_INSTALLED = {"site-packages", "dist-packages"}
_STANDARD = tuple(
    {os.path.realpath(sysconfig.get_path(name)) + os.sep for name in ("stdlib", "platstdlib")}
)
_SUFFIXES = (*EXTENSION_SUFFIXES, *SOURCE_SUFFIXES, *BYTECODE_SUFFIXES)
_LENIENT = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}
"""Exceptions caught around an optional import."""

_BY_NAME = {"import_module", "__import__"}
_LOADERS = {
    *_BY_NAME,
    *("run_module", "run_path", "spec_from_file_location", "exec_module"),
    *("iter_modules", "walk_packages"),
}
"""Module loaders; calls of the first two with a literal name can be followed."""

_Identity = tuple[str, int, int, int]
"""Path, modification time in ns, size, and inode of a file."""


@dataclass(frozen=True)
class OwnSource:
    """The source files and digest of a part.

    Attributes:
        files: Dotted module name -> file, sorted by name.
        digest: 16 hex digits over names and contents, independent of paths.
    """

    files: Mapping[str, Path]
    digest: str


@dataclass(frozen=True)
class _Module:
    """A module's file, if it has one, and the folders of its submodules."""

    file: str = ""
    folders: tuple[str, ...] | None = None


@dataclass(frozen=True)
class _Import:
    """One import as written in the source.

    Attributes:
        level: Number of leading dots of a relative import.
        module: Dotted name after the dots.
        names: Imported names, which may be submodules.
        line: Line number.
        required: Whether it is outside any `try` that handles a missing module.
        local: Whether it is inside a function, which may never be called.
    """

    level: int
    module: str
    names: tuple[str, ...]
    line: int
    required: bool
    local: bool


@dataclass(frozen=True)
class _File:
    digest: str
    imports: tuple[_Import, ...] = ()
    exported: tuple[str, ...] = ()
    words: frozenset[str] | None = None
    problem: str = ""

    def may_bind(self, name: str) -> bool:
        """Whether the package's source may define the name."""
        dynamic = {"__getattr__", "*"}
        return self.words is None or name in self.words or not dynamic.isdisjoint(self.words)


_sources: dict[tuple[str, tuple[str, ...]], tuple[tuple[_Identity, ...], OwnSource]] = {}


def own_source(module: str) -> OwnSource:
    """Find the files of a part's module and of all user modules that it imports.

    The result is cached until one of the files changes.

    Args:
        module: Dotted module name, as in `module:attribute`.

    Raises:
        ModelError: The module or one that it imports is missing, or a file is not Python; lists all
            such problems.
    """
    key = (module, tuple(sys.path))
    known = _sources.get(key)
    if known is not None and known[0] == tuple(_identities(known[1].files.values())):
        return known[1]
    walk = _Walk(module)
    if walk.mistakes:
        raise ModelError("\n".join(walk.mistakes))
    listed = sorted(walk.files)
    contents = [(name, _read(*_identity(walk.files[name])).digest) for name in listed]
    text = json.dumps(contents, separators=(",", ":"))
    found = OwnSource(
        files={name: Path(walk.files[name]) for name in listed},
        digest=hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH],
    )
    _sources[key] = (tuple(_identities(found.files.values())), found)
    return found


class _Walk:
    """One traversal of a module's imports; fills `files` and `mistakes`."""

    def __init__(self, module: str):
        self.files: dict[str, str] = {}
        self.mistakes: list[str] = []
        self._found: dict[str, _Module | None] = {}
        self._waiting: list[str] = []
        found = self._find(module)
        if found is None or not found.file:
            self.mistakes.append(
                f"there is no module {module!r} to import; install it, or start Python where it "
                "lies"
            )
            return
        self.files[module] = found.file
        if self._take(module) and _is_own(module, found):
            self._waiting.append(module)
        while self._waiting:
            self._follow(self._waiting.pop())

    def _follow(self, name: str) -> None:
        """Collect the imports of one file."""
        file = self.files[name]
        read = _read(*_identity(file))
        if read.problem:
            self.mistakes.append(f"{name} ({Path(file).name}) {read.problem}")
        found = self._find(name)
        is_package = found is not None and found.folders is not None
        for one in read.imports:
            base = _absolute(one, name, is_package=is_package)
            if base is None:
                self._miss(one, name, "." * one.level + one.module)
            elif not self._take(base):
                self._miss(one, name, base)
            else:
                self._take_names(one, base, name)

    def _take_names(self, one: _Import, base: str, name: str) -> None:
        """Collect the submodules among the names imported from a module."""
        found = self._find(base)
        if found is None or found.folders is None or not _is_own(base, found):
            return
        text = _read(*_identity(found.file)) if found.file else None
        names = (*one.names, *(text.exported if text and "*" in one.names else ()))
        for taken in names:
            if self._find(f"{base}.{taken}") is not None:
                self._take(f"{base}.{taken}")
            elif taken in one.names and taken != "*" and (text is None or not text.may_bind(taken)):
                self._miss(one, name, f"{base}.{taken}")

    def _take(self, name: str) -> bool:
        """Collect a user module and its parent packages; return whether the module exists.

        Other modules are not followed.
        """
        parts = name.split(".")
        for length in range(1, len(parts) + 1):
            whole = ".".join(parts[:length])
            found = self._find(whole)
            if found is None:
                return whole in sys.stdlib_module_names
            if not _is_own(whole, found):
                return True
            if found.file and whole not in self.files:
                self.files[whole] = found.file
                self._waiting.append(whole)
        return True

    def _miss(self, one: _Import, name: str, wanted: str) -> None:
        """Report a missing module, unless its absence is expected or may never matter."""
        top = wanted.partition(".")[0]
        of_own = one.level > 0 or self._find(top) is not None
        if not one.required or (one.local and not of_own):
            return
        self.mistakes.append(
            f"{name} (line {one.line} of {Path(self.files[name]).name}) imports {wanted!r}, which "
            "is not there; put it beside the module or install it, on every host"
        )

    def _find(self, name: str) -> _Module | None:
        if name not in self._found:
            parent, _, last = name.rpartition(".")
            if not parent:
                self._found[name] = _top_level(name)
            else:
                above = self._find(parent)
                folders = above.folders if above is not None else None
                self._found[name] = _below(last, folders) if folders is not None else None
        return self._found[name]


def _is_own(name: str, found: _Module) -> bool:
    """Whether a module is a user module."""
    if name.partition(".")[0] in PACKAGES:
        return False
    places = [found.file] if found.file else list(found.folders or ())
    if not places:  # built in, or frozen
        return False
    return not all(_installed(place) or _standard(place) for place in places)


def _installed(place: str) -> bool:
    return not _INSTALLED.isdisjoint(Path(place).parts)


def _standard(place: str) -> bool:
    return os.path.realpath(place).startswith(_STANDARD)


def _top_level(name: str) -> _Module | None:
    """Ask Python's finders, including those of editable installs; none executes a module."""
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        spec = find(name, None) if find is not None else None
        if spec is not None:
            folders = spec.submodule_search_locations
            file = spec.origin if spec.has_location and spec.origin else ""
            return _Module(
                file if os.path.isfile(file) else "",
                None if folders is None else tuple(folders),
            )
    return None


def _below(name: str, folders: Iterable[str]) -> _Module | None:
    """Find a submodule in its package's folders, in Python's search order."""
    portions = []
    for folder in folders:
        place = os.path.join(folder, name)
        for suffix in _SUFFIXES:
            if os.path.isfile(file := os.path.join(place, f"__init__{suffix}")):
                return _Module(file, (place,))
        for suffix in _SUFFIXES:
            if os.path.isfile(file := place + suffix):
                return _Module(file)
        if os.path.isdir(place):
            portions.append(place)
    return _Module(folders=tuple(portions)) if portions else None


def _absolute(one: _Import, name: str, *, is_package: bool) -> str | None:
    """Return the absolute name of the imported module; None above the top-level package."""
    if not one.level:
        return one.module
    parts = name.split(".")
    keep = len(parts) - one.level + is_package
    if keep < 1:
        return None
    return ".".join([*parts[:keep], *filter(None, [one.module])])


def _identity(file: str) -> _Identity:
    status = os.stat(file)
    return file, status.st_mtime_ns, status.st_size, status.st_ino


def _identities(files: Iterable[Path]) -> Iterator[_Identity]:
    for file in files:
        try:
            yield _identity(str(file))
        except OSError:
            yield str(file), 0, 0, 0


@functools.lru_cache(maxsize=4096)
def _read(file: str, *_identity: int) -> _File:
    """Digest a file and list its imports; those of a compiled file are unknown."""
    content = Path(file).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if not file.endswith(tuple(SOURCE_SUFFIXES)):
        return _File(digest)
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        where = f" at line {line}" if line else ""
        return _File(digest, problem=f"is not Python{where}: {getattr(error, 'msg', error)}")
    return _File(
        digest,
        tuple(_imports(tree.body)),
        tuple(_exported(tree)),
        frozenset(_words(tree)),
        _hidden(tree),
    )


def _imports(
    nodes: Iterable[ast.AST], *, required: bool = True, local: bool = False
) -> Iterator[_Import]:
    for node in nodes:
        inside = local
        match node:
            case ast.Import():
                for alias in node.names:
                    yield _Import(0, alias.name, (), node.lineno, required, local)
            case ast.ImportFrom():
                names = tuple(alias.name for alias in node.names)
                yield _Import(node.level, node.module or "", names, node.lineno, required, local)
            case ast.Call(
                func=(ast.Name(id=called) | ast.Attribute(attr=called)),
                args=[ast.Constant(value=str(wanted)), *_],
            ) if called in ("import_module", "__import__") and wanted.strip("."):
                module = wanted.lstrip(".")
                level = len(wanted) - len(module)
                yield _Import(level, module, (), node.lineno, required, local)
            case ast.If(test=(ast.Name(id=checked) | ast.Attribute(attr=checked))) if (
                checked == "TYPE_CHECKING"
            ):
                yield from _imports(node.orelse, required=required, local=local)
                continue
            case ast.Try() if any(map(_expects_absence, node.handlers)):
                yield from _imports(node.body, required=False, local=local)
                rest = [*node.handlers, *node.orelse, *node.finalbody]
                yield from _imports(rest, required=required, local=local)
                continue
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                inside = True
        yield from _imports(ast.iter_child_nodes(node), required=required, local=inside)


def _hidden(tree: ast.Module) -> str:
    """Describe where the source loads modules by computed names; empty if nowhere."""
    shown: set[ast.AST] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=(ast.Name() | ast.Attribute()) as called, args=[first, *_]):
                if _named(called) in _BY_NAME and isinstance(first, ast.Constant):
                    shown.add(called)
            case (
                ast.Assign(targets=[ast.Name(id="__all__") as target], value=value)
                | ast.AugAssign(target=ast.Name(id="__all__") as target, value=value)
            ):
                items = value.elts if isinstance(value, ast.List | ast.Tuple) else [value]
                if all(isinstance(item, ast.Constant) for item in items):
                    shown.add(target)
    for node in ast.walk(tree):
        aliased = (
            isinstance(node, ast.alias)
            and node.asname is not None
            and node.name.rpartition(".")[2] in _LOADERS
        )
        if aliased or (_named(node) in (*_LOADERS, "__all__") and node not in shown):
            line = getattr(node, "lineno", 0)
            return (
                f"loads modules at line {line} that its text does not name, so that no id would "
                "cover them; write an import statement, or import_module('name')"
            )
    return ""


def _named(node: ast.AST) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _expects_absence(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    named = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(one, ast.Name) and one.id in _LENIENT for one in named)


def _exported(tree: ast.Module) -> Iterator[str]:
    """Yield the names of a literal `__all__`, which `from package import *` imports."""
    for node in tree.body:
        match node:
            case (
                ast.Assign(
                    targets=[ast.Name(id="__all__")],
                    value=ast.List(elts=items) | ast.Tuple(elts=items),
                )
                | ast.AugAssign(
                    target=ast.Name(id="__all__"),
                    value=ast.List(elts=items) | ast.Tuple(elts=items),
                )
            ):
                for item in items:
                    if isinstance(item, ast.Constant) and isinstance(item.value, str):
                        yield item.value


def _words(tree: ast.Module) -> Iterator[str]:
    """Yield every name that the source binds or mentions, and `*` for star imports."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.Constant(value=str(name)):
                yield name
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.AsyncFunctionDef(name=name):
                yield name
            case ast.alias():
                yield (node.asname or node.name).partition(".")[0]
