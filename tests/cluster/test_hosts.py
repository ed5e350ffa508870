"""The bed itself: what a host sees, and that nothing of it is left behind."""

import subprocess
from pathlib import Path

import pytest
from hosts import Bed

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("bed", [2], indirect=True)
def test_host_has_its_own_home_tmp_and_processes(bed: Bed) -> None:
    first, second = bed.hosts
    bed.on(first, "touch ~/mark /tmp/mark; sleep 60 < /dev/null &> /dev/null & disown")
    assert bed.on(first, "ls ~/mark /tmp/mark && pgrep -x sleep").returncode == 0
    seen = bed.on(second, "ls ~ /tmp; pgrep -x sleep; hostname").stdout
    assert "mark" not in seen
    assert seen.splitlines()[-1] == second.name
    assert not Path("/tmp/mark").exists()


@pytest.mark.parametrize("bed", [2], indirect=True)
def test_cut_mended_and_killed_host_answers_only_while_connected(bed: Bed) -> None:
    host, other = bed.hosts
    host.cut()
    assert bed.on(host, "true", timeout_s=1).returncode != 0
    host.mend()
    assert bed.on(host, "true").returncode == 0
    host.kill()
    assert bed.on(host, "true", timeout_s=1).returncode != 0
    assert bed.on(other, "true").returncode == 0
    host.boot()
    bed.wait_for_ssh(host)
    assert bed.on(host, "true").returncode == 0


def test_closed_bed_leaves_no_process_namespace_link_or_file(bed: Bed) -> None:
    host = bed.hosts[0]
    bed.close()
    processes = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    namespaces = subprocess.run(["ip", "netns"], capture_output=True, text=True).stdout
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True).stdout
    assert str(bed.folder) not in processes
    assert host.name not in namespaces
    assert host.bridge_end not in links
    assert not bed.folder.exists()
