"""What this machine has to offer to a bed of hosts."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

_TOOLS = ("ip", "unshare", "sshd", "ssh", "ssh-keygen", "rsync", "uv")
_PASSED_ON = re.compile(r"(UV_|PIP_|SSL_CERT_|REQUESTS_CA_|(HTTPS?|NO|ALL)_PROXY)", re.IGNORECASE)
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
# Where `make` installs uv on a machine that has none.
_MADE_TOOLS = Path(__file__).resolve().parents[2] / ".tools" / "bin"


def missing() -> str | None:
    """Say what keeps this machine from holding a bed, or None."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "a bed of hosts needs Linux and root"
    absent = [tool for tool in _TOOLS if which(tool) is None]
    if absent:
        return f"not installed: {', '.join(absent)} (apt: iproute2 openssh-server rsync)"
    bridge = f"try{os.getpid() % 100_000}"
    tries = (
        ["unshare", "--mount", "--pid", "--net", "--uts", "--fork", "true"],
        ["ip", "netns", "add", bridge],
        ["ip", "netns", "delete", bridge],
        ["ip", "link", "add", bridge, "type", "bridge"],
        ["ip", "link", "delete", bridge],
    )
    refused = (" ".join(one) for one in tries if subprocess.run(one).returncode != 0)
    reason = next(refused, None)
    return reason and f"a bed of hosts is not allowed here: {reason!r} fails"


def which(tool: str) -> str | None:
    return shutil.which(tool, path=f"{os.environ.get('PATH', '')}:{_SBIN}:{_MADE_TOOLS}")


def free_net() -> str:
    """Choose a network of the range for tests (RFC 2544) that this machine does not have yet."""
    command = ["ip", "-o", "-4", "address"]
    taken = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    order = [(os.getpid() + step) % 256 for step in range(256)]
    return next(net for net in (f"198.18.{i}" for i in order) if f" {net}." not in taken)


def login_environment(uv: Path) -> dict[str, str]:
    """What a host's login shell needs to install packages as this machine does.

    Args:
        uv: uv where the host sees it; a checkout below /tmp is hidden by the host's own.
    """
    cache = subprocess.run([uv, "cache", "dir"], capture_output=True, text=True, check=True)
    folders = [f"{sys.base_prefix}/bin", str(uv.parent)]
    passed_on = {name: value for name, value in os.environ.items() if _PASSED_ON.match(name)}
    return {
        **passed_on,
        "UV_CACHE_DIR": cache.stdout.strip(),
        "UV_OFFLINE": "1",
        "PATH": ":".join([*dict.fromkeys(folders), "/usr/local/bin:/usr/bin:/bin", _SBIN]),
    }
