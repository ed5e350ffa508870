"""Links from a sweep's report to its runs, kept in the store for any report.

A database serves no pages, but `mlflow ui` does, by default at `LOCAL_PAGES`. Links of a sweep that
is tracked in a database lead there and work while it runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from orchestrator.store import Store
from orchestrator.tracking.places import SQLITE, default_uri, links_path

LOCAL_PAGES = "http://127.0.0.1:5000"
"""Default address of `mlflow ui` on the machine that runs it."""

OWN = "own"


def run_address(uri: str, experiment: str, run: str) -> str:
    """Return the address of a run's page; empty if its server's pages are unknown."""
    if uri.startswith("databricks"):
        return ""
    pages = uri.rstrip("/") if uri.startswith(("http://", "https://")) else LOCAL_PAGES
    return f"{pages}/#/experiments/{experiment}/runs/{run}"


def needs_local_server(links: Mapping[str, str]) -> bool:
    """Whether links work only while `mlflow ui` runs on the reader's machine."""
    return any(link.startswith(f"{LOCAL_PAGES}/") for link in links.values())


def write_links(store: Store, sweep: str, links: Mapping[str, str], *, tracking_uri: str) -> None:
    """Store a sweep's links, replacing those to another server.

    Args:
        store: Store of the sweep.
        sweep: Name of the sweep.
        links: Trial id -> address of its run's page.
        tracking_uri: Address of the runs; only the path of a SQLite file is kept, because an
            address may contain a password.
    """
    database = ""
    if tracking_uri.startswith(SQLITE):
        # The store's own database moves with the store.
        database = OWN if tracking_uri == default_uri(store) else tracking_uri
    kept = {"database": database, "links": dict(links)}
    store.files.write(links_path(sweep), json.dumps(kept, indent=1).encode())


def read_links(store: Store, sweep: str) -> dict[str, str]:
    """Return trial id -> address of its run's page, as of the last complete upload.

    Needs neither an import of mlflow nor a request. Empty if nothing was uploaded, or if the SQLite
    file behind the links is gone.
    """
    data = store.files.read(links_path(sweep))
    try:
        kept = json.loads(data or b"{}")
        links, database = dict(kept.get("links", {})), str(kept.get("database", ""))
    except (AttributeError, TypeError, ValueError):  # damaged; the next upload rewrites it
        return {}
    path = (default_uri(store) if database == OWN else database).removeprefix(SQLITE)
    return links if not path or Path(path).is_file() else {}
