"""Apply a command line to a sweep's plan; the only side effect is reading the data."""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import re
import shlex
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models import registry
from orchestrator.data import addresses
from orchestrator.data.layouts.rows import VALIDATION
from orchestrator.data.partition import held_out_folds, partition
from orchestrator.design.plan import DefaultMetric, Plan
from orchestrator.design.search_space import Search
from orchestrator.errors import (
    ConfigError,
    StoreError,
    printable,
    unknown,
    without_passwords,
)
from orchestrator.execution.options import Options, check_folds
from orchestrator.experiment.config import Component
from orchestrator.metrics import METRICS, USUAL, TargetKind, lookup
from orchestrator.terminal.text import terminal_width

if TYPE_CHECKING:
    from orchestrator.data import PackInfo
    from orchestrator.store import Store

DIGITS = (6, 12, 64)
"""Numbers of fingerprint digits that tell two packs apart, tried from the shortest."""


MADE_UP = ("synthetic", "synthetic_events")
"""Data sets that need no files, for demos and first runs."""
MIXTURES = "mixtures"
"""The data set that mixes the clips of a data root, or made-up sounds without one."""

MAX_WORD = 69
"""Longest part of a sweep's stored name, which tables, paths and MLflow show whole."""
_DIGEST = 8


@dataclass(frozen=True, kw_only=True)
class LaunchPlan:
    """Everything a launch needs: a sweep with its command line applied.

    Attributes:
        plan: Plan on the requested data set; its base names the pack once it is known.
        search: Search that the plan belongs to, if the sweep is a search.
        options: Parsed command line.
        data: The pack; None if it does not exist yet, and the base then names no pack.
        command: Command that runs this again, as typed.
        overview: What lies in the data root, as a table; empty once it is packed.
    """

    plan: Plan
    search: Search | None
    options: Options
    data: PackInfo | None
    command: str
    overview: str = ""


def prepare(sweep: Plan | Search, options: Options) -> LaunchPlan:
    """Apply the command line to a sweep and look up its pack without making it.

    Raises:
        PlanError: The plan has mistakes; the message names all of them.
        ConfigError: The command line asks for something that does not exist.
        DataError: The folder of the data set cannot be read.
    """
    if not isinstance(sweep, Plan | Search):
        raise ConfigError(
            f"cli.main was given a {type(sweep).__name__}; give it the sweep's Plan or Search"
        )
    sweep.check_types()
    search = sweep if isinstance(sweep, Search) else None
    plan = sweep.plan if isinstance(sweep, Search) else sweep
    plan = _apply(plan, options)
    if search is not None:
        if options.until_decided or options.budget_hours:
            raise ConfigError(
                "a search has no contrasts to decide and no blocks to stop at; leave out "
                "--until-decided and --budget-hours"
            )
        search = search.with_plan(plan)
        if options.demo or options.smoke:
            search = dataclasses.replace(search, num_points=search.demo_points)
        if options.confirm is not None:
            search = dataclasses.replace(search, confirm=options.confirm)
        search.check()
        if search.pruner and options.runtime.num_workers > 1:
            raise ConfigError(
                f"the search prunes by {search.pruner!r}, which is for trials of one worker; leave "
                "out --num-workers, or the sweep's pruner"
            )
    elif options.confirm is not None:
        raise ConfigError(
            f"--confirm is for the best points of a search, and {plan.name} is none; leave it out"
        )
    plan.check()
    own = tuple(key for key in (plan.metric, plan.tie_break) if key and ":" in key)
    runtime = dataclasses.replace(options.runtime, own_metrics=own)
    options = dataclasses.replace(options, runtime=runtime)
    _refuse_graphs(plan, options)
    from orchestrator.data import peek
    from orchestrator.data.entry import open_source

    dataset, root = plan.base.dataset, options.runtime.data_root or None
    packs = packs_of(options.runtime.store)
    source = open_source(dataset.name, dataset.arguments, root=root) if root else None
    data = peek(dataset.name, dataset.arguments, root=root, packs=packs, source=source)
    prepared = LaunchPlan(plan=plan, search=search, options=options, data=None, command=_command())
    if data is None and source is not None:
        from orchestrator.data.overview import overview

        table = printable(overview(source, width=terminal_width()))
        # A metric that does not fit is refused before hours of packing.
        plan = _for_targets(plan, source.kind, source.heads)
        search = search.with_plan(plan) if search else None
        prepared = dataclasses.replace(prepared, plan=plan, search=search, overview=table)
    return prepared if data is None else with_data(prepared, data)


def made_up(prepared: LaunchPlan) -> str:
    """Describe the problem if a full-size sweep would train on synthetic sounds by default.

    Returns:
        One sentence with the solution; empty for a demo, for real data, and if the command line
        names the data set.
    """
    options, name = prepared.options, prepared.plan.base.dataset.name
    without_files = name in MADE_UP or (name == MIXTURES and not options.runtime.data_root)
    if options.demo or options.smoke or options.dataset or not without_files:
        return ""
    return (
        f"the data set of {prepared.plan.sweep} at full size is {name!r}, made-up sounds: give "
        "your own with --data-root DIR, take the laptop size with --demo, or type "
        f"--dataset {name} to train on made-up sounds all the same"
    )


def without_tf32(prepared: LaunchPlan) -> str:
    """Describe what becomes of precision `tf32` without a GPU; empty if no arm asks for it."""
    plan = prepared.plan
    arms = [arm.name for arm in plan.arms if plan.experiment(arm).precision == "tf32"]
    if not arms or prepared.options.runtime.gpus_per_worker > 0:
        return ""
    return (
        f"precision tf32 ({', '.join(arms)}) is computed as fp32 on a CPU, which has no TF32; give "
        "--gpus-per-worker to train on GPUs"
    )


def with_data(prepared: LaunchPlan, data: PackInfo) -> LaunchPlan:
    """Pin the pack: its fingerprint becomes part of every trial's id."""
    plan = prepared.plan
    dataset = plan.base.dataset.replace(fingerprint=data.fingerprint)
    folds, names = prepared.options.folds, dict(zip(data.folds, data.fold_names, strict=True))
    if folds == ():
        plan = dataclasses.replace(plan.replicate(folds=held_out_folds(names)), num_blocks=0)
        if plan.cap:
            plan = dataclasses.replace(plan, cap=len(plan.blocks))
    elif folds is None and [names.get(fold) for fold in plan.folds] == [VALIDATION]:
        # The first fold by default, and the test split is what is reported where there is one.
        plan = plan.replicate(folds=held_out_folds(names))
    check_folds(plan.folds, data.folds)
    if data.num_classes < 2:
        raise ConfigError(
            f"the data set has one class only ({', '.join(data.class_names)}): nothing can be "
            "told apart"
        )
    plan = told_apart(
        _for_targets(plan, data.targets, data.heads).with_base(dataset=dataset),
        data.fingerprint,
        prepared.options.runtime.store,
    )
    search = prepared.search.with_plan(plan) if prepared.search else None
    return dataclasses.replace(prepared, plan=plan, search=search, data=data)


def clips_by_purpose(prepared: LaunchPlan) -> list[str]:
    """Say how many clips train, choose the epoch and are reported, one line per reported fold.

    Arms that choose their epochs differently have lines of their own. Where a seed draws the clips
    that choose, they are counted for the first one.

    Returns:
        No line if the clips are not known yet.

    Raises:
        DataError: The clips cannot be divided as an arm asks for.
    """
    from orchestrator.data.entry import divided_clips

    plan, runtime = prepared.plan, prepared.options.runtime
    dataset = plan.base.dataset
    clips = divided_clips(
        dataset.name,
        dataset.arguments,
        root=runtime.data_root or None,
        packs=packs_of(runtime.store),
    )
    if clips is None:
        return []
    arms = {one.selection: one for one in (plan.experiment(arm) for arm in plan.arms)}
    seed = plan.seeds[0]
    lines = (
        str(partition(clips, experiment.at(fold=fold, seed=seed)))
        for fold in plan.folds
        for experiment in arms.values()
    )
    return list(dict.fromkeys(lines))


def _for_targets(plan: Plan, kind: TargetKind, heads: Iterable[str]) -> Plan:
    """Return the plan with a loss and a metric that are defined for the data set's targets.

    The metric of a plan that names none becomes the usual one of the kind, and plain cross entropy,
    the loss of most recipes, becomes that of every class on its own where a clip has any number of
    them.

    Raises:
        ConfigError: The plan or an arm names a metric that is not defined for the kind; the message
            names the valid ones.
    """
    heads = tuple(heads)
    if isinstance(plan.metric, DefaultMetric):
        plan = dataclasses.replace(plan, metric=USUAL[kind])
    several = kind in (TargetKind.MULTI_LABEL, TargetKind.EVENTS)
    if several and plan.base.loss.name == "cross_entropy":
        plan = plan.with_base(loss=Component("binary_cross_entropy"))
    named = [plan.metric, *([plan.tie_break] if plan.tie_break else [])]
    chosen = {plan.experiment(arm).selection_metric for arm in plan.arms}
    named += sorted(chosen - {USUAL[TargetKind.SINGLE_LABEL]})
    for key in dict.fromkeys(named):
        if not lookup(key).is_defined_for(kind, heads=heads):
            valid = [
                k for k, m in METRICS.items() if m.compute and m.is_defined_for(kind, heads=heads)
            ]
            raise ConfigError(
                f"{key} is not defined for the data set's targets, of kind {kind}; give one of "
                f"{', '.join(valid)}, or leave the plan's metric out for {USUAL[kind]}"
            )
    return plan


def told_apart(plan: Plan, fingerprint: str, place: str) -> Plan:
    """Return the plan under its name in the store for this pack.

    Two folders of one name, or one folder whose clips have changed, are two packs, and a plan of
    another pack is never overwritten. The first pack gets the plain name; later packs append the
    first digits of their fingerprint. The same command finds its name again: a stored name with
    this pack's digits takes precedence over a plain name that has become free.

    Args:
        plan: Plan with the command line's variant.
        fingerprint: Fingerprint of its pack.
        place: Folder or URI of the store, which need not exist yet.

    Raises:
        StoreError: A stored plan of one of these names is damaged.
    """
    store = existing_store(place)
    if store is None:
        return plan

    def pack_of(named: Plan) -> str | None:
        kept = store.read_plan(named.sweep)
        return None if kept is None else str(kept.dataset.get("fingerprint") or fingerprint)

    longer = [
        dataclasses.replace(plan, variant=(*plan.variant, fingerprint[:digits]))
        for digits in DIGITS
    ]
    for named in longer:
        if pack_of(named) == fingerprint:
            return named
    return next(named for named in (plan, *longer) if pack_of(named) in (None, fingerprint))


def of_kind(prepared: LaunchPlan) -> str:
    """Say how clips with several classes or events are trained and compared; empty for others."""
    if prepared.data is None or prepared.data.targets is TargetKind.SINGLE_LABEL:
        return ""
    plan = prepared.plan
    return (
        f"targets are of kind {prepared.data.targets}: the loss is {plan.base.loss.name} unless an "
        f"arm has another, and arms are compared by {plan.metric}"
    )


def set_apart(prepared: LaunchPlan) -> str:
    """Explain why a sweep's stored name has, or may get, digits of its pack; empty if neither."""
    plan = prepared.plan
    if prepared.data is None:
        store = existing_store(prepared.options.runtime.store)
        kept = store.read_plan(plan.sweep) if store else None
        if kept is None:
            return ""
        return (
            f"the store has {plan.sweep} of {kept.pack}; should this data set become another "
            f"pack, it is stored as {plan.sweep}-{DIGITS[0] * 'X'}, by the digits of its "
            "fingerprint"
        )
    if not plan.variant or plan.variant[-1] not in {prepared.data.fingerprint[:n] for n in DIGITS}:
        return ""
    plain = "-".join([plan.name, *plan.variant[:-1]])
    return (
        f"{plain} is kept for another pack, so that this one, {prepared.data.name} "
        f"{prepared.data.fingerprint[:12]}, is stored as {plan.sweep}"
    )


def packs_of(store: str) -> str:
    """Return the location of a store's packs; the store need not exist yet."""
    place = store if "://" in store else str(Path(store).expanduser().absolute())
    return addresses.join(place, "packs")


def existing_store(place: str) -> Store | None:
    """Open the store at a folder or URI; None if it does not exist."""
    from orchestrator.store import Store

    try:
        return Store.open(place, create=False)
    except StoreError:
        return None


def _apply(plan: Plan, options: Options) -> Plan:
    variant: list[str] = []
    if options.demo or options.smoke:
        if plan.demo is None:
            raise ConfigError(f"sweep {plan.name!r} has no laptop size; run it without --demo")
        plan = dataclasses.replace(plan, base=plan.demo, seeds=plan.demo_seeds)
        variant.append("smoke" if options.smoke else "demo")
    if options.dataset or options.runtime.data_root:
        plan = plan.with_base(
            dataset=_dataset(plan.base.dataset, options.dataset, options.runtime.data_root)
        )
        if options.runtime.data_root and plan.base.dataset.name not in MADE_UP:
            variant.append(_word(Path(options.runtime.data_root).resolve().name))
    if options.smoke:
        plan = plan.with_base(epochs=1)
    elif options.epochs is not None:
        plan = plan.with_base(epochs=options.epochs)
        variant.append(f"{options.epochs}ep")
    if options.arms:
        arms = plan.named_arms(options.arms)
        plan = plan.only(arms)
        variant.append(_short("_".join(map(_word, arms))))
    plan = dataclasses.replace(plan, variant=tuple(variant))
    plan = plan.replicate(seeds=options.seeds, folds=options.folds or None)
    return plan.until_decided() if options.until_decided else plan


def _refuse_graphs(plan: Plan, options: Options) -> None:
    """Raise a `ConfigError` for CUDA graphs where gradients add up over several of them."""
    if options.runtime.compile != "reduce-overhead":
        return
    arms = [arm.name for arm in plan.arms if plan.experiment(arm).accumulation_steps > 1]
    if arms:
        raise ConfigError(
            f"--compile reduce-overhead is for one part a step, and {', '.join(arms)} "
            "accumulate several (accumulation_steps); give --compile alone"
        )


def _dataset(current: Component, argument: str, root: str) -> Component:
    """Return the data set of a `--dataset`, at the current sample rate.

    Args:
        current: The plan's data set.
        argument: `NAME`, `NAME:argument=value,...`, the same of `module:function`, or "" for what
            lies in the data root.
        root: The data root, or "".
    """
    name, _, settings = argument.partition(":")
    valid = registry.names("dataset")
    if name and name not in valid and re.fullmatch(r"[A-Za-z_]\w*(:.*)?", settings, re.DOTALL):
        function, _, settings = settings.partition(":")
        name = f"{name}:{function}"
    elif name and name not in valid:
        hint = "a data set of your own is module:function"
        raise ConfigError(unknown("dataset", name, valid, hint=hint))
    arguments: dict[str, Any] = {}
    known = registry.lookup("dataset", name).arguments if name in valid else {}
    for setting in filter(None, settings.split(",")):
        key, _, text = setting.partition("=")
        if key in known and known[key].type is str:  # a column may be named 5
            arguments[key] = text
            continue
        try:
            arguments[key] = ast.literal_eval(text)
        except (SyntaxError, ValueError):  # a bare word
            arguments[key] = text
    if not name and current.name not in MADE_UP:
        name = current.name
    if root and name in ("", "folder"):
        from orchestrator.data.overview import recognized

        said = {**current.arguments, **arguments} if current.name == name else arguments
        found, given = recognized(root, said)
        name = name or found
        if name == "folder":
            arguments["layout"] = given.get("layout") or "esc_csv"
    if name == current.name:
        return current.replace(**arguments)
    rate = current.arguments.get("sample_rate")
    return Component(name, **({} if rate is None else {"sample_rate": rate}), **arguments)


def _word(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]+", "_", text).strip("_").lower() or "data"


def _short(word: str) -> str:
    """Return a valid folder name, different for different words."""
    if len(word) <= MAX_WORD:
        return word
    digest = hashlib.sha256(word.encode()).hexdigest()[:_DIGEST]
    return f"{word[: MAX_WORD - _DIGEST - 1]}_{digest}"


def _command() -> str:
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    script = ["-m", spec.name] if spec else sys.argv[:1]
    return shlex.join(["python", *map(without_passwords, [*script, *sys.argv[1:]])])
