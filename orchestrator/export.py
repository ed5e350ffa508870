# PYTHON_ARGCOMPLETE_OK
"""`python -m orchestrator.export`; see `orchestrator.predict.export`."""

from __future__ import annotations

if __name__ == "__main__":
    from models.command import shorten_interrupts

    shorten_interrupts()  # the imports below take a moment

import functools

from orchestrator.predict.export import main as export
from orchestrator.tracking.models import log_model

main = functools.partial(export, log_model=log_model)

if __name__ == "__main__":
    raise SystemExit(main())
