"""The recipe of PSLA (arXiv 2102.01243)."""

from __future__ import annotations

import dataclasses

from orchestrator.experiment.config import Component, Experiment
from orchestrator.recipes.recipe import Recipe

_CODE = "YuanGongND/psla 76aedd1"
_ALIKE = "features are divided by twice their deviation, which the first batch norm undoes"


def psla() -> Experiment:
    """PSLA on EfficientNet-B2 as its paper trains it (arXiv 2102.01243; YuanGongND/psla 76aedd1).

    16 kHz, AST's filterbank with 1056 frames, masks of 48 mels and 192 frames, Adam at 1e-4 with
    betas 0.95 and 0.999 and decay 5e-7, the rate halved every five epochs from the tenth, batch
    100, 30 epochs, binary cross-entropy, float32, no clipping: its numbers for the full AudioSet.
    Different here: no warm-up over the first 1000 steps, decoupled decay, features divided by twice
    their deviation, which the first batch norm undoes, and no mixup, weighted sampling or averaged
    weights. Its best form starts from ImageNet:
    `{"initial": Component("checkpoint", file=File.read("efficientnet_b2_imagenet"))}`.
    """
    return Experiment(
        dataset=Component("synthetic", sample_rate=16000, seconds=10.0),
        frontend=Component("kaldi_fbank", num_frames=1056, f_max=8000.0),
        augmentation=Component("spec_augment", freq_mask=48, time_mask=192),
        transform=Component("identity"),
        model=Component("psla_b2"),
        loss=Component("binary_cross_entropy"),
        optimizer=Component("adam_w", learning_rate=1e-4, weight_decay=5e-7, beta1=0.95),
        schedule=Component("steps", fractions=(1 / 3, 1 / 2, 2 / 3, 5 / 6), factor=0.5),
        epochs=30,
        batch_size=100,
        clip_norm=0.0,
        precision="fp32",
    )


def psla_audioset() -> Experiment:
    """PSLA on the full AudioSet with everything that its name stands for.

    The filterbank, masks, batch and epochs of `psla`; Adam with L2 decay; 1e-4 after 1000 steps of
    warm-up, halved after epochs 10, 15, 20 and 25; draws weighted by class, half of the clips mixed
    as waveforms by Beta(10, 10), and the mean of the weights over epochs 16 to 30, of which the
    first counts twice. It starts from ImageNet's weights (`efficientnet_b2_imagenet`).
    """
    return dataclasses.replace(
        psla(),
        optimizer=Component("adam", learning_rate=1e-4, weight_decay=5e-7, beta1=0.95),
        schedule=Component("epoch_decay", first=10, every=5, factor=0.5, warmup_steps=1000),
        sampler=Component("weighted"),
        mixup=Component("random_partner", alpha=10.0, probability=0.5),
        averaging=Component("epoch_mean", first=16, first_twice=True),
    )


def psla_audioset_balanced() -> Experiment:
    """PSLA on AudioSet's balanced part: 60 epochs at 1e-3, halved every five from the 35th.

    Every clip once an epoch, since the part is balanced already; the mean of the weights is over
    epochs 41 to 60. The rest is that of `psla_audioset`.
    """
    full = psla_audioset()
    return dataclasses.replace(
        full,
        optimizer=full.optimizer.replace(learning_rate=1e-3),
        schedule=full.schedule.replace(first=35),
        sampler=Component("each_once"),
        averaging=full.averaging.replace(first=41),
        epochs=60,
    )


PAPERS = (
    Recipe(
        build=psla_audioset,
        data="AudioSet, 2 M clips",
        source=f"{_CODE} (egs/audioset/run.sh, src/gen_weight_file.py, src/traintest.py, "
        "src/dataloaders/audioset_dataset.py)",
        weights="efficientnet_b2_imagenet",
        published="mAP 0.440, 0.444 averaged",
        quirks={
            "draws weighted by class": {"sampler": Component("each_once")},
            "mixed waveforms": {"mixup": Component("none")},
            "averaged weights": {"averaging": Component("none")},
            "first epoch averaged twice": {"averaging.first_twice": False},
            "warm-up from rate 0": {"schedule.warmup_steps": 0},
        },
        differs=_ALIKE,
    ),
    Recipe(
        build=psla_audioset_balanced,
        data="AudioSet, the 22 k balanced clips",
        source=f"{_CODE} (egs/audioset/run.sh)",
        weights="efficientnet_b2_imagenet",
        published="mAP 0.316 with enhanced labels",
        quirks={
            "mixed waveforms": {"mixup": Component("none")},
            "averaged weights": {"averaging": Component("none")},
            "first epoch averaged twice": {"averaging.first_twice": False},
        },
        differs=f"{_ALIKE}; labels are not enhanced",
    ),
)
