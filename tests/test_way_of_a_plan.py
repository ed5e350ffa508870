"""The way of a plan, from its command line to its report, goes down the floors of the house.

Followed are the calls of the process that runs the command, by `sys.setprofile`. A call leads from
the nearest caller of ours, for frames of PyTorch or Ray in between are nobody's room, into the room
of the function that is called. A climb is a call into a room on a higher floor than its caller's: a
function that was handed down and is called back; a generator expression is none, for it belongs to
the call that it is an argument of. Without climbs, a room is left for a higher one by returning
alone, and whoever called it goes on. The few climbs that there are have a reason here.
"""

from __future__ import annotations

import dataclasses
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from orchestrator import cli
from orchestrator.design.factors import Arm
from orchestrator.design.plan import Plan
from orchestrator.execution.options import parse
from orchestrator.execution.prepare import prepare
from orchestrator.execution.stages import missing_trials
from orchestrator.execution.trial import TrialRun
from orchestrator.records import Status
from orchestrator.store import Store
from tests import tiny
from tests.test_architecture import FLOORS, HANDED_ON, modules, room

CLIMBS = {
    ("models.command", "cli"): "one frame around every command makes a mistake an exit code",
    ("models.registry", "data"): "a part is made by its registered name",
    ("models.registry", "training"): "a part is made by its registered name",
    ("models.chain", "execution"): "the check before launch watches what each part returns",
    ("orchestrator.training.trainer", "execution"): "a trial says where its checkpoints lie",
}
NO_CALLS = ("<module>", "<genexpr>")
SOMETIMES = {
    ("orchestrator.terminal.waiting", "execution"): "a wait of seconds is told above the bars"
}
DEMO = dataclasses.replace(tiny.experiment(epochs=1), seed=0)
PLAN = Plan(
    name="way",
    question="Does it go down?",
    base=DEMO,
    demo=DEMO,
    demo_seeds=(0,),
    arms=(Arm(name="a"), Arm(name="b", changes={"model.deformable": False})),
)


class Way:
    """What was entered while it was followed.

    Attributes:
        num_calls: Calls from a function of ours to one of ours.
        climbs: Caller, its module first, and callee of every climb.
        entered: Module -> the number of calls before its first.
    """

    def __init__(self) -> None:
        self.num_calls = 0
        self.climbs: list[tuple[str, str, str, str]] = []
        self.entered: dict[str, int] = {}
        self._module_of = {
            str(path): name for name, path in modules().items() if name not in HANDED_ON
        }

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Follow this thread, and all that begin meanwhile."""
        threading.setprofile(self._hear)
        sys.setprofile(self._hear)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)  # type: ignore[arg-type]

    def _hear(self, frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        module = self._module_of.get(code.co_filename)
        if event != "call" or module is None or code.co_name in NO_CALLS:
            return
        caller = frame.f_back
        while caller is not None and caller.f_code.co_filename not in self._module_of:
            caller = caller.f_back
        self.entered.setdefault(module, self.num_calls)
        if caller is None:
            return
        self.num_calls += 1
        above = self._module_of[caller.f_code.co_filename]
        if FLOORS.index(room(above)) < FLOORS.index(room(module)):
            self.climbs.append((above, caller.f_code.co_qualname, module, code.co_qualname))

    @property
    def unnamed(self) -> set[tuple[str, str, str, str]]:
        """The climbs without a reason."""
        known = CLIMBS | SOMETIMES
        return {climb for climb in self.climbs if (climb[0], room(climb[2])) not in known}


def run(way: Way, *words: str) -> int:
    with pytest.raises(SystemExit) as ended, way.followed():
        cli.main(PLAN, words)
    return ended.value.code  # type: ignore[return-value]


@pytest.mark.slow
def test_plan_that_is_listed_checked_trained_and_reported_climbs_where_it_is_named(tmp_path):
    way, place = Way(), ["--store", str(tmp_path)]
    assert run(way, "--dry-run", *place) == 0
    assert run(way, "--check", *place) == 0
    assert run(way, "--smoke", *place) == 0  # the first arm
    store = Store.open(tmp_path)
    demo = prepare(PLAN, parse(["--demo", *place], description="")).plan
    (other,) = missing_trials(demo.trials(), store)
    with way.followed():
        record = TrialRun(store=store, trial_id=other.id, experiment=other.experiment).run()
    assert record.status is Status.FINISHED, record.error
    assert run(way, "--demo", *place) == 0
    print(f"\n{len(way.climbs)} climbs in {way.num_calls} calls")
    assert way.unnamed == set()
    assert CLIMBS.keys() <= {(climb[0], room(climb[2])) for climb in way.climbs}
    besides = {"recipes", "cluster", "doctor"}
    assert {room(module) for module in way.entered} >= set(FLOORS) - besides


@pytest.mark.slow
def test_demo_on_ray_goes_from_the_command_line_to_the_report_in_order(tmp_path):
    way = Way()
    assert run(way, "--demo", "--store", str(tmp_path)) == 0
    print(f"\n{len(way.climbs)} climbs in {way.num_calls} calls")
    assert way.unnamed == set()
    floors = (
        *("cli", "execution.options", "execution.prepare", "execution.launch"),
        *("execution.stages", "execution.preflight.arms", "execution.tune", "report.files"),
    )
    first = [way.entered[f"orchestrator.{name}"] for name in floors]
    assert first == sorted(first)
