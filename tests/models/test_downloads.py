"""Weights by address, against a real server on this machine that fails as servers do."""

import dataclasses
import hashlib
import multiprocessing
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from file_server import FileServer
from safetensors.torch import save
from torch import nn

from models import load_pretrained
from models.checkpoints import download, files
from models.checkpoints.files import cache_dir, weight_file
from models.errors import CheckpointError, DownloadError
from models.zoo.cards import WEIGHTS
from orchestrator import recipes
from orchestrator.errors import ConfigError
from orchestrator.experiment.config import Component, File
from orchestrator.experiment.identity import complete

LAYER = nn.Linear(300, 200)
CONTENT = save(LAYER.state_dict())
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ORCHESTRATOR_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "weights"


@pytest.fixture
def server():
    with FileServer(files={"/layer.pth": CONTENT}) as running:
        yield running


def left_in(cache):
    """What a user sees in the cache: finished and partial files."""
    return {p.name for p in cache.rglob("*") if p.is_file() and not p.name.endswith(".lock")}


def test_address_is_fetched_once_and_loaded(server, cache):
    layer = nn.Linear(300, 200)
    for _ in range(2):
        load_pretrained(layer, server.url("/layer.pth?download=1"))
    assert torch.equal(layer.weight, LAYER.weight)
    assert len(server.requests) == 1
    assert left_in(cache) == {"layer.pth"}


def test_redirect_is_followed(server):
    server.redirects["/resolve/main/model.safetensors"] = "/layer.pth"
    path = weight_file(server.url("/resolve/main/model.safetensors"))
    assert path.name == "model.safetensors"
    assert path.read_bytes() == CONTENT


def test_two_addresses_with_one_name_are_kept_apart(server):
    server.files["/other/layer.pth"] = save(nn.Linear(2, 2).state_dict())
    assert weight_file(server.url("/layer.pth")) != weight_file(server.url("/other/layer.pth"))


def test_cut_connection_goes_on_within_one_call(server):
    server.cut_after, server.cuts = 100_000, 1
    assert weight_file(server.url("/layer.pth")).read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == ["", "bytes=100000-"]


def test_download_that_was_cut_off_goes_on_in_a_later_call(server, cache, monkeypatch):
    server.cut_after = 60_000
    monkeypatch.setattr(download, "ATTEMPTS", 2)
    with pytest.raises(DownloadError, match=r"120000 bytes are kept, the same command goes on"):
        weight_file(server.url("/layer.pth"))
    assert left_in(cache) == {"layer.pth.part", "layer.pth.part.json"}
    server.cut_after = None
    assert weight_file(server.url("/layer.pth")).read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == ["", "bytes=60000-", "bytes=120000-"]
    assert left_in(cache) == {"layer.pth"}


def test_partial_file_of_another_content_is_begun_anew(server, monkeypatch):
    server.cut_after = 60_000
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    with pytest.raises(DownloadError):
        weight_file(server.url("/layer.pth"))
    other = save(nn.Linear(300, 200).state_dict())
    server.files["/layer.pth"], server.cut_after = other, None
    assert weight_file(server.url("/layer.pth")).read_bytes() == other


@pytest.mark.parametrize("reason", ["no ranges", "no tags"])
def test_server_that_cannot_resume_is_asked_for_the_whole(reason, server, monkeypatch):
    server.ranges, server.tags = reason != "no ranges", reason != "no tags"
    server.cut_after = 60_000
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    with pytest.raises(DownloadError, match="the connection broke"):
        weight_file(server.url("/layer.pth"))
    server.cut_after = None
    assert weight_file(server.url("/layer.pth")).read_bytes() == CONTENT


def test_connection_that_keeps_breaking_at_one_place_ends_with_a_message(server):
    server.cut_after = 0
    with pytest.raises(DownloadError, match="the connection broke"):
        weight_file(server.url("/layer.pth"))
    assert len(server.requests) == 1


def test_partial_file_that_is_whole_already_is_taken(server, cache, monkeypatch):
    server.cut_after = 60_000
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    with pytest.raises(DownloadError):
        weight_file(server.url("/layer.pth"))
    next(cache.rglob("*.part")).write_bytes(CONTENT)
    server.cut_after = None
    assert weight_file(server.url("/layer.pth")).read_bytes() == CONTENT
    assert server.requests[-1][1] == f"bytes={len(CONTENT)}-"


def test_answer_without_a_length_is_taken_whole_and_cut_off_is_noticed(server, monkeypatch):
    server.chunked = True
    assert weight_file(server.url("/layer.pth")).read_bytes() == CONTENT
    server.files["/again.pth"] = CONTENT
    server.cut_after = 50_000
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    with pytest.raises(DownloadError, match="the connection broke"):
        weight_file(server.url("/again.pth"))


@pytest.mark.parametrize("page", [b"<!DOCTYPE html><html>quota</html>", b"\n <html>confirm"])
@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/octet-stream"])
def test_web_page_in_the_files_place_is_refused(page, kind, server, cache):
    server.files["/layer.pth"], server.kind = page, kind
    with pytest.raises(DownloadError, match=r"a web page in place of the file.*put it at"):
        load_pretrained(nn.Linear(300, 200), server.url("/layer.pth"))
    assert "layer.pth" not in left_in(cache)
    server.files["/layer.pth"], server.kind = CONTENT, "application/octet-stream"
    assert weight_file(server.url("/layer.pth")).read_bytes() == CONTENT


def test_what_is_no_checkpoint_is_refused_and_not_kept(server, cache):
    server.files["/layer.pth"] = b"something else"
    with pytest.raises(DownloadError, match="is no checkpoint and was not kept"):
        weight_file(server.url("/layer.pth"))
    assert left_in(cache) == set()


def test_file_that_is_not_there_is_one_message(server):
    with pytest.raises(DownloadError, match=r"there is no file at .*absent.pth \(404\)"):
        weight_file(server.url("/absent.pth"))


def test_no_network_is_one_message_with_the_way_by_hand(server, cache):
    url = server.url("/layer.pth")
    server.__exit__()
    with pytest.raises(DownloadError) as caught:
        weight_file(url)
    message = str(caught.value)
    assert url in message
    assert "is there a network?" in message
    place = message.rpartition("put it at ")[2]
    (cache / place).write_bytes(CONTENT)
    assert weight_file(url).read_bytes() == CONTENT


def test_checksum_in_the_address_is_held(server, cache):
    assert weight_file(server.url(f"/layer.pth#sha256={SHA256}")).read_bytes() == CONTENT
    shutil.rmtree(cache)
    with pytest.raises(DownloadError, match=f"sha256 {SHA256}, the published file 00000000"):
        weight_file(server.url("/layer.pth#sha256=" + 64 * "0"))
    assert left_in(cache) == set()
    with pytest.raises(CheckpointError, match="8 or more hex digits"):
        weight_file(server.url("/layer.pth#sha256=1"))


def test_disk_without_space_is_one_message(server, monkeypatch):
    usage = SimpleNamespace(total=10, used=0, free=10)
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DownloadError, match=rf"10 bytes free and {len(CONTENT)} are needed"):
        weight_file(server.url("/layer.pth"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_disk_that_fills_up_is_one_message(server, tmp_path):
    part = tmp_path / "layer.pth.part"
    part.symlink_to("/dev/full")
    with pytest.raises(DownloadError, match="the disk is full; make room there"):
        download.download(server.url("/layer.pth"), part, by_hand="fetch it by other means")


def test_cache_that_cannot_be_written_is_one_message(server, cache, monkeypatch):
    cache.write_text("a file where the folder should be")
    with pytest.raises(DownloadError, match="set ORCHESTRATOR_WEIGHTS to a folder of yours"):
        weight_file(server.url("/layer.pth"))


def test_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    assert cache_dir() == tmp_path / "weights"
    monkeypatch.delenv("ORCHESTRATOR_WEIGHTS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "audio-ablation-orchestrator" / "weights"


def _fetch(url, results):
    results.put(weight_file(url).read_bytes() == CONTENT)


def test_two_processes_that_ask_at_once_fetch_once(server):
    server.gate = threading.Event()
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    both = [context.Process(target=_fetch, args=(server.url("/layer.pth"), results)) for _ in "ab"]
    for process in both:
        process.start()
    assert server.asked.wait(60)
    server.gate.set()
    assert [results.get(timeout=60) for _ in both] == [True, True]
    for process in both:
        process.join(60)
    assert len(server.requests) == 1


@pytest.fixture
def listed(server, monkeypatch):
    """The server's file as published weights."""
    entry = dataclasses.replace(
        WEIGHTS["cnn6_audioset"],
        name="layer",
        filename="Layer_mAP=0.5.pth",
        url=server.url("/layer.pth"),
        md5=hashlib.md5(CONTENT).hexdigest(),
        sha256=SHA256[:8],
        size=len(CONTENT),
    )
    monkeypatch.setitem(WEIGHTS, "layer", entry)
    return entry


def test_published_name_is_fetched_under_its_own_file_name(listed, cache):
    layer = nn.Linear(300, 200)
    report = load_pretrained(layer, "layer")
    assert torch.equal(layer.bias, LAYER.bias)
    assert report.missing == ()
    assert left_in(cache) == {listed.filename}


@pytest.mark.parametrize("change", ["length", "byte"])
def test_file_put_there_by_hand_is_checked(change, listed, cache, server):
    content = CONTENT[:-1] + (b"" if change == "length" else bytes([CONTENT[-1] ^ 1]))
    cache.mkdir()
    (cache / listed.filename).write_bytes(content)
    with pytest.raises(DownloadError, match=r"the published file .*: delete it, or fetch it from"):
        weight_file("layer")
    (cache / listed.filename).write_bytes(CONTENT)
    assert weight_file("layer").read_bytes() == CONTENT
    assert server.requests == []


def test_published_file_of_another_length_is_refused_before_it_is_fetched(listed, server, cache):
    server.files["/layer.pth"] = CONTENT + b"more"
    with pytest.raises(DownloadError, match=rf"offers {len(CONTENT) + 4} bytes, published are"):
        weight_file("layer")


def test_name_that_is_near_a_published_one_is_named():
    with pytest.raises(CheckpointError, match="did you mean the published weights 'cnn14_audio"):
        load_pretrained(nn.Linear(1, 1), "cnn14_audiset")
    with pytest.raises(CheckpointError, match="https:// or http:// only"):
        load_pretrained(nn.Linear(1, 1), "ftp://host/file.pth")


def test_file_in_place_of_a_published_name_needs_its_path(listed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "layer").write_bytes(b"a file of that name")
    assert weight_file("layer").name == listed.filename
    assert files.is_remote("layer")
    assert not files.is_remote("./layer")
    assert weight_file("./layer").read_bytes() == b"a file of that name"


def test_experiment_takes_a_checkpoint_by_address_and_pins_its_digest(server):
    url = server.url("/layer.pth")
    file = File.read(url)
    assert file == File(f"sha256:{SHA256}", url)
    assert file.path == url  # every host fetches it for itself
    assert file.local.read_bytes() == CONTENT
    arguments = complete(
        dataclasses.replace(recipes.datar_laptop(), initial=Component("checkpoint", file=file))
    ).initial.arguments
    assert arguments["file"] == file


def test_experiment_with_a_checkpoint_that_cannot_be_fetched_is_a_mistake_of_the_plan(server):
    with pytest.raises(ConfigError, match="there is no file at"):
        File.read(server.url("/absent.pth"))
    with pytest.raises(ConfigError, match="did you mean the published weights"):
        File.read("cnn14_audioste")


def test_report_on_published_weights_carries_their_remark(cache, monkeypatch):
    entry = replace(WEIGHTS["talnet_audioset"], name="layer", filename="layer.pth")
    monkeypatch.setitem(WEIGHTS, "layer", entry)
    cache.mkdir()
    (cache / "layer.pth").write_bytes(CONTENT)
    report = load_pretrained(nn.Linear(300, 200), "layer")
    assert report.remark == entry.remark
    assert report.summary().endswith(f"besides: {entry.remark}")
    assert load_pretrained(nn.Linear(300, 200), cache / "layer.pth").remark == ""
