"""Recipes of Res-15, on clips as long as a word."""

from __future__ import annotations

from pathlib import Path

from orchestrator.data.audio_folder import AudioFolder
from orchestrator.experiment.config import Component, Experiment


def res15(background: str | Path = "") -> Experiment:
    """Res-15 as honk trains it (arXiv 1710.10361; castorini/honk c3aae75).

    One second at 16 kHz, shifted by up to 100 ms, with 0.1 times a background recording in 80 % of
    the clips; its cepstra, SGD with momentum 0.9 and decay 1e-5 at 0.1, 0.01 and 0.001,
    batch 64, 26 epochs, float32. Different here: the rate falls after a fifth and two fifths of the
    steps, theirs after 3000 and 6000 of about 15,000; features normalized by the chain; every clip
    is augmented anew in every epoch, theirs in a quarter of them.

    Args:
        background: Speech Commands' folder `_background_noise_`; without it nothing is added.

    Raises:
        ConfigError: The folder cannot be read, or holds no audio.
    """
    return Experiment(
        dataset=Component("synthetic", sample_rate=16000, seconds=1.0),
        frontend=Component("honk_mfcc"),
        waveform_augmentation=Component(
            "wave_augment",
            shift_s=0.1,
            background=AudioFolder.read(background) if background else None,
            background_probability=0.8,
            background_volume=(0.1, 0.1),
        ),
        augmentation=Component("none"),
        transform=Component("identity"),
        model=Component("res15"),
        loss=Component("cross_entropy"),
        optimizer=Component("sgd", learning_rate=0.1, momentum=0.9, weight_decay=1e-5),
        schedule=Component("steps", fractions=(0.2, 0.4), factor=0.1),
        epochs=26,
        batch_size=64,
        clip_norm=0.0,
        precision="fp32",
    )


def res15_triplet() -> Experiment:
    """Res-15 by triplet loss (arXiv 2101.04792; roman-vygon/triplet_loss_kws 0d92edd).

    One second at 16 kHz, 64 log-mels of 25 ms every 10 ms, two masks of 25 frames and two of 15
    mels, margin 0.5, batches of 140, decay 0.001, a cosine from 1e-3 to 8e-5 after 5 % warm-up, the
    14,000 steps of the published encoder, which are 23 epochs of the 35 words, five neighbors
    (`TripletEncoder.py`, `configs/words35.yaml`, whose schedule the code does not read).
    Different here: AdamW instead of Novograd, batches drawn freely instead of four clips of each of
    35 classes, PANNs' kind of log-mel instead of NeMo's, which normalizes every clip; no masked
    rectangles, and nothing of what its flag `--augment` adds, which is off by default (shifts by
    100 ms, resampling, background noise).
    """
    return Experiment(
        dataset=Component("synthetic", sample_rate=16000, seconds=1.0),
        frontend=Component(
            "log_mel",
            sample_rate=16000,
            n_fft=512,
            win_length=400,
            hop_length=160,
            f_min=0.0,
            f_max=8000.0,
        ),
        augmentation=Component("stripes", time_width=25, freq_width=15),
        transform=Component("identity"),
        model=Component("res15_triplet"),
        loss=Component("triplet", margin=0.5),
        optimizer=Component("adam_w", learning_rate=1e-3, weight_decay=0.001),
        schedule=Component("cosine", warmup_fraction=0.05, final_learning_rate=8e-5),
        epochs=23,
        batch_size=140,
        clip_norm=0.0,
        precision="fp32",
    )
