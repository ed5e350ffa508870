"""The tracking server of a sweep, and the note that it shows everything."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import urllib.parse
from collections.abc import Mapping
from contextlib import closing
from hashlib import sha256
from pathlib import Path

from orchestrator.errors import ConfigError, TrackingError, unknown
from orchestrator.records import PlanRecord
from orchestrator.store import Store
from orchestrator.tracking.views import FORMAT, digest

ENVIRONMENT = "MLFLOW_TRACKING_URI"
SQLITE = "sqlite:///"
_BUSY_S = 5.0
_MLFLOW = frozenset({"experiments", "runs", "metrics", "params", "tags"})
SCHEMES = ("http", "https", "sqlite", "postgresql", "mysql", "mssql", "databricks")


def default_uri(store: Store) -> str:
    """Return the SQLite address inside a local store; empty for a remote store."""
    folder = store.local_path
    return "" if folder is None else f"{SQLITE}{folder / 'mlflow.db'}"


def resolve_uri(flag: str, environment: Mapping[str, str], store: Store) -> str:
    """Choose the tracking address: from the command line, the environment or the store.

    Args:
        flag: Address from the command line; empty if not given.
        environment: Environment variables, usually `os.environ`.
        store: Store of the sweep.

    Raises:
        ConfigError: It is no address that MLflow could use.
    """
    return checked_uri(flag or environment.get(ENVIRONMENT, "") or default_uri(store))


def checked_uri(uri: str) -> str:
    """Return a valid tracking address unchanged; it may be empty.

    Raises:
        ConfigError: It is no address that MLflow could use.
    """
    if re.match(r"[\w.-]+:\d+(/|$)", uri):
        raise ConfigError(f"the tracking address {uri!r} lacks its scheme; write 'http://{uri}'")
    if uri and "://" not in uri and uri != "databricks":
        raise ConfigError(
            f"the tracking address {uri!r} is a folder, where MLflow no longer keeps runs; write "
            f"'{SQLITE}{os.path.abspath(uri)}/mlflow.db' or the address of a server"
        )
    scheme = uri.partition(":")[0].partition("+")[0]
    if uri and scheme not in SCHEMES:
        raise ConfigError(unknown("scheme of a tracking address", scheme, SCHEMES))
    if scheme in ("http", "https") and not _has_host(uri):
        raise ConfigError(
            f"the tracking address {uri!r} names no host, or no port from 1 to 65535; write "
            f"'{scheme}://HOST:PORT'"
        )
    if scheme == "sqlite" and not _database_file(uri):
        raise ConfigError(
            f"the tracking address {uri!r} names no file; write '{SQLITE}FILE', or four slashes "
            "before an absolute path"
        )
    return uri


def check_database(uri: str) -> None:
    """Write to a SQLite file and roll back; MLflow itself would retry for minutes.

    Args:
        uri: Tracking address; anything but a SQLite file is ignored. The file and its folder are
            created.

    Raises:
        TrackingError: The file cannot be written, is locked by another process, is not a
            database or is one of another program.
    """
    path = _database_file(uri)
    if not path:
        return
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            tables = _tables(database)
            if tables and _MLFLOW.isdisjoint(tables):
                some = ", ".join(sorted(tables)[:3])
                raise TrackingError(
                    f"{uri} is the database of another program (it has {some}); give one of "
                    "MLflow's, or a new file"
                )
            (version,) = database.execute("PRAGMA user_version").fetchone()
            database.execute(f"PRAGMA user_version = {version}")
            database.execute("ROLLBACK")
    except TrackingError:
        raise
    except (sqlite3.Error, OSError) as error:
        usable = isinstance(error, sqlite3.OperationalError | OSError)
        way_out = "" if usable else "; give one of MLflow's databases, or a new file"
        raise TrackingError(f"{uri}: {error}{way_out}") from error


def holds_runs(path: str) -> bool:
    """Whether a SQLite file has the tables in which MLflow keeps runs; True if it is none."""
    try:
        with closing(sqlite3.connect(path, timeout=_BUSY_S)) as database:
            return _MLFLOW <= _tables(database)
    except sqlite3.Error:
        return True  # `check_database` says what is wrong with it


def _tables(database: sqlite3.Connection) -> set[str]:
    names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    return {name for (name,) in database.execute(names)}


def _database_file(uri: str) -> str:
    """Return the path of a SQLite address; empty for any other address or without a file."""
    dialect, slashes, path = uri.partition(":///")
    path = path.partition("?")[0]
    return path if slashes and dialect.split("+")[0] == "sqlite" and path != ":memory:" else ""


def _has_host(uri: str) -> bool:
    try:
        parts = urllib.parse.urlsplit(uri)
        return bool(parts.hostname) and not re.search(r"\s", uri) and parts.port != 0
    except ValueError:  # unclosed brackets or an invalid port
        return False


def artifact_root(uri: str, store: Store) -> str | None:
    """Return the location of a database's artifacts; None if a server decides.

    It is next to a SQLite file, so that file and folder form a view that outlives the store, and in
    the store for any other database.
    """
    if uri.startswith(("http://", "https://", "databricks")):
        return None
    if uri.startswith(SQLITE) and uri != default_uri(store):
        return str(Path(uri.removeprefix(SQLITE)).absolute().parent / "mlartifacts")
    return store.files.where("mlartifacts").partition("?")[0]  # MLflow has settings of its own


def is_synced(plan: PlanRecord, *, store: Store, tracking_uri: str) -> bool:
    """Whether a finished reconciliation of exactly this plan and these records is noted.

    Needs neither an import of mlflow nor a request. It notices a deleted SQLite file, but not a
    server that has lost its runs; `python -m orchestrator.sync` always checks the server.
    """
    data = store.files.read(_marker(plan, tracking_uri))
    if store.files.read(links_path(plan.sweep)) is None:
        return False  # uploaded by a version without links
    return data is not None and data == _note(plan, versions(plan, store), tracking_uri)


def versions(plan: PlanRecord, store: Store) -> dict[str, str]:
    """Return trial id -> version of its record, for `mark_synced`; call before reading records."""
    return store.record_versions(dict.fromkeys(trial.id for trial in plan.all_trials))


def mark_synced(
    plan: PlanRecord, seen: Mapping[str, str], *, store: Store, tracking_uri: str
) -> None:
    """Note that the server shows the whole plan and its records in the versions of `seen`."""
    store.files.write(_marker(plan, tracking_uri), _note(plan, seen, tracking_uri))


def links_path(sweep: str) -> str:
    """Return the path of a sweep's links in a store."""
    return f"sweeps/{sweep}/runs.json"


def _marker(plan: PlanRecord, tracking_uri: str) -> str:
    return f"sweeps/{plan.sweep}/synced-{sha256(tracking_uri.encode()).hexdigest()[:12]}.json"


def _note(plan: PlanRecord, seen: Mapping[str, str], tracking_uri: str) -> bytes:
    facts = {
        "format": FORMAT,
        "digest": digest([plan.asked, seen]),
        "database": _database(tracking_uri),
    }
    return json.dumps(facts).encode()


def _database(tracking_uri: str) -> str:
    """Identify a SQLite file, to distinguish it from a new file of the same name."""
    if not tracking_uri.startswith(SQLITE):
        return ""
    try:
        stat = os.stat(Path(tracking_uri.removeprefix(SQLITE)))
    except FileNotFoundError:
        return "missing"
    return f"{stat.st_dev}-{stat.st_ino}"
