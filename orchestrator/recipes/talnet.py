"""The recipe of TALNet (arXiv 1810.09050)."""

from __future__ import annotations

from orchestrator.experiment.config import Component, Experiment


def talnet() -> Experiment:
    """TALNet as its author trains it on AudioSet (arXiv 1810.09050; cmu-thesis 7578dda).

    16 kHz, its filterbank, Adam at 1e-3 without decay, batch 250, binary cross-entropy, no
    augmentation, float32. Its 30,000 batches are 4 epochs of the full set. Different here: a
    constant rate instead of 0.8 times the rate after three checkpoints without gain, clips drawn
    once an epoch instead of class by class, the norm over mels instead of stored statistics.
    """
    return Experiment(
        dataset=Component("synthetic", sample_rate=16000, seconds=10.0),
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
