"""`sbatch cluster/slurm.sbatch` on two hosts of a bed, with Slurm's own daemons."""

import json
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import hosts
import pytest
from machine import missing, which

DAEMONS = ("munged", "slurmctld", "slurmd", "sbatch")
SMALL = "--demo --seeds 2 --epochs 1 --dataset synthetic:clips_per_class=10"


def on(bed: hosts.Bed, host: hosts.Host, command: str) -> str:
    options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")
    words = ["ssh", "-i", str(bed.key), *(part for one in options for part in ("-o", one))]
    done = subprocess.run(
        [*words, f"root@{host.address}", f"bash --login -i -c {shlex.quote(command)} 2>&1"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.stdout


def slurm_conf(bed: hosts.Bed, folder: Path) -> str:
    first = bed.hosts[0]
    lines = [
        "ClusterName=bed",
        f"SlurmctldHost={first.name}({first.address})",
        "SlurmUser=root",
        "AuthType=auth/munge",
        f"AuthInfo=socket={folder}/munge",
        f"StateSaveLocation={folder}/state",
        f"SlurmdSpoolDir={folder}/spool-%n",
        f"SlurmctldPidFile={folder}/ctld.pid",
        f"SlurmdPidFile={folder}/%n.pid",
        f"SlurmctldLogFile={folder}/ctld.log",
        f"SlurmdLogFile={folder}/%n.log",
        "ProctrackType=proctrack/linuxproc",
        "TaskPlugin=task/none",
        "SelectType=select/cons_tres",
        "SelectTypeParameters=CR_Core",
        "KillWait=10",
        "ReturnToService=2",
        "MailProg=/bin/true",
        *(f"NodeName={h.name} NodeAddr={h.address} CPUs=2 State=UNKNOWN" for h in bed.hosts),
        "PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP",
    ]
    return "\n".join(lines) + "\n"


@pytest.fixture
def slurm() -> Iterator[tuple[hosts.Bed, str]]:
    """Two hosts with Slurm, and the prefix of a command that uses it."""
    absent = [tool for tool in DAEMONS if which(tool) is None]
    if reason := missing() or (absent and f"not installed: {', '.join(absent)} (apt: slurm-wlm)"):
        pytest.skip(reason)
    if hosts.REPOSITORY.is_relative_to("/tmp"):
        pytest.skip("the hosts have a /tmp of their own, and this checkout lies there")
    with hosts.Bed(2) as bed:
        folder = bed.folder / "slurm"
        (folder / "state").mkdir(parents=True)
        (folder / "slurm.conf").write_text(slurm_conf(bed, folder))
        # There are no control groups here, and nothing above uses them.
        (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
        (folder / "key").write_bytes(bytes(range(128)))
        (folder / "key").chmod(0o400)
        munged = subprocess.Popen(
            [
                *(which("munged") or "munged", "--foreground", "--force"),
                *(f"--{name}={folder}/{name}.munge" for name in ("pid-file", "log-file")),
                *(f"--key-file={folder}/key", f"--socket={folder}/munge"),
                f"--seed-file={folder}/seed",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            prefix = f"export SLURM_CONF={folder}/slurm.conf; "
            on(bed, bed.hosts[0], f"{prefix} slurmctld -c < /dev/null &> /dev/null")
            for host in bed.hosts:
                on(bed, host, f"{prefix} slurmd -c < /dev/null &> /dev/null")
            end = time.monotonic() + 60
            while "idle" not in (said := on(bed, bed.hosts[0], f"{prefix} sinfo -h -o '%T %D'")):
                assert time.monotonic() < end, said
                time.sleep(1)
            yield bed, prefix
        finally:
            munged.terminate()
            munged.wait()


@pytest.mark.slow
def test_job_runs_a_sweep_on_all_of_its_nodes_and_leaves_nothing(slurm) -> None:
    bed, prefix = slurm
    head, other = bed.hosts
    store, log = bed.shared / "store", bed.shared / "job.log"
    job = f"sbatch --wait --output={log} cluster/slurm.sbatch sweeps/adaptor_lambda.py {SMALL}"
    bed.shared.mkdir(exist_ok=True)
    said = on(bed, head, f"{prefix} cd {hosts.REPOSITORY} && {job} --store {store}; echo rc $?")
    told = said + (log.read_text() if log.exists() else "")
    assert "rc 0" in said, told[-6000:]
    records = [json.loads(p.read_text()) for p in sorted(store.glob("trials/*/record.json"))]
    assert [record["status"] for record in records] == ["finished"] * 12, told[-6000:]
    assert {record["provenance"]["host"] for record in records} == {head.name, other.name}
    assert list(store.rglob("report.html"))
    for host in bed.hosts:
        left = on(bed, host, "pgrep -af 'raylet|gcs_server'")
        assert "--gcs-address" not in left, left
    assert not list(hosts.REPOSITORY.glob(".slurm-token-*"))
