"""`python -m orchestrator.sync`; see `orchestrator.tracking`."""

from __future__ import annotations

from orchestrator.tracking.__main__ import main

if __name__ == "__main__":
    raise SystemExit(main())
