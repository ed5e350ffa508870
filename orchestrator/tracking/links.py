"""Links from a sweep's report to its runs, kept in the store so that any report can give them.

A database serves no pages; `mlflow ui` does, and unless it is told otherwise at `LOCAL_PAGES`. The
links of a sweep that is tracked in a database lead there, and open while it runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from orchestrator.store import Store
from orchestrator.tracking.places import SQLITE, default_uri, links_path

LOCAL_PAGES = "http://127.0.0.1:5000"
"""Where `mlflow ui` shows a database's runs on the machine it is started on."""

OWN = "own"


def run_address(uri: str, experiment: str, run: str) -> str:
    """Return the address of a run's page; empty where its server's pages are not known.

    Args:
        uri: of the server or the database.
        experiment: its id there.
        run: its id there.
    """
    if uri.startswith("databricks"):
        return ""
    pages = uri.rstrip("/") if uri.startswith(("http://", "https://")) else LOCAL_PAGES
    return f"{pages}/#/experiments/{experiment}/runs/{run}"


def needs_local_server(links: Mapping[str, str]) -> bool:
    """Whether links open only while `mlflow ui` runs on the reader's machine."""
    return any(link.startswith(f"{LOCAL_PAGES}/") for link in links.values())


def write_links(store: Store, sweep: str, links: Mapping[str, str], *, tracking_uri: str) -> None:
    """Keep a sweep's links, in place of those to another server.

    Args:
        store: of the sweep.
        sweep: its name.
        links: trial id -> address of its run's page.
        tracking_uri: where the runs are; only a SQLite file's place is kept, for an address may
            hold a password.
    """
    database = ""
    if tracking_uri.startswith(SQLITE):
        # The store's own moves with the store.
        database = OWN if tracking_uri == default_uri(store) else tracking_uri
    kept = {"database": database, "links": dict(links)}
    store.files.write(links_path(sweep), json.dumps(kept, indent=1).encode())


def read_links(store: Store, sweep: str) -> dict[str, str]:
    """Return trial id -> address of its run's page, as of the last upload that was whole.

    Costs no import of mlflow and no request. Empty where nothing was uploaded, or where the SQLite
    file that the links lead to is gone.
    """
    data = store.files.read(links_path(sweep))
    try:
        kept = json.loads(data or b"{}")
        links, database = dict(kept.get("links", {})), str(kept.get("database", ""))
    except (AttributeError, TypeError, ValueError):  # damaged; the next upload writes it again
        return {}
    path = (default_uri(store) if database == OWN else database).removeprefix(SQLITE)
    return links if not path or Path(path).is_file() else {}
