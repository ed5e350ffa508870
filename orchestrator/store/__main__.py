# PYTHON_ARGCOMPLETE_OK
"""Look into a store and tidy it up.

python -m orchestrator.store ls [SWEEP]           sweeps, or the trials of one
python -m orchestrator.store show TRIAL           one trial, by its id or the beginning of it
python -m orchestrator.store verify [SWEEP ...]   read back all that was stored
python -m orchestrator.store gc [--dry-run]       delete what nobody can need
python -m orchestrator.store export SWEEP FOLDER  copy a sweep into a store of its own
"""

from __future__ import annotations

if __name__ == "__main__":
    from models.command import shorten_interrupts

    shorten_interrupts()  # the imports below take a moment

import argparse
import functools
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import get_args

from models.command import completing, run_command
from orchestrator.errors import CheckpointError, ConfigError, OrchestratorError, StoreError, unknown
from orchestrator.metrics.catalog import load
from orchestrator.records import PlanRecord, Status, TrialRecord
from orchestrator.store import LockHeld, Store, forms
from orchestrator.store.files import SET_ASIDE, TEMPORARY
from orchestrator.store.store import Made
from orchestrator.store.verification import mistakes_of_unread, verify_stored
from orchestrator.terminal.text import grid, laid_out, terminal_width, visible

WHICH = ("last", "best")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code: 1 where `verify` finds damage."""
    args = completing(_parser()).parse_args(argv)
    return run_command(
        lambda: args.run(args, Store.open(args.store, create=False)), mistakes=OrchestratorError
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m orchestrator.store",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.add_argument("--store", default="store", help="folder or URI (default: %(default)s)")
        made.set_defaults(run=run)
        return made

    ls = command("ls", _ls, "List the sweeps, or the trials of one.")
    ls.add_argument("sweep", nargs="?", metavar="SWEEP")
    show = command("show", _show, "Show one trial and its files.")
    show.add_argument("trial", metavar="TRIAL", help="its id or the beginning of it")
    verify = command("verify", _verify, "Read back records, predictions and checkpoints.")
    verify.add_argument("sweeps", nargs="*", metavar="SWEEP", help="default: all")
    verify.add_argument(
        "--own",
        action="append",
        default=[],
        metavar="MODULE:FUNCTION",
        help="import and run this metric of your own where a stored sweep names it",
    )
    verify.add_argument(
        "--scores",
        action="store_true",
        help="also score finished trials again from their checkpoints, in a process of its own, "
        "and note in their records how far that is from the stored predictions",
    )
    gc = command(
        "gc",
        _gc,
        "Delete what nobody can need: damaged files that were set aside, what killed writers left, "
        "and the second-newest checkpoint of finished trials. A trial in training is left alone.",
    )
    gc.add_argument("--dry-run", action="store_true", help="only say what would be deleted")
    gc.add_argument(
        "--checkpoints",
        action="store_true",
        help="also the checkpoints of finished trials that nothing starts or learns from; reports "
        "stay as they are, `load_model` and pictures need them",
    )
    gc.add_argument("--orphans", action="store_true", help="also all trials that no sweep has now")
    export = command("export", _export, "Copy a sweep's plan, records and predictions.")
    export.add_argument("sweep", metavar="SWEEP")
    export.add_argument("folder", metavar="FOLDER", help="a new store, folder or URI")
    export.add_argument("--checkpoints", action="store_true", help="and the checkpoints")
    export.add_argument("--dry-run", action="store_true", help="only say what would be copied")
    return parser


def _ls(args: argparse.Namespace, store: Store) -> int:
    if args.sweep:
        plan = store.require_plan(args.sweep)
        heads = ("trial", "arm", "seed", "fold", "status", "epochs", "MB")
        rows = []
        for trial in plan.all_trials:
            record, status = _state(store, trial.id)
            epochs = str(len(record.epochs)) if record else ""
            size = _megabytes(store.files.sizes(forms.trial_folder(trial.id)).values())
            cell = (trial.arm, str(trial.seed), str(trial.fold))
            rows.append((trial.id, *cell, status, epochs, size))
        _print(heads, rows, right=(2, 3, 5, 6))
        return 0
    states = {trial: _state(store, trial)[1] for trial in store.trials()}  # each is read once
    rows, planned = [], set[str]()
    for sweep in store.sweeps():
        with suppress(StoreError):
            trials = [trial.id for trial in store.require_plan(sweep).all_trials]
            planned.update(trials)
            found = Counter(states.get(trial, Status.MISSING.value) for trial in trials)
            rows.append((sweep, ", ".join(f"{n} {state}" for state, n in found.items())))
            continue
        rows.append((sweep, "its plan is damaged"))
    _print(("sweep", "trials"), rows)
    stored = [trial for trial, state in states.items() if state != Status.MISSING.value]
    orphans = sum(trial not in planned for trial in stored)
    print(f"{len(stored)} trials, {orphans} of them in no sweep, in {store.uri}")
    return 0


def _show(args: argparse.Namespace, store: Store) -> int:
    trial = _find(store, args.trial)
    record, status = _state(store, trial)
    rows = [("trial", trial), ("status", status)]
    rows += [("in", ", ".join(_sweeps_of(store, trial)) or "no sweep")]
    if record is not None:
        cost = record.cost
        rows += [
            ("epochs", f"{len(record.epochs)}, best {record.best_epoch}"),
            ("cost", f"{cost.seconds:.1f} s on {cost.device}, {cost.attempts} attempts"),
            *(("error", line) for line in [record.error_line] if line),
            *sorted(record.provenance.items()),
            *(record.metrics_at("last") and [("", "")]),
            *((key, f"{value:.6g}") for key, value in record.metrics_at("last").items()),
        ]
    _print((), rows)
    print()
    if record is not None and record.error:
        print(visible(record.error), end="\n\n")
    files = store.files.sizes(forms.trial_folder(trial))
    start = len(forms.trial_folder(trial)) + 1
    _print(("file", "bytes"), [(path[start:], str(size)) for path, size in files.items()], (1,))
    return 0


def _verify(args: argparse.Namespace, store: Store) -> int:
    damaged = 0
    for key in args.own:
        load(key)
    stored = store.sweeps()
    for sweep in args.sweeps:
        if sweep not in stored:
            store.require_plan(sweep)  # raises, with the names that are there
    for sweep in args.sweeps or stored:
        mistakes = list(_mistakes(store, sweep))
        again = ""
        if args.scores and not mistakes:  # what is damaged cannot be scored
            mistakes, again = _scored_again(store, sweep)
        damaged += len(mistakes)
        print(f"{visible(sweep)}: {len(mistakes) or 'nothing'} damaged{again}", flush=True)
        for mistake in mistakes:
            print(f"  {mistake}")
    return 1 if damaged else 0


def _scored_again(store: Store, sweep: str) -> tuple[list[str], str]:
    """Score a sweep's trials again; return what is wrong, and how many were scored how well."""
    trials = dict.fromkeys(trial.id for trial in store.require_plan(sweep).all_trials)
    # By name, for it lies in a room above, and in a process that has not seen the training.
    command = [sys.executable, "-m", "orchestrator.predict.scored_again", "--store", store.uri]
    done = subprocess.run([*command, *trials], stdout=subprocess.PIPE, text=True, check=False)
    said = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode:
        raise StoreError(
            f"scoring {sweep} again ended with exit code {done.returncode} after {len(said)} of "
            f"{len(trials)} trials; see the lines above"
        )
    found = [float(one["difference"]) for one in said if "difference" in one]
    again = f"; {len(found)} of {len(trials)} trials scored again from their checkpoints"
    if found:
        again += f", largest difference {max(found):.2g}"
    return [one["mistake"] for one in said if "mistake" in one], again


def _mistakes(store: Store, sweep: str) -> Iterator[str]:
    """Yield what is damaged of a sweep, one text each."""
    try:
        plan = store.require_plan(sweep)
    except StoreError as error:
        yield str(error)
        return
    records: dict[str, TrialRecord] = {}
    epochs_read = plan.epochs_read()
    for trial in dict.fromkeys(trial.id for trial in plan.all_trials):
        try:
            if (record := store.read_record(trial)) is not None:
                records[trial] = record
        except StoreError as error:
            yield str(error)
        reads = [
            *(functools.partial(store.load_checkpoint, trial, which) for which in WHICH),
            *(functools.partial(store.read_pack_predictions, trial, which) for which in WHICH),
        ]
        for read in reads:
            try:
                read()
            except (CheckpointError, StoreError) as error:
                yield str(error)
        if trial in records:
            yield from mistakes_of_unread(store, records[trial], read=epochs_read[trial])
    try:
        verify_stored(store, plan, records, remember=False)
    except StoreError as error:
        yield str(error)


def _gc(args: argparse.Namespace, store: Store) -> int:
    plans = [store.require_plan(sweep) for sweep in store.sweeps()]  # all, or nothing is deleted
    kept = {trial.id for plan in plans for trial in plan.all_trials}
    starts = {trial for plan in plans for trial in plan.learned_from}
    count = size = 0
    for trial in store.trials():
        try:
            with store.try_lock(trial, owner="gc"):
                is_orphan = args.orphans and trial not in kept
                unneeded = _unneeded(
                    store,
                    trial,
                    everything=is_orphan,
                    checkpoints=args.checkpoints and trial not in starts,
                )
                for path, num_bytes in unneeded.items():
                    print(f"{'would delete' if args.dry_run else 'deleted'} {path}")
                    if not args.dry_run:
                        store.files.delete(path)
                    count, size = count + 1, size + num_bytes
        except LockHeld as held:
            print(f"left alone: {held}")
    verb = "would be deleted" if args.dry_run else "deleted"
    print(f"{count} files, {_megabytes([size])} MB {verb}")
    return 0


def _unneeded(store: Store, trial: str, *, everything: bool, checkpoints: bool) -> dict[str, int]:
    """Return path -> bytes of a trial's files that can go."""
    found = store.files.sizes(forms.trial_folder(trial))
    attempts, folder = forms.attempts_folder(trial), forms.checkpoint_folder(trial)
    found = {path: size for path, size in found.items() if not path.startswith(f"{attempts}/")}
    record, status = _state(store, trial)
    if everything:
        return found
    if record is None or status != Status.FINISHED:
        return {path: size for path, size in found.items() if path.endswith(TEMPORARY)}
    named = set()
    with suppress(CheckpointError):
        named = {f"{folder}/{name}" for name in store.checkpoint_files(trial)}
    return {
        path: size
        for path, size in found.items()
        if SET_ASIDE in path
        or path.endswith(TEMPORARY)
        or (path.startswith(f"{folder}/") and (checkpoints or (named and path not in named)))
    }


def _export(args: argparse.Namespace, store: Store) -> int:
    plan = store.require_plan(args.sweep)
    paths = [f"{forms.sweep_folder(plan.sweep)}/plan.json"]
    for trial in dict.fromkeys(trial.id for trial in plan.all_trials):
        paths += [
            forms.record_path(trial),
            *(forms.predictions_path(trial, w) for w in get_args(Made)),
        ]
        if args.checkpoints:
            folder = forms.checkpoint_folder(trial)
            paths += [f"{folder}/{name}" for name in store.checkpoint_files(trial)]
    if not args.dry_run:
        target = Store.open(args.folder)
        if target.read_plan(plan.sweep) not in (None, plan):
            raise ConfigError(
                f"{target.uri} holds another {plan.sweep}; give a folder that does not exist"
            )
    count = size = 0
    for path in paths:
        data = store.files.read(path)
        if data is None:
            continue
        count, size = count + 1, size + len(data)
        if not args.dry_run:
            target.files.write(path, data)
    verb = "would be copied" if args.dry_run else "copied"
    print(f"{count} files, {_megabytes([size])} MB {verb} to {visible(args.folder)}")
    return 0


def _state(store: Store, trial: str) -> tuple[TrialRecord | None, str]:
    try:
        record = store.read_record(trial)
    except StoreError:
        return None, "damaged"
    return record, (record.status if record else Status.MISSING).value


def _trials_of(store: Store, sweep: str) -> list[str]:
    with suppress(StoreError):
        plan: PlanRecord = store.require_plan(sweep)
        return [trial.id for trial in plan.all_trials]
    return []


def _sweeps_of(store: Store, trial: str) -> list[str]:
    return [sweep for sweep in store.sweeps() if trial in _trials_of(store, sweep)]


def _find(store: Store, given: str) -> str:
    stored = store.trials()
    found = [trial for trial in stored if given and trial.startswith(given)]
    if len(found) != 1:
        hint = "Give more of the id." if found else "`ls SWEEP` lists the trials of a sweep."
        raise ConfigError(unknown("trial", given, (found or stored)[:10], hint=hint))
    return found[0]


def _megabytes(sizes) -> str:
    return f"{sum(sizes) / 1e6:.1f}"


def _print(heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
    print(laid_out(grid(rows, heads=heads, right=right), width=terminal_width()).rstrip("\n"))


if __name__ == "__main__":
    sys.exit(main())
