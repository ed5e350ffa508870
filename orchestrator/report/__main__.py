"""Print and write the report of a stored sweep: `python -m orchestrator.report SWEEP`."""

from __future__ import annotations

if __name__ == "__main__":
    from models.command import shorten_interrupts

    shorten_interrupts()  # the imports below take a second

import argparse
import dataclasses
import gc
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from models.command import run_command
from models.zoo.paper_tables import PRINTED
from orchestrator.analysis.aggregate import aggregate
from orchestrator.analysis.clip_tests import compare_clips, find_trial
from orchestrator.analysis.confounds import refuse_mixed
from orchestrator.analysis.outcomes import no_predictions
from orchestrator.analysis.summary import Summary, summarize
from orchestrator.errors import ConfigError, OrchestratorError, unknown
from orchestrator.metrics import METRICS
from orchestrator.records import PlanRecord, Status, TrialRecord
from orchestrator.report.files import NAMES, SHAPED, render, render_shape, write, write_report
from orchestrator.report.render.aggregate import aggregate_text
from orchestrator.report.render.text import render_text
from orchestrator.report.sources import FromMlflow, FromStore, Material, Source
from orchestrator.report.tables.paper import Shaped, Study, own_shape, shaped
from orchestrator.report.wording.clips import clip_sentences, single_pair_sentences
from orchestrator.text import grid, laid_out, terminal_width, visible

AGGREGATE_FORMATS = ("", "text", "markdown", "csv", "json")
FORMATS = ("text", *NAMES, "all")


def main(argv: Sequence[str] | None = None, *, out: TextIO | None = None) -> int:
    """Run the command line.

    Args:
        argv: without the program's name; None reads the process's own.
        out: where to print; None is standard output.

    Returns:
        The exit code: 2 for a mistake of the user's, named in one message on standard error.
    """
    args = _parser().parse_args(argv)
    stream = out or sys.stdout
    return run_command(
        lambda: _run(args, stream),
        mistakes=OrchestratorError,
        interrupted="interrupted; run the command again for the whole report",
    )


def _parser() -> argparse.ArgumentParser:
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


def _check(args: argparse.Namespace) -> None:
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


def _run(args: argparse.Namespace, stream: TextIO) -> int:
    _check(args)
    source = FromMlflow(args.from_mlflow) if args.from_mlflow else FromStore(args.store)
    if args.list:
        print(_listed(source), file=stream)
    elif args.aggregate:
        _aggregate(args, source, stream)
    else:
        _report(args, source, stream)
    return 0


def _listed(source: Source) -> str:
    """Return a row per sweep: its name, and the pack that it is of."""
    packs = source.packs()
    if not packs:
        return f"no sweep is in {source.place}"
    return laid_out(grid(packs.items()), width=terminal_width()).rstrip("\n")


def find_sweep(given: str, stored: Sequence[str]) -> str:
    """Find the stored sweep that a name or the path of a sweep file means.

    Args:
        given: a stored name, or a path such as `sweeps/adaptor_lambda.py`.
        stored: every stored name.

    Raises:
        ConfigError: none or several match; names them.
    """
    if given in stored:
        return given
    stem = Path(given).stem if given.endswith(".py") else given
    matches = [name for name in stored if name == stem or name.startswith(f"{stem}-")]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise ConfigError(
            f"{given!r} names {len(matches)} stored sweeps; give one of them: {', '.join(matches)}"
        )
    raise ConfigError(
        unknown("sweep", stem, stored, hint="Run it first, or name its store with --store.")
    )


def _report(args: argparse.Namespace, source: Source, stream: TextIO) -> None:
    found = source.material(find_sweep(args.sweeps[0], source.sweeps()))
    plan, records = found.plan, found.records
    if args.clips:
        _compare_clips(args, found, stream)
        return
    _check_metric(args.metric, plan, records)
    summary = summarize(plan, records, metric=args.metric, mixed=args.mixed)
    shape = _shape(args, source, found, summary)
    if args.format in ("", "all"):
        width = args.width or terminal_width()
        print(render_text(summary, min(width, 120)), file=stream)
        for sentence in single_pair_sentences(summary, found.predictions):
            print(visible(sentence), file=stream)
        paths = write_report(
            summary,
            records,
            Path(args.out) if args.out else found.folder,
            predictions=found.predictions,
            links=found.links,
            pictures=found.pictures,
            shape=shape,
        )
        print(f"Page: {paths.html}", file=stream)
        return
    if args.format == "text":
        width = args.width or terminal_width()
        said = render_text(summary, min(width, 120) if not args.width else width)
    elif shape and args.format != "html":
        said = render_shape(args.format, shape, summary)
    else:
        said = render(
            args.format,
            summary,
            records,
            predictions=found.predictions,
            links=found.links,
            pictures=found.pictures,
            shape=shape,
        )
    if args.out:
        path = Path(args.out)
        if path.is_dir() or not path.suffix:
            path = path / NAMES.get(args.format, "report.txt")
        write(path, said)
        print(f"Wrote {path}", file=stream)
    else:
        stream.write(said)


def _shape(
    args: argparse.Namespace, source: Source, found: Material, summary: Summary
) -> Shaped | None:
    """Return the paper's table that was asked for; for the page that of the published numbers."""
    study = Study(summary=summary, predictions=found.predictions or no_predictions)
    if not args.shape:
        return own_shape(study) if args.format == "html" else None
    studies = [study]
    for name in args.beside:
        other = source.material(find_sweep(name, source.sweeps()))
        joined = summarize(other.plan, other.records, metric=args.metric, mixed=args.mixed)
        studies.append(Study(summary=joined, predictions=other.predictions or no_predictions))
    return shaped(args.shape, studies)


def _compare_clips(args: argparse.Namespace, found: Material, stream: TextIO) -> None:
    """Print what two trials show over their clips."""
    one, other = (find_trial(given, found.plan, found.records) for given in args.clips)
    if not args.mixed:
        refuse_mixed(found.plan, found.records, (one, other))
    compared = compare_clips(one, other, found.predictions, recordings=found.recordings)
    if args.format == "json":
        said = json.dumps(dataclasses.asdict(compared), indent=1) + "\n"
    else:
        said = "\n".join(map(visible, clip_sentences(compared))) + "\n"
    _put(said, args.out, stream)


def _aggregate(args: argparse.Namespace, source: Source, stream: TextIO) -> None:
    """Print what several sweeps show together."""
    stored = source.sweeps()
    found = [source.material(find_sweep(given, stored)) for given in args.sweeps]
    made = aggregate([(own.plan, own.records) for own in found], mixed=args.mixed)
    _put(aggregate_text(made, args.format or "text"), args.out, stream)


def _put(said: str, out: str, stream: TextIO) -> None:
    if out:
        write(Path(out), said)
        print(f"Wrote {out}", file=stream)
    else:
        stream.write(said)


def _check_metric(metric: str, plan: PlanRecord, records: Mapping[str, TrialRecord]) -> None:
    finished = [r for r in records.values() if r.status is Status.FINISHED and r.epochs]
    present = {key for record in finished for key in record.metrics_at("last")} & METRICS.keys()
    if metric and finished and metric not in present:
        hint = f"No finished trial of {plan.sweep} has it."
        raise ConfigError(unknown("metric", metric, present, hint=hint))


if __name__ == "__main__":
    # Nearly all that this short process makes it keeps; looking for garbage takes a tenth of it.
    gc.disable()
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    sys.exit(main())
