"""Bring one run on a server up to date with its view."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.records import PlanRecord
from orchestrator.tracking.views import (
    FORMAT,
    NOTE_TAG,
    PARENT_TAG,
    RUN_PAGE,
    SWEEP,
    TAG,
    Draft,
    Key,
    RunView,
    digest,
    view_digest,
)

if TYPE_CHECKING:
    from orchestrator.tracking.mlflow_server import FoundRun, Server

STATE_TAG = TAG + "uploaded"
REPORT_TAG = TAG + "report"
IN_PLAN_TAG = TAG + "in_plan"
PREDICTIONS_TAG = TAG + "predictions"
"""Tag with the version of the per-clip predictions in a run; missing without predictions."""

PREDICTIONS = "predictions.arrow"
"""Artifact with the predictions, in the store's format."""


@dataclass(kw_only=True)
class Shown:
    """Known state of a sweep on a server.

    Attributes:
        experiment: Id of the experiment.
        runs: Runs as found or written.
        current: Inputs of a run's view when it was last up to date.
        plan: Plan whose former arms were marked.
    """

    experiment: str
    runs: dict[Key, FoundRun]
    current: dict[Key, tuple[object, ...]] = field(default_factory=dict)
    plan: PlanRecord | None = None

    def parent_id(self, parent: Key | None) -> str:
        """Return the id of a run's parent; empty if it has none."""
        return self.runs[parent].id if parent and parent in self.runs else ""

    def remember(self, draft: Draft) -> None:
        """Record that a run is up to date."""
        self.current[draft.key] = (*draft.inputs, self.parent_id(draft.parent))

    def is_current(self, draft: Draft) -> bool:
        """Whether a run was up to date with exactly these objects."""
        before = self.current.get(draft.key, ())
        inputs = (*draft.inputs, self.parent_id(draft.parent))
        return len(before) == len(inputs) and all(
            a is b or (isinstance(a, str) and a == b) for a, b in zip(before, inputs, strict=True)
        )


def upload(
    server: Server, view: RunView, run: FoundRun | None, *, experiment: str, parent_id: str
) -> FoundRun:
    """Update a run to show its view, or replace it if it cannot change in place.

    The digest of the uploaded content is written last, as a tag.

    Args:
        server: Server to write to.
        view: Content to show.
        run: Run on the server; None if there is none.
        experiment: Id of the experiment.
        parent_id: Id of the parent run; empty for none.

    Returns:
        The updated run.

    Raises:
        TrackingError: The server refuses a request or does not answer.
    """
    state = state_of(run)
    if run is not None and not _extends(view, run, state):
        server.delete_run(run)
        run, state = None, {}
    tags = {**view.tags, **({PARENT_TAG: parent_id} if parent_id else {})}
    if run is None:
        run = server.create_run(experiment, name=view.name, started_ms=view.started_ms, tags=tags)
    page = f"#/experiments/{experiment}/runs/{run.id}"
    tags = {key: text.replace(RUN_PAGE, page) for key, text in tags.items()}
    if view.key == SWEEP:
        server.describe(experiment, tags.get(NOTE_TAG, ""))
    dataset = digest(vars(view.dataset)) if view.dataset else ""
    if view.dataset and state.get("dataset") != dataset:
        server.log_dataset(run, view.dataset)
    texts = {name: digest(text) for name, text in view.texts.items()}
    for name, text in view.texts.items():
        if state.get("texts", {}).get(name) != texts[name]:
            server.log_text(run, text, name)
    if (run.status, run.ended_ms) != (view.status, view.ended_ms):
        server.set_status(run, view.status, view.ended_ms)
    for key in [key for key in run.tags if _is_ours(key) and key not in tags]:
        server.delete_tag(run, key)
    done = state.get("epochs", 0)
    summary = digest([vars(point) for point in view.summary])
    points = list(view.summary) if state.get("summary") != summary else []
    points += [point for epoch in view.epochs[done:] for point in epoch]
    caught_up = len(view.epochs) >= done
    new_state = {
        "format": FORMAT,
        "digest": view_digest(view, parent_id),
        "epochs": max(done, len(view.epochs)),
        "prefix": view.prefix_digest(len(view.epochs)) if caught_up else state["prefix"],
        "summary": summary,
        "step": max(_step(view), state.get("step", 0)),
        "dataset": dataset,
        "texts": {**state.get("texts", {}), **texts},
    }
    changed = {key: value for key, value in tags.items() if run.tags.get(key) != value}
    changed[STATE_TAG] = json.dumps(new_state)
    params = {key: value for key, value in view.params.items() if key not in run.params}
    server.log(run, points=points, params=params, tags=changed)
    return run


def key_of(tags: Mapping[str, str]) -> Key | None:
    """Return the key of a run in its sweep; None for a foreign run."""
    match tags.get(TAG + "kind"):
        case "sweep":
            return SWEEP
        case "arm":
            return ("arm", tags.get(TAG + "arm", ""))
        case "replicate":
            return ("replicate", tags.get(TAG + "arm", ""), tags.get(TAG + "trial_id", ""))
    return None


def state_of(run: FoundRun | None) -> dict[str, Any]:
    """Return the uploaded state of a run; empty if unknown."""
    try:
        state = json.loads(run.tags[STATE_TAG]) if run else {}
    except (KeyError, ValueError):
        return {}
    whole = (
        isinstance(state, dict)
        and isinstance(state.get("texts", {}), dict)
        and isinstance(state.get("epochs", 0), int)
        and ("prefix" in state or not state.get("epochs"))
    )
    return state if whole else {}


def _extends(view: RunView, run: FoundRun, state: Mapping[str, Any]) -> bool:
    """Whether a run can be updated: parameters and metrics cannot be removed."""
    if any(view.params.get(key) != value for key, value in run.params.items()):
        return False
    if view.key[0] == "arm" and state and state.get("format", 0) < FORMAT:
        return False  # it has metrics that are constants, on which the comparison opens
    done = state.get("epochs", 0)
    if len(view.epochs) < done:
        # A resumed trial repeats its last epochs; wait until it has caught up.
        return view.status != "FINISHED"
    if done and view.prefix_digest(done) != state["prefix"]:
        return False
    return not view.summary or _step(view) >= state.get("step", 0)


def _step(view: RunView) -> int:
    return max((point.step for point in view.summary), default=0)


def _is_ours(key: str) -> bool:
    return key.startswith((TAG, "provenance.")) and key not in (
        STATE_TAG,
        REPORT_TAG,
        PREDICTIONS_TAG,
    )
