"""The cards of all families and their contents.

A family is a folder of `models` with a `card.py`; nothing else names it. Imports nothing heavy.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path

from models.card import Card, Paper, Part, PublishedCount, Result, Weights
from models.registry import catalog


def _walk() -> Mapping[str, Card]:
    folders = sorted(path.parent.name for path in Path(__file__).parents[1].glob("*/card.py"))
    cards = {name: importlib.import_module(f"models.{name}.card").CARD for name in folders}
    return dict(sorted(cards.items(), key=lambda item: item[1].rank))


CARDS: Mapping[str, Card] = _walk()
"""Folder of the family -> its card, in listing order."""

WEIGHTS: Mapping[str, Weights] = {
    weights.name: weights for card in CARDS.values() for weights in card.weights
}
"""Published files by name."""

RESULTS: tuple[Result, ...] = tuple(r for card in CARDS.values() for r in card.results)
"""Every published number."""

COUNTS: tuple[PublishedCount, ...] = tuple(c for card in CARDS.values() for c in card.counts)
"""Every published count."""


def card_of(model: str) -> Card | None:
    """Return the card of a model's family; None for a model whose folder has none."""
    entry = catalog()["model"].get(model)
    return CARDS.get(entry.module.removeprefix("models.").partition(".")[0]) if entry else None


def paper_of(model: str) -> Paper | None:
    """Return the paper of a model; None for a model without a card."""
    card = card_of(model)
    return card.papers.get(model, card.paper) if card else None


def default_parts(model: str) -> tuple[Part, Part]:
    """Return a model's default front end and input transform in `models.create_model`.

    A model without a card gets Kaldi's filterbank and no transform.
    """
    card = card_of(model)
    if card is None:
        return ("kaldi_fbank", {}), ("identity", {})
    return card.frontends.get(model, card.frontend), card.transform


def weights_of(model: str) -> tuple[Weights, ...]:
    """Return the published files that fit a registered model; empty for most laptop sizes."""
    return tuple(weights for weights in WEIGHTS.values() if weights.model == model)


def published_results(
    model: str | None = None,
    *,
    metric: str | None = None,
    dataset: str | None = None,
    form: str | None = None,
    quoted: bool | None = None,
) -> tuple[Result, ...]:
    """Return the matching published numbers, by family in the order of the papers' tables.

    Args:
        model: Registered name.
        metric: Key, for example `val/top1`.
        dataset: Data set, as in `Conditions`.
        form: The paper's name for the form of the model.
        quoted: False excludes numbers quoted from another paper; True returns only these.
    """
    wanted = {"model": model, "metric": metric, "form": form, "quoted": quoted}
    return tuple(
        result
        for result in RESULTS
        if all(want is None or getattr(result, name) == want for name, want in wanted.items())
        and (dataset is None or result.conditions.dataset == dataset)
    )
