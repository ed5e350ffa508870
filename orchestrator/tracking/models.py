"""Trained models on a tracking server: logged to the run of their trial, and registered."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from orchestrator.errors import ConfigError
from orchestrator.tracking.places import resolve_uri
from orchestrator.tracking.tracker import Tracker

if TYPE_CHECKING:
    from orchestrator.predict.exported import Exported


def log_model(
    exported: Exported, *, tracking_uri: str, register: str
) -> tuple[str, dict[str, float]]:
    """Log a model from waveforms to class probabilities to the run of its trial.

    It is loaded from the server and compared before it is registered, and deleted if it differs.

    Args:
        exported: The model of an arm.
        tracking_uri: Address from the command line; empty takes that of the environment or store.
        register: Name to register it under; empty for none.

    Returns:
        Its address on the server, and the largest difference of a probability on each audio.

    Raises:
        ConfigError: The model is not of a sweep, or cannot be exported.
        ParityError: The logged model gives other numbers.
        TrackingError: The server does not answer, refuses the model or does not have the trial.
    """
    from orchestrator.predict.exported import ParityError, Probabilities, quiet, traced

    choice, model = exported.choice, exported.choice.model
    if choice.store is None or choice.plan is None:
        raise ConfigError(
            f"{model.source} is of no sweep, and --format mlflow logs a model to the run of its "
            "trial in a sweep; give SWEEP/ARM"
        )
    server, run = Tracker(
        resolve_uri(tracking_uri, os.environ, choice.store), store=choice.store
    ).run_of(choice.plan, choice.arm, model.trial)
    module = Probabilities(model)
    # MLflow would say why it cannot be traced in its own words, after it has logged the model.
    traced(module, exported.num_samples, source=model.source)
    # Multiples of 1/64, since the example is stored as text.
    example = (exported.clips["made-up audio"][:2] * 64).round() / 64
    with quiet():
        uri = server.log_model(
            run,
            module,
            name="model",
            example=example.numpy(),
            num_classes=model.chain.num_classes,
            facts=exported.facts,
        )
        loaded = server.load_model(uri)
    try:
        found = exported.difference(lambda waveform: [loaded(waveform)], module)
    except ParityError:
        server.delete_model(uri)
        raise
    return server.register_model(uri, register) if register else uri, found
