"""Print and write the report of a stored sweep: `python -m orchestrator.report SWEEP`."""

from __future__ import annotations

if __name__ == "__main__":
    from models.command import shorten_interrupts

    shorten_interrupts()  # the imports below take a second

import argparse
import dataclasses
import gc
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from models.command import run_command
from orchestrator.analysis.aggregate import aggregate
from orchestrator.analysis.clip_tests import compare_clips, find_trial
from orchestrator.analysis.confounds import refuse_mixed
from orchestrator.analysis.outcomes import no_predictions
from orchestrator.analysis.summary import Summary, summarize
from orchestrator.errors import ConfigError, OrchestratorError, unknown
from orchestrator.metrics import METRICS
from orchestrator.records import PlanRecord, Status, TrialRecord
from orchestrator.report.files import NAMES, render, render_shape, write, write_report
from orchestrator.report.options import check, parser
from orchestrator.report.render.aggregate import aggregate_text
from orchestrator.report.render.text import render_text
from orchestrator.report.sources import FromMlflow, FromStore, Material, Source
from orchestrator.report.tables.paper import Shaped, own_shape, shaped
from orchestrator.report.tables.paper_notes import Study
from orchestrator.report.wording.clips import clip_sentences, single_pair_sentences
from orchestrator.text import visible


def main(argv: Sequence[str] | None = None, *, out: TextIO | None = None) -> int:
    """Run the command line.

    Args:
        argv: without the program's name; None reads the process's own.
        out: where to print; None is standard output.

    Returns:
        The exit code: 2 for a mistake of the user's, named in one message on standard error.
    """
    args = parser().parse_args(argv)
    stream = out or sys.stdout
    return run_command(
        lambda: _run(args, stream),
        mistakes=OrchestratorError,
        interrupted="interrupted; run the command again for the whole report",
    )


def _run(args: argparse.Namespace, stream: TextIO) -> int:
    check(args)
    source = FromMlflow(args.from_mlflow) if args.from_mlflow else FromStore(args.store)
    if args.list:
        print(_listed(source), file=stream)
    elif args.aggregate:
        _aggregate(args, source, stream)
    else:
        _report(args, source, stream)
    return 0


def _listed(source: Source) -> str:
    """Return a line per sweep: its name, and the pack that it is of."""
    packs = source.packs()
    width = max(map(len, packs), default=0)
    lines = [visible(f"{sweep:<{width}}  {pack}".rstrip()) for sweep, pack in packs.items()]
    return "\n".join(lines) or f"no sweep is in {source.place}"


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
        width = args.width or shutil.get_terminal_size((120, 24)).columns
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
        width = args.width or shutil.get_terminal_size((120, 24)).columns
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
