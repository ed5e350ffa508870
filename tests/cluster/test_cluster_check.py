"""`python -m orchestrator.cluster check`: one message per mistake, with its line."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from ray.autoscaler._private.providers import _get_node_provider

from orchestrator.cluster import check as rules
from orchestrator.cluster.__main__ import main
from orchestrator.cluster.check import SETTINGS, ClusterFile, check, locked_versions
from orchestrator.cluster.startup import Nodes, cost_per_hour

ROOT = Path(__file__).resolve().parents[2]
CLUSTERS = ROOT / "cluster"
KEY = "AKIA" + "ABCDEFGHIJKLMNOP"


@pytest.fixture(autouse=True)
def laptop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a token and a key, the repository as current folder, and an SDK of the cloud."""
    home = tmp_path / "home"
    (home / ".ray").mkdir(parents=True)
    (home / ".ray" / "auth_token").write_text("made up")
    (home / ".ssh").mkdir()
    (home / ".ssh" / "id_ed25519").touch()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(rules, "SDKS", {})
    return home


def filled_in(name: str) -> str:
    text = (
        (CLUSTERS / name).read_text().replace("head: FILL-IN, gpu: FILL-IN", "head: 0.3, gpu: 0.9")
    )
    text = text.replace("[FILL-IN]", "[sg-1]").replace("FILL-IN", "sounds")
    return text.replace("192.0.2.", "10.1.2.")


def mistakes_of(text: str, folder: Path) -> list[tuple[str, str]]:
    """Return every mistake with the text of its line."""
    file = folder / "cluster.yaml"
    file.write_text(text)
    return [(text.splitlines()[m.line - 1], m.text) for m in check(file)[2]]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "gpu.yaml",
            [
                "head: 1 x m7i.xlarge",
                "gpu: 0 to 4 x g5.xlarge",
                "an hour costs 0.20 USD idle, 4.23 USD with all workers",
                "s3://sounds/audio-ablation",
                "'mlflow ui --backend-store-uri sqlite:///$HOME/mlflow.db --port 5000' --port-f",
            ],
        ),
        (
            "gcp.yaml",
            ["head: 1 x n2-standard-4", "gpu: 0 to 4 x g2-standard-4", "costs 0.30 USD idle"],
        ),
        (
            "onprem.yaml",
            ["head: 1 x 10.1.2.10", "workers: 2 x 10.1.2.11, 10.1.2.12", "/shared/store"],
        ),
    ],
)
def test_filled_in_file_is_fine_and_says_what_starts(name, words, tmp_path, capsys):
    file = tmp_path / name
    file.write_text(filled_in(name))
    assert main(["check", str(file)]) == 0
    out = capsys.readouterr().out
    assert [word for word in words if word not in out] == []


def test_file_as_it_is_shipped_names_all_that_is_to_be_filled_in(capsys):
    assert main(["check", "cluster/gpu.yaml"]) == 2
    err = capsys.readouterr().err
    assert "cluster/gpu.yaml has 2 mistakes:" in err
    source = (CLUSTERS / "gpu.yaml").read_text().splitlines()
    marked = [i for i, text in enumerate(source, 1) if "FILL-IN" in text]
    assert [int(n) for n in re.findall(r"line (\d+): .* still to be filled in", err)] == marked
    assert main(["check", "cluster/onprem.yaml"]) == 2
    assert capsys.readouterr().err.count("still to be filled in: 192.0.2.1") == 3


GPU = [
    # (replaced, by what, what the line of the mistake holds, what is said of it)
    ("idle_timeout_minutes: 10", "idle_timout_minutes: 10", "idle_timout", "did you mean 'idle_t"),
    ("idle_timeout_minutes: 10", "idle_timeout_minutes: ten", "minutes: ten", "of type number"),
    ("head_node_type: head\n", "", "provider:", "Ray refuses the file"),
    ("type: aws", "type: awz", "type: awz", "unknown provider 'awz'; did you mean 'aws'"),
    (
        "    min_workers: 0",
        "    min_workers: 9",
        "provider:",
        "smaller than the sum of `min_workers`",
    ),
    (
        "max_workers: *max_gpu_machines\nidle",
        "max_workers: 4\nmax_workers: 5\nidle",
        ": 5",
        "second",
    ),
    ("cluster_name: audio-ablation", "cluster_name: audio:ablation", "audio:ablation", "colon"),
    (
        "requirements.lock: requirements.lock",
        "requirements.lock: other.lock",
        "other.lock",
        "no other",
    ),
    (
        "  ~/.ray/auth_token: ~/.ray/auth_token\n",
        "",
        "file_mounts:",
        "no file mount brings the token",
    ),
    (
        "'ORCHESTRATOR_GPUS",
        "'RAY_AUTH_MODE=disabled'\n    'ORCHESTRATOR_GPUS",
        "disabled",
        "MODE is dis",
    ),
    (
        "'ORCHESTRATOR_GPUS_PER_WORKER=1'",
        "'ORCHESTRATOR_GPU_PER_WORKER=1'",
        "_GPU_PER",
        "did you mean",
    ),
    ("s3://sounds/audio-ablation", "/home/ubuntu/store", "/home/ubuntu", "own disk"),
    ("s3://sounds/audio-ablation", "ftp://sounds/store", "ftp://", "valid: s3://"),
    (
        "    'ORCHESTRATOR_STORE=s3://sounds/audio-ablation'\n",
        "",
        "setup_commands:",
        "store of its own",
    ),
    ("[sg-1]", "[]", "node_config:", "SSH"),
    (
        "  cache_stopped_nodes: false",
        "  cache_stopped_nodes: false\n  security_group:\n    IpPermissions:\n"
        "      - { FromPort: 22, ToPort: 22, IpRanges: [{ CidrIp: 0.0.0.0/0 }] }",
        "0.0.0.0/0",
        "your own, as A.B.C.D/32",
    ),
    ("--include-dashboard=false", "--dashboard-host=0.0.0.0", "--dashboard-host", "port-forward"),
    ("--disable-usage-stats\n    --auto", "--ray-debugger-external --auto", "external", "debugger"),
    ("--node-manager-port=6380 ", "", "ray start", "random port without --node-manager-port"),
    ("--head --port=6379", "--head --port=6380", "head_start", "named as 6379 and 6380"),
    (
        "head_setup_commands: []",
        "head_setup_commands: [pip install ray==2.9.0]",
        "2.9.0",
        "ray==2.9.0",
    ),
    (
        "head_setup_commands: []",
        "head_setup_commands: [pip install -U torch]",
        "-U torch",
        "newest",
    ),
    ("head_setup_commands: []", f"head_setup_commands: [x {KEY}]", "AKIA", "looks like a secret"),
    ("# The launcher", f"# {KEY}\n# The launcher", "AKIA", "looks like a secret"),
    (
        "'ORCHESTRATOR_GPUS",
        "'WANDB_API_KEY=abcdef123'\n    'ORCHESTRATOR_GPUS",
        "WANDB",
        "WANDB_API_KEY",
    ),
    (
        "sqlite:///$HOME/mlflow.db",
        "postgresql://me:hunter2hunter2@db/mlflow",
        "postgresql",
        "looks like a secret",
    ),
    ("{ head: 0.2016, gpu: 1.006 }", "{ head: 0.2016, cpu: 1.006 }", "cpu: 1", "unknown node type"),
    ("{ head: 0.2016, gpu: 1.006 }", "{ head: 0.2016, gpu: cheap }", "cheap", "no number"),
    (
        "'ORCHESTRATOR_GPUS_PER_WORKER=1'",
        "'ORCHESTRATOR_GPUS_PER_WORKER=1",
        "bash ~/",
        "never closed",
    ),
]
ONPREM = [
    ("RAY_enable_autoscaler_v2=0 ", "", "ray start --head", "second autoscaler"),
    ("min_workers: 2", "min_workers: 1", "min_workers: 1", "worker_ips names 2"),
    ("=/shared/store", "=store", "=store", "another folder on every host"),
    ("=/shared/store", "=~/store", "=~/store", "another folder on every host"),
    ("  head_ip: 10.1.2.10\n", "", "provider:", "head_ip"),
    (
        '  - bash ~/audio-ablation-orchestrator/node.sh stop "$NODE',
        '  - ray stop; echo "$NODE',
        "ray stop",
        "every Ray",
    ),
    ("~/.ssh/id_ed25519", "~/.ssh/id_other", "id_other", "there is no key"),
    (
        "auth:\n",
        "docker: { image: 'rayproject/ray:2.9.0-py310', container_name: ray }\nauth:\n",
        "py310",
        "not the locked Ray",
    ),
]
CASES = [("gpu.yaml", *case) for case in GPU] + [("onprem.yaml", *case) for case in ONPREM]


@pytest.mark.parametrize(
    ("name", "old", "new", "place", "words"), CASES, ids=[f"{c[0]}: {c[2][:40]!r}" for c in CASES]
)
def test_mistake_is_said_once_with_its_line(name, old, new, place, words, tmp_path, capsys):
    before = filled_in(name)
    assert old in before
    text = before.replace(old, new, 1)
    found = mistakes_of(text, tmp_path)
    assert [said for line, said in found if place in line and words in said], found
    assert len({said.partition(" names ")[2] or said for _, said in found}) == 1, found
    assert main(["check", str(tmp_path / "cluster.yaml")]) == 2
    err = capsys.readouterr().err
    assert KEY not in err and "hunter2" not in err and "abcdef123" not in err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1", "line 1 is no YAML"),
        ("a: 2026-99-99", "is no YAML"),
        ("- 1", "no cluster file"),
        ("", "no cluster file"),
        ("a: 1\n---\nb: 2", "no cluster file"),
        ("a: &a [*a]\nprovider: 3", "provider is 3 and must be of type object"),
        ("a: !!python/object/apply:os.getcwd []", "is no YAML"),
        (b"\xff\xfe", "no UTF-8"),
    ],
)
def test_file_that_is_none_is_one_message(text, words, tmp_path, capsys):
    file = tmp_path / "cluster.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert main(["check", str(file)]) == 2
    assert words in capsys.readouterr().err
    assert main(["check", str(tmp_path / "absent.yaml")]) == 2
    assert "cannot read" in capsys.readouterr().err


def test_missing_token_and_sdk_are_said_with_the_command_that_brings_them(laptop, monkeypatch):
    (laptop / ".ray" / "auth_token").unlink()
    monkeypatch.setattr(rules, "SDKS", {"aws": ("no_such_sdk", "pip install it")})
    said = [mistake.text for mistake in check(CLUSTERS / "gpu.yaml")[2]]
    assert any("ray get-auth-token --generate" in text for text in said)
    assert any("`pip install it`" in text for text in said)


def test_another_ray_than_the_locked_one_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(rules, "_installed", lambda name: "2.9.0")
    found = mistakes_of(filled_in("gpu.yaml"), tmp_path)
    assert ["ray 2.9.0 is installed here" in said for _, said in found] == [True, False]


def test_lock_gives_the_version_of_each_package():
    locked = locked_versions((ROOT / "requirements.lock").read_text())
    assert locked["ray"].count(".") == 2 and locked["torch"] == "2.11.0"


def test_settings_are_those_that_are_read():
    read = "".join(
        path.read_text()
        for room in ("orchestrator", "models")
        for path in (ROOT / room).rglob("*.py")
    )
    named = set(re.findall(r'["\']ORCHESTRATOR_([A-Z_]+)["\']', read))
    assert named == set(SETTINGS)


def test_dearest_workers_count_up_to_the_limit_of_the_cluster():
    nodes = [
        Nodes(name="head", machine="m", least=1, most=1, is_head=True, price=0.5),
        Nodes(name="small", machine="s", least=1, most=9, price=1.0),
        Nodes(name="large", machine="l", least=0, most=2, price=4.0),
    ]
    assert cost_per_hour(nodes, 4) == (1.5, 0.5 + 1.0 + 2 * 4.0 + 1.0)
    assert cost_per_hour([*nodes, Nodes(name="?", machine="?", least=0, most=1)], 4) is None


def test_nodes_lists_what_the_provider_has(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    file = tmp_path / "onprem.yaml"
    file.write_text(filled_in("onprem.yaml"))
    assert main(["nodes", str(file)]) == 0
    assert capsys.readouterr().out == "no node of 'audio-ablation' is left\n"

    provider = _get_node_provider({**ClusterFile(file).provider}, "audio-ablation")
    provider.create_node({}, {"ray-node-type": "head", "ray-user-node-type": "h"}, 1)
    assert main(["nodes", str(file)]) == 1
    assert "1 node of 'audio-ablation' is there" in capsys.readouterr().out

    file.write_text(filled_in("gpu.yaml").replace("type: aws", "type: awz"))
    assert main(["nodes", str(file)]) == 2
    assert "cannot ask awz for nodes of 'audio-ablation'" in capsys.readouterr().err


def test_command_says_what_it_is_without_loading_ray():
    code = "import sys; import orchestrator.cluster.__main__; assert 'ray' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
