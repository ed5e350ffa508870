"""Recipes of HTS-AT (arXiv 2202.00874), at full size and for a laptop."""

from __future__ import annotations

import dataclasses

from orchestrator.experiment.config import Component, Experiment
from orchestrator.recipes.datar import datar_laptop
from orchestrator.recipes.families import HTSAT


def htsat_tiny() -> Experiment:
    """HTS-AT as its paper trains it (arXiv 2202.00874; RetroCirce/HTS-Audio-Transformer 2e29471).

    32 kHz, its log-mel and masking, AdamW at 1e-4 with decay 0.05, gradient norm 1, batch 128, 100
    epochs, float32. Different here: a cosine with warm-up instead of its steps (whose rate is also
    1e-4 after three epochs), no decay on vectors and bias tables, cross-entropy over classes, and
    no mixup, which it uses on AudioSet alone.
    """
    return Experiment(
        dataset=Component("synthetic", sample_rate=32000, seconds=10.0),
        frontend=Component("log_mel"),
        augmentation=Component("stripes"),
        transform=Component("identity"),
        model=Component("htsat_tiny"),
        loss=Component("cross_entropy"),
        optimizer=Component("adam_w", learning_rate=1e-4, weight_decay=0.05),
        schedule=Component("cosine", warmup_fraction=0.03, final_learning_rate=3e-5),
        epochs=100,
        batch_size=128,
        clip_norm=1.0,
        precision="fp32",
    )


def htsat_laptop() -> Experiment:
    """HTS-AT in laptop size, under the recipe of `datar_laptop`."""
    base = datar_laptop()
    return dataclasses.replace(base, model=HTSAT.model(base), frontend=HTSAT.frontend(base))
