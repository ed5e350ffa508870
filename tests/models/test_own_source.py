"""The identity of a part of the user's own covers what its module imports, wherever it is."""

import sys
import textwrap
from pathlib import Path

import pytest

from models.errors import ModelError
from models.own_source import own_source
from orchestrator import cli
from orchestrator.design.factors import Arm
from orchestrator.design.plan import Plan
from orchestrator.execution.trial import TrialRun
from orchestrator.experiment.config import Component
from orchestrator.experiment.overrides import mistakes_of, override
from orchestrator.records import Status
from tests import tiny

CHANGE = {"transform": Component("part:Shift")}
PART = "class Shift: pass\n"
SHIFT = """
from torch import nn


class Shift(nn.Module):
    def __init__(self, num_channels):
        super().__init__()

    def forward(self, features, *, clip_seeds=None):
        return features + 1.0
"""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def write(folder: Path, **files: str) -> None:
    """Write `a__b="text"` as `a/b.py`, and `a___` as `a/__init__.py`."""
    for name, text in files.items():
        package = name.endswith("___")
        path = folder / (f"{name[:-3]}/__init__.py" if package else f"{name.replace('__', '/')}.py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))


def covered(module: str = "part") -> set[str]:
    return set(own_source(module).files)


@pytest.mark.parametrize(
    ("text", "files", "names"),
    [
        ("import helper", {"helper": ""}, {"helper"}),
        ("from helper import GAIN", {"helper": "GAIN = 1.0"}, {"helper"}),
        ("import helper", {"helper": "import deeper", "deeper": ""}, {"helper", "deeper"}),
        ("import helper", {"helper": "import part"}, {"helper"}),
        ("def f():\n    import helper", {"helper": ""}, {"helper"}),
        ("try:\n    import helper\nexcept ImportError:\n    pass", {"helper": ""}, {"helper"}),
        ("try:\n    import no_such\nexcept ImportError:\n    pass", {}, set()),
        ("def f():\n    import no_such_package", {}, set()),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import no_such", {}, set()),
        ("import importlib\nimportlib.import_module('helper')", {"helper": ""}, {"helper"}),
        ("import pkg.helper", {"pkg___": "", "pkg__helper": ""}, {"pkg", "pkg.helper"}),
        ("from pkg import helper", {"pkg___": "", "pkg__helper": ""}, {"pkg", "pkg.helper"}),
        ("from pkg import GAIN", {"pkg___": "GAIN = 1.0", "pkg__other": ""}, {"pkg"}),
        (
            "from pkg import GAIN",
            {"pkg___": "from .deep import *", "pkg__deep": "GAIN = 1.0"},
            {"pkg", "pkg.deep"},
        ),
        (
            "from pkg import *",
            {"pkg___": "__all__ = ['deep']", "pkg__deep": "", "pkg__other": ""},
            {"pkg", "pkg.deep"},
        ),
        ("from space import helper", {"space__helper": ""}, {"space.helper"}),
        (
            "import winreg, json, numpy, torch.nn, orchestrator.training.losses, models.chain",
            {},
            set(),
        ),
    ],
)
def test_source_covers_what_the_module_imports_of_the_users_own(text, files, names, folder):
    write(folder, part=f"{text}\n{PART}", **files)
    assert covered() == {"part", *names}


def test_source_follows_relative_imports_and_nested_namespaces(folder):
    place = folder / "space" / "inner"
    place.mkdir(parents=True)
    (place / "part.py").write_text("from . import near\nfrom ..far import GAIN\n")
    (place / "near.py").write_text("")
    (folder / "space" / "far.py").write_text("GAIN = 1.0\n")
    assert covered("space.inner.part") == {"space.far", "space.inner.near", "space.inner.part"}


def test_id_changes_with_a_helper_and_not_with_the_machines_paths(tmp_path, monkeypatch):
    ids = []
    for place, gain in (("one", 1.0), ("two", 1.0), ("three", 5.0)):
        folder = tmp_path / place
        folder.mkdir()
        write(folder, part=f"import helper\n{PART}", helper="import deeper", deeper=f"G = {gain}")
        with monkeypatch.context() as here:
            here.syspath_prepend(str(folder))
            ids.append(tiny.experiment(transform=Component("part:Shift")).id)
    assert ids[0] == ids[1] != ids[2]


def test_source_is_read_again_when_a_helper_changes(folder):
    write(folder, part=f"import helper\n{PART}", helper="GAIN = 1.0")
    before = own_source("part").digest
    assert own_source("part") is own_source("part")
    write(folder, helper="GAIN = 5.00")
    assert own_source("part").digest != before


def test_source_of_an_installed_helper_is_not_covered_and_an_editable_one_is(folder, monkeypatch):
    for place, name in (("lib/site-packages", "installed"), ("src", "editable")):
        (folder / place).mkdir(parents=True)
        (folder / place / f"{name}.py").write_text("")
        monkeypatch.syspath_prepend(str(folder / place))
    write(folder, part="import installed, editable")
    assert covered() == {"part", "editable"}


def test_source_executes_nothing(folder):
    write(folder, pkg___="raise SystemExit('executed')", pkg__part="import helper", helper="1 / 0")
    assert covered("pkg.part") == {"pkg", "pkg.part", "helper"}
    assert "pkg" not in sys.modules


@pytest.mark.parametrize(
    ("text", "files", "words"),
    [
        ("import no_such", {}, "part (line 1 of part.py) imports 'no_such', which is not there"),
        ("import helper", {"helper": "\nimport gone"}, "helper (line 2 of helper.py) imports"),
        ("from pkg import gone", {"pkg___": ""}, "imports 'pkg.gone', which is not there"),
        ("def f():\n    import pkg.gone", {"pkg___": ""}, "imports 'pkg.gone'"),
        ("from . import gone", {}, "imports '.', which is not there"),
        ("import helper", {"helper": "def broken(:"}, "helper (helper.py) is not Python at line 1"),
    ],
)
def test_missing_or_broken_helper_is_one_clear_mistake(text, files, words, folder):
    write(folder, part=f"{text}\n{PART}", **files)
    (mistake,) = mistakes_of(tiny.experiment(), {"transform": Component("part:Shift")})
    assert mistake.startswith("transform 'part:Shift': ") and words in mistake


@pytest.mark.parametrize("name", ["part:", ":Shift", "pa rt:Shift", "..part:Shift", "part:a:b"])
def test_name_that_is_no_module_and_attribute_is_a_mistake(name):
    (mistake,) = mistakes_of(tiny.experiment(), {"transform": Component(name)})
    assert "named module:attribute" in mistake


def test_initial_of_ones_own_is_a_mistake():
    (mistake,) = mistakes_of(tiny.experiment(), {"initial": Component("json.tool:main")})
    assert "unknown initial 'json.tool:main'" in mistake


def test_many_ids_read_the_source_once(folder):
    files = {f"helper{n}": f"import helper{n + 1}" for n in range(200)}
    write(folder, part="import helper0", helper200="", **files)
    assert len(covered()) == 202
    reads = []
    sys.addaudithook(
        lambda event, args: (
            reads.append(args[0])
            if event == "open" and str(args[0]).startswith(str(folder))
            else None
        )
    )
    assert len({override(tiny.experiment(), CHANGE | {"seed": n}).id for n in range(20)}) == 20
    assert reads == []


def test_worker_with_another_source_refuses_to_train(folder, tmp_path):
    write(folder, part="from helper import Shift", helper=SHIFT)
    experiment = tiny.experiment(transform=Component("part:Shift"), epochs=1)
    trial_id = experiment.id
    store = tiny.store_with_pack(tmp_path / "store", experiment)
    write(folder, helper=SHIFT.replace("+ 1.0", "+ 5.00"))
    record = TrialRun(store=store, trial_id=trial_id, experiment=experiment).run()
    assert record.status is Status.FAILED and record.epochs == ()
    assert "ConfigError: transform 'part:Shift' was declared with source" in record.error
    assert "bring the same files to every host" in record.error.strip().splitlines()[-1]
    write(folder, helper=SHIFT)
    again = TrialRun(store=store, trial_id=trial_id, experiment=experiment).run()
    assert again.status is Status.FINISHED, again.error


def test_worker_with_another_version_of_the_package_refuses_to_train(tmp_path):
    experiment = tiny.experiment()
    store = tiny.store_with_pack(tmp_path, experiment)
    record = TrialRun(store=store, trial_id="0" * 16, experiment=experiment).run()
    assert record.status is Status.FAILED
    assert f"trial {'0' * 16} is {experiment.id}" in record.error


def test_dry_run_lists_the_files_that_ids_cover(folder, monkeypatch, capsys):
    write(folder, part=f"from lib import deeper\n{PART}", lib__deeper="")
    arms = (Arm(name="plain"), Arm(name="shift", changes=CHANGE))
    plan = Plan(name="mine", question="?", base=tiny.experiment(), arms=arms, seeds=(0,))
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as end:
        cli.main(plan, ["--dry-run", "--store", "none"])
    listed = capsys.readouterr().out
    assert end.value.code == 0
    assert "source of part:Shift, part of the ids: lib/deeper.py, part.py" in listed


@pytest.mark.parametrize(
    "text",
    [
        "import importlib\nhh = importlib.import_module(name='helper')",
        "from importlib import import_module as load\nload('helper')",
        "import importlib\nNAME = 'helper'\nimportlib.import_module(NAME)",
        "import importlib\nimportlib.import_module(f'helper')",
        "import importlib\nload = importlib.import_module\nload('helper')",
        "import runpy\nrunpy.run_module('helper')",
        "import importlib.util\nimportlib.util.spec_from_file_location('helper', 'helper.py')",
        "import pkgutil\nlist(pkgutil.iter_modules())",
        "__all__ = ['one']\n__all__.extend(['helper'])",
    ],
)
def test_module_that_is_loaded_by_no_name_in_the_text_is_refused(text, folder):
    write(folder, part=text, helper="X = 1.0")
    with pytest.raises(ModelError, match=r"part \(part.py\) loads modules at line \d"):
        own_source("part")


def test_names_that_a_package_adds_to_all_are_covered(folder):
    package = "__all__ = ['one']\n__all__ += ['two']"
    write(folder, part="from pkg import *", pkg___=package, pkg__one="", pkg__two="")
    assert covered() == {"part", "pkg", "pkg.one", "pkg.two"}
