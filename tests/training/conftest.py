"""Two processes in a gloo group, started once."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest

from tests.process_group import join

Both = Callable[..., list[Any]]


@pytest.fixture(scope="session")
def both(tmp_path_factory) -> Iterator[Both]:
    """Call a function of a module in both processes; return what rank 0 and rank 1 return."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["orchestrator.training.trainer"])
    meeting = tmp_path_factory.mktemp("group") / "meeting"
    workers = [
        ProcessPoolExecutor(1, context, initializer=join, initargs=(rank, str(meeting)))
        for rank in range(2)
    ]

    def call(work: Callable, *arguments: Any) -> list[Any]:
        futures = [worker.submit(work, *arguments) for worker in workers]
        return [future.result(timeout=120) for future in futures]

    yield call
    for worker in workers:
        worker.shutdown()
