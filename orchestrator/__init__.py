"""Experiments and ablations for audio event recognition, distributed on Ray.

Import the names of a sweep file from here: `from orchestrator import Arm, Plan, cli, recipes`.
`import orchestrator` loads none of them; each name loads what it needs on first use.

After the import, a script that raises an `OrchestratorError` ends with one message and exit code 2:
a mistake in a sweep file is found while the file is read, before its command line is. Every other
exception keeps its traceback, and so does an interactive session.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator import cli, recipes
    from orchestrator.data.audio_folder import AudioFolder
    from orchestrator.design.designs import (
        add_one_in,
        aliases,
        dose_series,
        effects_of,
        fractional_factorial,
        full_factorial,
        leave_one_out,
        noise_control,
        one_at_a_time,
    )
    from orchestrator.design.factors import Arm, Contrast, Effect, Factor, FromBase, Level
    from orchestrator.design.plan import Plan
    from orchestrator.design.published import with_published
    from orchestrator.design.search_space import Choice, LogUniform, Search, Uniform
    from orchestrator.experiment.config import Component, Experiment, File
    from orchestrator.predict.loading import load_model as load_model
    from orchestrator.report.study import load_study as load_study

# Without what reads results, so that `from orchestrator import *` loads no torch.
__all__ = [
    "Arm",
    "AudioFolder",
    "Choice",
    "Component",
    "Contrast",
    "Effect",
    "Experiment",
    "Factor",
    "File",
    "FromBase",
    "Level",
    "LogUniform",
    "Plan",
    "Search",
    "Uniform",
    "add_one_in",
    "aliases",
    "cli",
    "dose_series",
    "effects_of",
    "fractional_factorial",
    "full_factorial",
    "leave_one_out",
    "noise_control",
    "one_at_a_time",
    "recipes",
    "with_published",
]

_NAMES = {
    "data.audio_folder": ("AudioFolder",),
    "design.designs": (
        *("add_one_in", "aliases", "dose_series", "effects_of", "fractional_factorial"),
        *("full_factorial", "leave_one_out", "noise_control", "one_at_a_time"),
    ),
    "design.factors": ("Arm", "Contrast", "Effect", "Factor", "FromBase", "Level"),
    "design.plan": ("Plan",),
    "design.published": ("with_published",),
    "design.search_space": ("Choice", "LogUniform", "Search", "Uniform"),
    "predict.loading": ("load_model",),
    "report.study": ("load_study",),
    "experiment.config": ("Component", "Experiment", "File"),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}
_MODULES = ("cli", "recipes")


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.metadata.version("audio-ablation-orchestrator")
    if name not in _HOMES and name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = importlib.import_module(f"{__name__}.{_HOMES.get(name, name)}")
    except KeyboardInterrupt:  # loading the first name of a sweep file takes a second
        print("interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    value = module if name in _MODULES else getattr(module, name)
    globals()[name] = value  # later lookups bypass this function
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_HOMES})


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
    raise SystemExit(2)  # sets the exit code; the traceback would set 1


_hook_before = sys.excepthook
sys.excepthook = _end_with_message
