"""The benchmark against the authors' code as JSON and a Markdown table."""

from __future__ import annotations

import json
import platform
import shlex
import sys
from pathlib import Path
from typing import Any

import timm
import torch
from authors import COMMITS


def write_report(path: Path, rows: list[dict[str, Any]], *, device: str, batch: int) -> None:
    """Write PATH.json and PATH.md; rows that are there of the same setting stay."""
    setting = {
        "device": torch.cuda.get_device_name(device) if device != "cpu" else _processor(),
        "threads": torch.get_num_threads(),
        "batch": batch,
        "torch": torch.__version__,
        "timm": timm.__version__,
        "python": platform.python_version(),
        "authors": COMMITS,
    }
    command = "bench_authors.py " + shlex.join(_generic(argument) for argument in sys.argv[1:])
    merged = {row["case"]: row for row in _rows_of(path.with_suffix(".json"), setting)}
    merged.update({row["case"]: {**row, "command": command} for row in rows})
    rows = list(merged.values())
    content = {"setting": setting, "rows": rows}
    path.with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n")
    table = ["# Ours against the authors' code", ""]
    for name, value in setting.items():
        shown = ", ".join(value.values()) if isinstance(value, dict) else value
        table.append(f"- {name}: {shown}")
    table += [f"- command: `{command}`" for command in sorted({row["command"] for row in rows})]
    table += [
        "",
        "Times are the least of all rounds in ms, ratios the median of theirs / ours (quartiles); "
        "see `bench_authors.py`.",
        "",
        _peaks_above(rows),
        "",
        "| case | pass | theirs | ours | ratio | peak MiB theirs / ours | difference |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        for passes in ("forward", "backward"):
            table.append(_line(row, passes))
    path.with_suffix(".md").write_text("\n".join(table) + "\n")


def _rows_of(path: Path, setting: dict[str, Any]) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    content = json.loads(path.read_text())
    return content["rows"] if content["setting"] == setting else []


def _peaks_above(rows: list[dict[str, Any]]) -> str:
    """One sentence: whose peak of memory is above theirs, and by how much."""
    above = []
    for row in rows:
        for passes in ("forward", "backward"):
            theirs, ours = row[passes].get("memory_mib", (0, 0))
            if ours > theirs:
                above.append(f"{row['case']}, {passes} (+{ours - theirs:.1f} MiB)")
    return (
        f"Peaks of memory above theirs: {'; '.join(above) or 'none'}. The same peak taken twice "
        "differs by up to 0.3 MiB in blocks and 2 MiB in whole models."
    )


def _line(row: dict[str, Any], passes: str) -> str:
    cell = row[passes]
    ratio = "{:.2f} ({:.2f}-{:.2f})".format(*cell["ratio"])
    memory = " / ".join(f"{peak:.0f}" for peak in cell.get("memory_mib", []))
    return (
        f"| {row['case']} | {passes} | {cell['authors_ms']:.1f} | {cell['ours_ms']:.1f} | {ratio} "
        f"| {memory} | {row['difference']:.0e} |"
    )


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.machine()
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"


def _generic(argument: str) -> str:
    return "DIR" if Path(argument).is_absolute() else argument
