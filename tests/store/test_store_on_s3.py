"""What an object store does otherwise than a disk: a read is two requests, a move, too."""

import threading

import pytest

from orchestrator.data import addresses, open_pack, prepare
from orchestrator.errors import StoreError
from orchestrator.execution.prepare import packs_of
from orchestrator.store import Store
from tests import tiny


def test_read_while_others_replace_and_delete_the_object_is_one_of_its_contents(new_bucket):
    files, done = Store.open(new_bucket()).files, threading.Event()
    contents = (b"a" * 100, b"b" * 3000)

    def change() -> None:
        while not done.is_set():
            for content in contents:
                files.write("object", content)
            files.delete("object")

    thread = threading.Thread(target=change)
    thread.start()
    try:
        found = [files.read("object") for _ in range(200)]
    finally:
        done.set()
        thread.join()
    assert set(found) <= {None, *contents} and len(set(found)) > 1


def test_set_aside_of_what_is_not_there_is_nothing(any_store):
    any_store.files.write("trials/t/record.json", b"1")
    assert any_store.files.set_aside("trials/t/predictions-best.arrow") == ""
    assert any_store.files.set_aside("trials/t/record.json") == "record.json.damaged-1"
    assert any_store.files.read("trials/t/record.json") is None


def test_pack_of_an_address_with_options_is_found_and_set_aside_when_it_is_damaged(
    new_bucket, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    store = Store.open(new_bucket())
    assert packs_of(store.uri) == store.packs_uri
    made = prepare(tiny.DATASET.name, tiny.DATASET.arguments, root=None, packs=store.packs_uri)
    assert len(open_pack(made.fingerprint, packs=store.packs_uri)) == made.num_clips
    place = f"packs/{made.fingerprint}"
    store.files.write(f"{place}/{addresses.MANIFEST}", b"{")
    again = prepare(tiny.DATASET.name, tiny.DATASET.arguments, root=None, packs=store.packs_uri)
    assert again.made and again.fingerprint == made.fingerprint
    assert store.files.names(f"{place}.damaged-1") == [addresses.CLIPS, addresses.MANIFEST]


@pytest.mark.slow  # the library tries for six seconds
def test_server_whose_name_nobody_knows_is_one_message(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "loopback")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    words = r"cannot write s3://.*Could not resolve host.*; give a place that can be .* --store"
    with pytest.raises(StoreError, match=words):
        Store.open("s3://bucket/store?scheme=http&endpoint_override=nowhere.invalid")
