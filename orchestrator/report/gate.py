"""Say whether HEAD is proven no worse than BASE by a margin, in an exit code for CI.

python -m orchestrator.gate SWEEP/BASE SWEEP/HEAD --margin 0.5
python -m orchestrator.gate SWEEP/ARM SWEEP/ARM --margin 0.5 --head-store store-of-the-branch

exit codes:
  0   not worse: a loss of the margin or more is ruled out (one-sided, 5 %)
  1   worse: HEAD loses (one-sided, 5 %), and a loss of the margin is not ruled out
  2   cannot tell: neither is proven; the text says how many seeds would
  64  mistake: a name, an option, or trials that cannot be compared (other data or clips)
  70  fault of the program, with its traceback
  130 interrupted

BASE and HEAD are paired by seed and fold. A trial (an id or its beginning) in place of SWEEP/ARM is
one pair, which proves nothing by itself.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import sys
import traceback
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TextIO

from models.command import run_command
from orchestrator.analysis.confounds import code_of
from orchestrator.analysis.datasets import num_folds
from orchestrator.analysis.gate import Gate, GateVerdict, gate
from orchestrator.analysis.rows import Block, finished_values, with_scores
from orchestrator.errors import ConfigError, OrchestratorError, unknown
from orchestrator.metrics import Metric
from orchestrator.metrics.catalog import load as load_metric
from orchestrator.metrics.catalog import mistake_of
from orchestrator.metrics.predictions import Loader
from orchestrator.records import PlanRecord, Status, TrialKey, TrialRecord
from orchestrator.report.sources import FromStore
from orchestrator.report.wording.contrasts import unit_of_difference
from orchestrator.report.wording.numbers import MINUS, bracket, decimals, number, p_text
from orchestrator.stats import POWER
from orchestrator.terminal.text import visible

CODES = {GateVerdict.NOT_WORSE: 0, GateVerdict.WORSE: 1, GateVerdict.CANNOT_TELL: 2}
MISTAKE, FAULT = 64, 70
"""EX_USAGE and EX_SOFTWARE of sysexits.h; 2, as other commands exit here, is a verdict."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(MISTAKE, f"{self.prog}: error: {message}\n")


@dataclass(frozen=True, kw_only=True)
class _Side:
    """BASE or HEAD: some trials of a stored sweep."""

    name: str
    store: str
    plan: PlanRecord
    trials: tuple[TrialKey, ...]
    records: Mapping[str, TrialRecord]
    load: Loader

    def values(self, metric: Metric) -> dict[Block, float]:
        plan = dataclasses.replace(self.plan, trials=self.trials)
        records = with_scores(plan, self.records, [metric.key], self.load)
        values: dict[Block, float] = {}
        for of_arm in finished_values(plan, records, metric).values():
            values |= of_arm
        return values

    def code_versions(self, blocks: Collection[Block]) -> list[str]:
        """Return the versions of the code that trained some blocks."""
        records = (self.records[self.of(block).id] for block in blocks)
        return sorted({code_of(record) or "not recorded" for record in records})

    def of(self, block: Block) -> TrialKey:
        return next(one for one in self.trials if (one.seed, one.fold) == block)


def main(argv: Sequence[str] | None = None, *, out: TextIO | None = None) -> int:
    """Run the command line; return the exit code, of which the module's docstring has the list."""
    args = _parser().parse_args(argv)
    try:
        return run_command(
            lambda: _run(args, out or sys.stdout), mistakes=OrchestratorError, mistake=MISTAKE
        )
    except Exception:
        traceback.print_exc()  # Python itself would exit with 1, which means worse
        return FAULT


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m orchestrator.gate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    store = os.environ.get("ORCHESTRATOR_STORE") or "store"
    parser.add_argument("base", metavar="BASE", help="SWEEP/ARM, or a trial")
    parser.add_argument("head", metavar="HEAD", help="SWEEP/ARM, or a trial")
    parser.add_argument(
        "--margin",
        type=float,
        required=True,
        metavar="M",
        help="a loss that would matter, in the metric's unit (points of top-1, nats of loss)",
    )
    parser.add_argument(
        "--metric", default="", metavar="KEY", help="default: the metric of BASE's sweep"
    )
    parser.add_argument(
        "--store",
        default=store,
        metavar="DIR|URI",
        help="where BASE is (default: $ORCHESTRATOR_STORE or store)",
    )
    parser.add_argument(
        "--head-store", default="", metavar="DIR|URI", help="where HEAD is (default: as BASE)"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text")
    return parser


def _run(args: argparse.Namespace, out: TextIO) -> int:
    if not 0 < args.margin < math.inf:
        raise ConfigError(f"--margin {args.margin:g}: a loss that would matter is above 0")
    base = _side("BASE", args.base, args.store)
    head = _side("HEAD", args.head, args.head_store or args.store)
    metric = _metric(args.metric, base, head)
    pair = [(base.of(block), head.of(block)) for block in _blocks(base) if block in _blocks(head)]
    _refuse_others(base, head, pair)
    diverged = [
        (to.seed, to.fold)
        for of, to in pair
        if _status(base, of) is Status.FINISHED and _status(head, to) is Status.DIVERGED
    ]
    of_head, of_base = head.values(metric), base.values(metric)
    found = gate(
        of_head,
        of_base,
        metric=metric,
        margin=args.margin,
        num_folds=num_folds(base.plan),
        diverged=diverged,
    )
    versions = {
        name: side.code_versions(of_head.keys() & of_base.keys())
        for name, side in (("base", base), ("head", head))
    }
    if args.format == "json":
        form = _form(found, base, head, metric) | {"code_versions": versions}
        print(json.dumps(form, indent=1), file=out)
    else:
        lines = [*_sentences(found, base, head, metric), *_of_code(versions)]
        print(*map(visible, lines), sep="\n", file=out)
    return CODES[found.verdict]


def _side(which: str, given: str, address: str) -> _Side:
    """Find the trials of BASE or HEAD."""
    source = FromStore(address)
    stored = source.sweeps()
    sweep, slash, arm = given.partition("/")
    if slash and sweep in stored:
        material = source.material(sweep)
        if arm not in (names := [one.name for one in material.plan.arms]):
            raise ConfigError(unknown(f"arm of {sweep} for {which}", arm, names))
        trials = tuple(trial for trial in material.plan.trials if trial.arm == arm)
    else:
        sweep, trial = _trial(which, given, source, stored)
        material, trials = source.material(sweep), (trial,)
    assert material.predictions is not None
    return _Side(
        name=given,
        store=address,
        plan=material.plan,
        trials=trials,
        records=material.records,
        load=material.predictions,
    )


def _trial(
    which: str, given: str, source: FromStore, stored: Sequence[str]
) -> tuple[str, TrialKey]:
    plans = [source.plan(sweep) for sweep in stored]
    meant = {
        trial.id: (plan.sweep, trial)
        for plan in plans
        for trial in plan.trials
        if given and trial.id.startswith(given)
    }
    if len(meant) == 1:
        return next(iter(meant.values()))
    if meant:
        raise ConfigError(f"{which} {given!r} begins the ids of {len(meant)} trials; give more")
    arms = [f"{plan.sweep}/{arm.name}" for plan in plans for arm in plan.arms]
    raise ConfigError(
        unknown(which, given, arms, hint="Give one of these, or the id of one of their trials.")
    )


def _metric(given: str, base: _Side, head: _Side) -> Metric:
    if given:
        if mistake := mistake_of(given):
            raise ConfigError(mistake)
        return load_metric(given)
    if base.plan.metric != head.plan.metric:
        raise ConfigError(
            f"{base.plan.sweep} declares {base.plan.metric} and {head.plan.sweep} "
            f"{head.plan.metric}; say which by --metric"
        )
    if ":" in base.plan.metric:  # a store's plan must run no code
        raise ConfigError(
            f"{base.plan.sweep} is read by a metric of your own; name it by --metric "
            f"{base.plan.metric}, which imports and runs it"
        )
    return load_metric(base.plan.metric)


def _blocks(side: _Side) -> dict[Block, None]:
    return {(trial.seed, trial.fold): None for trial in side.trials}


def _status(side: _Side, trial: TrialKey) -> Status:
    record = side.records.get(trial.id)
    return record.status if record else Status.MISSING


def _refuse_others(base: _Side, head: _Side, pairs: Sequence[tuple[TrialKey, TrialKey]]) -> None:
    """Refuse BASE and HEAD of the same trials, or of other data or clips."""
    finished = [
        (of, to)
        for of, to in pairs
        if _status(base, of) is Status.FINISHED and _status(head, to) is Status.FINISHED
    ]
    same = [of for of, to in finished if of.id == to.id]
    if same and base.store == head.store:
        raise ConfigError(
            f"BASE and HEAD are the same trial in {len(same)} of {len(finished)} pairs "
            f"({same[0].id}, ...), which can differ in nothing; a change of code needs another "
            "REVISION or, with --head-store, a store of its own"
        )
    packs = {
        str(side.records[trial.id].data.get("fingerprint", ""))
        for pair in finished
        for side, trial in zip((base, head), pair, strict=True)
    }
    if len(packs) > 1:
        raise ConfigError(
            f"BASE and HEAD were scored on {len(packs)} packs of data ({', '.join(sorted(packs))}),"
            " and a difference of data is none of models; give arms that were trained on one"
        )
    for of, to in finished:
        mine, theirs = base.load(of.id), head.load(to.id)
        if mine is None or theirs is None:
            continue
        if sorted(mine.clip_ids) != sorted(theirs.clip_ids):
            shared = len({*mine.clip_ids} & {*theirs.clip_ids})
            raise ConfigError(
                f"BASE ({of.id}) and HEAD ({to.id}) were scored on other clips of seed {of.seed}, "
                f"fold {of.fold}: {len(mine)} and {len(theirs)}, {shared} in common; give arms "
                "that report the same ones"
            )


def _sentences(found: Gate, base: _Side, head: _Side, metric: Metric) -> list[str]:
    difference, unit = found.difference, f" {unit_of_difference(metric)}".rstrip()
    places = decimals(difference.half_width)
    margin = f"{found.margin:g}{unit.rstrip('s') if found.margin == 1 else unit}"
    words = {
        GateVerdict.NOT_WORSE: f"NOT WORSE: {head.name} loses less than {margin} of "
        f"{metric.title} against {base.name}",
        GateVerdict.WORSE: f"WORSE: {head.name} loses {metric.title} against {base.name}",
        GateVerdict.CANNOT_TELL: f"CANNOT TELL whether {head.name} loses {margin} of "
        f"{metric.title} against {base.name}",
    }
    over = difference.replicate if difference.replicate in ("fold", "seed") else "pair"
    over = f"{difference.n} {over}{'s' * (difference.n > 1)}"
    interval = ""
    if difference.low is not None and difference.high is not None:
        ends = bracket(difference.low, difference.high, places, called=False)
        interval = f", 90 % {difference.interval_method} {ends}"
    seen = number(difference.mean, places, signed=True)
    lines = [
        words[found.verdict],
        f"HEAD {MINUS} BASE: {seen}{unit} over {over}{interval}; p "
        f"{p_text(found.p_not_worse)} against a loss of {margin} or more, p "
        f"{p_text(found.p_worse)} against no loss (one-sided)",
    ]
    if difference.reason:
        lines.append(f"Replicates: {difference.reason}")
    for side in (base, head):
        open_ = [trial for trial in side.trials if _status(side, trial) is not Status.FINISHED]
        if open_:
            states = sorted({str(_status(side, trial)) for trial in open_})
            lines.append(
                f"{len(open_)} of {len(side.trials)} trials of {side.name} have no value "
                f"({', '.join(states)})"
            )
    if found.diverged:
        listed = ", ".join(f"seed {seed} fold {fold}" for seed, fold in found.diverged)
        lines.append(f"HEAD diverged where BASE finished ({listed}), so it is not proven no worse")
    elif found.verdict is GateVerdict.CANNOT_TELL:
        lines.append(_way_out(found))
    return lines


def _of_code(versions: Mapping[str, Sequence[str]]) -> list[str]:
    """Name the versions of the code where BASE and HEAD were not trained by a single one."""
    if len({one for of_side in versions.values() for one in of_side}) < 2:
        return []
    listed = "; ".join(f"{side.upper()} {', '.join(found)}" for side, found in versions.items())
    return [f"BASE and HEAD come from several versions of the code ({listed})"]


def _way_out(found: Gate) -> str:
    if found.difference.replicate == "fold":
        return (
            f"To tell over seeds, train {found.fewest} seeds or more on every fold; single folds "
            "share their training clips"
        )
    if not found.spread:
        return (
            f"To tell, train {found.fewest} seeds or more: fewer can prove nothing, and these "
            "have no spread that would say how many it takes"
        )

    def count(seeds: int | None) -> str:
        return f"{seeds} seeds" if seeds else "over 1,000 seeds"

    return (
        f"To tell with {100 * POWER:.0f} % power takes {count(found.seeds)} in all at the "
        f"difference seen, {count(found.seeds_if_equal)} if HEAD is as good as BASE (planned with "
        "the upper 80 % limit of the spread)"
    )


def _form(found: Gate, base: _Side, head: _Side, metric: Metric) -> dict[str, Any]:
    difference = found.difference
    return {
        "verdict": str(found.verdict),
        "exit_code": CODES[found.verdict],
        "base": base.name,
        "head": head.name,
        "metric": metric.key,
        "unit": metric.unit,
        "margin": found.margin,
        "difference": difference.mean,
        "low": difference.low,
        "high": difference.high,
        "confidence": difference.confidence,
        "n": difference.n,
        "replicate": difference.replicate,
        "p_not_worse": found.p_not_worse,
        "p_worse": found.p_worse,
        "seeds": found.seeds,
        "seeds_if_equal": found.seeds_if_equal,
        "fewest_seeds": found.fewest,
        "diverged": [list(block) for block in found.diverged],
    }
