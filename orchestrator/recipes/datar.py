"""Recipes of DATAR (arXiv 2312.16228), at full size and for a laptop."""

from __future__ import annotations

from orchestrator.experiment.config import Component, Experiment
from orchestrator.recipes.families import DATAR_FBANK, LAPTOP_FBANK


def datar_tiny() -> Experiment:
    """DATAR on DAT-T as its paper describes it (arXiv 2312.16228), without the adaptor.

    Input: 128 mel bins by 1024 frames. The Kaldi filterbank is told 43,000 Hz for 44.1 kHz audio,
    which makes 10 s exactly 1024 frames. AdamW at 1e-5. The paper leaves open the batch size (here
    64), weight decay and schedule (DAT's: 0.05, cosine, here 5 % warm-up), SpecAugment (AST's 48
    and 192) and drop path (DAT-T's 0.2). Epochs: 300, its number for Kinetics-Sounds.
    """
    return Experiment(
        dataset=Component("synthetic", sample_rate=44100, seconds=10.0),
        frontend=DATAR_FBANK,
        augmentation=Component("spec_augment", freq_mask=48, time_mask=192),
        transform=Component("identity"),
        model=Component("datar_tiny"),
        loss=Component("cross_entropy"),
        optimizer=Component("adam_w", learning_rate=1e-5, weight_decay=0.05),
        schedule=Component("cosine", warmup_fraction=0.05, final_learning_rate=1e-7),
        epochs=300,
        batch_size=64,
        clip_norm=5.0,
        precision="bf16",
    )


def datar_laptop() -> Experiment:
    """DATAR in a size that two CPU cores train in seconds, for demos and tests.

    Same blocks, adaptor and statistics; not a published size. The settings were picked on fold 1 of
    ESC-10, so accuracy there is slightly optimistic; differences between arms are not affected.
    """
    return Experiment(
        dataset=Component("synthetic"),
        frontend=LAPTOP_FBANK,
        augmentation=Component("none"),
        transform=Component("identity"),
        model=Component("datar_laptop", drop_path_rate=0.0),
        loss=Component("cross_entropy"),
        optimizer=Component("adam_w", learning_rate=1.5e-3, weight_decay=0.05),
        schedule=Component("cosine", warmup_fraction=0.05, final_learning_rate=0.0),
        epochs=10,
        batch_size=16,
        clip_norm=5.0,
        precision="fp32",
    )
