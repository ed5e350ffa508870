"""Experiments and ablations for audio event recognition, distributed on Ray.

`import orchestrator` loads nothing else; the names below load what they need on first use.

Importing the package lets a script end with one message and exit code 2 where it would end with
an `OrchestratorError`: a mistake in a sweep file is found while the file is read, before its
command line is. Every other exception keeps its traceback, and so does an interactive session.
"""

from __future__ import annotations

import importlib
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.execution.loading import load_model

__all__ = ["load_model"]
__version__ = "0.1.0"

_HOMES = {"load_model": "orchestrator.execution.loading"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


def _end_with_message(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    from orchestrator.errors import OrchestratorError

    if not isinstance(error, OrchestratorError) or hasattr(sys, "ps1"):
        _hook_before(kind, error, trace)
        return
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    where = ""
    while trace is not None:
        if script and trace.tb_frame.f_code.co_filename == script:
            where = f"{script}, line {trace.tb_lineno}: "
        trace = trace.tb_next
    print(f"error: {where}{error}", file=sys.stderr)
    raise SystemExit(2)  # from here it sets the exit code; the traceback would set 1


_hook_before = sys.excepthook
sys.excepthook = _end_with_message
