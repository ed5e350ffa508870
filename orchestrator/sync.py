# PYTHON_ARGCOMPLETE_OK
"""`python -m orchestrator.sync`; see `orchestrator.tracking`."""

from __future__ import annotations

if __name__ == "__main__":
    from models.command import shorten_interrupts

    shorten_interrupts()  # the import below takes a second

from orchestrator.tracking.__main__ import main

if __name__ == "__main__":
    raise SystemExit(main())
