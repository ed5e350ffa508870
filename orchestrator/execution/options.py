"""The command line of a sweep file; frozen by a test."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields

from models.command import completing
from orchestrator.errors import ConfigError
from orchestrator.experiment.config import Runtime

MODES = ("dry_run", "check", "smoke")
"""Flags that replace running the sweep."""

TUNE_TRIALS = 8
AUTO = "auto"

COMPILE_MODES = ("default", "reduce-overhead")

MAX_COUNT = 100_000
"""Upper limit on replicates, epochs and workers; a larger number is a typo."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Parsed command line of a sweep.

    Attributes:
        demo: Run the laptop-size base on the plan's demo seeds.
        smoke: Run one tiny trial in this process, without Ray.
        dry_run: List the trials and stop.
        check: Build every arm, check that it differs, and stop.
        dataset: `NAME` or `NAME:argument=value,...`; empty is what lies in the data root, or the
            plan's.
        arms: Words for the arms to keep, see `Plan.named_arms`; empty keeps all.
        seeds: Number of seeds; None keeps the plan's.
        folds: Held-out folds; None keeps the plan's, empty means all folds of the data.
        epochs: Number of epochs; None keeps the plan's.
        confirm: Number of a search's best points to confirm; None keeps the sweep's.
        tune: Setting that is tuned for every arm; empty tunes none.
        tune_trials: Trials per arm that tune it.
        until_decided: Add blocks until every contrast is decided, up to `seeds`.
        budget_hours: Device-hours after which no further block starts; 0 sets no limit.
        detect: Difference that `--dry-run` plans for, in the metric's unit; 0 means one point.
        price_per_hour: Price of one device-hour for the estimate of `--dry-run`; 0 leaves money
            out.
        fits_gpus: Whether a pilot chooses how many trials share a GPU.
        runtime: Where and how to train.
    """

    demo: bool
    smoke: bool
    dry_run: bool
    check: bool
    dataset: str
    arms: tuple[str, ...]
    seeds: tuple[int, ...] | None
    folds: tuple[int, ...] | None
    epochs: int | None
    confirm: int | None
    tune: str
    tune_trials: int
    until_decided: bool
    budget_hours: float
    detect: float
    price_per_hour: float
    fits_gpus: bool
    runtime: Runtime


def parse(argv: Sequence[str] | None, *, description: str) -> Options:
    """Parse the command line.

    Missing flags default to the environment variables `ORCHESTRATOR_ADDRESS`, `_STORE`,
    `_DATA_ROOT`, `_GPUS_PER_WORKER`, `_CPUS_PER_WORKER` and `_PRICE_PER_HOUR`, which a cluster's
    nodes set.

    Args:
        argv: Arguments without the program's name; None reads `sys.argv`.
        description: Docstring of the sweep file.
    """
    parser = completing(_parser(description))
    args = parser.parse_args(argv)
    if problem := _contradiction(args):
        parser.error(problem)
    values = vars(args)
    values["fits_gpus"] = args.gpus_per_worker == AUTO
    if values["fits_gpus"]:
        values["gpus_per_worker"] = 1.0  # until the pilot is done
    runtime = {f.name: values.pop(f.name) for f in fields(Runtime) if f.name in values}
    values["arms"] = tuple(args.arms)
    values["tune_trials"] = args.tune_trials or TUNE_TRIALS
    return Options(**values, runtime=Runtime(**runtime))


def _parser(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--demo", action="store_true", help="laptop size, a few seeds, on the embedded data")
    add("--smoke", action="store_true", help="train one tiny trial in this process, without Ray")
    add("--dry-run", action="store_true", help="list the trials and what they can show, and stop")
    add("--check", action="store_true", help="build every arm, check that it differs, and stop")
    add = parser.add_argument_group("data").add_argument
    add(
        "--dataset",
        default="",
        metavar="NAME[:ARG=VALUE,..]",
        help="folder, esc, synthetic or module:function, for example folder:label=species "
        "(default: what lies in the data root, or the sweep's)",
    )
    add(
        "--data-root",
        default=_environment("ORCHESTRATOR_DATA_ROOT"),
        metavar="DIR",
        help="folder of your own audio, in any layout that is recognized",
    )
    add = parser.add_argument_group("which trials").add_argument
    add(
        "--arms",
        nargs="+",
        default=(),
        metavar="ARM",
        help="keep these arms only, by name, pattern or number in --dry-run, also with commas, for "
        "example --arms 'AST*' DATAR, or --arms 1,3",
    )
    add("--seeds", type=_seeds, metavar="N|A,B,..", help="how many seeds, or which")
    add("--folds", type=_folds, metavar="A,B,..|all", help="which folds to hold out")
    add("--epochs", type=_positive, metavar="N", help="passes over the training clips")
    add = parser.add_argument_group("searches").add_argument
    add(
        "--confirm",
        type=_count,
        metavar="K",
        help="of a search: confirm its K best points on fresh seeds, as an ablation against the "
        "control",
    )
    add(
        "--tune",
        default="",
        metavar="SETTING",
        help="compare the arms at their own best SETTING, too, such as lr, of a decade around the "
        "shared one, which --tune-trials of every arm choose on validation clips",
    )
    add(
        "--tune-trials",
        type=_positive,
        metavar="N",
        help=f"trials per arm for --tune, one at the shared setting (default: {TUNE_TRIALS})",
    )
    add = parser.add_argument_group("how many seeds").add_argument
    add(
        "--until-decided",
        action="store_true",
        help="add seeds until every contrast is decided; those of --seeds are the most",
    )
    add(
        "--budget-hours",
        type=_above_zero,
        default=0.0,
        metavar="H",
        help="begin no further block of seeds after H device-hours of this launch",
    )
    add(
        "--detect",
        type=_above_zero,
        default=0.0,
        metavar="D",
        help="difference that --dry-run says the needed seeds for (default: one point)",
    )
    add(
        "--price-per-hour",
        type=_above_zero,
        default=_environment("ORCHESTRATOR_PRICE_PER_HOUR") or 0.0,
        metavar="P",
        help="of one device, in your currency; --dry-run then says what the trials may cost",
    )
    add = parser.add_argument_group("devices and speed").add_argument
    add(
        "--num-workers",
        type=_positive,
        default=1,
        metavar="N",
        help="data-parallel workers of one trial, through Ray Train, on as few hosts as possible",
    )
    add(
        "--gpus-per-worker",
        type=_share,
        default=_environment("ORCHESTRATOR_GPUS_PER_WORKER") or "0",
        metavar="X|auto",
        help="may be a fraction, so that several trials share a card; auto lets a pilot of a few "
        "steps of the largest arm choose it (default: 0, on the CPU)",
    )
    add(
        "--feature-memory",
        dest="feature_memory_gib",
        type=_above_zero,
        default=Runtime.feature_memory_gib,
        metavar="GIB",
        help="features that a worker holds on its GPU at most, others it reads from a file "
        "(default: %(default)g)",
    )
    add(
        "--cpus-per-worker",
        type=_positive,
        default=_environment("ORCHESTRATOR_CPUS_PER_WORKER") or 0,
        metavar="N",
        help="default: 1; on GPUs, the host's CPUs divided by the workers that its GPUs hold",
    )
    add(
        "--fast",
        action="store_true",
        help="let GPUs use faster operations that do not repeat to the bit; record and report say "
        "so (default: every rerun on one kind of GPU gives the same bits)",
    )
    add(
        "--activation-checkpointing",
        action="store_true",
        help="for what does not fit: compute the activations of a model's blocks again in the "
        "backward pass instead of keeping them; the same numbers, one more forward pass of them",
    )
    add(
        "--compile",
        nargs="?",
        const="default",
        default="",
        choices=COMPILE_MODES,
        metavar="MODE",
        help="train through torch.compile, which takes minutes per model and rounds differently; "
        "default, or reduce-overhead for CUDA graphs",
    )
    add = parser.add_argument_group("where it runs, and what it leaves").add_argument
    add(
        "--max-concurrent",
        type=_count,
        default=0,
        metavar="N",
        help="trials at once (default: as many as fit)",
    )
    add(
        "--address",
        default=_environment("ORCHESTRATOR_ADDRESS"),
        metavar="ADDR",
        help="a Ray cluster, `auto` for the one of this host (default: Ray on this machine alone)",
    )
    add(
        "--store",
        default=_environment("ORCHESTRATOR_STORE") or "store",
        metavar="DIR|URI",
        help="where records, checkpoints and reports are kept (default: store)",
    )
    add(
        "--tracking-uri",
        default="",
        metavar="URI",
        help="MLflow's address (default: MLFLOW_TRACKING_URI, else SQLite inside the store)",
    )
    return parser


def _contradiction(args: argparse.Namespace) -> str:
    """Describe flags that contradict each other; empty if none do."""
    modes = [f"--{name.replace('_', '-')}" for name in MODES if getattr(args, name)]
    if len(modes) > 1:
        return f"{' and '.join(modes)} ask for different things; give one of them"
    if args.smoke and args.epochs not in (None, 1):
        return (
            f"--smoke trains for one epoch, and --epochs {args.epochs} for more; give one of them"
        )
    if args.smoke and (args.until_decided or args.budget_hours):
        return "--smoke trains one trial, so --until-decided and --budget-hours have no meaning"
    if args.gpus_per_worker == AUTO and args.num_workers > 1:
        return "--gpus-per-worker auto packs trials of one worker; give 1 with --num-workers"
    if args.compile and args.num_workers > 1:
        return "--compile is for trials of one worker; leave it or --num-workers out"
    if args.compile and args.activation_checkpointing:
        return (
            "--compile and --activation-checkpointing each decide what the backward pass computes "
            "again; give one of them"
        )
    if args.detect and not args.dry_run:
        return "--detect says what --dry-run plans for; give both, or leave it out"
    if args.tune_trials and not args.tune:
        return "--tune-trials is how many trials --tune takes; give both, or leave it out"
    return ""


def _environment(name: str) -> str:
    return os.environ.get(name, "")


def _positive(text: str) -> int:
    value = _count(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return _at_most(value)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a whole number of at least 0")
    if len(text) > 19:
        raise argparse.ArgumentTypeError(f"{text[:20]}... is too large a number")
    return int(text)


def _at_most(value: int) -> int:
    if value > MAX_COUNT:
        raise argparse.ArgumentTypeError(f"{value} is more than {MAX_COUNT}, the most there can be")
    return value


def _share(text: str) -> float | str:
    if text == AUTO:
        return AUTO
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0 or (value > 1 and value != round(value)):
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a fraction below 1, nor a whole number of GPUs, nor {AUTO}"
        )
    return value


def _above_zero(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def _seeds(text: str) -> tuple[int, ...]:
    if "," not in text:
        return tuple(range(_positive(text)))
    return tuple(_count(part) for part in text.split(",") if part)


def _folds(text: str) -> tuple[int, ...]:
    if text == "all":
        return ()
    folds = tuple(_count(part) for part in text.split(",") if part)
    if not folds:
        raise argparse.ArgumentTypeError(f"{text!r} names no fold")
    return folds


def check_folds(folds: Sequence[int], valid: Sequence[int]) -> None:
    """Raise a `ConfigError` if a fold is not in the data set, or is its only one."""
    if len(valid) < 2:
        raise ConfigError(
            f"the data set has one fold only ({', '.join(map(str, valid))}): nothing is left to "
            "train on; divide its clips into at least two"
        )
    wrong = [fold for fold in folds if fold not in valid]
    if wrong:
        raise ConfigError(
            f"the data set has no fold {', '.join(map(str, wrong))} "
            f"(valid: {', '.join(map(str, valid))}, or all)"
        )
