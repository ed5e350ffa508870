# PYTHON_ARGCOMPLETE_OK
"""Look at a dataset, or make a pack of it: `python -m orchestrator.data look|audit|pack|counts`."""

from __future__ import annotations

import argparse
import ast
import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from models.command import completing, run_command
from orchestrator.data.source import POLICIES
from orchestrator.errors import DataError, OrchestratorError, printable
from orchestrator.terminal.text import terminal_width

_PACKS = "store/packs"
_EPILOG = """\
examples:
  python -m orchestrator.data look --data-root ~/ESC-50
  python -m orchestrator.data audit --data-root ~/my_sounds --set label=species
  python -m orchestrator.data audit --data-root ~/AudioSet --against /mnt/colleague/packs/4f1c...
  python -m orchestrator.data pack --data-root ~/ESC-50 --sample-rate 32000
  python -m orchestrator.data pack --dataset synthetic --set num_classes=5 --set seed=1
  python -m orchestrator.data counts --annotations ~/annotations

exit code: 0 fine, 1 the audit found broken clips, a damaged pack or another copy, 2 a mistake that
the message explains"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = completing(_parser())
    options, rest = parser.parse_known_args(argv)
    if rest:
        folder = next((word for word in rest if not word.startswith("-")), "")
        hint = f"; a data set's folder is given as --data-root {folder}" if folder else ""
        parser.error(f"unrecognized arguments: {' '.join(rest)}{hint}")
    return run_command(
        lambda: _COMMANDS[options.command](options),
        mistakes=OrchestratorError,
        interrupted="interrupted; nothing half-made is left behind",
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m orchestrator.data",
        description="Look at every clip of a dataset, or make it ready to train on.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="look|audit|pack|counts"
    )
    shared = argparse.ArgumentParser(add_help=False)
    add = shared.add_argument_group("data").add_argument
    add(
        "--dataset",
        default="",
        help="NAME, NAME:argument=value,... or module:function (default: what lies in the data "
        "root, see `look`)",
    )
    add("--data-root", metavar="DIR", help="the folder of the dataset's files")
    add(
        "--policy",
        choices=POLICIES,
        help="broken clips: stop (default), or drop them and record it",
    )
    add("--sample-rate", type=int, metavar="HZ", help="the pack's rate")
    add(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="settings",
        help="any argument of the dataset; may be repeated",
    )
    add = shared.add_argument_group("what is written").add_argument
    add("--packs", default=_PACKS, metavar="DIR", help=f"where packs are kept (default: {_PACKS})")
    add("--csv", metavar="OUT", help="write one line per clip to this file")
    add("--json", metavar="OUT", help="write one record per clip to this file")
    commands.add_parser(
        "look",
        parents=[shared],
        help="say what is taken for classes, splits and recordings, and what is left out",
    )
    audit = commands.add_parser(
        "audit",
        parents=[shared],
        help="open every clip and the pack made of them, say what is wrong; change nothing",
    )
    audit.add_argument(
        "--against",
        metavar="PACK",
        help="say which clips differ from a colleague's: a pack's folder, or what audit --csv or "
        "--json wrote there",
    )
    audit.add_argument(
        "--missing-to", metavar="OUT", help="write the listed clips that are not here to this file"
    )
    audit.add_argument("--all", action="store_true", help="show every clip, not only odd ones")
    commands.add_parser(
        "pack", parents=[shared], help="audit, decode and resample into a pack, once"
    )
    counts = commands.add_parser(
        "counts", help="count the official lists of published data sets beside the papers' numbers"
    )
    counts.add_argument(
        "--annotations", required=True, metavar="DIR", help="the folder with a folder per data set"
    )
    counts.add_argument("--classes", action="store_true", help="also count every class by split")
    return parser


def _look(options: argparse.Namespace) -> int:
    from orchestrator.data.entry import open_source
    from orchestrator.data.overview import overview

    arguments = _arguments(options)
    source = open_source(options.dataset, arguments, root=options.data_root)
    print(printable(overview(source, width=terminal_width())))
    return 0


def _audit(options: argparse.Namespace) -> int:
    from orchestrator.data.against import Copy, compare
    from orchestrator.data.entry import open_source, packed_as
    from orchestrator.data.listing import Audit
    from orchestrator.data.source import RootMissing

    arguments = _arguments(options)
    try:
        source = open_source(options.dataset, arguments, root=options.data_root)
    except RootMissing:
        pinned = packed_as(options.dataset, None, arguments, packs=options.packs)
        if not pinned:
            raise
        return 0 if _audit_pack(pinned, options.packs) else 1
    copy = Copy.read(options.against) if options.against else None
    with progress_bar("audit") as progress:
        audit = Audit.of(source, progress=progress)
    _export(options, audit)
    _write(options.missing_to, audit.to_missing)
    print(printable(audit.table(every_clip=options.all, width=terminal_width())))
    print()
    print(printable(audit.summary()))
    pack = packed_as(options.dataset, source, arguments, packs=options.packs)
    whole = not pack or _audit_pack(pack, options.packs)
    alike = True
    if copy is not None:
        found = compare(source, audit.records, copy)
        print()
        print(f"compared with {printable(str(copy.path))}")
        print(printable(found.text(width=terminal_width(), every_clip=options.all)))
        alike = found.alike
    return 0 if whole and alike and not audit.broken else 1


def _audit_pack(fingerprint: str, packs: str) -> bool:
    """Read all bytes of a pack, print whether it is whole, and return that."""
    from orchestrator.data import addresses, integrity
    from orchestrator.data.info import DamagedPack

    path = addresses.local_path(addresses.join(packs, fingerprint))
    try:
        integrity.check(path, fingerprint, trust_memory=False)
    except DamagedPack as damaged:
        print(f"  pack: {damaged}")
        return False
    print(f"  pack: {fingerprint} in {printable(packs)} is whole: every byte was read")
    return True


def _pack(options: argparse.Namespace) -> int:
    from orchestrator.data.entry import open_source, prepare
    from orchestrator.data.overview import overview

    arguments = _arguments(options)
    if options.data_root:
        source = open_source(options.dataset, arguments, root=options.data_root)
        print(printable(overview(source, width=terminal_width())))
    if options.csv or options.json:
        from orchestrator.data.listing import Audit

        source = open_source(options.dataset, arguments, root=options.data_root)
        with progress_bar("audit") as progress:
            _export(options, Audit.of(source, progress=progress))
    with progress_bar("pack") as progress:
        info = prepare(
            options.dataset,
            arguments,
            root=options.data_root,
            packs=options.packs,
            progress=progress,
        )
    print(f"{info.name} {info.fingerprint} {'made' if info.made else 'was there already'}")
    print(
        f"  {info.num_clips} clips, {info.num_classes} classes, folds "
        f"{', '.join(info.fold_names)}, {info.sample_rate} Hz, longest clip "
        f"{info.num_samples / info.sample_rate:g} s"
    )
    for note in info.notes:
        print(printable(f"  note: {note}"))
    for clip_id, reason in info.dropped.items():
        print(printable(f"  dropped: {clip_id}: {reason}"))
    return 0


def _counts(options: argparse.Namespace) -> int:
    from orchestrator.data.layouts.tree import data_folder
    from orchestrator.data.official import official, present
    from orchestrator.terminal.text import grid, laid_out

    folder, width = data_folder(options.annotations), terminal_width()
    heads = ("count", "here", "published", "by", "verdict")
    for name in present(folder):
        data_set = official(name)
        counted = data_set.count(folder)
        rows = [
            (line.what, _number(line.found), _number(line.published), line.by, line.verdict)
            for line in counted.lines
        ]
        print(f"{data_set.TITLE} ({', '.join(data_set.FILES)})")
        print(laid_out(grid(rows, heads=heads, right=(1, 2), indent=2), width=width))
        if options.classes:
            names = sorted({name for of in counted.per_class.values() for name in of})
            heads_of = ("class", *counted.per_class)
            rows = [(n, *(str(of.get(n, 0)) for of in counted.per_class.values())) for n in names]
            right = range(1, len(heads_of))
            print(laid_out(grid(rows, heads=heads_of, right=right, indent=2), width=width))
    return 0


def _number(value: int | str | None) -> str:
    return f"{value:,}" if isinstance(value, int) else value or ""


def _arguments(options: argparse.Namespace) -> dict[str, Any]:
    from models import registry

    # As a sweep takes it, so that the flags of a message fit both commands.
    name, _, settings = options.dataset.partition(":")
    if name in registry.names("dataset"):
        is_found = name == "folder" and options.data_root
        options.dataset = "" if is_found else name
        options.settings = [*filter(None, settings.split(",")), *options.settings]
    arguments: dict[str, Any] = {}
    if options.sample_rate is not None:
        arguments["sample_rate"] = options.sample_rate
    if options.policy is not None:
        arguments["on_broken"] = options.policy
    known = registry.catalog()["dataset"].get(options.dataset or "folder")
    for setting in options.settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise DataError(f"--set {setting!r}: give it as key=value")
        argument = known.arguments.get(key) if known else None
        arguments[key] = _value(key, text, argument.type if argument else Any)
    if not options.dataset and options.data_root:
        from orchestrator.data.overview import recognized

        options.dataset, arguments = recognized(options.data_root, arguments)
    options.dataset = options.dataset or "esc"
    return arguments


def _value(key: str, text: str, kind: Any) -> Any:
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError as error:
            wanted = "a whole number" if kind is int else "a number"
            raise DataError(f"--set {key}={text}: {key} must be {wanted}") from error
    if kind is not Any:
        return text
    with contextlib.suppress(ValueError, SyntaxError):
        return ast.literal_eval(text)
    return text


def _export(options: argparse.Namespace, audit: Any) -> None:
    for path, text in ((options.csv, audit.to_csv), (options.json, audit.to_json)):
        _write(path, text)


def _write(path: str | None, text: Callable[[], str]) -> None:
    if path:
        try:
            Path(path).write_text(text(), encoding="utf-8")
        except OSError as error:
            raise DataError(f"cannot write {path!r}: {error}") from error


_COMMANDS = {"look": _look, "audit": _audit, "pack": _pack, "counts": _counts}


@contextlib.contextmanager
def progress_bar(title: str) -> Iterator[Any]:
    """Yield a function of (done, total) that draws a bar on standard error; None off a terminal.

    Args:
        title: Text in front of the bar.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


if __name__ == "__main__":
    sys.exit(main())
