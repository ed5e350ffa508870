"""Recipes of TALNet, the keyword models and ERANN."""

from __future__ import annotations

import dataclasses

from orchestrator.experiment.config import Component, Experiment

WORDS = Component("synthetic", sample_rate=16000, seconds=1.0)
"""Clips as long as Speech Commands' words."""


def talnet() -> Experiment:
    """TALNet as its author trains it on AudioSet (arXiv 1810.09050; cmu-thesis 7578dda).

    16 kHz, its filterbank, Adam at 1e-3 without decay, batch 250, binary cross-entropy, no
    augmentation, float32. Its 30,000 batches are 4 epochs of the full set. Different here: a
    constant rate in place of 0.8 times the rate after three checkpoints without gain, clips drawn
    once an epoch and not class by class, the norm over mels in place of stored statistics.
    """
    return Experiment(
        dataset=WORDS.replace(seconds=10.0),
        frontend=Component("talnet_fbank"),
        augmentation=Component("none"),
        transform=Component("identity"),
        model=Component("talnet"),
        loss=Component("binary_cross_entropy"),
        optimizer=Component("adam_w", learning_rate=1e-3, weight_decay=0.0),
        schedule=Component("constant"),
        epochs=4,
        batch_size=250,
        clip_norm=0.0,
        precision="fp32",
    )


def kwt_1() -> Experiment:
    """KWT-1 as its paper trains it (arXiv 2104.00769; ARM-software/keyword-transformer 237e409).

    One second at 16 kHz, its cepstra, two masks of 25 frames and two of 7 coefficients, AdamW at
    1e-3 with decay 0.1, batch 512, label smoothing 0.1, warm-up of ten epochs and a cosine, 23,438
    steps, which are 141 epochs of the 35 words. Different here: decay on class token and positions
    too, features normalized by the chain, and of its changes to waveforms none: shifts by 100 ms,
    resampling by 15 %, background noise.
    """
    return Experiment(
        dataset=WORDS,
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


def res15() -> Experiment:
    """Res-15 as honk trains it (arXiv 1710.10361; castorini/honk c3aae75).

    One second at 16 kHz, its cepstra, SGD with momentum 0.9 and decay 1e-5 at 0.1, 0.01 and 0.001,
    batch 64, 26 epochs, float32. Different here: the rate falls after a fifth and two fifths of
    the steps, where theirs does after 3000 and 6000 of about 15,000; features normalized by the
    chain; no shifts by 100 ms and no background noise.
    """
    return Experiment(
        dataset=WORDS,
        frontend=Component("honk_mfcc"),
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
    mels, margin 0.5, batches of 140, decay 0.001, rates from 1e-3 down to 8e-5 after 10 % warm-up,
    the 14,000 steps of the published encoder, which are 23 epochs of the 35 words, five
    neighbors. Different here: AdamW in place of Novograd, a cosine in place of a polynomial,
    batches drawn freely in place of four clips of each of 35 classes, PANNs' kind of log-mel in
    place of NeMo's, which norms every clip; and no masked rectangles, shifts by 100 ms, resampling
    or background noise.
    """
    return Experiment(
        dataset=WORDS,
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
        schedule=Component("cosine", warmup_fraction=0.1, final_learning_rate=8e-5),
        epochs=23,
        batch_size=140,
        clip_norm=0.0,
        precision="fp32",
    )


def erann_2_5() -> Experiment:
    """ERANN-2-5 on its spectrogram (arXiv 2106.01621), from scratch.

    There is no code of the authors, and their recipe was not at hand: Adam at 1e-3 without decay, a
    cosine, batch 32, PANNs' masks twice as wide in mels, 100 epochs and float32 are chosen here.
    Their number on ESC-50 starts from AudioSet, in weights that are not public.
    """
    return Experiment(
        dataset=WORDS.replace(sample_rate=44100, seconds=5.0),
        frontend=Component(
            "log_mel",
            sample_rate=44100,
            n_fft=2048,
            win_length=1380,
            hop_length=345,
            n_mels=128,
            f_max=22050.0,
        ),
        augmentation=Component("stripes", freq_width=16),
        transform=Component("identity"),
        model=Component("erann_2_5"),
        loss=Component("cross_entropy"),
        optimizer=Component("adam_w", learning_rate=1e-3, weight_decay=0.0),
        schedule=Component("cosine", warmup_fraction=0.05, final_learning_rate=1e-6),
        epochs=100,
        batch_size=32,
        clip_norm=0.0,
        precision="fp32",
    )
