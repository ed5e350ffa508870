"""Registered names of all experiment parts, readable without importing torch.

A part is registered where it is defined::

    @register("transform")
    class Adaptor(nn.Module):
        def __init__(self, num_channels: int, *, kernel_size: int = 3, strength: float = 0.005): ...

Parameters before the star are the context that the chain's builder supplies (number of channels,
input size, number of classes). Parameters after the star are the part's own arguments, which
experiments set and ablations change. The registered name is the function's, or the class's in snake
case.

A model family is one class with a table of sizes, each a name and the defaults that differ from the
class's::

    @register("model", variants={"datar_tiny": {}, "datar_small": {"depths": (2, 2, 18, 2)}})
    class Dat(nn.Module): ...

The "Variants:" section of the class's docstring describes each name; the first sentence is its
summary.

`catalog` reads the same signatures from the source text, so that a plan can be checked in
milliseconds; a test keeps both views consistent. A part outside this distribution is named
`module:attribute`; its module must be importable on every host.
"""

from __future__ import annotations

import ast
import difflib
import functools
import importlib
import importlib.util
import inspect
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from models.errors import ModelError, failure
from models.own_source import PACKAGES, own_source
from models.schema import coerce

KINDS = (
    "dataset",
    "waveform_augmentation",
    "frontend",
    "augmentation",
    "transform",
    "model",
    "loss",
    "class_weights",
    "optimizer",
    "schedule",
    "sampler",
    "mixup",
    "averaging",
    "distillation",
)
CHAIN_PARTS = ("frontend", "augmentation", "transform", "model")
"""Kinds of links in a chain, in order."""

REQUIRED = "<required>"
SOURCE = "module_digest"
"""Argument that pins the source digest of a part named `module:attribute` in an experiment."""

TRAINED_AS = "trained_as"
"""Metadata key of a checkpoint that records what it was trained as."""

_FEW, _SHOWN = 10, 5  # names listed in full; names shown if there are more
_LISTS = {"model": "python -m models"}  # kind -> the command that lists its names

_T = TypeVar("_T", bound=Callable[..., Any])
_registered: dict[tuple[str, str], tuple[Callable[..., Any], Mapping[str, Any]]] = {}
_sources: dict[str, tuple[Any, str]] = {}  # module -> its spec and digest when it was imported


class RegistryError(ValueError):
    """An unknown or duplicate name, or an unknown argument."""


@dataclass(frozen=True)
class Argument:
    """A keyword-only argument of a part: its annotation as a type, and its default."""

    name: str
    type: Any
    default: Any

    @property
    def required(self) -> bool:
        """Whether the argument has no default."""
        return self.default is REQUIRED


@dataclass(frozen=True)
class Entry:
    """Catalog entry of a part: its location and arguments."""

    kind: str
    name: str
    module: str
    attribute: str
    arguments: Mapping[str, Argument]
    summary: str


def register(
    kind: Literal[KINDS],  # type: ignore[valid-type]
    *,
    variants: Mapping[str, Mapping[str, Any]] | None = None,
    fixed: tuple[str, ...] = (),
) -> Callable[[_T], _T]:
    """Register a function or class under its own name, or under the names of its variants.

    `catalog` reads the call from the source text, so all arguments must be literals.

    Args:
        kind: One of `KINDS`.
        variants: Name -> defaults that differ from the part's; the part's own name is then not
            registered.
        fixed: Arguments that define the variants and that experiments cannot set.

    Raises:
        RegistryError: The kind is unknown or a name is taken.
    """
    if kind not in KINDS:
        raise RegistryError(f"unknown kind {kind!r} (valid: {', '.join(KINDS)})")

    def add(part: _T) -> _T:
        for name, sizes in (variants or {snake_case(part.__name__): {}}).items():
            taken, _ = _registered.get((kind, name), (part, {}))
            if taken.__module__ != part.__module__:
                raise RegistryError(
                    f"{kind} {name!r} is registered twice: {taken.__module__}, {part.__module__}"
                )
            _registered[kind, name] = part, sizes
        return part

    return add


def create(kind: str, name: str, *context: Any, **arguments: Any) -> Any:
    """Build a part by name, importing its module on first use.

    Args:
        kind: One of `KINDS`.
        name: A registered name, or `module:attribute` for a part of another distribution.
        *context: Context, in the order of the part's signature.
        **arguments: Arguments of the part.

    Raises:
        RegistryError: The name or an argument is unknown, a value is not of its declared type, or
            the source of a module does not match the digest pinned by `SOURCE`.
    """
    if ":" in name:
        part = _imported(kind, name, arguments.pop(SOURCE, ""))
        return _create_own(kind, name, part, *context, **arguments)
    entry = lookup(kind, name)
    wrong = [argument for argument in arguments if argument not in entry.arguments]
    if wrong:
        raise RegistryError(
            f"{kind} {name!r} has no argument "
            + ", ".join(_nearest(argument, entry.arguments) for argument in wrong)
            + f" (valid: {', '.join(entry.arguments)})"
        )
    importlib.import_module(entry.module)
    part, sizes = _registered[kind, name]
    return part(*context, **{**sizes, **_checked(entry, arguments)})


def stated(kind: str, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a part's arguments as plain JSON, with defaults filled in.

    Args:
        kind: One of `KINDS`.
        name: Name of a part that `create` has built with these arguments.
        arguments: The given arguments.

    Returns:
        argument -> value, sorted, as in an experiment's canonical form. A part of another
        distribution has no readable defaults, but includes its source digest.
    """
    if ":" in name:
        _, source = _sources.get(name.partition(":")[0], (None, ""))
        values = {**arguments, **({SOURCE: source} if source else {})}
    else:
        entry = lookup(kind, name)
        values = {n: a.default for n, a in entry.arguments.items() if not a.required}
        values |= _checked(entry, arguments)
    return {argument: _plain(values[argument]) for argument in sorted(values)}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(value[key]) for key in sorted(value)}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value


def _imported(kind: str, name: str, pinned: str) -> Any:
    """Import a user-defined part; its source must match the digest, if one is pinned."""
    module, _, attribute = name.partition(":")
    before = _source_digest(module)
    try:
        imported = importlib.import_module(module)
        part = getattr(imported, attribute)
    except Exception as error:  # user code may raise anything
        said = error if isinstance(error, ImportError | AttributeError) else failure(error)
        raise RegistryError(
            f"{kind} {name!r} cannot be imported: {said}. Its module must be installed on every "
            "host"
        ) from error
    # The file may change later; what counts is the imported version.
    if module not in _sources or _sources[module][0] is not imported.__spec__:
        _sources[module] = imported.__spec__, before if before == _source_digest(module) else ""
    found = _sources[module][1]
    if pinned and found != pinned:
        raise RegistryError(
            f"{kind} {name!r}: the experiment was declared with the source {pinned} of module "
            f"{module!r}, and this process has imported {found or 'one that changed meanwhile'}; "
            "put the declared source back on this host, or start the command again to declare the "
            "present one"
        )
    return part


def _source_digest(module: str) -> str:
    """Digest a module and the user modules it imports; empty if that is not possible."""
    try:
        return own_source(module).digest
    except (ModelError, OSError):
        return ""


def _create_own(kind: str, name: str, part: Any, *context: Any, **arguments: Any) -> Any:
    """Call a part named `module:attribute`; any error names the part."""
    if not callable(part):
        raise RegistryError(
            f"{kind} {name!r} is a {type(part).__name__}, which cannot be called; name a class or "
            "a function"
        )
    try:
        signature = inspect.signature(part)
    except ValueError:  # some built-in callables have none
        signature = None
    try:
        if signature is not None:
            signature.bind(*context, **arguments)
    except TypeError as error:
        raise RegistryError(
            f"{kind} {name!r} cannot be called: {error}; its signature is {signature}, and before "
            f"the keyword arguments it gets {len(context)} positional ones from the chain"
        ) from error
    try:
        return part(*context, **arguments)
    except Exception as error:
        if isinstance(error, ValueError) and type(error) is not ValueError:
            raise  # already one of our errors
        raise RegistryError(f"{kind} {name!r} cannot be built: {failure(error)}") from error


def _checked(entry: Entry, arguments: Mapping[str, Any]) -> dict[str, Any]:
    checked, mistakes = {}, []
    for name, value in arguments.items():
        checked[name], problem = coerce(value, entry.arguments[name].type)
        if isinstance(value, float) and not math.isfinite(value):
            problem = f"is {value}; it must be finite"
        if problem:
            mistakes.append(f"{name} {problem}")
    if mistakes:
        raise RegistryError(f"{entry.kind} {entry.name!r}: " + "; ".join(mistakes))
    return checked


def lookup(kind: str, name: str) -> Entry:
    """Find a part's entry, or raise a `RegistryError` that names the nearest one."""
    if name not in catalog()[kind]:
        raise RegistryError(unknown_name(kind, name))
    return catalog()[kind][name]


def unknown_name(kind: str, name: str) -> str:
    """Return the message for an unknown name, with all valid names or the nearest few."""
    valid = sorted(catalog()[kind])
    listed = f"valid: {', '.join(valid)}"
    if len(valid) > _FEW:
        near = difflib.get_close_matches(name.lower(), valid, n=_SHOWN, cutoff=0.5)
        listed = f"nearest: {', '.join(near)}; " if near else ""
        listed += f"all {len(valid)}: {_LISTS.get(kind, f'models.registry.names({kind!r})')}"
    return f"unknown {kind} {_nearest(name, valid)} ({listed})"


def names(kind: str) -> list[str]:
    """Return the registered names of a kind, sorted."""
    return sorted(catalog()[kind])


@functools.cache
def catalog() -> Mapping[str, Mapping[str, Entry]]:
    """Read every registered part from the packages' source text without importing them.

    Returns:
        kind -> name -> `Entry`.
    """
    found: dict[str, dict[str, Entry]] = {kind: {} for kind in KINDS}
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            continue
        root = Path(next(iter(spec.submodule_search_locations)))
        for path in sorted(root.rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            if "@register(" not in text:
                continue
            module = ".".join([package, *path.relative_to(root).with_suffix("").parts])
            for entry in _entries(ast.parse(text), module):
                taken = found[entry.kind].setdefault(entry.name, entry)
                if taken is not entry:
                    raise RegistryError(
                        f"{entry.kind} {entry.name!r} is registered twice: {taken.module}, {module}"
                    )
    return found


def snake_case(name: str) -> str:
    """`KaldiFbank` -> `kaldi_fbank`; a name in snake case is unchanged."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _entries(tree: ast.Module, module: str) -> Iterator[Entry]:
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue
        for decorator in node.decorator_list:
            if (
                isinstance(decorator, ast.Call)
                and isinstance(decorator.func, ast.Name)
                and decorator.func.id == "register"
            ):
                yield from _entries_of(node, decorator, module)


def _entries_of(
    node: ast.FunctionDef | ast.ClassDef, decorator: ast.Call, module: str
) -> Iterator[Entry]:
    kind = ast.literal_eval(decorator.args[0])
    given = {k.arg: ast.literal_eval(k.value) for k in decorator.keywords}
    text = ast.get_docstring(node) or ""
    arguments = _arguments(node)
    if "variants" not in given:
        summary = text.partition("\n")[0]
        yield Entry(kind, snake_case(node.name), module, node.name, arguments, summary)
        return
    described = docstring_section(text, "Variants")
    fixed = given.get("fixed", ())
    for name, sizes in given["variants"].items():
        wrong = [argument for argument in (*sizes, *fixed) if argument not in arguments]
        if wrong:
            raise RegistryError(
                f"{kind} {name!r} of {module}: {node.name} has no argument "
                + ", ".join(_nearest(argument, arguments) for argument in wrong)
            )
        own = {
            argument.name: replace(argument, default=sizes.get(argument.name, argument.default))
            for argument in arguments.values()
            if argument.name not in fixed
        }
        summary = re.split(r"(?<=\.)\s", described.get(name, ""), maxsplit=1)[0]
        yield Entry(kind, name, module, node.name, own, summary)


def docstring_section(text: str, title: str) -> dict[str, str]:
    """Read a section of a Google-style docstring, such as `Args`: name -> text on one line."""
    _, _, section = text.partition(f"{title}:\n")
    entries: dict[str, list[str]] = {}
    indent, name = None, ""
    for line in section.splitlines():
        depth = len(line) - len(line.lstrip())
        indent = depth if indent is None else indent
        if not line.strip() or depth < indent:
            break
        if depth == indent:
            name, _, rest = line.strip().partition(": ")
            entries[name] = [rest]
        else:
            entries[name].append(line.strip())
    return {name: " ".join(lines) for name, lines in entries.items()}


def _arguments(node: ast.FunctionDef | ast.ClassDef) -> dict[str, Argument]:
    function: ast.FunctionDef | None
    if isinstance(node, ast.ClassDef):
        function = next(
            (
                child
                for child in node.body
                if isinstance(child, ast.FunctionDef) and child.name == "__init__"
            ),
            None,
        )
    else:
        function = node
    if function is None:
        return {}
    pairs = zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
    return {
        argument.arg: Argument(
            argument.arg,
            _annotation(argument.annotation),
            REQUIRED if default is None else ast.literal_eval(default),
        )
        for argument, default in pairs
    }


def _annotation(node: ast.expr | None) -> Any:
    if node is None:
        return Any
    # Safe: our own source text, evaluated with these names alone.
    scope = {"__builtins__": {}, "Literal": Literal, "Any": Any}
    scope |= {kind.__name__: kind for kind in (bool, int, float, str, tuple, list, dict)}
    return eval(ast.unparse(node), scope)


def _nearest(name: str, valid: Any) -> str:
    close = difflib.get_close_matches(name.lower(), list(valid), n=1, cutoff=0.5)
    return f"{name!r}; did you mean {close[0]!r}?" if close else repr(name)
