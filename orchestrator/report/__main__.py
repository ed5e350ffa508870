# PYTHON_ARGCOMPLETE_OK
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

from models.command import completing, run_command
from models.zoo.paper_tables import PRINTED
from orchestrator.analysis.aggregate import aggregate
from orchestrator.analysis.clip_tests import compare_clips, find_trial
from orchestrator.analysis.confounds import refuse_mixed
from orchestrator.analysis.ensembles import ensembles
from orchestrator.analysis.outcomes import no_predictions, remembering
from orchestrator.analysis.summary import Summary, summarize
from orchestrator.analysis.tracks import tracks
from orchestrator.errors import ConfigError, OrchestratorError, unknown
from orchestrator.metrics.catalog import METRICS, mistake_of
from orchestrator.records import PlanRecord, Status, TrialRecord
from orchestrator.report.files import (
    NAMES,
    PAPER_NAMES,
    PageParts,
    render,
    render_aggregate,
    render_table,
    write,
    write_report,
)
from orchestrator.report.label_tracks import write_label_tracks
from orchestrator.report.render.text import WIDEST, render_text, table_text
from orchestrator.report.sources import (
    FromMlflow,
    FromStore,
    Material,
    Source,
    find_sweep,
    summary_of,
)
from orchestrator.report.tables.ensembles import ensemble_table
from orchestrator.report.tables.missed import missed_tables
from orchestrator.report.tables.paper import Study, own_paper_table, paper_table
from orchestrator.report.tables.table import Table
from orchestrator.report.wording.clips import (
    clip_sentences,
    silent_sentences,
    single_pair_sentences,
)
from orchestrator.terminal.text import laid_out, local_time, name_table, terminal_width, visible

AGGREGATE_FORMATS = ("", "text", "markdown", "csv", "json")
ENSEMBLE_FORMATS = ("", "text", *PAPER_NAMES)
FORMATS = ("text", *NAMES, "all")
RENAMED = {"--shape": ("--paper-table", 1), "--mixed": ("--allow-mixed", 0)}
"""Former option -> its current name and number of values."""


def main(argv: Sequence[str] | None = None, *, out: TextIO | None = None) -> int:
    """Run the command line.

    Args:
        argv: Arguments without the program's name; None reads `sys.argv`.
        out: Output stream; None means standard output.

    Returns:
        The exit code: 2 for a user error, reported in one message on standard error.
    """
    args = completing(_parser()).parse_args(argv)
    stream = out or sys.stdout
    return run_command(
        lambda: _run(args, stream),
        mistakes=OrchestratorError,
        interrupted="interrupted; run the command again for the whole report",
    )


class _Renamed(argparse.Action):
    """Records a renamed option, to report it together with other mistakes."""

    def __call__(self, parser, namespace, values, option_string=None):
        """Record the old and the new name."""
        namespace.renamed = [*namespace.renamed, (option_string, self.const)]


def _parser() -> argparse.ArgumentParser:
    """Return the parser of `python -m orchestrator.report`."""
    parser = argparse.ArgumentParser(
        prog="python -m orchestrator.report",
        description="Print a stored sweep's report and write it as a page, tables and numbers.",
    )
    parser.set_defaults(renamed=[])
    add = parser.add_argument
    sweeps = add("sweeps", nargs="*", metavar="SWEEP", help="stored name, or a sweep file's path")
    sweeps.completer = lambda parsed_args, **_: FromStore(parsed_args.store).sweeps()  # type: ignore
    add(
        "--list",
        action="store_true",
        help="list the stored sweeps with date, finished trials, verdicts and pack, and stop",
    )
    for old, (new, nargs) in RENAMED.items():
        add(old, action=_Renamed, nargs=nargs, const=new, dest="renamed", help=argparse.SUPPRESS)

    add = parser.add_argument_group("where the sweep is").add_argument
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

    add = parser.add_argument_group("what is compared").add_argument
    add(
        "--metric",
        default="",
        metavar="KEY",
        help="another metric than the declared one, or module:function of your own",
    )
    add(
        "--own",
        action="append",
        default=[],
        metavar="MODULE:FUNCTION",
        help="import and run this metric of your own where a stored sweep names it",
    )
    add(
        "--allow-mixed",
        action="store_true",
        help="compare trials of different code or data all the same, and say so",
    )

    add = parser.add_argument_group("what is written").add_argument
    add(
        "--format",
        default="",
        metavar="NAME",
        help=f"one of {', '.join(FORMATS)}; a single one is printed, all are written "
        "(default: print text, write all)",
    )
    add("--out", default="", metavar="PATH", help="file or folder (default: beside the plan)")
    add("--width", type=int, default=0, metavar="N", help="columns of the text (default: terminal)")

    add = parser.add_argument_group("other tables and files, instead of the report").add_argument
    add(
        "--paper-table",
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
        help="with --paper-table, another sweep whose data set gets a column; may be repeated",
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
    add(
        "--ensemble",
        action="store_true",
        help="each arm's ensemble: the mean probabilities of its seeds, scored as "
        "one model, with an interval over recordings",
    )
    add(
        "--label-tracks",
        default="",
        metavar="DIR",
        help="write the listed events of the held-out clips, and those that a trial of each arm "
        "detects, as label tracks for Audacity",
    )
    return parser


def _check(args: argparse.Namespace) -> None:
    """Refuse conflicting options, all at once.

    Raises:
        ConfigError: Options conflict; the message names each mistake with the valid options.
    """
    mistakes = [f"{old} is called {new} now" for old, new in args.renamed]
    if args.format and args.format not in FORMATS:
        mistakes.append(unknown("format", args.format, FORMATS))
    if args.paper_table and args.paper_table not in PRINTED:
        mistakes.append(unknown("paper table", args.paper_table, PRINTED))
    if args.paper_table and args.format not in ("", "all", "text", "html", *PAPER_NAMES):
        mistakes.append(
            f"a paper's table has no form {args.format!r}; --paper-table goes with --format "
            f"{', '.join(('text', *PAPER_NAMES, 'html'))}, or with all"
        )
    if args.beside and not args.paper_table:
        mistakes.append(
            "--beside puts another sweep into a paper's table; say which by --paper-table"
        )
    if args.ensemble and args.format not in ENSEMBLE_FORMATS:
        mistakes.append(unknown("format of --ensemble", args.format, ENSEMBLE_FORMATS[1:]))
    if args.ensemble and (args.clips or args.aggregate or args.label_tracks or args.paper_table):
        mistakes.append(
            "--ensemble is a table of its own; ask for --clips, --aggregate, --label-tracks or "
            "--paper-table in another command"
        )
    if args.clips and args.format not in ("", "text", "json"):
        mistakes.append(f"--clips is written as text or json, not {args.format!r}")
    mistakes += filter(None, map(mistake_of, (*filter(None, [args.metric]), *args.own)))
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
    """Return a row per sweep."""
    from rich.cells import cell_len

    found = source.overviews()
    if not found:
        return f"no sweep is in {source.place}"
    heads = ("sweep", "date", "finished", "verdict", "pack")
    rows: list[tuple[str, ...]] = [
        (
            name,
            local_time(one.changed_at)[:10],
            f"{one.finished} of {one.planned}" if one.planned else "",
            one.verdict,
            one.pack,
        )
        for name, one in found.items()
    ]
    width = terminal_width()
    widths = [max(map(cell_len, column)) for column in zip(heads, *rows, strict=True)]
    if sum(widths) + 2 * len(widths) > width:  # the pack is in every report, too
        heads, rows = heads[:-1], [row[:-1] for row in rows]
    table = name_table(rows, heads=heads, width=width, right=(2,), folds=3)
    return laid_out(table, width=width).rstrip("\n")


def _report(args: argparse.Namespace, source: Source, stream: TextIO) -> None:
    material = source.material(find_sweep(args.sweeps[0], source.sweeps()))
    if material.predictions:
        material = dataclasses.replace(material, predictions=remembering(material.predictions))
    plan, records = material.plan, material.records
    if args.clips:
        _compare_clips(args, material, stream)
        return
    summary = summary_of(source, material, metric=args.metric, mixed=args.allow_mixed)
    if args.metric and not summary.num_measured:
        _refuse_metric(args.metric, plan, records)
    if args.ensemble:
        _ensembles(args, summary, material, stream)
        return
    if args.label_tracks:
        load = material.predictions or no_predictions
        found = tracks(summary, records, load)
        for folder in write_label_tracks(summary, found, Path(args.label_tracks)):
            print(f"Wrote {folder}", file=stream)
        for sentence in silent_sentences(found):
            print(visible(sentence), file=stream)
        return
    paper = _paper_table(args, source, material, summary)
    parts: PageParts = {
        "predictions": material.predictions,
        "links": material.links,
        "pictures": material.pictures,
        "paper": paper,
        "sounds": material.sounds,
    }
    width = args.width or terminal_width(widest=WIDEST)
    asked_paper = paper if args.paper_table else None
    if args.format in ("", "all"):
        if asked_paper:
            print(table_text(asked_paper, width), file=stream)
        else:
            print(_text(summary, material, width), file=stream)
            for sentence in single_pair_sentences(summary, material.predictions):
                print(visible(sentence), file=stream)
        folder = Path(args.out) if args.out else material.folder
        paths = write_report(summary, records, folder, **parts)
        for path in paths.paper if asked_paper else ():
            print(f"Wrote {path}", file=stream)
        print(f"Page: {paths.html}", file=stream)
        return
    if args.format == "text":
        text = table_text(asked_paper, width) if asked_paper else _text(summary, material, width)
    elif paper and args.format != "html":
        text = render_table(args.format, paper, summary)
    else:
        text = render(args.format, summary, records, **parts)
    path = Path(args.out)
    if args.out and (path.is_dir() or not path.suffix):
        path = path / NAMES.get(args.format, "report.txt")
    _put(text, str(path) if args.out else "", stream)


def _ensembles(
    args: argparse.Namespace, summary: Summary, material: Material, stream: TextIO
) -> None:
    """Print the table of ensembles."""
    recordings = material.recordings() if material.recordings else {}
    found = ensembles(summary, material.predictions or no_predictions, recordings)
    table = ensemble_table(summary, found, over="recordings" if recordings else "clips")
    if args.format in PAPER_NAMES:
        text = render_table(args.format, table, summary)
    else:
        text = table_text(table, args.width or terminal_width(widest=WIDEST))
    _put(text, args.out, stream)


def _text(summary: Summary, material: Material, width: int) -> str:
    """Return the report as text, with the clips that all good trials miss alike at its end."""
    load = material.predictions
    missed = missed_tables(summary, material.records, load) if load else []
    return "\n".join((render_text(summary, width), *(table_text(one, width) for one in missed)))


def _paper_table(
    args: argparse.Namespace, source: Source, material: Material, summary: Summary
) -> Table | None:
    """Return the requested paper's table, or for the page that of the published numbers."""
    study = Study(summary=summary, predictions=material.predictions or no_predictions)
    if not args.paper_table:
        return own_paper_table(study) if args.format == "html" else None
    studies = [study]
    for name in args.beside:
        other = source.material(find_sweep(name, source.sweeps()))
        joined = summarize(
            other.plan,
            other.records,
            metric=args.metric,
            mixed=args.allow_mixed,
            predictions=other.predictions,
        )
        studies.append(Study(summary=joined, predictions=other.predictions or no_predictions))
    return paper_table(args.paper_table, studies)


def _compare_clips(args: argparse.Namespace, material: Material, stream: TextIO) -> None:
    """Print the comparison of two trials over their clips."""
    plan, records = material.plan, material.records
    one, other = (find_trial(given, plan, records) for given in args.clips)
    if not args.allow_mixed:
        refuse_mixed(plan, records, (one, other))
    comparison = compare_clips(one, other, material.predictions, recordings=material.recordings)
    if args.format == "json":
        text = json.dumps(dataclasses.asdict(comparison), indent=1) + "\n"
    else:
        text = "\n".join(map(visible, clip_sentences(comparison))) + "\n"
    _put(text, args.out, stream)


def _aggregate(args: argparse.Namespace, source: Source, stream: TextIO) -> None:
    """Print several aggregated sweeps."""
    stored = source.sweeps()
    materials = [source.material(find_sweep(given, stored)) for given in args.sweeps]
    aggregated = aggregate([(m.plan, m.records) for m in materials], mixed=args.allow_mixed)
    width = args.width or terminal_width(widest=WIDEST)
    _put(render_aggregate(aggregated, args.format or "text", width=width), args.out, stream)


def _put(text: str, out: str, stream: TextIO) -> None:
    if out:
        write(Path(out), text)
        print(f"Wrote {out}", file=stream)
    else:
        stream.write(text)


def _refuse_metric(metric: str, plan: PlanRecord, records: Mapping[str, TrialRecord]) -> None:
    finished = [r for r in records.values() if r.status is Status.FINISHED and r.epochs]
    present = {key for record in finished for key in record.metrics_at("last")} & METRICS.keys()
    if finished and metric not in present:
        hint = (
            f"No finished trial of {plan.sweep} has it, nor predictions to compute it from for "
            "which it is defined."
        )
        raise ConfigError(unknown("metric", metric, present, hint=hint))


if __name__ == "__main__":
    # This short process keeps nearly all objects; collecting garbage takes a tenth of its time.
    gc.disable()
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    sys.exit(main())
