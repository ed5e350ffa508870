"""Where a number came from: code, packages, host, time."""

from __future__ import annotations

import datetime
import functools
import hashlib
import importlib.metadata
import platform
import socket
import subprocess
import sys
from pathlib import Path

DISTRIBUTION = "audio-ablation-orchestrator"
PACKAGES = ("torch", "torchaudio", "timm", "ray", "numpy", "pyarrow", "soundfile", "soxr")


def now() -> str:
    """Return the time in UTC, ISO 8601, to the millisecond."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


@functools.cache
def provenance() -> dict[str, str]:
    """Return what produced the numbers of this process, as flat text."""
    facts = {
        "code": source_digest(),
        "git_commit": git_commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": socket.gethostname(),
    }
    for package in PACKAGES:
        facts[package] = _version(package)
    if "torch" in sys.modules:
        import torch

        facts["cuda"] = torch.version.cuda or "none" if torch.cuda.is_available() else "none"
    return facts


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def source_digest() -> str:
    """Return 12 hex digits over every source file of this distribution, however installed."""
    digest = hashlib.sha256()
    root = Path(__file__).resolve().parents[2]
    for package in ("models", "orchestrator"):
        for path in sorted((root / package).rglob("*.py")):
            if root / "orchestrator" / "sweeps" in path.parents:
                continue  # plans, which a checkout keeps elsewhere; a trial's id holds its values
            digest.update(str(path.relative_to(root)).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def git_commit() -> str:
    """Return the commit of the current checkout, with `+changes` if it is not clean."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return f"not a checkout, version {_version(DISTRIBUTION)}"
    try:
        commit = _git(root, "rev-parse", "--short=12", "HEAD")
        return commit + ("+changes" if _git(root, "status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10, check=True
    )
    return done.stdout.strip()
