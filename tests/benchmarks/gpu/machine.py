"""What a benchmark ran on, and its rows as JSON and as a Markdown table."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch

ROOT = Path(__file__).resolve().parents[3]


def facts(device: str) -> dict[str, str]:
    """Return the hardware, the versions, the commit and the command of this process."""
    found = {
        "device": platform.machine(),
        "driver": "none",
        "torch": torch.__version__,
        "timm": timm.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "commit": _output("git", "rev-parse", "--short", "HEAD") or "not a checkout",
        "command": f"python {Path(sys.argv[0]).name} {' '.join(sys.argv[1:])}",
    }
    if device.startswith("cuda"):
        found["device"] = torch.cuda.get_device_name()
        query = ("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
        found["driver"] = _output(*query) or "unknown"
        found["cuda"] = torch.version.cuda or "unknown"
        found["cudnn"] = str(torch.backends.cudnn.version())
    return found


def write(path: Path, title: str, *, about: str, device: str, rows: Sequence[Mapping]) -> None:
    """Write `path`.json and `path`.md, and print the table.

    Args:
        path: without a suffix.
        title: of the Markdown page.
        about: what the columns mean.
        device: as PyTorch names it.
        rows: one mapping of the same keys per line of the table.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    known = facts(device)
    path.with_suffix(".json").write_text(
        json.dumps({"facts": known, "rows": rows}, indent=1) + "\n"
    )
    lines = [
        f"# {title}",
        "",
        *(f"- {key}: {value}" for key, value in known.items()),
        "",
        about,
        "",
    ]
    if rows:
        keys = list(dict.fromkeys(key for row in rows for key in row))
        lines += ["| " + " | ".join(keys) + " |", "|" + "---|" * len(keys)]
        lines += ["| " + " | ".join(_cell(row.get(key)) for key in keys) + " |" for row in rows]
    text = "\n".join(lines) + "\n"
    path.with_suffix(".md").write_text(text)
    print(text, flush=True)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
