"""What a sweep file calls: `main(PLAN)`.

Listing a plan imports neither torch nor Ray. A user's mistake is one message and exit code 2;
trials that failed are exit code 1; an interrupt is 130 and loses nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from orchestrator.errors import OrchestratorError
from orchestrator.options import Options, parse
from orchestrator.plan import Plan
from orchestrator.prepare import prepare
from orchestrator.search import Search


def main(asked: Plan | Search, argv: Sequence[str] | None = None) -> NoReturn:
    """Run a sweep file's plan or search as its command line says, and exit.

    Args:
        asked: the sweep's PLAN.
        argv: without the program's name; None reads the process's own.
    """
    doc = getattr(sys.modules.get("__main__"), "__doc__", None) or ""
    options = parse(argv, description=doc)
    try:
        code = _run(asked, options)
        sys.stdout.flush()
    except OrchestratorError as error:
        print(f"error: {error}", file=sys.stderr)
        code = 2
    except BrokenPipeError:  # the reader, for example `head`, has seen enough
        sys.stdout = open(os.devnull, "w", encoding="utf-8")
        code = 0
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        code = 130
    sys.exit(code)


def _run(asked: Plan | Search, options: Options) -> int:
    ready = prepare(asked, options)
    if options.dry_run:
        from orchestrator.listing import print_listing

        print_listing(ready)
        return 0
    if options.check:
        from orchestrator.launch import check

        return check(ready)
    if options.smoke:
        from orchestrator.launch import smoke

        return smoke(ready)
    from orchestrator.launch import launch

    return launch(ready)
