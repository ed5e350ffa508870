"""The options of `python -m orchestrator.report`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from models.zoo.paper_tables import PRINTED
from orchestrator.errors import ConfigError, unknown
from orchestrator.metrics import METRICS
from orchestrator.report.files import NAMES, SHAPED

AGGREGATE_FORMATS = ("", "text", "markdown", "csv", "json")
FORMATS = ("text", *NAMES, "all")


def check(args: argparse.Namespace) -> None:
    """Refuse options that do not go together, all at once.

    Raises:
        ConfigError: names each mistake with what is valid.
    """
    mistakes = []
    if args.format and args.format not in FORMATS:
        mistakes.append(unknown("format", args.format, FORMATS))
    if args.shape and args.shape not in PRINTED:
        mistakes.append(unknown("shape", args.shape, PRINTED))
    if args.shape and args.format not in ("", "all", "html", *SHAPED):
        mistakes.append(
            f"a paper's table has no form {args.format!r}; --shape goes with --format "
            f"{', '.join((*SHAPED, 'html'))}, or with all"
        )
    if args.beside and not args.shape:
        mistakes.append("--beside puts another sweep into a paper's table; say which by --shape")
    if args.clips and args.format not in ("", "text", "json"):
        mistakes.append(f"--clips is written as text or json, not {args.format!r}")
    if args.metric and args.metric not in METRICS:
        mistakes.append(unknown("metric", args.metric, METRICS))
    if args.aggregate and args.format not in AGGREGATE_FORMATS:
        mistakes.append(unknown("format of --aggregate", args.format, AGGREGATE_FORMATS[1:]))
    if args.aggregate and (args.clips or args.metric):
        mistakes.append("--aggregate takes neither --clips nor --metric")
    if len(args.sweeps) > 1 and not args.aggregate:
        mistakes.append(
            f"{len(args.sweeps)} sweeps were named; --aggregate makes one table of several data "
            "sets, otherwise give one"
        )
    if not args.sweeps and not args.list:
        mistakes.append("no sweep was named; give one, or --list to see what is stored")
    if args.format in ("", "all") and args.out and Path(args.out).is_file():
        mistakes.append(f"--out {args.out} is a file; all formats need a folder")
    if mistakes:
        raise ConfigError("\n".join(mistakes))


def parser() -> argparse.ArgumentParser:
    """Return the parser of `python -m orchestrator.report`."""
    options = argparse.ArgumentParser(
        prog="python -m orchestrator.report",
        description="Print a stored sweep's report and write it as a page, tables and numbers.",
    )
    add = options.add_argument
    add("sweeps", nargs="*", metavar="SWEEP", help="stored name, or a sweep file's path")
    add(
        "--store",
        default=os.environ.get("ORCHESTRATOR_STORE") or "store",
        metavar="DIR|URI",
        help="where the records are (default: $ORCHESTRATOR_STORE or store)",
    )
    add(
        "--from-mlflow",
        default="",
        metavar="URI",
        help="read the sweep from a tracking server alone, such as sqlite:////data/mlflow.db; "
        "no store is needed",
    )
    add(
        "--format",
        default="",
        metavar="NAME",
        help=f"one of {', '.join(FORMATS)}; a single one is printed, all are written "
        "(default: print text, write all)",
    )
    add(
        "--shape",
        default="",
        metavar="NAME",
        help=f"as a paper's table, printed rows first: one of {', '.join(PRINTED)} (default: on "
        "the page, and as paper.tex, .md and .csv, that of the published numbers)",
    )
    add(
        "--beside",
        action="append",
        default=[],
        metavar="SWEEP",
        help="with --shape, another sweep whose data set gets a column; may be repeated",
    )
    add("--out", default="", metavar="PATH", help="file or folder (default: beside the plan)")
    add("--metric", default="", metavar="KEY", help="another metric than the declared one")
    add("--width", type=int, default=0, metavar="N", help="columns of the text (default: terminal)")
    add(
        "--mixed",
        action="store_true",
        help="compare trials of different code or data all the same, and say so",
    )
    add(
        "--clips",
        nargs=2,
        default=(),
        metavar="TRIAL",
        help="test two trials (ids, or arms trained once) over their held-out clips",
    )
    add(
        "--aggregate",
        action="store_true",
        help="score between chance and best, and probability of improvement, over the sweeps of "
        "several data sets that ask the same",
    )
    add("--list", action="store_true", help="list the stored sweeps with their packs, and stop")
    return options
