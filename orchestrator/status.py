# PYTHON_ARGCOMPLETE_OK
"""`python -m orchestrator.status`; see `orchestrator.execution.status`."""

from __future__ import annotations

if __name__ == "__main__":
    from models.command import shorten_interrupts

    shorten_interrupts()  # the import below takes a moment

from orchestrator.execution.status import main

if __name__ == "__main__":
    raise SystemExit(main())
