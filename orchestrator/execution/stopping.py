"""Ask the running trials of a launch, or one of them, to stop where they can go on from.

A request is a key in the store of the cluster itself, which every worker on every host can ask
for a millisecond's work, so it needs no process, no port and no signal of its own.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

POLL_S = 1.0
_NAMESPACE = "orchestrator"


class StopRequest:
    """One launch's requests to stop; travels to its workers by pickle. Ray must be connected."""

    def __init__(self) -> None:
        self._key = f"stop-{uuid.uuid4().hex}".encode()

    def send(self) -> None:
        """Ask all workers of the launch to stop."""
        from ray.experimental.internal_kv import _internal_kv_put

        _internal_kv_put(self._key, b"1", namespace=_NAMESPACE)

    def prune(self, trial_id: str) -> None:
        """Ask the worker of one trial to leave it."""
        from ray.experimental.internal_kv import _internal_kv_put

        _internal_kv_put(self._of(trial_id), b"1", namespace=_NAMESPACE)

    def is_to_prune(self, trial_id: str) -> bool:
        """Whether a trial is to be left, at the cost of one question to the cluster."""
        from ray.experimental.internal_kv import _internal_kv_exists

        return bool(_internal_kv_exists(self._of(trial_id), namespace=_NAMESPACE))

    def _of(self, trial_id: str) -> bytes:
        return self._key + f"-{trial_id}".encode()

    def forget(self) -> None:
        """Leave nothing of it in the cluster."""
        from ray.exceptions import RayError
        from ray.experimental.internal_kv import _internal_kv_del

        with suppress(RayError):  # the cluster may be gone
            _internal_kv_del(self._key, del_by_prefix=True, namespace=_NAMESPACE)

    @contextmanager
    def watched(self) -> Iterator[Callable[[], bool]]:
        """Yield a function that tells within a second, and at no cost, whether to stop."""
        from ray.exceptions import RayError
        from ray.experimental.internal_kv import _internal_kv_exists

        requested, over = threading.Event(), threading.Event()

        def watch() -> None:
            while not over.is_set() and not requested.is_set():
                with suppress(RayError):
                    if _internal_kv_exists(self._key, namespace=_NAMESPACE):
                        requested.set()
                over.wait(POLL_S)

        thread = threading.Thread(target=watch, name="stop request", daemon=True)
        thread.start()
        try:
            yield requested.is_set
        finally:
            over.set()
            thread.join()
