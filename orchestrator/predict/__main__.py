# PYTHON_ARGCOMPLETE_OK
"""Run a trained model on recordings.

python -m orchestrator.predict 3f2a recording.wav              a trial, by the beginning of its id
python -m orchestrator.predict SWEEP/ARM *.flac                the arm's best seed
python -m orchestrator.predict last-3f2a.safetensors a.mp3     a checkpoint, wherever it lies

A recording has any length, rate and number of channels. It is cut into windows as long as the
training clips, which overlap. The classes of a recording are by the mean over its windows; events
are where a class is above the threshold, by the frames of a model that has them.
"""

from __future__ import annotations

if __name__ == "__main__":
    from models.command import shorten_interrupts

    shorten_interrupts()  # the imports below take a moment

import argparse
import csv
import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.command import completing, run_command
from orchestrator.errors import ConfigError, DataError, OrchestratorError
from orchestrator.metrics.targets import parts_of
from orchestrator.predict.choice import choose
from orchestrator.terminal.text import csv_text, grid, laid_out, terminal_width, visible

if TYPE_CHECKING:
    from orchestrator.predict.loading import TrainedModel
    from orchestrator.predict.scores import Scores, Windows


@dataclass(frozen=True, kw_only=True)
class Event:
    """A detected event: onset and offset in seconds, class, and mean score."""

    onset_s: float
    offset_s: float
    name: str
    score: float


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a model says of one file.

    Attributes:
        file: Path as given.
        scores: Scores over time.
        classes: Likeliest classes, of each head where there are several, with their scores.
        events: Events by onset.
    """

    file: str
    scores: Scores
    classes: tuple[tuple[str, float], ...]
    events: tuple[Event, ...]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    args = completing(_parser()).parse_args(argv)
    return run_command(lambda: _run(args), mistakes=OrchestratorError)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m orchestrator.predict",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help="TRIAL, SWEEP/ARM or a checkpoint's file")
    parser.add_argument("files", nargs="+", metavar="FILE", help="audio")
    which = parser.add_argument_group("model")
    which.add_argument("--store", default="store", help="folder or URI (default: %(default)s)")
    which.add_argument(
        "--epoch",
        choices=("last", "best"),
        help="whose weights; default: the epoch that the sweep reports, or the last",
    )
    which.add_argument("--device", default="", help="cpu, cuda, ...; default: the first GPU if any")
    cut = parser.add_argument_group("windows")
    cut.add_argument("--window", type=float, metavar="S", help="length in seconds")
    cut.add_argument("--hop", type=float, metavar="S", help="from one to the next; default: half")
    what = parser.add_argument_group("what is shown")
    what.add_argument("--top", type=int, default=5, metavar="N", help="classes of a recording")
    what.add_argument(
        "--threshold", type=float, default=0.5, metavar="P", help="of events (default: %(default)s)"
    )
    what.add_argument(
        "--close",
        type=float,
        default=0.0,
        metavar="S",
        help="close gaps of a class up to S seconds",
    )
    what.add_argument(
        "--format", choices=tuple(_FORMATS), default="text", help="default: %(default)s"
    )
    what.add_argument(
        "--output",
        metavar="FOLDER",
        default="predictions",
        help="of label tracks and pictures, one per recording (default: %(default)s)",
    )
    what.add_argument("--figure", action="store_true", help="draw each recording as a PNG")
    return parser


def _run(args: argparse.Namespace) -> int:
    if args.top < 1:
        raise ConfigError(f"--top {args.top}: at least one class is shown")
    if not 0 <= args.threshold < 1:
        raise ConfigError(f"--threshold {args.threshold:g}: it is at least 0 and below 1")
    if not 0 <= args.close < math.inf:
        raise ConfigError(f"--close {args.close:g}: a gap is 0 s or longer")
    _check_files(args)

    import torch

    from orchestrator.predict.scores import Windows

    model = choose(args.model, place=args.store, epoch=args.epoch).model
    windows = Windows.of(model, window_s=args.window, hop_s=args.hop)
    device = _device(args.device)
    model.chain.to(device)
    faults: list[str] = []
    results = _results(args, model, windows, device, faults)
    with torch.inference_mode():
        _FORMATS[args.format](args, model, windows, results)
    if faults:
        of = f" of {len(args.files)}" if len(args.files) > 1 else ""
        raise DataError(f"{len(faults)}{of} cannot be scored: {'; '.join(faults)}")
    return 0


def _check_files(args: argparse.Namespace) -> None:
    for file in args.files:
        if not Path(file).is_file():
            raise DataError(f"{file} is no file; give recordings")
    if not (args.figure or args.format == "audacity"):
        return
    names = Counter(Path(file).name for file in dict.fromkeys(args.files))
    if twice := [name for name, count in names.items() if count > 1]:
        raise ConfigError(
            f"two recordings are named {twice[0]!r}, and --output is one folder; run them apart, "
            "each with its own --output"
        )


def _device(name: str) -> Any:
    import torch

    try:
        return torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
    except RuntimeError as error:
        raise ConfigError(f"--device {visible(name)}: {str(error).splitlines()[0]}") from None


def _results(
    args: argparse.Namespace,
    model: TrainedModel,
    windows: Windows,
    device: Any,
    faults: list[str],
) -> Iterator[Result]:
    """Score the recordings one by one; those that cannot be read become texts in `faults`."""
    from orchestrator.data.decode import decode, to_pcm
    from orchestrator.data.source import ClipFault
    from orchestrator.predict.scores import score

    for file in args.files:
        try:
            pcm, _ = to_pcm(decode(file), sample_rate=windows.sample_rate)
        except ClipFault as fault:
            faults.append(f"{file} ({fault})")
            continue
        scores = score(model, pcm, windows, device=device)
        events = tuple(
            Event(
                onset_s=event[2],
                offset_s=event[3],
                name=model.names[int(event[1])],
                score=scores.mean_score(event),
            )
            for event in scores.events(threshold=args.threshold, gap_s=args.close)
        )
        if args.figure:
            from orchestrator.predict.figures.draw import Shown, draw_recording

            path = _path(args, file, ".png")
            shown = Shown(
                titles=(visible(Path(file).name),),
                frame_s=scores.row_s,
                seconds=scores.seconds,
                class_names=model.names,
            )
            spans = [(event.onset_s, event.offset_s, event.name) for event in events]
            draw_recording(pcm, scores.rows, spans, shown, windows.sample_rate, path)
            print(f"picture: {visible(str(path))}", file=sys.stderr)
        yield Result(file=file, scores=scores, classes=_top(model, scores, args.top), events=events)


def _top(model: TrainedModel, scores: Scores, count: int) -> tuple[tuple[str, float], ...]:
    found = []
    for part in parts_of(model.heads).values() or [slice(0, len(scores.whole))]:
        own = scores.whole[part]
        for place in (-own).argsort(kind="stable")[:count]:
            found.append((model.names[part.start + int(place)], float(own[place])))
    return tuple(found)


def _path(args: argparse.Namespace, file: str, ending: str) -> Path:
    """Return where a recording's output goes, in a folder that is there."""
    folder = Path(args.output)
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{Path(file).name}{ending}"


def _text(
    args: argparse.Namespace, model: TrainedModel, windows: Windows, results: Iterator[Result]
) -> None:
    print(
        f"{visible(model.source)}: windows of {windows.window_s:g} s every {windows.hop_s:g} s at "
        f"{windows.sample_rate} Hz; events are where a class scores above {args.threshold:g}"
    )
    for result in results:
        length = f"{result.scores.seconds:.1f} s"
        print(f"\n{visible(result.file)}, {length}")
        print("  " + ", ".join(f"{visible(name)} {score:.2f}" for name, score in result.classes))
        rows = [
            (f"{e.onset_s:.2f}", f"{e.offset_s:.2f}", visible(e.name), f"{e.score:.2f}")
            for e in result.events
        ]
        if rows:
            heads = ("from s", "to s", "class", "score")
            table = grid(rows, heads=heads, right=(0, 1, 3), indent=2)
            print(laid_out(table, width=terminal_width()).rstrip("\n"), flush=True)
        else:
            print("  no event")


def _csv(
    args: argparse.Namespace, model: TrainedModel, windows: Windows, results: Iterator[Result]
) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("file", "onset", "offset", "event_label", "score"))
    for result in results:
        for e in result.events:
            times = f"{e.onset_s:.3f}", f"{e.offset_s:.3f}"
            writer.writerow((csv_text(result.file), *times, csv_text(e.name), f"{e.score:.4f}"))


def _json(
    args: argparse.Namespace, model: TrainedModel, windows: Windows, results: Iterator[Result]
) -> None:
    made: dict[str, Any] = {
        "model": model.source,
        "sample_rate": windows.sample_rate,
        "window_s": windows.window_s,
        "hop_s": windows.hop_s,
        "threshold": args.threshold,
        "files": [
            {
                "file": result.file,
                "seconds": result.scores.seconds,
                "classes": {name: round(score, 6) for name, score in result.classes},
                "events": [
                    {
                        "onset": round(e.onset_s, 6),
                        "offset": round(e.offset_s, 6),
                        "class": e.name,
                        "score": round(e.score, 6),
                    }
                    for e in result.events
                ],
            }
            for result in results
        ],
    }
    print(json.dumps(made, indent=1))


def _audacity(
    args: argparse.Namespace, model: TrainedModel, windows: Windows, results: Iterator[Result]
) -> None:
    for result in results:
        path = _path(args, result.file, ".txt")
        lines = (f"{e.onset_s:.6f}\t{e.offset_s:.6f}\t{visible(e.name)}\n" for e in result.events)
        path.write_text("".join(lines), encoding="utf-8")
        print(f"{visible(str(path))}: {len(result.events)} events")


_FORMATS: dict[str, Callable[..., None]] = {
    "text": _text,
    "csv": _csv,
    "json": _json,
    "audacity": _audacity,
}


if __name__ == "__main__":
    sys.exit(main())
