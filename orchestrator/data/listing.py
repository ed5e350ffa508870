"""An audit as a table, a summary, and files for other programs."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from orchestrator.data.audit import Progress, examine
from orchestrator.data.findings import BROKEN, ClipRecord, notes_of
from orchestrator.data.source import Source
from orchestrator.terminal.text import csv_text, grid, laid_out

_MEASURES = (
    "rate_hz",
    "channels",
    "frames",
    "seconds",
    "peak",
    "rms_dbfs",
    "zero_tail_s",
    "sha256",
)
# Every clip of a resampled dataset has this note; listing it would hide the rest.
_COMMON = ("wrong_rate",)


@dataclass(frozen=True)
class Audit:
    """What an audit found in a dataset.

    Attributes:
        source: The dataset.
        records: One per listed clip, in list order.
    """

    source: Source
    records: tuple[ClipRecord, ...]

    @classmethod
    def of(cls, source: Source, *, progress: Progress | None = None) -> Audit:
        """Open every clip of a source; writes and drops nothing.

        Args:
            source: The dataset.
            progress: Called with (clips done, clips in total).
        """
        seen = examine(source, resample=False, progress=progress)
        return cls(source, tuple(one.record for one in seen))

    @property
    def broken(self) -> tuple[ClipRecord, ...]:
        """The clips that cannot be used."""
        return tuple(record for record in self.records if record.broken)

    def table(self, *, every_clip: bool = False, width: int = 120) -> str:
        """Lay out the clips as text, broken ones first.

        Args:
            width: Width in terminal columns; cells fold to fit.
            every_clip: Also show clips without a problem, and those that will only be resampled.
        """
        chosen = [
            record
            for record in self.records
            if every_clip or any(problem.kind not in _COMMON for problem in record.problems)
        ]
        chosen.sort(key=lambda record: not record.broken)
        if not chosen:
            return "no clip has a problem"
        heads = ("clip", "class", "fold", "Hz", "s", "peak", "dBFS", "tail s", "", "problems")
        rows = []
        for record in chosen:
            clip = record.clip
            rows.append(
                (
                    clip.clip_id,
                    self.source.class_text(clip),
                    self.source.fold_names[clip.fold],
                    _text(record.rate_hz, "d"),
                    _text(record.seconds, ".3f"),
                    _text(record.peak, ".3f"),
                    _text(record.rms_dbfs, ".1f"),
                    _text(record.zero_tail_s, ".2f"),
                    "BROKEN" if record.broken else "note" if record.problems else "",
                    "; ".join(f"{problem.kind}: {problem.reason}" for problem in record.problems),
                )
            )
        return laid_out(grid(rows, heads=heads, right=range(2, 8)), width=width).rstrip("\n")

    def summary(self) -> str:
        """Count the clips by class, fold, rate, length and problem, as text."""
        usable = [record for record in self.records if not record.broken]
        source = self.source
        lines = [
            f"{source.name}: {len(self.records)} clips listed, {len(self.broken)} broken"
            + (f", in {source.root}" if source.root else "")
        ]
        folds = Counter(record.clip.fold for record in usable)
        lines += [
            f"  {title:<12} {text}"
            for title, text in (
                ("classes", _counts(source.class_counts(record.clip for record in usable))),
                ("folds", _counts({n: folds[k] for k, n in source.fold_names.items()})),
                ("rates", _counts(_tally(usable, "rate_hz"), " Hz")),
                ("channels", _counts(_tally(usable, "channels"))),
                ("seconds", _spread(usable, "seconds", ".3f")),
                ("level dBFS", _spread(usable, "rms_dbfs", ".1f")),
                ("zero tail s", _spread(usable, "zero_tail_s", ".2f")),
            )
        ]
        kinds = Counter(problem.kind for record in self.records for problem in record.problems)
        lines += [
            f"  broken: {kinds[kind]} {kind} ({BROKEN[kind]})" for kind in BROKEN if kinds[kind]
        ]
        if absent := source.absent:
            some = ", ".join(name for _, name in absent[:3])
            lines.append(f"  missing: {len(absent)} clips of the official list, such as {some}")
        lines += [f"  note: {text}" for text in notes_of(source, self.records)]
        return "\n".join(lines)

    @property
    def missing(self) -> tuple[tuple[str, str], ...]:
        """(split or fold, clip) of clips that are listed and whose files are not here."""
        gone = (r for r in self.records if any(p.kind == "missing" for p in r.problems))
        names = self.source.fold_names
        return (*self.source.absent, *((names[r.clip.fold], r.clip.clip_id) for r in gone))

    def to_missing(self) -> str:
        """Return the missing clips as lines of csv, with a header."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(("split", "clip"))
        writer.writerows((csv_text(split), csv_text(name)) for split, name in self.missing)
        return out.getvalue()

    def to_json(self) -> str:
        """Return every record as JSON."""
        return json.dumps(
            {
                "dataset": self.source.name,
                "root": self.source.root,
                "sample_rate": self.source.sample_rate,
                "unlisted": self.source.unlisted,
                "clips": [
                    self._row(record) | {"problems": [vars(problem) for problem in record.problems]}
                    for record in self.records
                ],
            },
            indent=1,
        )

    def to_csv(self) -> str:
        """Return every record as a line of csv, with a header."""
        out = io.StringIO()
        columns = ["clip_id", "path", "class", "fold", "source_id", *_MEASURES]
        writer = csv.DictWriter(out, [*columns, "severity", "problems"], lineterminator="\n")
        writer.writeheader()
        for record in self.records:
            severity = "broken" if record.broken else "note" if record.problems else "ok"
            said = "; ".join(f"{problem.kind}: {problem.reason}" for problem in record.problems)
            row = self._row(record) | {"severity": severity, "problems": said}
            writer.writerow({k: csv_text(v) if isinstance(v, str) else v for k, v in row.items()})
        return out.getvalue()

    def _row(self, record: ClipRecord) -> dict[str, Any]:
        clip = record.clip
        return {
            "clip_id": clip.clip_id,
            "path": clip.path,
            "class": self.source.class_text(clip),
            "fold": self.source.fold_names[clip.fold],
            "source_id": clip.source_id,
        } | {measure: getattr(record, measure) for measure in _MEASURES}


def _text(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _tally(records: list[ClipRecord], measure: str) -> dict[str, int]:
    return dict(sorted(Counter(str(getattr(record, measure)) for record in records).items()))


def _counts(counts: dict[str, int], unit: str = "") -> str:
    if len(counts) > 3 and len(set(counts.values())) == 1:
        return f"{len(counts)}, {next(iter(counts.values()))} clips each"
    return ", ".join(f"{name}{unit} {count}" for name, count in counts.items()) or "none"


def _spread(records: list[ClipRecord], measure: str, form: str) -> str:
    values = [getattr(record, measure) for record in records]
    values = [value for value in values if value is not None]
    if not values:
        return "none"
    low, middle, high = (format(v, form) for v in (min(values), np.median(values), max(values)))
    return low if low == high else f"{low} to {high}, median {middle}"
