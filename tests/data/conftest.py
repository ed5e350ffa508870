"""Folders to read from, places to pack to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from esc_folders import EscFolder


@pytest.fixture
def folder(tmp_path: Path) -> EscFolder:
    return EscFolder(tmp_path / "made_up").fill()


@pytest.fixture
def packs(tmp_path: Path) -> str:
    return str(tmp_path / "packs")


@pytest.fixture(scope="session")
def esc10() -> Path:
    beside = Path(__file__).resolve().parents[3] / "shared" / "data" / "esc10"
    root = Path(os.environ.get("ESC10_ROOT") or beside)
    if not (root / "meta" / "esc10.csv").is_file():
        pytest.skip("ESC-10 is not here; set ESC10_ROOT to its folder")
    return root


@pytest.fixture(scope="session")
def annotations() -> Path:
    beside = Path(__file__).resolve().parents[3] / "shared" / "data" / "annotations"
    folder = Path(os.environ.get("ANNOTATIONS_ROOT") or beside)
    if not (folder / "esc50" / "esc50.csv").is_file():
        pytest.skip("no official annotation files here; set ANNOTATIONS_ROOT to their folder")
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of this test alone, for its own process and those it starts."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    return tmp_path / "xdg" / "audio-ablation-orchestrator"
