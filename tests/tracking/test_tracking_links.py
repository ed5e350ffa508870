"""The links of a report to its runs: the same whoever makes the page, and kept in the store."""

import io
import shutil
import subprocess
import sys

import pytest
from tracking_cases import make_plan, write_all

from orchestrator.execution.publish import Publisher
from orchestrator.report.__main__ import main
from orchestrator.store import Store
from orchestrator.tracking.links import LOCAL_PAGES, read_links, write_links
from orchestrator.tracking.places import default_uri, is_synced, mark_synced, versions
from orchestrator.tracking.tracker import Tracker


@pytest.fixture
def published(store, monkeypatch):
    """A sweep with its own page, tracked in the store's database."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return publish(store)


def publish(store, tracking_uri=""):
    plan = make_plan(arms=("base", "a"), seeds=(0, 1))
    write_all(store, plan)
    Publisher(plan, store=store, tracking_uri=tracking_uri).finish()
    return plan


def page_of(store, plan):
    return (store.local_path / "sweeps" / plan.sweep / "report" / "report.html").read_text()


def page_again(store, plan):
    assert main([plan.sweep, "--store", store.uri], out=io.StringIO()) == 0
    return page_of(store, plan)


def test_page_made_from_the_store_is_the_page_of_the_sweep(store, published):
    own = page_of(store, published)
    links = Tracker(default_uri(store), store=store).links(published)
    assert set(links) == {trial.id for trial in published.trials}
    assert all(link in own and link.startswith(LOCAL_PAGES) for link in links.values())
    assert "mlflow ui --backend-store-uri" in own
    assert page_again(store, published) == own


def test_page_of_a_sweep_on_a_server_links_there_and_names_no_program(store, server):
    plan = publish(store, server.uri)
    own = page_of(store, plan)
    links = Tracker(server.uri, store=store).links(plan)
    assert links == read_links(store, plan.sweep)
    assert all(link in own and link.startswith(server.uri) for link in links.values())
    assert "mlflow ui" not in own
    assert page_again(store, plan) == own


def test_links_from_the_store_cost_no_import_of_mlflow(store, published):
    code = (
        "import sys\n"
        "from orchestrator.report.sources import FromStore\n"
        "assert len(FromStore(sys.argv[1]).material(sys.argv[2]).links) == 4\n"
        "assert 'mlflow' not in sys.modules"
    )
    command = [sys.executable, "-c", code, store.uri, published.sweep]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_links_go_with_the_database_and_move_with_the_store(store, published, tmp_path):
    links = read_links(store, published.sweep)
    shutil.copytree(store.local_path, tmp_path / "moved")
    (store.local_path / "mlflow.db").unlink()
    assert links and read_links(store, published.sweep) == {}
    assert read_links(Store.open(tmp_path / "moved"), published.sweep) == links


def test_kept_links_hold_no_password_and_a_damaged_note_is_none(store):
    uri = "postgresql://me:secret@host/runs"
    write_links(store, "p", {"t": f"{LOCAL_PAGES}/#/x"}, tracking_uri=uri)
    assert read_links(store, "p") == {"t": f"{LOCAL_PAGES}/#/x"}
    note = store.local_path / "sweeps" / "p" / "runs.json"
    assert "secret" not in note.read_text()
    for text in ("{", "[]", '{"links": 1}'):
        note.write_text(text)
        assert read_links(store, "p") == {}


def test_upload_that_left_no_links_is_done_again(store):
    plan = make_plan(arms=("base",), seeds=(0,))
    write_all(store, plan)
    uri = default_uri(store)
    mark_synced(plan, versions(plan, store), store=store, tracking_uri=uri)
    assert not is_synced(plan, store=store, tracking_uri=uri)
    write_links(store, plan.sweep, {}, tracking_uri=uri)
    assert is_synced(plan, store=store, tracking_uri=uri)
