"""A bed of hosts on one machine: what `ray up` and `ray submit` meet on several real ones.

Every host is a network namespace on a bridge with process, mount and host name namespaces of its
own, its own home and temporary folder, and an SSH server. So `ray stop` on a host ends that host's
Ray alone, a host can be cut off the network, and killing its first process is a power cut. As on
a Debian host, a host's name resolves to a loopback address and there is no way to the internet.

From the command line, until it is interrupted:

    python tests/cluster/hosts.py --hosts 2

prints a filled-in copy of `cluster/onprem.yaml` and the environment to use it with.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml
from machine import free_net, login_environment, missing, which

REPOSITORY = Path(__file__).resolve().parents[2]
# Packages are hard-linked from uv's cache, so homes lie on a disk and not on a tmpfs.
FOLDER = Path(os.environ.get("HOSTS_BED_DIR", "/var/tmp"))
INTERFACE = "eth0"


def _run(*command: str | Path) -> None:
    subprocess.run([str(part) for part in command], check=True, stdin=subprocess.DEVNULL)


@dataclass
class Host:
    """One host of a bed."""

    name: str
    address: str
    folder: Path
    bridge_end: str
    process: subprocess.Popen[bytes] = field(init=False)

    def boot(self) -> None:
        """Switch the power on."""
        spaces = ("--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--uts")
        start = ("unshare", *spaces, "bash", self.folder / "boot.sh")
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ["ip", "netns", "exec", self.name, *start],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def home(self) -> Path:
        """The login's home, as seen from outside."""
        return self.folder / "home"

    def cut(self) -> None:
        """Pull the network cable."""
        _run("ip", "link", "set", self.bridge_end, "down")

    def mend(self) -> None:
        """Plug the network cable in again."""
        _run("ip", "link", "set", self.bridge_end, "up")

    def kill(self) -> None:
        """Cut the power: every process of the host ends at once."""
        self.process.kill()
        self.process.wait()


@dataclass
class Bed:
    """Hosts on a private network, for the length of a `with` block.

    Attributes:
        num_hosts: How many hosts to start.
        hosts: The started hosts.
    """

    num_hosts: int
    hosts: list[Host] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._tag = f"bed{os.getpid() % 100_000}"
        self._net = free_net()
        self.folder = Path(tempfile.mkdtemp(prefix="hosts-bed-", dir=FOLDER))
        self.shared = self.folder / "shared"
        self.key = self.folder / "key"
        self.laptop = self.folder / "laptop"
        self.uv = self.folder / "bin" / "uv"

    def __enter__(self) -> Bed:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _start(self) -> None:
        for folder in (self.shared, self.laptop / "tmp", self.uv.parent):
            folder.mkdir(parents=True)
        shutil.copy2(which("uv") or "uv", self.uv)
        for key in (self.key, self.folder / "host_key"):
            _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
        Path("/run/sshd").mkdir(exist_ok=True)
        _run("ip", "link", "add", self._tag, "type", "bridge")
        _run("ip", "address", "add", f"{self._net}.1/24", "dev", self._tag)
        _run("ip", "link", "set", self._tag, "up")
        for index in range(self.num_hosts):
            self.hosts.append(self._start_host(index))
        for host in self.hosts:
            self.wait_for_ssh(host)

    def _start_host(self, index: int) -> Host:
        name, address = f"{self._tag}h{index}", f"{self._net}.{10 + index}"
        folder, bridge_end = self.folder / name, f"{name}b"
        for part in ("home", "tmp"):
            (folder / part).mkdir(parents=True)
        _run("ip", "netns", "add", name)
        inside = ("ip", "-n", name)
        peer = ("peer", "name", INTERFACE, "netns", name)
        _run("ip", "link", "add", bridge_end, "type", "veth", *peer)
        _run("ip", "link", "set", bridge_end, "master", self._tag, "up")
        _run(*inside, "address", "add", f"{address}/24", "dev", INTERFACE)
        _run(*inside, "link", "set", INTERFACE, "up")
        _run(*inside, "link", "set", "lo", "up")
        self._write_files(folder, name, address)
        host = Host(name, address, folder, bridge_end)
        host.boot()
        return host

    def _write_files(self, folder: Path, name: str, address: str) -> None:
        home = folder / "home"
        passwd = Path("/etc/passwd").read_text()
        (folder / "passwd").write_text(
            re.sub(r"(?m)^(root(?::[^:\n]*){4}):[^:\n]*:", rf"\1:{home}:", passwd)
        )
        (folder / "hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {name}\n")
        (folder / "sshd_config").write_text(
            f"ListenAddress {address}\nHostKey {self.folder}/host_key\n"
            f"AuthorizedKeysFile {self.key}.pub\nStrictModes no\nUsePAM no\n"
            "PermitRootLogin prohibit-password\nPasswordAuthentication no\nPidFile none\n"
        )
        (folder / "boot.sh").write_text(
            f"set -e\nhostname {name}\n"
            f"mount --bind {folder}/tmp /tmp\n"
            f"mount --bind {folder}/passwd /etc/passwd\n"
            f"mount --bind {folder}/hosts /etc/hosts\n"
            "mount -t tmpfs -o size=2g tmpfs /dev/shm\n"
            f"exec {which('sshd')} -D -e -f {folder}/sshd_config\n"
        )
        (home / ".profile").write_text(". ~/.bashrc\n")
        (home / ".bashrc").write_text(
            "case $- in *i*) ;; *) return ;; esac\n"
            + "".join(
                f"export {name}={shlex.quote(v)}\n"
                for name, v in login_environment(self.uv).items()
            )
        )

    def wait_for_ssh(self, host: Host, timeout_s: float = 20.0) -> None:
        """Wait until a host that was switched on lets people in."""
        end = time.monotonic() + timeout_s
        while host.process.poll() is None and time.monotonic() < end:
            try:
                socket.create_connection((host.address, 22), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"{host.name} did not start: {(host.folder / 'log').read_text()}")

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the machine one types on: its own home, token and Ray state."""
        tmp = str(self.laptop / "tmp")
        own = {"HOME": str(self.laptop), "TMPDIR": tmp, "RAY_TMPDIR": tmp}
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "ORCHESTRATOR_"))}
        return {**kept, **own, "RAY_UP_enable_autoscaler_v2": "1", "RAY_USAGE_STATS_ENABLED": "0"}

    def on(self, host: Host, command: str, timeout_s: int = 3) -> subprocess.CompletedProcess[str]:
        """Run a command on a host over SSH, in a shell like the one of Ray's launcher."""
        options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")
        return subprocess.run(
            [
                *("ssh", "-i", str(self.key), "-o", f"ConnectTimeout={timeout_s}"),
                *(part for option in options for part in ("-o", option)),
                *(f"root@{host.address}", f"bash --login -i -c {shlex.quote(command)}"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def fill_in(self, template: Path, hosts: Sequence[Host] = ()) -> Path:
        """Write a cluster file for some hosts, else all: a head, and the others as its workers."""
        config: dict[str, Any] = yaml.safe_load(template.read_text())
        head, *workers = (host.address for host in hosts or self.hosts)
        config["cluster_name"] = f"{self._tag}-{head.rpartition('.')[2]}"
        config["provider"].update(head_ip=head, worker_ips=workers)
        config["auth"] = {"ssh_user": "root", "ssh_private_key": str(self.key)}
        config["min_workers"] = config["max_workers"] = len(workers)
        text = yaml.safe_dump(config, sort_keys=False, width=10_000)
        path = self.folder / f"{config['cluster_name']}-{template.name}"
        path.write_text(text.replace("/shared/", f"{self.shared}/"))
        return path

    def close(self) -> None:
        """End the hosts and remove all that was made, each by its name or id."""
        for host in self.hosts:
            host.kill()
            subprocess.run(["ip", "link", "delete", host.bridge_end], capture_output=True)
        for index in range(self.num_hosts):
            subprocess.run(["ip", "netns", "delete", f"{self._tag}h{index}"], capture_output=True)
        subprocess.run(["ip", "link", "delete", self._tag], capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def main() -> None:
    """Hold a bed until interrupted."""
    parser = argparse.ArgumentParser(description="Hold a bed of hosts until interrupted.")
    parser.add_argument("--hosts", type=int, default=2)
    arguments = parser.parse_args()
    if reason := missing():
        raise SystemExit(reason)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with Bed(arguments.hosts) as bed:
        own = ("HOME", "TMPDIR", "RAY_TMPDIR", "RAY_UP_enable_autoscaler_v2")
        print("env", *(f"{name}={shlex.quote(bed.environment[name])}" for name in own))
        print(bed.fill_in(REPOSITORY / "cluster" / "onprem.yaml"), flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
