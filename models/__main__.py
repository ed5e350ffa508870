# PYTHON_ARGCOMPLETE_OK
"""Prints the model zoo: `python -m models`, one model in full: `python -m models NAME`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

from models.command import completing, run_command
from models.registry import RegistryError, lookup

_EPILOG = """\
examples:
  python -m models                  every model: parameters, MACs, input, published results
  python -m models htsat_tiny       one in full: arguments, weights, results and their conditions
  python -m models --compare        our counts beside the papers', differences in percent
  python -m models --weights        published files that models.load_pretrained knows by name"""
_PLAIN_WIDTH = 100


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 2 for an unknown name."""
    options = completing(_parser()).parse_args(argv)
    return run_command(lambda: _print(options), mistakes=RegistryError)


def _print(options: argparse.Namespace) -> int:
    if options.name:
        lookup("model", options.name)
    from rich.console import Console

    from models.zoo import show
    from models.zoo.cards import WEIGHTS, weights_of

    class Plain(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # rich would exit with code 1

    console = Plain(highlight=False, markup=False, soft_wrap=False)
    if not console.is_terminal and not os.environ.get("COLUMNS"):
        console.width = _PLAIN_WIDTH
    name = options.name or None
    if options.weights:
        entries = weights_of(name) if name else tuple(WEIGHTS.values())
        data, draw = list(entries), lambda: show.print_weights(entries, console)
    elif options.compare:
        from models.zoo.counts import compare

        with _working():
            rows = compare(name)
        data, draw = list(rows), lambda: show.print_rows(rows, console)
    else:
        from models.zoo.describe import describe, describe_all

        with _working():
            found = (describe(name),) if name else describe_all()
        data = list(found)

        def draw() -> None:
            show.print_model(found[0], console) if name else show.print_list(found, console)

    if options.json:
        print(json.dumps(show.as_data(data), indent=2, ensure_ascii=False))
    else:
        draw()
    return 0


def _working():
    """Show a spinner on a terminal, since imports take seconds."""
    from rich.console import Console

    return Console(stderr=True).status("counting")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m models",
        description="Print the model zoo.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", nargs="?", default="", metavar="NAME", help="one model in full")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--compare", action="store_true", help="our counts beside the papers'")
    what.add_argument("--weights", action="store_true", help="the published weights")
    parser.add_argument("--json", action="store_true", help="for machines")
    return parser


if __name__ == "__main__":
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    sys.exit(main())
