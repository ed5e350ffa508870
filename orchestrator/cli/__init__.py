"""Entry point of a sweep file: `main(PLAN)`.

Listing a plan imports neither torch nor Ray. A user error prints one message and exits with code 2,
failed trials exit with 1, and an interrupt exits with 130 and loses nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from models.command import run_command, shorten_interrupts
from orchestrator.errors import OrchestratorError

if TYPE_CHECKING:
    from orchestrator.design.plan import Plan
    from orchestrator.design.search_space import Search
    from orchestrator.execution.options import Options

if hasattr(sys.modules["__main__"], "__file__"):  # a sweep file, whose imports take a second
    shorten_interrupts()


def main(sweep: Plan | Search, argv: Sequence[str] | None = None) -> NoReturn:
    """Run a sweep file's plan or search according to the command line, and exit.

    Args:
        sweep: PLAN of the sweep file.
        argv: Arguments without the program's name; None reads `sys.argv`.
    """
    from orchestrator.execution.options import parse

    doc = getattr(sys.modules.get("__main__"), "__doc__", None) or ""
    sys.exit(
        run_command(
            lambda: _run(sweep, parse(argv, description=doc)),
            mistakes=OrchestratorError,
            interrupted="interrupted; the same command goes on from here",
        )
    )


def _run(sweep: Plan | Search, options: Options) -> int:
    from orchestrator.execution.prepare import prepare

    prepared = prepare(sweep, options)
    if prepared.overview:
        print(prepared.overview, end="\n\n", flush=True)
    if options.dry_run:
        from orchestrator.cli.dry_run import print_listing

        print_listing(prepared)
        return 0
    if options.check:
        from orchestrator.execution.launch import check

        return check(prepared)
    if options.smoke:
        from orchestrator.execution.launch import smoke

        return smoke(prepared)
    from orchestrator.execution.launch import launch

    return launch(prepared)
