"""What a sweep file calls: `main(PLAN)`.

Listing a plan imports neither torch nor Ray. A user's mistake is one message and exit code 2;
trials that failed are exit code 1; an interrupt is 130 and loses nothing.
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

if hasattr(sys.modules["__main__"], "__file__"):  # a sweep file, whose own imports take a second
    shorten_interrupts()


def main(sweep: Plan | Search, argv: Sequence[str] | None = None) -> NoReturn:
    """Run a sweep file's plan or search as its command line says, and exit.

    Args:
        sweep: the sweep's PLAN.
        argv: without the program's name; None reads the process's own.
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
