"""What the README and the pages of `docs/` tell a user to type works, and the pages are built."""

from __future__ import annotations

import contextlib
import io
import os
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from orchestrator import Plan, one_at_a_time
from orchestrator.execution.preflight.arms import check_arms
from tests import tiny
from tests.commands import run_command
from tests.test_architecture import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
README = "README.md"
PAGES = [README, *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"(?:<!-- not run: ([^>]+) -->\n)?```(\w*)([^\n]*)\n(.*?)```", re.S)
# One epoch, a few clips and the first seeds stand for the whole: the way is the same.
QUICK = ["--epochs", "1", "--seeds"]
QUICK_DATA = ["--dataset", "synthetic:clips_per_class=10"]


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        page: The page.
        why_not: Why it is not run; empty for one that is.
        language: Word behind the fence.
        title: Name of the file that it is, if it has one.
        text: Its lines.
    """

    page: str
    why_not: str
    language: str
    title: str
    text: str

    @property
    def commands(self) -> list[str]:
        """The lines of a shell block without comments, continued ones joined."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [c for c in (re.sub(r"(^|\s)#.*", "", line).strip() for line in lines) if c]


def blocks(page: str) -> list[Block]:
    return [
        Block(page, why_not or "", language, "".join(re.findall(r'title="(.+?)"', rest)), text)
        for why_not, language, rest, text in BLOCK.findall((ROOT / page).read_text())
    ]


ALL = {page: blocks(page) for page in PAGES}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Where a reader types: sweeps, the files of all pages, audio, a store with a trained sweep."""
    path = tmp_path_factory.mktemp("docs")
    (path / "sweeps").symlink_to(ROOT / "sweeps")
    for block in (block for page in ALL.values() for block in page if block.title):
        (path / block.title).write_text(block.text)
    rng = np.random.default_rng(0)
    names = ["noise/rain.wav", "recording.wav"]
    names += [f"DIR/{kind}/{number}.wav" for kind in ("dog", "rain") for number in range(10)]
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path / name, 0.1 * rng.standard_normal(16000), 16000)
    run("python sweeps/adaptor_lambda.py --demo", path)
    return path


DONE: set[str] = set()


def as_trained(text: str) -> str:
    """Name the sweeps as they are stored after a single epoch."""
    return re.sub(r"\b\w+-demo\b", r"\g<0>-1ep", text)


def run(command: str, folder: Path) -> str:
    """Run a command of a page as it is typed, but for the size of what it trains."""
    if command in DONE:
        return command
    name, *words = shlex.split(as_trained(command))
    assert name == "python", command
    if re.fullmatch(r"(sweeps/)?\w+\.py", words[0]):
        words += [*QUICK, "2" if "--seeds" in words else "1"]
        words += [] if {"--data-root", "--dataset"} & set(words) else QUICK_DATA
    done = run_command(words, cwd=folder)
    assert done.returncode == 0, command + done.stdout[-2000:] + done.stderr[-2000:]
    DONE.add(command)
    return done.stdout


@contextlib.contextmanager
def at_home(folder: Path) -> Iterator[None]:
    """Be in the folder, with its modules, as Python that is started there."""
    before = dict(sys.modules)
    with contextlib.chdir(folder), pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield
    for name in set(sys.modules) - set(before):
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def check_blocks(page: str, folder: Path) -> dict[str, Any]:
    """Run the blocks of a page in their order and return the names of its Python."""
    names: dict[str, Any] = {"__name__": "page"}
    printed: str | None = None
    for block in ALL[page]:
        if block.why_not or block.language not in ("bash", "python", "text"):
            continue
        if block.language == "bash":
            printed = None
            for command in block.commands:
                assert run(command, folder).strip(), command
        elif block.language == "python":
            output = io.StringIO()
            with at_home(folder), contextlib.redirect_stdout(output):
                exec(compile(as_trained(block.text), block.title or page, "exec"), names)
            printed = output.getvalue()
        elif printed:  # what the Python before it prints
            assert block.text == printed
    return names


def test_commands_of_the_readme_run(folder):
    check_blocks(README, folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [page for page in PAGES[1:] if any(not block.why_not for block in ALL[page])]
)
def test_blocks_of_a_page_run(page, folder):
    check_blocks(page, folder)


def test_blocks_are_run_or_say_why_not():
    found = [block for page in ALL.values() for block in page]
    assert {block.language for block in found} == {"bash", "python", "text"}
    assert not [block for block in found if block.language == "text" and block.why_not]
    assert len([block for block in found if block.why_not]) <= 14
    titles = [block.title for block in found if block.title]
    assert len(titles) == len(set(titles))


def test_sweep_file_of_the_readme_is_a_sweep(tmp_path):
    (block,) = (block for block in ALL[README] if block.title)
    (tmp_path / block.title).write_text(block.text)
    listed = run_command([block.title, "--demo", "--dry-run"], cwd=tmp_path).stdout
    assert "loss.label_smoothing=0.1" in listed
    assert "ablates" not in run_command([block.title, "--demo", "--check"], cwd=tmp_path).stdout


def test_levels_of_the_pages_are_seen_to_differ_before_launch(tmp_path):
    (tmp_path / "noise").mkdir()
    sound = 0.1 * np.random.default_rng(0).standard_normal(4000)
    soundfile.write(tmp_path / "noise" / "rain.wav", sound, 16000)
    (block,) = (block for block in ALL["docs/how-to/recipe.md"] if block.title)
    names: dict[str, Any] = {}
    with at_home(tmp_path):
        exec(block.text, names)
        plan = Plan(
            name="training",
            question="What does each change?",
            base=tiny.experiment(),
            arms=one_at_a_time(names["TRAINING"], baseline="plain"),
        )
        _, *levels = check_arms(plan, num_classes=3, num_samples=8000, sample_rate=16000)
    assert [level.arm for level in levels if level.differs] == [
        *("shifted", "in noise", "focal", "rare classes", "three looks")
    ]


def test_make_targets_of_the_readme_exist():
    targets = set(re.findall(r"make ([\w-]+)", (ROOT / README).read_text()))
    made = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert {"demo", "test", "docs"} <= targets <= made


def test_files_that_the_readme_names_exist():
    text = (ROOT / README).read_text()
    for name in re.findall(r"`(\w+\.py)`", text):
        assert (ROOT / name).exists() or (ROOT / "sweeps" / name).exists(), name


def test_links_of_the_sources_lead_to_files_of_the_repository():
    hooks = runpy.run_path(str(ROOT / "docs" / "hooks.py"))
    made = {(ROOT / "docs" / page).resolve() for page in hooks["generated"]()}
    broken = [
        f"{page}: {link}"
        for page in PAGES
        for link in re.findall(r"\]\(([^)#\s]+)", BLOCK.sub("", (ROOT / page).read_text()))
        if not re.match(r"\w+:", link)
        and not (target := (ROOT / page).parent.joinpath(link).resolve()).exists()
        and target not in made
    ]
    assert not broken


def test_link_to_a_file_that_has_a_page_becomes_one_to_the_page():
    hooks = runpy.run_path(str(ROOT / "docs" / "hooks.py"))
    text = "[a](../../cluster/README.md#stop) [b](../../README.md) [c](data.md)"
    page = SimpleNamespace(file=SimpleNamespace(src_uri="how-to/cloud.md"))
    shown = hooks["on_page_markdown"](text, page=page, config=None, files=None)
    assert shown == "[a](../cluster.md#stop) [b](../../README.md) [c](data.md)"


def test_pictures_are_few_and_small():
    sizes = [path.stat().st_size for path in (ROOT / "docs" / "pictures").iterdir()]
    assert len(sizes) <= 4 and max(sizes) <= 150_000


@pytest.mark.slow
def test_pages_are_built_without_a_broken_link_and_open_offline(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "-d", tmp_path],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    pages = {path.stem: path.read_text() for path in tmp_path.rglob("*.html")}
    for page, text in pages.items():
        parts = re.findall(r"<(?:script|img|iframe|source)[^>]*|<link[^>]*stylesheet[^>]*", text)
        assert not [part for part in parts if re.search(r"""=["']?(https?:)?//""", part)], page
    for command in {*COMMANDS, "report", "store", "data", "predict", "cluster", "recipes"}:
        assert f"python -m orchestrator.{command}" in pages["commands"]
    assert "htsat_tiny" in pages["zoo"] and ">adaptor<" in pages["parts"]
