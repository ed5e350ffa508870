"""The recipe of PSLA (arXiv 2102.01243)."""

from __future__ import annotations

from orchestrator.experiment.config import Component, Experiment


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
