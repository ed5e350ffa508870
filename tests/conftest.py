"""How the suite is divided over processes, as `make test` runs it.

A file's tests stay in one process and share its fixtures. Tests that start Ray or hosts take the
whole machine, so all of them run in one process, one after the other; the others take the rest.
"""

from __future__ import annotations

import pytest
from hypothesis import settings

# Examples are timed on machines of any speed, beside whatever else runs on them.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

WHOLE_MACHINE = (
    "cluster/",
    "execution/test_command.py",
    "execution/test_failures.py",
    "execution/test_lanes.py",
    "execution/test_packing.py",
    "test_docs.py",
    "test_way_of_a_plan.py",
)
# Tests that share nothing and of which some are long: any process takes the next one.
SINGLY = ("models/test_contract.py",)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    from xdist.scheduler import LoadScopeScheduling

    class Lanes(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file, _, _ = nodeid.partition("::")
            place = file.removeprefix("tests/")
            if place.startswith(WHOLE_MACHINE):
                return "the whole machine"
            return nodeid if place in SINGLY else file

    # In the order of collection, which begins with what takes the whole machine, the longest.
    config.option.loadscopereorder = False
    return Lanes(config, log)
