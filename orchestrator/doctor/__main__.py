"""Compare the data and the first epoch of an experiment with a log, and name what departs first.

python -m orchestrator.doctor sweeps/mine.py --log ast_esc50 --data-root DIR     a recipe's log
python -m orchestrator.doctor ast_esc50 --data-root DIR                          the recipe itself
python -m orchestrator.doctor sweeps/mine.py --demo --record healthy.json --seeds 5
python -m orchestrator.doctor sweeps/mine.py --demo --log healthy.json --seeds 5,

Facts are compared in causal order, so that the first departure is the one to look at: later ones
may follow from it. A log of five seeds or more has a spread for what the seed moves.

exit codes: 0 nothing departs, 1 something does, 2 a mistake. All options of a sweep file are taken,
too (--demo, --data-root, --dataset, --arms, --seeds, --folds, --store, --gpus-per-worker).
"""

from __future__ import annotations

if __name__ == "__main__":
    from models.command import shorten_interrupts

    shorten_interrupts()  # the imports below take a moment

import argparse
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from models.command import run_command
from orchestrator.design.factors import Arm
from orchestrator.design.plan import Plan
from orchestrator.design.search_space import Search
from orchestrator.doctor.facts import BEFORE_TRAINING, FACTS, Finding, Value, compare, value_text
from orchestrator.doctor.log import Log, read_log, write_log
from orchestrator.errors import ConfigError, OrchestratorError, unknown
from orchestrator.execution.options import Options, parse
from orchestrator.execution.prepare import LaunchPlan, prepare
from orchestrator.recipes import PAPERS
from orchestrator.terminal.text import grid, laid_out, terminal_width, visible

if TYPE_CHECKING:
    from orchestrator.data import Pack
    from orchestrator.experiment.identity import CompletedExperiment

DEPARTS = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    args, rest = _parser().parse_known_args(argv)
    return run_command(lambda: _run(args, rest), mistakes=OrchestratorError)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m orchestrator.doctor",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("target", metavar="SWEEP.py|RECIPE", help="the baseline of a sweep file, or a recipe")
    add(
        "--log",
        default="",
        metavar="FILE|RECIPE",
        help="compare with this (default: of a recipe, its own)",
    )
    add("--record", default="", metavar="FILE", help="write a log of the seeds in place of that")
    add(
        "--no-training",
        action="store_true",
        help="compare data, features and settings only, without training the first epoch",
    )
    return parser


def _run(args: argparse.Namespace, rest: Sequence[str]) -> int:
    if args.record and args.log:
        raise ConfigError("--record writes a log and --log reads one; give one of them")
    if args.target not in PAPERS and not Path(args.target).is_file():
        hint = "Or give the path of a sweep file."
        raise ConfigError(unknown("recipe or file", args.target, PAPERS, hint=hint))
    name = args.log or ("" if args.record or args.target not in PAPERS else args.target)
    if not (name or args.record):
        raise ConfigError(
            "there is nothing to compare with; give a log or a recipe by --log "
            f"({', '.join(PAPERS)}), or write a log by --record FILE"
        )
    log = None if args.record or name in PAPERS else _read(name)
    options = parse(rest, description="")
    if args.target in PAPERS and not (options.runtime.data_root or options.dataset):
        raise ConfigError(
            f"recipe {args.target} is for {PAPERS[args.target].data}; give it by --data-root DIR"
        )
    prepared, pack = _packed(_plan(args.target), options)
    plan = prepared.plan
    arm = next(one for one in plan.arms if one.name == plan.baseline_arm)
    experiments = [
        plan.experiment(arm).at(fold=plan.folds[0], seed=seed)
        for seed in (plan.seeds if args.record else plan.seeds[:1])
    ]
    what = f"{plan.sweep}, arm {arm.name!r}, fold {plan.folds[0]}"
    if args.record:
        runs = [_observe(args, options, one, pack) for one in experiments]
        path = Path(args.record)
        write_log(path, runs, of=f"{what}, {len(runs)} seeds")
        print(visible(f"wrote {path}: {len(runs)} runs of {what}"))
        return 0
    (experiment,) = experiments
    if log is None:
        from orchestrator.doctor.published import recipe_log

        log = recipe_log(PAPERS[name], pack, experiment)
    found = compare(_observe(args, options, experiment, pack), log.facts)
    print(report(found, what=f"{what}, seed {experiment.seed}", log=log))
    return DEPARTS if any(one.departure for one in found) else 0


def _read(name: str) -> Log:
    if not Path(name).exists():
        hint = "Or give the file of a log, which --record writes."
        raise ConfigError(unknown("log", name, PAPERS, hint=hint))
    return read_log(Path(name))


def _plan(target: str) -> Plan | Search:
    """Return a sweep file's plan, or a recipe as one."""
    if target in PAPERS:
        recipe = PAPERS[target]
        question = f"Is this {recipe.data} as {target} trains on it?"
        return Plan(name=target, question=question, base=recipe.build(), arms=(Arm(name=target),))
    path = Path(target)
    sys.path.insert(0, str(path.parent.resolve()))  # as if the file were run
    found = [
        value
        for value in runpy.run_path(str(path), run_name="sweep").values()
        if isinstance(value, Plan | Search)
    ]
    if len(found) != 1:
        raise ConfigError(f"{path} has {len(found)} plans; a sweep file has one, by the name PLAN")
    return found[0]


def _packed(sweep: Plan | Search, options: Options) -> tuple[LaunchPlan, Pack]:
    from orchestrator.data import open_pack
    from orchestrator.execution.launch import with_pack
    from orchestrator.store import Store

    prepared = prepare(sweep, options)
    store = Store.open(options.runtime.store)
    prepared = with_pack(prepared)
    fingerprint = str(prepared.plan.base.dataset.arguments["fingerprint"])
    return prepared, open_pack(fingerprint, packs=store.packs_uri)


def _observe(
    args: argparse.Namespace, options: Options, experiment: CompletedExperiment, pack: Pack
) -> dict[str, Value]:
    from orchestrator.doctor.observe import observe
    from orchestrator.execution.trial import features_folder
    from orchestrator.training.state import Initial

    start, taught = experiment.initial, experiment.distillation.name != "none"
    if start.name == "trial" or taught:
        needs = "a teacher" if taught else f"the weights of trial {start.arguments['id']}"
        raise ConfigError(
            f"this arm needs {needs}, which the doctor does not train; give another arm by --arms, "
            "or a checkpoint's file as its initial weights"
        )
    return observe(
        experiment,
        pack,
        device="cuda" if options.runtime.gpus_per_worker > 0 else "cpu",
        features=features_folder(pack),
        initial=Initial.read(start.arguments["file"]) if start.name == "checkpoint" else None,
        trains=not args.no_training,
    )


def report(found: Sequence[Finding], *, what: str, log: Log) -> str:
    """Say what departs first, what else does, and what was compared."""
    departed = [one for one in found if one.departure]
    lines = [f"{what}, against {log.of}"]
    if departed:
        first, *others = departed
        lines += [
            f"First departure: {first.fact.title}: {first.departure}",
            f"  look at: {first.fact.causes}",
        ]
        if first.fact.key in BEFORE_TRAINING:
            lines.append("  It is there before a step is taken, so what follows may come of it.")
        if others:
            lines.append(f"{len(others)} more, which may follow from it:")
            lines += [f"  {one.fact.title}: {one.departure}" for one in others]
    else:
        lines.append(f"Nothing departs: {len(found)} facts are alike")
    rows = [
        (
            one.fact.key,
            value_text(one.here),
            value_text(one.logged.typical),
            "departs" if one.departure else "alike",
        )
        for one in found
    ]
    table = grid(rows, heads=("fact", "here", "log", ""), whole=(0, 3))
    missing = [fact.key for fact in FACTS if fact.key not in {one.fact.key for one in found}]
    text = "\n".join(map(visible, lines)) + "\n\n" + laid_out(table, width=terminal_width())
    return text + (f"not compared: {', '.join(missing)}" if missing else "").rstrip("\n")


if __name__ == "__main__":
    sys.exit(main())
