"""Bring a tracking server up to date with a store, by hand.

    python -m orchestrator.sync [SWEEP ...] --store DIR --tracking-uri URI

Running it twice changes nothing. Exit code 1: the server does not answer or refuses something;
exit code 2: a mistake in the command.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from models.command import completing, run_command
from orchestrator.errors import OrchestratorError, TrackingError, without_passwords


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m orchestrator.sync",
        description="Bring an MLflow server up to date with a store. Running it twice changes "
        "nothing.",
    )
    parser.add_argument("sweeps", nargs="*", metavar="SWEEP", help="default: all of the store")
    parser.add_argument("--store", default="store", help="folder or URI (default: %(default)s)")
    parser.add_argument(
        "--tracking-uri",
        default="",
        help="address of the server (default: $MLFLOW_TRACKING_URI, else SQLite in the store)",
    )
    parser.add_argument(
        "--own",
        action="append",
        default=[],
        metavar="MODULE:FUNCTION",
        help="import and run this metric of your own where a stored sweep names it",
    )
    options = completing(parser).parse_args(arguments)
    return run_command(
        lambda: _answered(options),
        mistakes=OrchestratorError,
        interrupted="interrupted; run the command again to upload the rest",
    )


def _answered(options: argparse.Namespace) -> int:
    # What the help of the command needs not wait for.
    from orchestrator.metrics.catalog import load

    try:
        for key in options.own:
            load(key)
        return _sync(options.sweeps, options.store, options.tracking_uri)
    except TrackingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _sync(sweeps: Sequence[str], place: str, tracking_uri: str) -> int:
    from orchestrator.records import Status
    from orchestrator.store import Store
    from orchestrator.terminal.waiting import waiting
    from orchestrator.tracking.live import SweepSync
    from orchestrator.tracking.places import resolve_uri
    from orchestrator.tracking.tracker import Tracker

    store = Store.open(place, create=False)
    uri = resolve_uri(tracking_uri, os.environ, store)
    plans = [store.require_plan(name) for name in sweeps or store.sweeps()]
    if not plans:
        print(f"no sweep was declared in {store.uri} yet; nothing to upload")
        return 0
    tracker = Tracker(uri, store=store)
    failed = 0
    for plan in plans:
        records = store.read_records([trial.id for trial in plan.all_trials])
        # A running record may belong to a live sweep, which then must not be shown as killed.
        final = not any(record.status is Status.RUNNING for record in records.values())
        with waiting(f"waiting for {uri} to take what it does not show of {plan.sweep} yet"):
            result = SweepSync(plan=plan, store=store, tracker=tracker).once(final=final)
        print(result.message)
        failed += result.failed
    print(f"shown at {without_passwords(uri)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
