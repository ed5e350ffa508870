"""Packs in an object store: uploaded whole, copied once per host, mapped like local ones."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from esc_folders import SECONDS, EscFolder
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from orchestrator.data import addresses, local_copy, open_pack, peek, prepare
from orchestrator.errors import DataError

ARGUMENTS = {"seconds": SECONDS}


def packed(folder, packs):
    return prepare("esc", ARGUMENTS, root=str(folder.root), packs=packs)


@pytest.fixture
def far(tmp_path, monkeypatch) -> Path:
    """An object store as pyarrow shows one; `far://` addresses lead to the folder."""
    (tmp_path / "bucket").mkdir()
    filesystem = SubTreeFileSystem(str(tmp_path / "bucket"), LocalFileSystem())
    monkeypatch.setattr(
        addresses, "resolve", lambda address: (filesystem, address.removeprefix("far://"))
    )
    return tmp_path / "bucket"


def test_remote_pack_is_copied_once_then_mapped(folder: EscFolder, far, tmp_path):
    info = packed(folder, "far://packs")
    assert packed(folder, "far://packs") == replace(info, made=False)
    cache = str(tmp_path / "cache")
    with ThreadPoolExecutor(4) as pool:
        opened = list(
            pool.map(
                lambda _: open_pack(info.fingerprint, packs="far://packs", cache_dir=cache),
                range(4),
            )
        )
    assert {pack.path for pack in opened} == {Path(cache) / info.fingerprint}
    shutil.rmtree(far)
    pack = open_pack(info.fingerprint, packs="far://packs", cache_dir=cache)
    assert pack.content_digest() == pack.manifest["content_digest"]


def test_remote_pack_without_manifest_does_not_exist(folder, far, tmp_path):
    info = packed(folder, "far://packs")
    (far / "packs" / info.fingerprint / addresses.MANIFEST).unlink()
    with pytest.raises(DataError, match="no pack at far://packs/"):
        local_copy(f"far://packs/{info.fingerprint}", str(tmp_path / "cache"))
    assert peek("esc", ARGUMENTS, root=str(folder.root), packs="far://packs") is None


def test_local_pack_is_mapped_where_it_lies(folder, packs, tmp_path):
    pack = open_pack(packed(folder, packs).fingerprint, packs=packs)
    for address in (str(pack.path), f"file://{pack.path}"):
        assert local_copy(address, str(tmp_path / "cache")) == pack.path
    assert not (tmp_path / "cache").exists()


def test_unknown_address_scheme_is_one_clear_error(folder):
    with pytest.raises(DataError, match="cannot open 'nowhere://packs"):
        packed(folder, "nowhere://packs")
