"""The only file that imports mlflow: a few calls that succeed or raise a `TrackingError`.

Retries and time-outs are MLflow's own settings, read from the environment at every request. A call
sets those that the user has not set, and restores them afterwards.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.errors import TrackingError
from orchestrator.tracking.places import check_database
from orchestrator.tracking.views import NOTE_TAG, Dataset, Point

if TYPE_CHECKING:
    from torch import nn

CONNECT_TIMEOUT_S = 5
REQUEST_TIMEOUT_S = 60
RETRIES = 2
_DATABASE_ATTEMPTS = 3
_METRICS_PER_BATCH = 800  # MLflow accepts 1,000 entities per request, 200 of them params and tags
_KEYS_PER_BATCH = 100
_PER_PAGE = 500
_RETRIES_SETTING = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
_GATE = threading.RLock()


# Opens the pages for trained models first instead of those for language models.
KIND_TAG = "mlflow.experimentKind"
KIND = "custom_model_development"


def load() -> None:
    """Import MLflow, which takes two seconds.

    Call it before a thread needs MLflow: a concurrent import may see a half-initialized module,
    after which every import in the process fails.
    """
    # Send nothing from the user's network without consent.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import entities
    from mlflow.tracking import client

    assert entities and client


@dataclass(kw_only=True)
class FoundRun:
    """A run on the server, updated with every write."""

    id: str
    status: str
    started_ms: int
    ended_ms: int | None
    tags: dict[str, str]
    params: dict[str, str]


class Server:
    """A tracking server or database.

    Args:
        uri: Address of the server.
        artifact_root: Folder for a database's artifacts; None lets a server decide.
        until: Time by the monotonic clock after which no request begins, and none waits.
    """

    def __init__(self, uri: str, artifact_root: str | None, *, until: float = math.inf):
        check_database(uri)
        load()
        self.uri = uri
        self.until = until
        self.artifact_root = artifact_root
        with self._speaking(timeout_s=CONNECT_TIMEOUT_S, retries=0):
            from mlflow.store.db import utils
            from mlflow.tracking.client import MlflowClient

            # The default of ten, with doubling pauses, waits minutes for a missing database.
            utils.MAX_RETRY_COUNT = _DATABASE_ATTEMPTS
            if "MLFLOW_LOGGING_LEVEL" not in os.environ:
                for name in ("mlflow", "alembic"):
                    logging.getLogger(name).setLevel(logging.WARNING)
                # It prints the traceback of an error that it also raises.
                logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
            self._client = MlflowClient(uri)
        self.ping()

    def ping(self) -> None:
        """Check that the server answers.

        Raises:
            TrackingError: The server does not answer.
        """
        with self._speaking(timeout_s=CONNECT_TIMEOUT_S, retries=0):
            self._client.get_experiment_by_name("Default")

    def experiment(self, name: str) -> str:
        """Return the id of an experiment; create or restore it if necessary."""
        with self._speaking(retries=0):
            experiment = self._client.get_experiment_by_name(name)
            if experiment is None:
                return self._client.create_experiment(
                    name, artifact_location=self.artifact_root, tags={KIND_TAG: KIND}
                )
            if experiment.lifecycle_stage == "deleted":
                self._client.restore_experiment(experiment.experiment_id)
            return experiment.experiment_id

    def describe(self, experiment_id: str, text: str) -> None:
        """Set the description of an experiment, in Markdown."""
        with self._speaking():
            self._client.set_experiment_tag(experiment_id, NOTE_TAG, text)

    def runs(self, experiment_id: str) -> list[FoundRun]:
        """Return all runs of an experiment that are not deleted."""
        return [
            FoundRun(
                id=run.info.run_id,
                status=run.info.status,
                started_ms=run.info.start_time,
                ended_ms=run.info.end_time,
                tags=dict(run.data.tags),
                params=dict(run.data.params),
            )
            for run in self._pages(self._client.search_runs, [experiment_id])
        ]

    def create_run(
        self, experiment_id: str, *, name: str, started_ms: int | None, tags: Mapping[str, str]
    ) -> FoundRun:
        """Create a run with its tags in one request, without retries.

        If the answer is lost, the run exists and is found by its tags next time; a retry would
        create a second one.
        """
        with self._speaking(retries=0, insist=True):
            run = self._client.create_run(
                experiment_id, start_time=started_ms, tags=dict(tags), run_name=name
            )
        return FoundRun(
            id=run.info.run_id,
            status="RUNNING",
            started_ms=run.info.start_time,
            ended_ms=None,
            tags=dict(tags),
            params={},
        )

    def log(
        self,
        run: FoundRun,
        *,
        points: Sequence[Point],
        params: Mapping[str, str],
        tags: Mapping[str, str],
    ) -> None:
        """Write metrics, parameters and at least one tag in few requests; the last tag last."""
        from mlflow.entities import Metric, Param, RunTag

        metrics = [Metric(p.key, p.value, p.timestamp_ms, p.step) for p in points]
        batches = zip_longest(
            _chunks(metrics, _METRICS_PER_BATCH),
            _chunks([Param(*item) for item in params.items()], _KEYS_PER_BATCH),
            fillvalue=[],
        )
        requests: list[list[Any]] = [[*batch, []] for batch in batches] or [[[], [], []]]
        first, *others = _chunks([RunTag(*item) for item in tags.items()], _KEYS_PER_BATCH)
        requests[-1][2] = first
        requests += [[[], [], chunk] for chunk in others]
        for request in requests:
            with self._speaking():
                self._client.log_batch(run.id, *request, synchronous=True)
        run.params |= params
        run.tags |= tags

    def delete_tag(self, run: FoundRun, key: str) -> None:
        """Delete a tag."""
        with self._speaking():
            self._client.delete_tag(run.id, key)
        run.tags.pop(key, None)

    def log_dataset(self, run: FoundRun, dataset: Dataset) -> None:
        """Log the data set of a run; repeating it changes nothing."""
        from mlflow import entities

        value = entities.Dataset(
            name=dataset.name,
            digest=dataset.digest,
            source_type="pack",
            source=dataset.source,
            profile=dataset.profile,
        )
        tags = [entities.InputTag("mlflow.data.context", "training")]
        with self._speaking():
            self._client.log_inputs(run.id, [entities.DatasetInput(value, tags)])

    def set_status(self, run: FoundRun, status: str, ended_ms: int | None) -> None:
        """Set a run's status and end time."""
        with self._speaking():
            if status == "RUNNING":
                self._client.update_run(run.id, status=status)
            else:
                self._client.set_terminated(run.id, status=status, end_time=ended_ms)
        run.status, run.ended_ms = status, ended_ms

    def delete_run(self, run: FoundRun) -> None:
        """Delete a run so that it can be restored."""
        with self._speaking():
            self._client.delete_run(run.id)

    def log_text(self, run: FoundRun, text: str, name: str) -> None:
        """Write an artifact."""
        with self._speaking():
            self._client.log_text(run.id, text, name)

    def log_file(self, run: FoundRun, path: Path, folder: str) -> None:
        """Upload a file to a folder of the run's artifacts; an empty folder is the root."""
        with self._speaking():
            self._client.log_artifact(run.id, str(path), folder or None)

    def log_model(
        self,
        run: FoundRun,
        model: nn.Module,
        *,
        name: str,
        example: np.ndarray,
        num_classes: int,
        facts: Mapping[str, Any],
    ) -> str:
        """Log a PyTorch model to a run, as a program of torch.export with its signature.

        Args:
            run: The run of its trial.
            model: Module from waveforms (batch, samples) to probabilities (batch, classes).
            name: Name of the model in the run.
            example: (batch, samples) float32 input example; a batch of 2 or more, so that its size
                stays free.
            num_classes: Number of classes.
            facts: What the model says about itself, as plain JSON.

        Returns:
            Its address, `models:/...`.
        """
        import mlflow
        import mlflow.pytorch as flavor
        import torch
        from mlflow.models import Model, ModelSignature
        from mlflow.types import Schema, TensorSpec

        number = np.dtype(np.float32)
        signature = ModelSignature(
            inputs=Schema([TensorSpec(number, (-1, example.shape[1]))]),
            outputs=Schema([TensorSpec(number, (-1, num_classes))]),
        )
        with self._speaking():
            mlflow.set_tracking_uri(self.uri)
            info = Model.log(
                artifact_path=None,
                name=name,
                flavor=flavor,
                run_id=run.id,
                metadata=dict(facts),
                pytorch_model=model,
                signature=signature,
                input_example=example,
                serialization_format="pt2",
                # The program holds all of the model: nothing of this package runs it.
                pip_requirements=[
                    f"mlflow=={mlflow.__version__}",
                    f"torch=={torch.__version__.partition('+')[0]}",
                    f"numpy=={np.__version__}",
                ],
            )
        return info.model_uri

    def load_model(self, uri: str) -> nn.Module:
        """Return a logged model as `mlflow.pytorch` loads it."""
        import mlflow
        import mlflow.pytorch as flavor

        with self._speaking():
            mlflow.set_tracking_uri(self.uri)
            return flavor.load_model(uri)

    def delete_model(self, uri: str) -> None:
        """Delete a logged model."""
        with self._speaking():
            self._client.delete_logged_model(uri.removeprefix("models:/"))

    def register_model(self, uri: str, name: str) -> str:
        """Register a logged model as a new version of a name; return the version's address."""
        import mlflow

        with self._speaking():
            mlflow.set_tracking_uri(self.uri)
            version = mlflow.register_model(uri, name)
        return f"models:/{name}/{version.version}"

    def _pages(self, search: Callable[..., Any], *what: Any, **options: Any) -> list[Any]:
        """Return all results of a client's search, page by page."""
        found: list[Any] = []
        token = None
        while True:
            with self._speaking():
                page = search(*what, max_results=_PER_PAGE, page_token=token, **options)
            found += page
            token = page.token
            if not token:
                return found

    @contextmanager
    def _speaking(
        self, *, timeout_s: int = REQUEST_TIMEOUT_S, retries: int = RETRIES, insist: bool = False
    ) -> Iterator[None]:
        """Set a call's time-out and retries, and turn any error into a `TrackingError`."""
        # The environment is the process's: one call at a time.
        with _GATE:
            left_s = self.until - time.monotonic()
            if left_s <= 0:
                raise TrackingError(f"{self.uri}: the time for uploads is over")
            wanted = {
                _RETRIES_SETTING: str(int(min(retries, left_s / timeout_s))),
                "MLFLOW_HTTP_REQUEST_TIMEOUT": str(math.ceil(min(timeout_s, left_s))),
                "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
                "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
            }
            before = {name: os.environ.get(name) for name in wanted}
            for name, value in wanted.items():
                if before[name] is None or (insist and name == _RETRIES_SETTING):
                    os.environ[name] = value
            try:
                yield
            except (TrackingError, KeyboardInterrupt, SystemExit):
                raise
            except Exception as error:
                raise TrackingError(f"{self.uri}: {_reason(error)}") from error
            finally:
                for name, value in before.items():
                    if value is None:
                        os.environ.pop(name, None)
                    else:
                        os.environ[name] = value


def _chunks(items: list, size: int) -> list[list]:
    return [items[i : i + size] for i in range(0, len(items), size)]


def _reason(error: Exception) -> str:
    """Return one useful line from MLflow's long exception chains."""
    text = " ".join(str(error).split())
    for sign, reason in (
        ("Connection refused", "connection refused"),
        ("timed out", "no answer in time"),
        ("Name or service not known", "no such host"),
        ("Failed to resolve", "no such host"),
        ("Network is unreachable", "network unreachable"),
    ):
        if sign in text:
            return reason
    return f"{type(error).__name__}: {text[:300]}"
