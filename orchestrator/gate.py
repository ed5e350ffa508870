"""`python -m orchestrator.gate`; see `orchestrator.report.gate`."""

from __future__ import annotations

if __name__ == "__main__":
    from models.command import shorten_interrupts

    shorten_interrupts()  # the import below takes a moment

from orchestrator.report.gate import main

if __name__ == "__main__":
    raise SystemExit(main())
