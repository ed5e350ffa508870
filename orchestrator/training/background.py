"""What is written while training goes on: one thing at a time, in order, and nothing lost."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType


class Background:
    """A thread that does one task at a time.

    The next task, or a wait, raises what kept the last one from its end. As a context it waits for
    all when its body ends, and leaves an error of the body as it is.
    """

    def __init__(self, name: str) -> None:
        """Start with nothing to do.

        Args:
            name: Name of the thread.
        """
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._last: Future[None] | None = None

    def submit(self, task: Callable[[], None]) -> None:
        """Wait for the last task, and begin another."""
        self.wait()
        self._last = self._thread.submit(task)

    def wait(self) -> None:
        """Wait for the last task."""
        last, self._last = self._last, None
        if last is not None:
            last.result()

    def __enter__(self) -> Background:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self.wait()
        finally:
            self._thread.shutdown()
