"""Which trained model a command line means: a trial, an arm's best seed, a file or a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from orchestrator.analysis.rows import with_scores
from orchestrator.errors import ConfigError, unknown
from orchestrator.metrics.catalog import load as load_metric
from orchestrator.records import PlanRecord, Status, TrialRecord, epoch_of
from orchestrator.store import Store
from orchestrator.store.verification import loader

if TYPE_CHECKING:
    from orchestrator.predict.loading import TrainedModel

Epoch = Literal["last", "best"]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A trained model and what is known of where it comes from.

    Attributes:
        model: The model, loaded.
        epoch: Epoch of its weights; empty for a file.
        store: Store of the trial; None for a file.
        record: Record of the trial; None for a file.
        plan: Sweep that it was chosen from; None for a trial or a file.
        arm: Arm that it was chosen from; empty for a trial or a file.
        records: Trial id -> record of the arm's trials, with the plan's metric.
    """

    model: TrainedModel
    epoch: Epoch | Literal[""] = ""
    store: Store | None = None
    record: TrialRecord | None = None
    plan: PlanRecord | None = None
    arm: str = ""
    records: Mapping[str, TrialRecord] | None = None


def choose(name: str, *, place: str, epoch: Epoch | None = None) -> Choice:
    """Load the model that a name means.

    Args:
        name: Trial id or its beginning, SWEEP/ARM, a checkpoint's file, or an exported folder.
        place: Folder or URI of the store.
        epoch: Epoch of the weights; None takes the one that the sweep reports, or the last.

    Raises:
        ConfigError: The name means nothing, or no trial of the arm can be chosen.
        CheckpointError: See `load_model`.
    """
    from orchestrator.predict.loading import CONFIG, load_file, load_trained

    if Path(name).is_file() or (Path(name) / CONFIG).is_file():
        return Choice(model=load_file(name))
    if name.endswith(".safetensors"):
        raise ConfigError(f"there is no file {name}")
    store = Store.open(place, create=False)
    sweep, slash, arm = name.partition("/")
    if slash and sweep in store.sweeps():
        plan = store.require_plan(sweep)
        records = _finished(store, plan, arm)
        metric, selection = load_metric(plan.metric), plan.selection_of(arm)
        trial = max(
            records, key=lambda t: metric.sign * records[t].metrics_at(selection)[plan.metric]
        )
        which = epoch or epoch_of(selection)
        return Choice(
            model=load_trained(store, trial, which=which),
            epoch=which,
            store=store,
            record=store.read_record(trial),
            plan=plan,
            arm=arm,
            records=records,
        )
    if name in store.sweeps():
        arms = (one.name for one in store.require_plan(name).arms)
        raise ConfigError(unknown(f"arm of {name}", "", arms, hint="Give SWEEP/ARM."))
    if slash:
        hint = "MODEL is a trial's id, SWEEP/ARM, or the path of a checkpoint."
        raise ConfigError(unknown("sweep or file", name, store.sweeps(), hint=hint))
    which = epoch or "last"
    model = load_trained(store, name, which=which)
    return Choice(model=model, epoch=which, store=store, record=store.read_record(model.trial))


def _finished(store: Store, plan: PlanRecord, arm: str) -> dict[str, TrialRecord]:
    """Return the records of an arm's finished trials that have the plan's metric."""
    if arm not in (names := [one.name for one in plan.arms]):
        raise ConfigError(unknown(f"arm of {plan.sweep}", arm, names))
    if ":" in plan.metric:
        # Its direction is known to its module alone, and a store's plan must run no code.
        raise ConfigError(
            f"the best trial of an arm is not known, since {plan.sweep} is read by a metric of "
            f"your own ({plan.metric}); give a trial's id"
        )
    selection = plan.selection_of(arm)
    records = store.read_records(trial.id for trial in plan.trials if trial.arm == arm)
    # Some metrics are computed from stored predictions alone.
    records = with_scores(plan, records, [plan.metric], loader(store, plan, records))
    finished = {
        trial: record
        for trial, record in records.items()
        if record.status is Status.FINISHED and plan.metric in record.metrics_at(selection)
    }
    if not finished:
        raise ConfigError(f"no trial of {arm!r} of {plan.sweep} has finished; run the sweep")
    return finished
