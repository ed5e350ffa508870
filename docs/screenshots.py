"""Takes the pictures of the README and the pages: `python docs/screenshots.py STORE SWEEP`.

Whoever changes the report's page or what MLflow shows runs it again, on a store that has a sweep on
real recordings. It needs Chromium.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from PIL import Image

PICTURES = Path(__file__).resolve().parent / "pictures"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
COLORS = 256


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0] + ".")
    parser.add_argument("store", type=Path, help="folder of a store, which is only read")
    parser.add_argument("sweep", help="stored name")
    parser.add_argument("--allow-mixed", action="store_true", help="as of the report")
    options = parser.parse_args()
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        report = [sys.executable, "-m", "orchestrator.report", options.sweep, "--format", "html"]
        report += ["--allow-mixed"] if options.allow_mixed else []
        subprocess.run([*report, "--store", options.store, "--out", page], check=True)
        take(page.as_uri(), "page", 1100, 1000)
        shutil.copy(options.store / "mlflow.db", folder)  # the server may migrate it
        with mlflow(Path(folder) / "mlflow.db") as address:
            take(f"{address}/#/{comparison(address, options.sweep)}", "mlflow", 1400, 900)


def take(address: str, name: str, width: int, height: int) -> None:
    """Take a picture of a page's first screen, in few colors."""
    found = [path for path in map(shutil.which, BROWSERS) if path]
    if not found:
        raise SystemExit(f"none of {', '.join(BROWSERS)} is installed")
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "picture.png"
        subprocess.run(
            [
                found[0],
                *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
                *(f"--user-data-dir={folder}/browser", "--virtual-time-budget=30000"),
                *(f"--window-size={width},{height}", f"--screenshot={picture}", address),
            ],
            check=True,
            capture_output=True,
            timeout=300,
        )
        made = io.BytesIO()
        Image.open(picture).convert("RGB").quantize(COLORS).save(made, "PNG", optimize=True)
    (PICTURES / f"{name}.png").write_bytes(made.getvalue())
    print(f"{name}.png: {made.tell() / 1000:.0f} kB")


@contextmanager
def mlflow(database: Path) -> Iterator[str]:
    """Serve a database on this machine alone, and yield the address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    words = ("ui", "--host", "127.0.0.1", "--port", str(port), "--workers", "1")
    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", *words, "--backend-store-uri", f"sqlite:///{database}"]
    )
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{address}/health").close()
                break
            except urllib.error.URLError:
                time.sleep(1)
        yield address
    finally:
        server.terminate()
        server.wait()


def comparison(address: str, sweep: str) -> str:
    """Return the place of the comparison of a sweep's arms below MLflow's address."""
    import mlflow as client

    server = client.MlflowClient(address)
    found = server.get_experiment_by_name(sweep)
    if found is None:
        raise SystemExit(f"MLflow has no experiment {sweep!r}")
    arms = server.search_runs([found.experiment_id], "tags.`orchestrator.kind` = 'arm'")
    runs = json.dumps([arm.info.run_id for arm in arms])
    return f"compare-runs?runs={quote(runs)}&experiments={quote(json.dumps([found.experiment_id]))}"


if __name__ == "__main__":
    main()
