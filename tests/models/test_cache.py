"""One cache folder for all that can be fetched or made again; the user says where it lies."""

from pathlib import Path

import pytest

from models.checkpoints.files import cache_dir
from orchestrator.data.addresses import default_cache_dir
from orchestrator.design.plan import Arm, Plan
from orchestrator.execution.launch import _log_path
from orchestrator.recipes import datar_laptop
from orchestrator.store import Store


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("{tmp}/cache", "{tmp}/cache"),
        ("", "{tmp}/.cache"),
        ("relative", "{tmp}/.cache"),  # the specification says to ignore it
    ],
)
def test_cache_of_every_kind_lies_where_the_user_says(given, expected, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", given.format(tmp=tmp_path))
    monkeypatch.delenv("ORCHESTRATOR_WEIGHTS", raising=False)
    folder = Path(expected.format(tmp=tmp_path)) / "audio-ablation-orchestrator"
    arms = (Arm(name="a"), Arm(name="b", changes={"model.deformable": False}))
    plan = Plan(name="mine", question="?", base=datar_laptop(), arms=arms)
    store = Store.open("memory://cache/store")
    assert cache_dir() == folder / "weights"
    assert Path(default_cache_dir()) == folder / "packs"
    assert _log_path(store, plan).parent == folder / "logs"
