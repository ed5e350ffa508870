"""Recipes of the keyword transformers (arXiv 2104.00769), on clips as long as a word."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from orchestrator.experiment.config import Component, Experiment
from orchestrator.recipes.recipe import Recipe


def kwt_1() -> Experiment:
    """KWT-1 as its paper trains it (arXiv 2104.00769; ARM-software/keyword-transformer 237e409).

    One second at 16 kHz, its cepstra, two masks of 25 frames and two of 7 coefficients, AdamW at
    1e-3 with decay 0.1, batch 512, label smoothing 0.1, warm-up of ten epochs and a cosine, 23,438
    steps, which are 141 epochs of the 35 words. Different here: the cosine goes from the end of the
    warm-up to 1e-5, theirs from the first step to 0; masks are drawn per clip, theirs per batch;
    the last step is evaluated, theirs the best on validation clips; decay on class token and
    positions too; features normalized by the chain; no waveform augmentation (shifts by 100 ms,
    resampling by 15 %, background noise) and no teacher.
    """
    return Experiment(
        dataset=Component("synthetic", sample_rate=16000, seconds=1.0),
        frontend=Component("mfcc"),
        augmentation=Component("stripes", time_width=25, freq_width=7),
        transform=Component("identity"),
        model=Component("kwt_1"),
        loss=Component("cross_entropy", label_smoothing=0.1),
        optimizer=Component("adam_w", learning_rate=1e-3, weight_decay=0.1),
        schedule=Component("cosine", warmup_fraction=0.071, final_learning_rate=1e-5),
        epochs=141,
        batch_size=512,
        clip_norm=0.0,
        precision="fp32",
    )


def kwt_2() -> Experiment:
    """KWT-2 under the recipe of `kwt_1`, as in its paper."""
    return dataclasses.replace(kwt_1(), model=Component("kwt_2"))


def kwt_3() -> Experiment:
    """KWT-3 under the recipe of `kwt_1`, as in its paper."""
    return dataclasses.replace(kwt_1(), model=Component("kwt_3"))


def _paper(build: Callable[[], Experiment], published: str) -> Recipe:
    return Recipe(
        build=build,
        data="Speech Commands V2, 35 words",
        source="ARM-software/keyword-transformer 237e409 (train_35.sh, "
        "kws_streaming/train/train.py, kws_streaming/layers/spectrogram_augment.py)",
        published=published,
        quirks={
            "label smoothing": {"loss.label_smoothing": 0.0},
            "masks": {"augmentation": Component("none")},
        },
        differs="the cosine starts after the warm-up and ends at 1e-5; masks are drawn per clip; "
        "the last step is evaluated; decay on class token and positions too; no shifts, resampling "
        "or background noise; no teacher (distill.sh), which the published number may have had",
    )


PAPERS = (_paper(kwt_1, "96.95 %"), _paper(kwt_2, "97.74 %"), _paper(kwt_3, "97.69 %"))
