from collections.abc import Iterator

import hosts
import pytest


@pytest.fixture
def bed(request: pytest.FixtureRequest) -> Iterator[hosts.Bed]:
    """As many hosts as the test's parameter says, else one."""
    if reason := hosts.missing():
        pytest.skip(reason)
    with hosts.Bed(getattr(request, "param", 1)) as started:
        yield started
